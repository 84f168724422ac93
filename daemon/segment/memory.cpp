#include "memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>

#include "huge_extents.hpp"

namespace shmd {
namespace {


constexpr std::int64_t usual_step_bytes = 32 << 20;
// Each step waits for every processor for a moment.
constexpr std::int64_t huge_step_bytes = 64 << 20;
// The first one shows how fast it goes. A virtual machine whose host has taken free memory back (free page reporting) waits
// for each page of it, and it is the large free areas that are taken. Slower than this, somebody who waits is better off with
// pages that are at hand. As time of the processor: a busy machine is no reason.
constexpr std::int64_t huge_first_bytes = 16 << 20;
constexpr std::int64_t slow_bytes_per_usec = 1000;
// Below this much that wait would be most of it.
constexpr std::int64_t huge_bytes = 8 << 20;

std::int64_t processor_nsec() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

Error refusal(int error, std::int64_t size) {
    return error == EMFILE || error == ENFILE ? Memory::no_descriptors() : Error::out_of_memory(size);
}

std::string memfd_name(std::string_view what) {
    return what.empty() ? "shmd" : "shmd:" + std::string(what);
}

int populate(int fd, std::int64_t offset, std::int64_t length, bool huge) {
    auto bytes = static_cast<std::size_t>(length);
    AlignedMapping mapping(fd, offset, length);
    if (!mapping) return errno;
    if (huge) (void)::madvise(mapping.data(), bytes, MADV_HUGEPAGE);
    return ::madvise(mapping.data(), bytes, MADV_POPULATE_WRITE) == 0 ? 0 : errno;
}

unsigned memfd_flags(HugePages kind) {
    // From linux/memfd.h, whose MFD_HUGE_1GB is a negative int.
    constexpr unsigned log2_2m = 21, log2_1g = 30, shift = 26;
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (kind == HugePages::huge_2m) flags |= MFD_HUGETLB | log2_2m << shift;
    if (kind == HugePages::huge_1g) flags |= MFD_HUGETLB | log2_1g << shift;
    return flags;
}

Result<UniqueFd> reopen(int fd, Access access, std::int64_t size) {
    // Held, for the way there is a good part of an open's cost.
    static const UniqueFd directory(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
    char name[std::numeric_limits<int>::digits10 + 2];
    *std::to_chars(name, std::end(name) - 1, fd).ptr = '\0';
    UniqueFd opened(::openat(directory.get(), name, (access == Access::write ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!opened) return refusal(errno, size);
    return opened;
}

Result<UniqueFd> make_file(const std::string& name, HugePages kind, std::int64_t size) {
    UniqueFd fd(::memfd_create(name.c_str(), memfd_flags(kind)));
    bool is_pooled = Placement{kind}.is_pooled();
    if (!fd && is_pooled && (errno == ENODEV || errno == EINVAL)) return Error::placement_unavailable(setting_of(kind));
    if (!fd) return refusal(errno, size);
    if (::fchmod(fd.get(), 0600) != 0) return refusal(errno, size);
    // The descriptor that memfd_create(2) gives could never take the lease that in_use() asks for; a second one can.
    return reopen(fd.get(), Access::write, size);
}

}  // namespace

Result<Memory> Memory::create(std::string_view what, std::int64_t size, MemoryOptions options, UniqueFd blank) {
    Placement& placement = options.placement;
    if (placement.is_pooled()) size = in_whole_pages(size, placement.huge_pages);
    if (!blank) {
        auto made = make_file(memfd_name(what), placement.huge_pages, size);
        if (!made) return std::move(made).error();
        blank = *std::move(made);
    }
    if (::ftruncate(blank.get(), size) != 0) return refusal(errno, size);
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | (options.sealable ? 0 : F_SEAL_SEAL);
    if (::fcntl(blank.get(), F_ADD_SEALS, seals) != 0) return refusal(errno, size);
    if (auto bound = bind_to(placement.numa_nodes, blank.get(), size); !bound) return std::move(bound).error();
    return Memory(std::move(blank), size, std::move(placement));
}

Result<Memory> Memory::ahead(std::int64_t size, UniqueFd blank) {
    if (!blank) {
        auto made = make_file(memfd_name({}), HugePages::none, 0);
        if (!made) return std::move(made).error();
        blank = *std::move(made);
    }
    if (::ftruncate(blank.get(), size) != 0) return refusal(errno, size);
    return Memory(std::move(blank), size, {});
}

Result<Blank> Memory::blank() {
    auto file = make_file(memfd_name({}), HugePages::none, 0);
    if (!file) return std::move(file).error();
    auto writer = reopen(file->get(), Access::write, 0);
    if (!writer) return std::move(writer).error();
    std::int64_t page = page_bytes(HugePages::none);
    if (::fallocate(file->get(), FALLOC_FL_KEEP_SIZE, 0, page) != 0) return refusal(errno, page);
    return Blank{*std::move(file), *std::move(writer), page};
}

std::optional<Blank> Memory::adopt_blank(UniqueFd& file) {
    struct stat status {};
    bool is_blank = ::fstat(file.get(), &status) == 0 && status.st_size == 0 && ::fcntl(file.get(), F_GET_SEALS) == 0;
    if (!is_blank) return std::nullopt;
    return Blank{std::move(file), {}, status.st_blocks > 0 ? page_bytes(HugePages::none) : 0};
}

std::optional<Memory> Memory::adopt(UniqueFd fd, std::int64_t size, Placement placement) {
    constexpr int needed = F_SEAL_SHRINK | F_SEAL_GROW;
    if (placement.is_pooled()) size = in_whole_pages(size, placement.huge_pages);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0 || status.st_size != size) return std::nullopt;
    int seals = ::fcntl(fd.get(), F_GET_SEALS);
    if (seals < 0 || (seals & needed) != needed) return std::nullopt;
    Memory memory(std::move(fd), size, std::move(placement));
    // The lease that in_use() takes for a moment is the file's, and outlives a process that is killed in that moment.
    (void)::fcntl(memory.fd_.get(), F_SETLEASE, F_UNLCK);
    return memory;
}

Result<UniqueFd> Memory::duplicate() const {
    UniqueFd copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return refusal(errno, size_);
    return copy;
}

Result<UniqueFd> Memory::grant(Access access) const {
    return reopen(fd_.get(), access, size_);
}

Result<void*> Memory::map() const {
    void* data = ::mmap(nullptr, static_cast<std::size_t>(size_), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (data == MAP_FAILED) return refusal(errno, size_);
    return data;
}

Result<void> Memory::seal() {
    // EBUSY: a writable mapping, or pages that the kernel itself is busy with.
    if (::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_WRITE) == 0 || sealed()) return {};
    return Error::segment_busy({});
}

bool Memory::sealable() const {
    return (::fcntl(fd_.get(), F_GET_SEALS) & F_SEAL_SEAL) == 0;
}

bool Memory::sealed() const {
    return (::fcntl(fd_.get(), F_GET_SEALS) & F_SEAL_WRITE) != 0;
}

bool Memory::closed_to_writers() const {
    return (::fcntl(fd_.get(), F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
}

// A write lease is given to the only one who has the file open, mappings included (fcntl(2), F_SETLEASE).
bool Memory::in_use() const {
    if (::fcntl(fd_.get(), F_SETLEASE, F_WRLCK) != 0) return true;
    (void)::fcntl(fd_.get(), F_SETLEASE, F_UNLCK);
    return false;
}

void Memory::drop_pages() {
    // To the end of the last page: a part of one is only zeroed.
    std::int64_t length = in_whole_pages(size_, placement_.huge_pages);
    (void)::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, length);
}

Error Memory::no_descriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return Error::quota_exceeded("fileDescriptors", static_cast<std::int64_t>(limit.rlim_cur));
}

std::int64_t Memory::charged_bytes(std::int64_t size, HugePages kind) {
    return in_whole_pages(size, kind);
}

Result<void> MemoryWork::finish() {
    while (!done()) {
        if (auto stepped = step(); !stepped) return stepped;
    }
    return {};
}

Reservation::Reservation(const Memory& memory, Reserve how, std::int64_t from, std::int64_t to, PageSize pages)
    : MemoryWork(memory, from, how == Reserve::lazy ? from : to), how_(how), pages_(pages) {
    const Placement& placement = memory.placement();
    bool is_usual = placement.huge_pages == HugePages::none && placement.numa_nodes.empty();
    makes_huge_ = pages != PageSize::usual && is_usual && goal() >= huge_bytes;
}

Result<void> Reservation::step() {
    if (done()) return {};
    std::int64_t step_bytes = !makes_huge_ ? usual_step_bytes : at_ == from_ ? huge_first_bytes : huge_step_bytes;
    std::int64_t length = std::min(step_bytes, to_ - at_);
    const Placement& placement = memory_.placement();
    // The kernel would kill some process rather than refuse: ask first, and leave a step's worth to the others.
    if (goal() > quick_bytes && !placement.is_pooled() &&
        available_memory(placement.numa_nodes) < length + step_bytes) {
        return Error::out_of_memory(goal());
    }
    // What it does not reserve is reserved below.
    if (makes_huge_) {
        std::int64_t begin = processor_nsec();
        int failed = HugeExtents::make(memory_.fd_.get(), at_, at_ + length);
        bool slow = pages_ == PageSize::any && processor_nsec() - begin > length / slow_bytes_per_usec * 1000;
        makes_huge_ = (failed == 0 || failed == EAGAIN) && !slow;
    }
    int error = 0;
    bool transparent = placement.huge_pages == HugePages::transparent;
    if (how_ == Reserve::populate || transparent) {
        // In whole pages, which mmap(2) wants.
        std::int64_t begin = at_ / page_bytes(placement.huge_pages) * page_bytes(placement.huge_pages);
        error = populate(memory_.fd_.get(), begin, at_ + length - begin, transparent);
    } else if (::fallocate(memory_.fd_.get(), 0, at_, length) != 0) {
        error = errno;
    }
    if (error == EINTR || error == EAGAIN) return {};
    if (error == EPERM && memory_.closed_to_writers()) return Error{ErrorCode::segment_sealed};
    if (error != 0 && placement.is_pooled() && error != EMFILE && error != ENFILE) {
        return Error::placement_unavailable(setting_of(placement.huge_pages));
    }
    if (error != 0) return refusal(error, goal());
    at_ += length;
    return {};
}

Result<void> Trim::step() {
    if (done()) return {};
    std::int64_t length = std::min(8 * usual_step_bytes, to_ - at_);
    // Behind the end there is nothing, and a part of a page would only be zeroed.
    std::int64_t end = at_ + length == to_ ? in_whole_pages(to_, memory_.placement().huge_pages) : at_ + length;
    if (::fallocate(memory_.fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at_, end - at_) != 0) {
        if (errno == EINTR) return {};
        return errno == EPERM ? Error{ErrorCode::segment_sealed} : Error::out_of_memory(goal());
    }
    at_ += length;
    return {};
}

}  // namespace shmd
