// Memory of segments that are gone, as long as some process still has it mapped: it stays on the account of who reserved
// it. Asked for again and again; the kernel tells of no unmapping.
#pragma once

#include <chrono>
#include <deque>

#include "registry.hpp"
#include "workers.hpp"

namespace shmd {

class Lingering {
  public:
    explicit Lingering(Workers& workers) : workers_(workers) {}

    /// Frees what nobody has any more, at once; keeps the rest.
    void take(Remains remains);

    /// Looks at some of what is kept, in turn. Call it every so often. True when something was freed.
    bool look();

    /// How often to call look(), and how many it looks at.
    static constexpr std::chrono::milliseconds interval{100};
    static constexpr int looks_a_turn = 256;

    [[nodiscard]] bool empty() const { return kept_.empty(); }

  private:
    bool free(Remains& remains);

    Workers& workers_;
    std::deque<Remains> kept_;
};

}  // namespace shmd
