#include "daemon.hpp"

#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "link.hpp"
#include "paths.hpp"

namespace shmd::sysv {
namespace {

enum Choice { undecided, by_shmd, by_kernel };
constinit std::atomic<int> choice{undecided};
constinit std::atomic<bool> complained{false};

bool means_no_daemon(int error) {
    return error == ECONNREFUSED || error == ENOENT || error == EACCES || error == ENOTSOCK || error == ENOTDIR ||
           error == ELOOP;
}

bool falls_back_to_kernel() {
    const char* wish = ::secure_getenv("SHMD_SYSV_FALLBACK");
    return wish && std::strcmp(wish, "kernel") == 0;
}

}  // namespace

Server server() {
    int chosen = choice.load(std::memory_order_relaxed);
    if (chosen == undecided) {
        chosen = by_shmd;
        if (falls_back_to_kernel()) {
            if (Link* link = Link::take()) {
                link->release();
            } else if (means_no_daemon(errno)) {
                chosen = by_kernel;
            }
        }
        choice.store(chosen, std::memory_order_relaxed);
    }
    return chosen == by_kernel ? Server::kernel : Server::shmd;
}

int no_daemon(int error) {
    if (!means_no_daemon(error)) return error;
    if (complained.exchange(true)) return ENOSYS;
    char path[sizeof sockaddr_un::sun_path];
    bool found = find_segments_socket(path);
    char line[512];
    int length = std::snprintf(line, sizeof line,
                               "libshmd-sysv: no daemon answers at %s (%s), so shared memory calls fail with ENOSYS: start shmd, "
                               "name its socket in SHMD_SOCKET, or set SHMD_SYSV_FALLBACK=kernel\n",
                               found ? path : "any socket that can be trusted", ::strerrordesc_np(error));
    if (length > 0) (void)!::write(STDERR_FILENO, line, static_cast<std::size_t>(length));
    return ENOSYS;
}

}  // namespace shmd::sysv
