// The memory of one segment: a memfd, sized, sealed against shrinking and growing, and re-opened for every grant with
// exactly the access granted. Knows nothing of keys, users or JSON.
#pragma once

#include <cstdint>
#include <string_view>

#include "result.hpp"
#include "types.hpp"
#include "unique_fd.hpp"

namespace shmd {

class Memory {
  public:
    /// Makes `size` bytes (at least 1) of zeros, of which none is reserved yet. The name shows in /proc/PID/maps.
    /// The inode is made 0600, so that only this daemon's user can re-open a grant with more than it was granted.
    /// sealable false: no seal can ever be added, seal() and a writer's own included.
    static Result<Memory> create(std::string_view name, std::int64_t size, bool sealable = true);

    /// A new descriptor that allows just this. Refuses with QuotaExceeded{fileDescriptors} when there are no more.
    [[nodiscard]] Result<UniqueFd> grant(Access access) const;

    /// Makes the content immutable for ever. Refuses with SegmentBusy, its holders left to the caller, while somebody
    /// has it mapped for writing, and with NotSealable.
    Result<void> seal();
    /// Asks the kernel: a writer may have sealed it.
    [[nodiscard]] bool sealed() const;

    /// True when some other descriptor or mapping of it is there, in any process. While nobody has it, nobody can get it
    /// but by grant().
    [[nodiscard]] bool in_use() const;
    /// Gives the pages back, unless it is sealed. For memory that nobody has: what only names it (O_PATH) must not
    /// keep it.
    void drop_pages();

    [[nodiscard]] std::int64_t size() const { return size_; }

    /// The refusal when this process may open no more files.
    [[nodiscard]] static Error no_descriptors();

    /// What it costs: the size in whole pages.
    [[nodiscard]] static std::int64_t charged_bytes(std::int64_t size);

  private:
    friend class Reservation;
    Memory(UniqueFd fd, std::int64_t size) : fd_(std::move(fd)), size_(size) {}

    UniqueFd fd_;
    std::int64_t size_;
};

/// Reserving memory takes a quarter of a second a GiB and more. This does it in steps of bounded length, so that
/// several can take turns, on a thread of their own.
class Reservation {
  public:
    /// Memory up to this many bytes is reserved so fast that a thread would cost more.
    static constexpr std::int64_t quick_bytes = 256 << 10;

    /// The memory must outlive this, and may not move.
    Reservation(const Memory& memory, Reserve how);

    [[nodiscard]] bool done() const { return reserved_ == goal_; }
    /// All that is to be reserved, in bytes.
    [[nodiscard]] std::int64_t goal() const { return goal_; }
    /// Reserves a bounded part. Refuses with OutOfMemory; then this is of no more use.
    Result<void> step();
    /// All steps at once.
    Result<void> finish();

  private:
    const Memory& memory_;
    Reserve how_;
    std::int64_t goal_;
    std::int64_t reserved_ = 0;
};

/// Bytes that the machine could give to new memory now, swap included.
[[nodiscard]] std::int64_t available_memory();

}  // namespace shmd
