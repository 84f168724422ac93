// A page of counters that clients map for reading, so that they can tell without asking whether what they have been told
// still holds. A count goes up before anybody is answered who could know of the change.
#pragma once

#include <cstdint>

#include "memory.hpp"
#include "result.hpp"

namespace shmd {

class ChangePage {
  public:
    /// The page as clients see it. PROTOCOL.md describes it.
    struct Counts {
        std::uint64_t names;     // a key has gone to nobody or to another segment, or who may have it has changed
        std::uint64_t removals;  // a segment was removed
    };

    static Result<ChangePage> create();
    ChangePage(ChangePage&& other) noexcept;
    ChangePage& operator=(ChangePage&&) = delete;
    ChangePage(const ChangePage&) = delete;
    ~ChangePage();

    /// A descriptor for reading.
    [[nodiscard]] Result<UniqueFd> grant() const { return memory_.grant(Access::read); }

    void count_name() { count(counts_->names); }
    void count_removal() { count(counts_->removals); }

  private:
    ChangePage(Memory memory, Counts* counts) : memory_(std::move(memory)), counts_(counts) {}
    // Whoever counts looks into detach queues after that, and who puts something there reads the count after that.
    static void count(std::uint64_t& which) { __atomic_add_fetch(&which, 1, __ATOMIC_SEQ_CST); }

    Memory memory_;
    Counts* counts_;
};

}  // namespace shmd
