// The memory of one segment: a memfd, sized, sealed against shrinking and growing, and re-opened for every grant with
// exactly the access granted. Knows nothing of keys, users or JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "placement.hpp"
#include "result.hpp"
#include "types.hpp"
#include "unique_fd.hpp"

namespace shmd {

struct MemoryOptions {
    bool sealable = true;   // false: no seal can ever be added, seal() and a writer's own included
    Placement placement{};  // of what is available()
};

/// What Memory::create() can make memory of.
struct Blank {
    UniqueFd file{};            // of no bytes
    UniqueFd writer{};          // what grant(Access::write) of that memory would give; as long as it is there, the memory is in_use()
    std::int64_t reserved = 0;  // so much of that memory, from its start
};

class Memory {
  public:
    /// Makes `size` bytes (at least 1) of zeros, of which none is reserved yet. what: shows in /proc/PID/maps, as "shmd:what"; empty for
    /// a segment, whose key does not show there. The inode is made 0600, so that only this daemon's user can re-open a grant with more than it was granted.
    /// blank: what to make it of; not for pooled huge pages. It may be smaller and have pages.
    static Result<Memory> create(std::string_view what, std::int64_t size, MemoryOptions options = {}, UniqueFd blank = {});

    /// Makes `size` bytes as create() does, of such a file if there is one, but without seals: for create() to make a
    /// segment of later. Nobody may be granted it before that.
    static Result<Memory> ahead(std::int64_t size, UniqueFd blank = {});
    /// Its file, for create().
    [[nodiscard]] UniqueFd take_file() && { return std::move(fd_); }

    /// A file of which create() can make memory, the first grant of that, and its first page.
    static Result<Blank> blank();
    /// The same of such a file from an earlier process; nothing when it is none, or something has been made of it.
    static std::optional<Blank> adopt_blank(UniqueFd& file);

    /// Memory that create() made in an earlier process, from the descriptor that this one has been given. Nothing when
    /// it is not of this size or not sealed as it should be.
    static std::optional<Memory> adopt(UniqueFd fd, std::int64_t size, Placement placement);

    /// The same open file once more, for who keeps it beyond this process. in_use() does not count it.
    [[nodiscard]] Result<UniqueFd> duplicate() const;

    /// A new descriptor that allows just this. Refuses with QuotaExceeded{fileDescriptors} when there are no more.
    [[nodiscard]] Result<UniqueFd> grant(Access access) const;

    /// All of it, mapped into this process for writing. The caller unmaps it; as long as it is there, it is in_use().
    [[nodiscard]] Result<void*> map() const;

    /// Makes the content immutable for ever. Refuses with SegmentBusy while somebody has it mapped for writing.
    Result<void> seal();
    /// False when it was made so, and when a writer has sealed the seals.
    [[nodiscard]] bool sealable() const;
    /// Asks the kernel: a writer may have sealed it.
    [[nodiscard]] bool sealed() const;
    /// Likewise; also true when only those who have it mapped already can write it (F_SEAL_FUTURE_WRITE, a writer's doing).
    [[nodiscard]] bool closed_to_writers() const;

    /// True when some other descriptor or mapping of it is there, in any process. While nobody has it, nobody can get it
    /// but by grant().
    [[nodiscard]] bool in_use() const;
    /// Gives the pages back, unless it is sealed. For memory that nobody has: what only names it (O_PATH) must not
    /// keep it.
    void drop_pages();

    /// Of the whole file, for ever: a segment's capacity, with pooled huge pages in whole ones.
    [[nodiscard]] std::int64_t size() const { return size_; }
    [[nodiscard]] const Placement& placement() const { return placement_; }

    /// The refusal when this process may open no more files.
    [[nodiscard]] static Error no_descriptors();

    /// What it costs: the size in whole pages.
    [[nodiscard]] static std::int64_t charged_bytes(std::int64_t size, HugePages kind = HugePages::none);

  private:
    friend class Reservation;
    friend class Trim;
    Memory(UniqueFd fd, std::int64_t size, Placement placement)
        : fd_(std::move(fd)), size_(size), placement_(std::move(placement)) {}

    UniqueFd fd_;
    std::int64_t size_;
    Placement placement_;
};

/// Something that takes a quarter of a second a GiB and more, in steps of bounded length, so that several can take turns,
/// on a thread of their own. The memory must outlive it, and may not move.
class MemoryWork {
  public:
    /// Work on up to this many bytes is done so fast that a thread would cost more.
    static constexpr std::int64_t quick_bytes = 256 << 10;

    virtual ~MemoryWork() = default;
    [[nodiscard]] bool done() const { return at_ == to_; }
    /// All that is to be done, in bytes.
    [[nodiscard]] std::int64_t goal() const { return to_ - from_; }
    /// Does a bounded part. After a refusal this is of no more use.
    virtual Result<void> step() = 0;
    /// All steps at once.
    Result<void> finish();

  protected:
    MemoryWork(const Memory& memory, std::int64_t from, std::int64_t to) : memory_(memory), from_(from), to_(to), at_(from) {}

    const Memory& memory_;
    std::int64_t from_, to_, at_;
};

/// Which pages memory may be of that was not asked to be of any.
enum class PageSize {
    usual,
    any,   // what is large of huge ones, as far as the kernel gives them and they are soon made: many times as fast to write
    huge,  // the same, also where making them takes long
};

/// Reserves the bytes [from, to). Refuses with OutOfMemory and PlacementUnavailable.
class Reservation : public MemoryWork {
  public:
    Reservation(const Memory& memory, Reserve how, std::int64_t from, std::int64_t to, PageSize pages = PageSize::any);
    Result<void> step() override;

  private:
    Reserve how_;
    PageSize pages_;
    bool makes_huge_;  // as long as the kernel does
};

/// Gives the bytes [from, to) back: they are zeros then. Refuses with SegmentSealed.
class Trim : public MemoryWork {
  public:
    Trim(const Memory& memory, std::int64_t from, std::int64_t to) : MemoryWork(memory, from, to) {}
    Result<void> step() override;
};

}  // namespace shmd
