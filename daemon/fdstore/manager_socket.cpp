#include "manager_socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

namespace shmd {
namespace {

struct Address {
    sockaddr_un name{};
    socklen_t length = 0;
};

// A path, or an abstract name behind a '@'. Other kinds of sockets pass no descriptors.
std::optional<Address> manager_address() {
    const char* text = std::getenv("NOTIFY_SOCKET");
    std::string_view path = text ? text : "";
    Address address;
    if (path.empty() || path.size() >= sizeof address.name.sun_path || (path[0] != '/' && path[0] != '@')) {
        return std::nullopt;
    }
    address.name.sun_family = AF_UNIX;
    path.copy(address.name.sun_path, path.size());
    if (path[0] == '@') address.name.sun_path[0] = '\0';
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    return address;
}

// Connected, or poll(2) would not tell when the other end has room. Empty: errno tells why.
UniqueFd connected() {
    auto address = manager_address();
    if (!address) {
        errno = EDESTADDRREQ;
        return {};
    }
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return {};
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address->name), address->length) == 0) return socket;
    const int error = errno;
    socket.reset();
    errno = error;
    return {};
}

ssize_t send_once(int socket, const std::string& state, int fd) {
    iovec bytes{const_cast<char*>(state.data()), state.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

bool ManagerSocket::is_there() {
    return manager_address().has_value();
}

ManagerSocket::ManagerSocket() : stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    int error = errno;
    if (!stop_) throw std::system_error(error, std::generic_category(), "eventfd");
}

void ManagerSocket::stop() {
    std::uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
}

ManagerSocket::Outcome ManagerSocket::await(int fd, short event) const {
    for (;;) {
        std::array<pollfd, 2> ends{pollfd{fd, event, 0}, {stop_.get(), POLLIN, 0}};
        int ready = ::poll(ends.data(), ends.size(), -1);
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return Outcome::failed;
        if (ends[1].revents) return Outcome::stopped;
        if (ends[0].revents) return Outcome::done;
    }
}

ManagerSocket::Outcome ManagerSocket::send(const std::string& state, int fd) {
    for (;;) {
        if (!socket_) socket_ = connected();
        if (!socket_) return Outcome::failed;
        if (send_once(socket_.get(), state, fd) >= 0) return Outcome::done;
        const int error = errno;
        if (error == EINTR) continue;
        if (error != EAGAIN) {
            // The manager may have made its socket anew.
            socket_.reset();
            errno = error;
            return Outcome::failed;
        }
        if (Outcome outcome = await(socket_.get(), POLLOUT); outcome != Outcome::done) return outcome;
    }
}

// The manager closes what comes with it when its turn has come, and so does the kernel if the manager's socket goes.
ManagerSocket::Outcome ManagerSocket::barrier() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Outcome::failed;
    UniqueFd own(ends[0]), managers(ends[1]);
    if (Outcome outcome = send("BARRIER=1", managers.get()); outcome != Outcome::done) return outcome;
    managers.reset();
    return await(own.get(), 0);  // POLLHUP is always told of
}

}  // namespace shmd
