// Memory that is made ahead of need: large segments come again and again in the same sizes, and what has been reserved
// and zeroed before is handed out at once. What was asked for lately is kept ready once more, up to a limit, and let go
// of when nobody has asked for it for some time. Whatever has been handed out never comes back here: some process may
// still have it, and memory must be zeros and nobody else's. Runs no threads, looks at no clock.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "memory.hpp"
#include "recorder.hpp"

namespace shmd {

class ReadyMemory {
  public:
    /// Segments that are smaller are made fast enough.
    static constexpr std::int64_t least_bytes = 16 << 20;
    /// How long what nobody asks for is kept.
    static constexpr std::int64_t keep_usec = 120'000'000;
    /// So many of one size are kept ready as were asked for within such a time.
    static constexpr std::int64_t burst_usec = 10'000'000;

    struct Ready {
        std::int64_t bytes = 0;
        std::shared_ptr<Memory> memory{};  // reserved and zeroed as a whole, and not sealed
        Kept kept{};
    };
    /// One on its way. Let reserve() be carried out, then call add(); dropping it ends it.
    struct Making {
        Ready ready;
        std::optional<Reservation> reservation{};
    };

    /// So many bytes at most, what is being made included. 0: none.
    void set_limit(std::int64_t bytes) { limit_ = bytes; }
    void set_page_size(PageSize pages) { pages_ = pages; }
    /// Null: nothing outlasts this process.
    void keep_with(Recorder* recorder) { recorder_ = recorder; }

    /// For a segment of this size, which was asked for at this time: what is ready of just this size or, if there is
    /// none, the largest that is smaller.
    std::optional<Ready> take(std::int64_t bytes, std::int64_t now_usec);

    /// What should be made next, if anything. One at a time.
    std::unique_ptr<Making> begin(std::int64_t now_usec);
    /// False when it is not worth going on with.
    [[nodiscard]] bool wants(const Making& making, std::int64_t now_usec);
    void add(std::unique_ptr<Making> made);

    /// Lets go of what is not wanted any more. The caller frees it: see Memory::drop_pages().
    [[nodiscard]] std::vector<std::shared_ptr<Memory>> surplus(std::int64_t now_usec);
    /// Lets go of everything, and forgets what was asked for.
    [[nodiscard]] std::vector<std::shared_ptr<Memory>> give_back();

    /// Of all that is ready.
    [[nodiscard]] std::int64_t bytes() const;

  private:
    struct Wish {
        std::int64_t bytes;
        std::int64_t asked_usec;
    };
    void note(std::int64_t bytes, std::int64_t now_usec);
    void forget(std::int64_t now_usec);
    [[nodiscard]] std::int64_t wished(std::int64_t bytes) const;
    [[nodiscard]] std::int64_t count(std::int64_t bytes) const;

    std::int64_t limit_ = 0;
    PageSize pages_ = PageSize::huge;
    Recorder* recorder_ = nullptr;
    std::list<Wish> wishes_;  // the latest first, never more in all than the limit
    std::list<Ready> ready_;
};

}  // namespace shmd
