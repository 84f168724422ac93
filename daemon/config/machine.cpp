#include "machine.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace shmd {

std::int64_t memory_limit() {
    std::int64_t limit = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        if (!line.starts_with("0::/")) continue;  // the one of cgroup v2
        std::string path = line.substr(3);
        while (!path.empty() && path != "/") {
            std::ifstream file("/sys/fs/cgroup" + path + "/memory.max");
            std::int64_t bytes = 0;
            if (file >> bytes) limit = std::min(limit, bytes);  // "max" is no number
            path.resize(path.rfind('/'));
        }
    }
    return limit;
}

std::int64_t raise_descriptor_limit(std::int64_t wanted) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    auto target = static_cast<rlim_t>(wanted);
    if (limit.rlim_cur < target) {
        rlimit raised{target, std::max(limit.rlim_max, target)};
        if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) {
            // Without CAP_SYS_RESOURCE the hard limit is as far as it goes.
            raised = {std::min(target, limit.rlim_max), limit.rlim_max};
            (void)::setrlimit(RLIMIT_NOFILE, &raised);
        }
        ::getrlimit(RLIMIT_NOFILE, &limit);
    }
    return static_cast<std::int64_t>(std::min<rlim_t>(limit.rlim_cur, target));
}

}  // namespace shmd
