#include "memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

namespace shmd {
namespace {

constexpr std::int64_t step_bytes = 32 << 20;

Error refusal(int error, std::int64_t size) {
    return error == EMFILE || error == ENFILE ? Memory::no_descriptors() : Error::out_of_memory(size);
}

// The kernel's limit on a memfd's name, less its own "memfd:" prefix.
std::string memfd_name(std::string_view name) {
    return "shmd:" + std::string(name.substr(0, 240));
}

// The value of a line such as "MemAvailable:   123 kB", in bytes.
std::int64_t meminfo_bytes(std::string_view text, std::string_view field) {
    std::size_t at = text.find(field);
    if (at == std::string_view::npos) return 0;
    std::size_t digit = text.find_first_of("0123456789", at + field.size());
    if (digit == std::string_view::npos) return 0;
    std::int64_t kibibytes = 0;
    std::from_chars(text.data() + digit, text.data() + text.size(), kibibytes);
    return kibibytes * 1024;
}

int populate(int fd, std::int64_t offset, std::int64_t length) {
    void* address = ::mmap(nullptr, static_cast<std::size_t>(length), PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    if (address == MAP_FAILED) return errno;
    int error = ::madvise(address, static_cast<std::size_t>(length), MADV_POPULATE_WRITE) == 0 ? 0 : errno;
    ::munmap(address, static_cast<std::size_t>(length));
    return error;
}

}  // namespace

Result<Memory> Memory::create(std::string_view name, std::int64_t size, bool sealable) {
    UniqueFd fd(::memfd_create(memfd_name(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) return refusal(errno, size);
    if (::ftruncate(fd.get(), size) != 0) return refusal(errno, size);
    if (::fchmod(fd.get(), 0600) != 0) return refusal(errno, size);
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | (sealable ? 0 : F_SEAL_SEAL);
    if (::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) return refusal(errno, size);
    // The descriptor that memfd_create(2) gives could never take the lease that in_use() asks for; a second one can.
    auto kept = Memory(std::move(fd), size).grant(Access::write);
    if (!kept) return std::move(kept).error();
    return Memory(*std::move(kept), size);
}

Result<UniqueFd> Memory::grant(Access access) const {
    char path[sizeof "/proc/self/fd/" + 11];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd_.get());
    UniqueFd granted(::open(path, (access == Access::write ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!granted) return refusal(errno, size_);
    return granted;
}

Result<void> Memory::seal() {
    if (::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_WRITE) == 0 || sealed()) return {};
    // EPERM: F_SEAL_SEAL is set. EBUSY: a writable mapping, or pages that the kernel itself is busy with.
    if (::fcntl(fd_.get(), F_GET_SEALS) & F_SEAL_SEAL) return Error{ErrorCode::not_sealable};
    return Error::segment_busy({});
}

bool Memory::sealed() const {
    return (::fcntl(fd_.get(), F_GET_SEALS) & F_SEAL_WRITE) != 0;
}

// A write lease is given to the only one who has the file open, mappings included (fcntl(2), F_SETLEASE).
bool Memory::in_use() const {
    if (::fcntl(fd_.get(), F_SETLEASE, F_WRLCK) != 0) return true;
    (void)::fcntl(fd_.get(), F_SETLEASE, F_UNLCK);
    return false;
}

void Memory::drop_pages() {
    (void)::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size_);
}

Error Memory::no_descriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return Error::quota_exceeded("fileDescriptors", static_cast<std::int64_t>(limit.rlim_cur));
}

std::int64_t Memory::charged_bytes(std::int64_t size) {
    static const std::int64_t page = ::sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

Reservation::Reservation(const Memory& memory, Reserve how)
    : memory_(memory), how_(how), goal_(how == Reserve::lazy ? 0 : memory.size()) {}

Result<void> Reservation::step() {
    if (done()) return {};
    std::int64_t length = std::min(step_bytes, goal_ - reserved_);
    // The kernel would kill some process rather than refuse: ask first, and leave a step's worth to the others.
    if (goal_ > quick_bytes && available_memory() < length + step_bytes) return Error::out_of_memory(goal_);
    int error = 0;
    if (how_ == Reserve::populate) {
        error = populate(memory_.fd_.get(), reserved_, length);
    } else if (::fallocate(memory_.fd_.get(), 0, reserved_, length) != 0) {
        error = errno;
    }
    if (error == EINTR || error == EAGAIN) return {};
    if (error != 0) return refusal(error, goal_);
    reserved_ += length;
    return {};
}

Result<void> Reservation::finish() {
    while (!done()) {
        if (auto stepped = step(); !stepped) return stepped;
    }
    return {};
}

std::int64_t available_memory() {
    char text[4096];
    UniqueFd file(::open("/proc/meminfo", O_RDONLY | O_CLOEXEC));
    ssize_t length = file ? ::read(file.get(), text, sizeof text) : -1;
    if (length <= 0) return INT64_MAX;  // without /proc/meminfo the quota alone protects
    std::string_view view(text, static_cast<std::size_t>(length));
    return meminfo_bytes(view, "MemAvailable:") + meminfo_bytes(view, "SwapFree:");
}

}  // namespace shmd
