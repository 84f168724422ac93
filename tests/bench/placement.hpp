// On which processors the two sides of a conversation run. Left to itself the kernel puts them on one, or on two, and
// changes its mind; the times differ by half. So each case says which it measures.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <vector>

namespace shmd::bench {

enum class Processors {
    one,  // client and servers share one: the time is the work of both, and two switches between them
    two,  // each side has its own: the time holds the way from one to the other
};

/// False when this process may use only one processor.
[[nodiscard]] bool has_two_processors();

/// Places this thread, until the end of its life, and the main threads of these processes for good.
class Placement {
  public:
    Placement(Processors processors, const std::vector<pid_t>& servers);
    Placement(const Placement&) = delete;
    Placement& operator=(const Placement&) = delete;
    ~Placement();

  private:
    cpu_set_t before_{};
};

}  // namespace shmd::bench
