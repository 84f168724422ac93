#include "floor.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace shmd::bench {
namespace {

constexpr char ping_call = 'p';
constexpr char open_call = 'o';
constexpr char create_call = 'c';
constexpr char end_message = 'e';

using Path = char[sizeof "/proc/self/fd/" + 11];

void check(bool done, const char* what) {
    if (!done) test::fail(std::string("floor: ") + what + ": " + std::strerror(errno));
}

int make_memory() {
    int fd = ::memfd_create("floor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool made = fd >= 0 && ::ftruncate(fd, floor_memory_bytes) == 0 && ::fchmod(fd, 0600) == 0 &&
                ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0 &&
                ::fallocate(fd, 0, 0, floor_memory_bytes) == 0;
    return made ? fd : -1;
}

void write_path(int memory, Path& path) {
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
}

bool reply(int socket, int fd) {
    char bytes[floor_reply_bytes] = {};
    iovec data{bytes, sizeof bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof bytes);
}

bool grant(int socket, const Path& path, int access) {
    int granted = ::open(path, access | O_CLOEXEC);
    if (granted < 0) return false;
    bool sent = reply(socket, granted);
    ::close(granted);
    return sent;
}

// Answers one request. False when the client has gone, or anything failed.
bool serve_one(int socket, const Path& memory_path) {
    char received[4096];
    ssize_t count = ::recv(socket, received, sizeof received, 0);
    if (count <= 0) return false;
    const char* request = received;
    if (request[0] == end_message) request += floor_end_bytes;
    if (request == received + count) return true;
    if (request[0] == ping_call) return reply(socket, -1);
    if (request[0] == open_call) return grant(socket, memory_path, O_RDONLY);
    int fresh = make_memory();
    if (fresh < 0) return false;
    Path path;
    write_path(fresh, path);
    bool sent = grant(socket, path, O_RDWR);
    ::close(fresh);
    return sent;
}

int serve(const std::vector<UniqueFd>& sockets) {
    int memory = make_memory();
    if (memory < 0) return 1;
    Path path;
    write_path(memory, path);
    if (sockets.size() == 1) {
        while (serve_one(sockets.front().get(), path)) {
        }
        return 0;
    }
    UniqueFd poller(::epoll_create1(EPOLL_CLOEXEC));
    for (const UniqueFd& socket : sockets) {
        epoll_event event{EPOLLIN, {.fd = socket.get()}};
        if (::epoll_ctl(poller.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) return 1;
    }
    std::array<epoll_event, 64> ready{};
    for (;;) {
        int count = ::epoll_wait(poller.get(), ready.data(), static_cast<int>(ready.size()), -1);
        for (int i = 0; i < count; i++) {
            if (!serve_one(ready.at(static_cast<std::size_t>(i)).data.fd, path)) return 0;
        }
    }
}

void touch(int fd, int protection) {
    void* address = ::mmap(nullptr, floor_memory_bytes, protection, MAP_SHARED, fd, 0);
    check(address != MAP_FAILED, "mmap");
    auto* first = static_cast<volatile char*>(address);
    if (protection & PROT_WRITE) {
        *first = 1;
    } else {
        (void)*first;
    }
    ::munmap(address, floor_memory_bytes);
}

std::vector<UniqueFd> make_pairs(std::size_t count, std::vector<UniqueFd>& others) {
    std::vector<UniqueFd> ends;
    for (std::size_t i = 0; i < count; i++) {
        int pair[2];
        check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
        ends.emplace_back(pair[0]);
        others.emplace_back(pair[1]);
    }
    return ends;
}

}  // namespace

// ---- The client ----

UniqueFd FloorClient::exchange(char what) {
    char request[floor_request_bytes] = {what};
    check(::send(socket_.get(), request, sizeof request, MSG_NOSIGNAL) == sizeof request, "send");
    char bytes[4096];
    iovec data{bytes, sizeof bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    check(::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC) == floor_reply_bytes, "recvmsg");
    int fd = -1;
    if (cmsghdr* header = CMSG_FIRSTHDR(&message)) std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return UniqueFd(fd);
}

void FloorClient::ping() {
    (void)exchange(ping_call);
}

void FloorClient::open() {
    touch(exchange(open_call).get(), PROT_READ);
}

void FloorClient::open_and_tell() {
    open();
    char message[floor_end_bytes] = {end_message};
    check(::send(socket_.get(), message, sizeof message, MSG_NOSIGNAL) == sizeof message, "send");
}

void FloorClient::create() {
    touch(exchange(create_call).get(), PROT_READ | PROT_WRITE);
}

// ---- The server ----

FloorServer::FloorServer(std::size_t clients)
    : ends_(make_pairs(clients, server_ends_)), server_([this](test::Turns&) {
          ends_.clear();
          return serve(server_ends_);
      }) {
    server_ends_.clear();
}

}  // namespace shmd::bench
