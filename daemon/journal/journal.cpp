#include "journal.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace shmd {
namespace {

constexpr std::size_t usual_file = std::size_t{1} << 20;
// What must be free behind all that there is, where space is short.
constexpr std::size_t least_room = std::size_t{64} << 10;
constexpr std::uint32_t format_version = 1;
constexpr char magic[8] = {'s', 'h', 'm', 'd', 'j', 'r', 'n', 'l'};

struct FileHead {
    char magic[8];
    std::uint32_t version;
    std::uint32_t committed;  // so far, in units of eight bytes, there are whole records alone; 0: not known
    std::uint64_t salt;       // begins every checksum, so that nobody who is journaled can forge a record
    std::uint64_t salt_again;  // damage to one of them alone costs nothing; 0 in a journal that has it once
};
static_assert(sizeof(FileHead) == 32);

struct RecordHead {
    std::uint32_t checksum;
    std::uint32_t payload_bytes_and_mark;  // the mark keeps the first eight bytes from ever being zero
    std::uint16_t type;
    std::uint16_t reserved;
    std::uint32_t reserved_too;
};
static_assert(sizeof(RecordHead) == 16);

constexpr std::uint32_t mark = 0x8000'0000;
constexpr std::size_t most_payload = std::size_t{1} << 24;

constexpr std::size_t unit = 8;  // every record begins and ends at a multiple of it

constexpr std::size_t aligned(std::size_t bytes) {
    return (bytes + unit - 1) & ~(unit - 1);
}

std::uint32_t checksum_of(std::uint64_t salt, const RecordHead& head, std::string_view payload) {
    auto bytes = [](const void* at) { return static_cast<const Bytef*>(at); };
    uLong sum = ::crc32(0, bytes(&salt), sizeof salt);
    sum = ::crc32(sum, bytes(&head.payload_bytes_and_mark), sizeof head - sizeof head.checksum);
    sum = ::crc32_z(sum, bytes(payload.data()), payload.size());
    return static_cast<std::uint32_t>(sum);
}

// More than it can tell is not told.
constexpr std::uint32_t committed_at(std::size_t end) {
    return static_cast<std::uint32_t>(std::min<std::size_t>(end / unit, std::numeric_limits<std::uint32_t>::max()));
}

std::string path_in(const std::string& directory) {
    return directory + "/journal";
}

[[noreturn]] void fail(const std::string& what, int error) {
    throw std::runtime_error(what + ": " + std::generic_category().message(error));
}

std::string read_all(int file, const std::string& path) {
    std::string all;
    struct stat status {};
    if (::fstat(file, &status) != 0) fail("cannot read " + path, errno);
    all.resize(static_cast<std::size_t>(status.st_size));
    std::size_t at = 0;
    while (at < all.size()) {
        ssize_t got = ::pread(file, all.data() + at, all.size() - at, static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("cannot read " + path, errno);
        if (got == 0) break;
        at += static_cast<std::size_t>(got);
    }
    all.resize(at);
    return all;
}

// The record at this place, if it is whole.
std::optional<std::pair<RecordHead, std::string_view>> record_at(std::string_view file, std::size_t at, std::uint64_t salt) {
    if (at + sizeof(RecordHead) > file.size()) return std::nullopt;
    RecordHead head{};
    std::memcpy(&head, file.data() + at, sizeof head);
    if ((head.payload_bytes_and_mark & mark) == 0) return std::nullopt;
    std::size_t length = head.payload_bytes_and_mark & ~mark;
    if (length > most_payload || length > file.size() - at - sizeof head) return std::nullopt;
    std::string_view payload = file.substr(at + sizeof head, length);
    if (head.checksum != checksum_of(salt, head, payload)) return std::nullopt;
    return std::pair(head, payload);
}

// The one that is not damaged: by it the first record is whole.
std::uint64_t salt_of(std::string_view file, const FileHead& head) {
    bool first_is_whole = record_at(file, sizeof head, head.salt).has_value();
    return first_is_whole || head.salt_again == 0 ? head.salt : head.salt_again;
}

}  // namespace

Journal::Found Journal::read(const std::string& directory, const Replay& replay) {
    Found found;
    const std::string path = path_in(directory);
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file && errno == ENOENT) return found;
    if (!file) fail("cannot open the journal " + path, errno);
    found.existed = true;
    const std::string all = read_all(file.get(), path);
    FileHead head{};
    std::memcpy(&head, all.data(), std::min(all.size(), sizeof head));
    if (all.size() < sizeof head || std::memcmp(head.magic, magic, sizeof magic) != 0) {
        throw std::runtime_error("the journal " + path +
                                 " does not begin as one: move it away to start without the segments that it tells of");
    }
    if (head.version != format_version) {
        throw std::runtime_error("the journal " + path + " has format " + std::to_string(head.version) +
                                 ", and this shmd knows " + std::to_string(format_version) +
                                 ": install the version that wrote it, or move it away to start without its segments");
    }
    const std::uint64_t salt = salt_of(all, head);
    const std::size_t committed = std::size_t{head.committed} * unit;
    if (committed > all.size()) found.damaged_bytes += committed - all.size();
    // Behind the last byte that was ever written there are zeros alone.
    const std::size_t end = std::max(all.find_last_not_of('\0') + 1, std::min(committed, all.size()));
    bool damaged = false;
    found.end = sizeof head;
    for (std::size_t at = sizeof head; at < end;) {
        if (auto record = record_at(all, at, salt)) {
            damaged = false;
            found.records++;
            replay(record->first.type, record->second);
            at += size_of(record->second.size());
            found.end = at;
            continue;
        }
        // A record that begins with zeros was not yet valid, and so is nothing behind it: unless it lies where there were
        // whole records already. All else that is no record is damage, behind which the next whole record is looked for.
        std::uint64_t word = 0;
        std::memcpy(&word, all.data() + at, std::min(sizeof word, all.size() - at));
        if (word == 0 && !damaged && at >= committed) break;
        damaged = true;
        found.damaged_bytes += sizeof word;
        at += sizeof word;
    }
    return found;
}

Journal::Journal(std::string directory, std::function<void(Journal&)> snapshot, std::size_t promised, const Found& old)
    : directory_(std::move(directory)), snapshot_(std::move(snapshot)), promised_(promised) {
    try {
        compact(0);
    } catch (const std::runtime_error&) {
        if (!go_on_in(old)) throw;
    }
}

Journal::Journal(std::string directory, std::function<void(Journal&)> snapshot)
    : Journal(std::move(directory), std::move(snapshot), 0, Found()) {}

bool Journal::go_on_in(const Found& old) {
    if (!old.existed || old.damaged_bytes > 0) return false;
    UniqueFd file(::open(path_in(directory_).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) return false;
    auto capacity = static_cast<std::size_t>(status.st_size);
    if (capacity < old.end || capacity - old.end < promised_) return false;
    if (::posix_fallocate(file.get(), 0, status.st_size) != 0) return false;
    FileHead head{};
    if (::pread(file.get(), &head, sizeof head, 0) != sizeof head || head.salt != head.salt_again) return false;
    void* mapped = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (mapped == MAP_FAILED) return false;
    bytes_ = static_cast<char*>(mapped);
    capacity_ = capacity;
    used_ = old.end;
    salt_ = head.salt;
    // A group that never became valid may be there, and must not when its beginning is written over.
    std::memset(bytes_ + used_, 0, capacity_ - used_);
    tell_committed();
    return true;
}

Journal::~Journal() {
    close();
}

std::size_t Journal::size_of(std::size_t payload_bytes) {
    return sizeof(RecordHead) + aligned(payload_bytes);
}

bool Journal::reserve(std::size_t bytes) {
    if (!bytes_ || capacity_ - used_ >= bytes + promised_) return true;
    const auto begin = std::chrono::steady_clock::now();
    if (begin < next_attempt_) return false;
    try {
        compact(bytes);
        return true;
    } catch (const std::exception&) {
        // Whoever asks again and again must not keep the daemon busy with it.
        const auto end = std::chrono::steady_clock::now();
        next_attempt_ = end + 20 * (end - begin);
        return false;
    }
}

// Into a file beside it, which then takes its place: whoever reads finds the old one or the new one, whole.
void Journal::compact(std::size_t more) {
    assert(depth_ == 0);
    std::string snapshot;
    std::uint64_t salt = 0;
    if (::getrandom(&salt, sizeof salt, 0) != sizeof salt) fail("cannot get random bytes", errno);
    const std::uint64_t old_salt = std::exchange(salt_, salt);
    building_ = &snapshot;
    try {
        snapshot_(*this);
    } catch (...) {
        building_ = nullptr;
        salt_ = old_salt;
        throw;
    }
    building_ = nullptr;

    const std::size_t used = sizeof(FileHead) + snapshot.size();
    FileHead head{{}, format_version, committed_at(used), salt, salt};
    std::memcpy(head.magic, magic, sizeof magic);
    std::size_t capacity = std::max(usual_file, 2 * used + promised_ + more);
    const std::string path = path_in(directory_);
    const std::string beside = path + ".new";
    UniqueFd file(::open(beside.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    int error = file ? 0 : errno;
    // All of it is there before anything is stored into the mapping: no SIGBUS.
    if (error == 0) error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(capacity));
    if (error == ENOSPC) {
        capacity = used + promised_ + more + least_room;
        error = ::ftruncate(file.get(), 0) == 0 ? ::posix_fallocate(file.get(), 0, static_cast<off_t>(capacity)) : errno;
    }
    void* mapped = MAP_FAILED;
    if (error == 0) {
        mapped = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
        if (mapped == MAP_FAILED) error = errno;
    }
    if (error == 0) {
        std::memcpy(mapped, &head, sizeof head);
        std::memcpy(static_cast<char*>(mapped) + sizeof head, snapshot.data(), snapshot.size());
        if (::rename(beside.c_str(), path.c_str()) != 0) error = errno;
    }
    if (error != 0) {
        salt_ = old_salt;
        if (mapped != MAP_FAILED) ::munmap(mapped, capacity);
        ::unlink(beside.c_str());
        fail("cannot write the journal " + path, error);
    }
    close();
    bytes_ = static_cast<char*>(mapped);
    capacity_ = capacity;
    used_ = used;
}

void Journal::append(RecordType type, std::string_view payload) {
    RecordHead head{0, mark | static_cast<std::uint32_t>(payload.size()), type, 0, 0};
    head.checksum = checksum_of(salt_, head, payload);
    if (building_) {
        building_->append(reinterpret_cast<const char*>(&head), sizeof head).append(payload);
        building_->resize(aligned(building_->size()));
        return;
    }
    if (!bytes_) return;
    const std::size_t size = size_of(payload.size());
    assert(size <= capacity_ - used_);
    char* place = bytes_ + used_;
    std::memcpy(place + sizeof head, payload.data(), payload.size());
    std::memcpy(place + sizeof(std::uint64_t), reinterpret_cast<const char*>(&head) + sizeof(std::uint64_t),
                sizeof head - sizeof(std::uint64_t));
    std::uint64_t first = 0;
    std::memcpy(&first, &head, sizeof first);
    if (depth_ > 0 && group_at_ == 0) {
        group_at_ = used_;
        group_head_ = first;
    } else {
        // Last, and in one store: a record is there or it is not.
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(place)).store(first, std::memory_order_release);
    }
    used_ += size;
    if (depth_ == 0) tell_committed();
}

void Journal::commit() {
    if (--depth_ > 0 || group_at_ == 0) return;
    if (bytes_) {
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(bytes_ + group_at_)).store(group_head_, std::memory_order_release);
        tell_committed();
    }
    group_at_ = 0;
}

// After the records: killed in between, a reader takes them for what came last, which they are.
void Journal::tell_committed() {
    auto& committed = reinterpret_cast<FileHead*>(bytes_)->committed;
    std::atomic_ref(committed).store(committed_at(used_), std::memory_order_release);
}

void Journal::close() {
    if (bytes_) ::munmap(bytes_, capacity_);
    bytes_ = nullptr;
    capacity_ = used_ = 0;
}

}  // namespace shmd
