#include "peer_credentials.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446  // Linux 6.9
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Linux 6.5; newer than this libc
#endif

namespace shmd {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

std::vector<std::uint32_t> read_groups(int socket) {
    std::vector<gid_t> groups(64);
    for (;;) {
        auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) == 0) {
            groups.resize(length / sizeof(gid_t));
            groups.shrink_to_fit();
            return {groups.begin(), groups.end()};
        }
        if (errno != ERANGE) fail("getsockopt(SO_PEERGROUPS)");
        groups.resize(length / sizeof(gid_t));
    }
}

// From /proc/PID/stat.
std::uint64_t start_of_process(std::int32_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(file, line);
    // The program's name, in parentheses, may hold anything; field 3 comes behind it.
    std::size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream fields(line.substr(name_end + 1));
    std::string skipped;
    for (int field = 3; field < 22; field++) fields >> skipped;
    std::uint64_t start = 0;
    fields >> start;
    return start;
}

}  // namespace

Peer read_peer(int socket) {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) fail("getsockopt(SO_PEERCRED)");
    return {credentials.uid, credentials.gid, credentials.pid, read_groups(socket)};
}

UniqueFd open_peer_pidfd(int socket, const Peer& peer) {
    int fd = -1;
    socklen_t length = sizeof fd;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0) return UniqueFd(fd);
    if (errno != ENOPROTOOPT) fail("getsockopt(SO_PEERPIDFD)");
    UniqueFd found = open_pidfd(peer.pid);
    if (!found) fail("pidfd_open");
    return found;
}

UniqueFd open_pidfd(std::int32_t pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

std::uint64_t mark_of_process(int pidfd, std::int32_t pid) {
    struct statfs system {};
    struct stat file {};
    if (::fstatfs(pidfd, &system) == 0 && system.f_type == PID_FS_MAGIC && ::fstat(pidfd, &file) == 0) return file.st_ino;
    return start_of_process(pid);
}

}  // namespace shmd
