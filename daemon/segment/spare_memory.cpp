#include "spare_memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#include "placement.hpp"

namespace shmd {
namespace {

constexpr std::int64_t share = 16;
// The kernel counts up what was waited for every two seconds.
constexpr std::int64_t look_usec = 2'500'000;

// This process's control group of version 2, such as "/system.slice/shmd.service".
std::string control_group() {
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        if (line.starts_with("0::/")) return line.substr(3);
    }
    return {};
}

// Nothing for what is not there, and for "max".
std::optional<std::int64_t> number_in(const std::string& path) {
    std::ifstream file(path);
    std::int64_t number = 0;
    return file >> number ? std::optional(number) : std::nullopt;
}

// Of a line such as "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234".
std::int64_t stall_in(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    std::size_t at = line.find("total=");
    return line.starts_with("some ") && at != line.npos ? std::strtoll(line.c_str() + at + 6, nullptr, 10) : 0;
}

// Microseconds since the start for which some process has waited. 0 where the kernel does not count.
std::int64_t memory_stall_usec() {
    return std::max(stall_in("/proc/pressure/memory"),
                    stall_in("/sys/fs/cgroup" + control_group() + "/memory.pressure"));
}

}  // namespace

std::int64_t low_memory_bytes() {
    static const std::int64_t bytes = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE) / share;
    return bytes;
}

std::int64_t SpareMemory::bytes(std::int64_t now_usec) {
    if (std::int64_t passed = now_usec - looked_usec_; passed >= look_usec) {
        std::int64_t stalled = memory_stall_usec();
        stalls_ = stalled - stalled_usec_ > passed / 10;
        looked_usec_ = now_usec;
        stalled_usec_ = stalled;
    }
    if (stalls_) return 0;
    std::int64_t spare = available_memory() - low_memory_bytes();
    for (std::string path = control_group(); path.size() > 1; path.resize(path.rfind('/'))) {
        auto limit = number_in("/sys/fs/cgroup" + path + "/memory.max");
        auto used = number_in("/sys/fs/cgroup" + path + "/memory.current");
        if (limit && used) spare = std::min(spare, *limit - *limit / share - *used);
    }
    return std::max<std::int64_t>(spare, 0);
}

}  // namespace shmd
