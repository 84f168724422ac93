// How much memory could be held that nobody has asked for, and whether somebody misses it.
#pragma once

#include <cstdint>

namespace shmd {

/// Below this much available memory the machine counts as short of it: a sixteenth of what it has.
[[nodiscard]] std::int64_t low_memory_bytes();

class SpareMemory {
  public:
    /// What is available beyond that; or what a control group (v2) above this process may still take, less a sixteenth
    /// of its limit, where that is less. 0 when memory is short, and when processes have waited for it lately for more
    /// than a tenth of the time (PSI, of the machine and of this process's control group). now_usec: of a clock that
    /// only goes forward.
    [[nodiscard]] std::int64_t bytes(std::int64_t now_usec);

  private:
    bool stalls_ = false;
    std::int64_t looked_usec_ = 0, stalled_usec_ = 0;
};

}  // namespace shmd
