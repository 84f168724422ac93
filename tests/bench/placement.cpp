#include "placement.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include "process.hpp"

namespace shmd::bench {
namespace {

cpu_set_t allowed() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) {
        test::fail(std::string("sched_getaffinity: ") + std::strerror(errno));
    }
    return set;
}

// From the last one on: the first has most of the machine's interrupts.
std::vector<int> processors_from_last(const cpu_set_t& set) {
    std::vector<int> numbers;
    for (int number = CPU_SETSIZE - 1; number >= 0; number--) {
        if (CPU_ISSET(number, &set)) numbers.push_back(number);
    }
    return numbers;
}

void place(pid_t thread, const cpu_set_t& set) {
    if (::sched_setaffinity(thread, sizeof set, &set) != 0) {
        test::fail(std::string("sched_setaffinity: ") + std::strerror(errno));
    }
}

cpu_set_t just(int number) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(number, &set);
    return set;
}

}  // namespace

bool has_two_processors() {
    return processors_from_last(allowed()).size() > 1;
}

Placement::Placement(Processors processors, const std::vector<pid_t>& servers) : before_(allowed()) {
    std::vector<int> numbers = processors_from_last(before_);
    place(0, just(numbers.front()));
    for (pid_t server : servers) place(server, just(processors == Processors::one ? numbers.front() : numbers.at(1)));
}

Placement::~Placement() {
    (void)::sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace shmd::bench
