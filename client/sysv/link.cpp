#include "link.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "attachments.hpp"
#include "paths.hpp"

namespace shmd::sysv {
namespace {

constinit Link links[most_links];
// Beside them, so that all of this is zeros in the library's file.
char buffers[most_links][4096];
constinit std::atomic<std::uint32_t> last_number{0};

}  // namespace

// ---- Descriptors ----

Descriptor Descriptor::of(int fd) {
    struct stat status {};
    if (fd < 0 || ::fstat(fd, &status) != 0) return {};
    return {fd, status.st_dev, status.st_ino, static_cast<std::uint32_t>(status.st_blksize)};
}

bool Descriptor::intact() const {
    struct stat status {};
    return fd >= 0 && ::fstat(fd, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void Descriptor::close() {
    if (intact()) ::close(fd);
    fd = -1;
}

int move_high(int fd) {
    rlimit limit{};
    rlim_t most = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 256;
    int from = static_cast<int>(std::min<rlim_t>(most, 1024) / 2);
    int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, from);
    if (moved < 0) return fd;  // still in the way, but of use
    ::close(fd);
    return moved;
}

// ---- Links ----

bool Link::is_mine_now() const {
    return user_ == ::geteuid() && group_ == ::getegid();
}

// The first that fits, so that a program with one thread has one connection and its calls their order.
Link* Link::take() {
    for (Link& link : links) {
        std::uint32_t expected = idle;
        if (!link.state_.compare_exchange_strong(expected, busy, std::memory_order_acquire)) continue;
        if (link.is_mine_now() && !link.only_holds_) {
            if (link.socket_.intact()) return &link;
            link.end();
        }
        link.state_.store(link.socket_.fd >= 0 ? idle : free, std::memory_order_release);
    }
    Link* link = free_slot();
    if (!link) return errno = EMFILE, nullptr;
    if (!link->connect()) {
        int error = errno;
        link->release();
        return errno = error, nullptr;
    }
    end_dead();
    take_up_again(*link);
    return link;
}

// Those that no call uses find out only so that their daemon has gone.
void Link::end_dead() {
    for (Link& link : links) {
        std::uint32_t expected = idle;
        if (!link.state_.compare_exchange_strong(expected, busy, std::memory_order_acquire)) continue;
        if (!link.socket_.intact() || !link.is_alive()) link.end();
        link.release();
    }
}

Link* Link::free_slot() {
    for (Link& link : links) {
        std::uint32_t expected = free;
        if (link.state_.compare_exchange_strong(expected, busy, std::memory_order_acquire)) return &link;
    }
    // All are taken: one of another identity, whose attachments end with it.
    for (Link& link : links) {
        std::uint32_t expected = idle;
        if (!link.state_.compare_exchange_strong(expected, busy, std::memory_order_acquire)) continue;
        link.end();
        return &link;
    }
    return nullptr;
}

void Link::release() {
    if (received_ >= 0) ::close(take_descriptor());
    state_.store(socket_.fd >= 0 ? idle : free, std::memory_order_release);
}

bool Link::connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (!find_segments_socket(address.sun_path)) return errno = ECONNREFUSED, false;
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    fd = move_high(fd);
    int connected = 0;
    do {
        connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    } while (connected < 0 && errno == EINTR);
    if (connected < 0) {
        int error = errno;
        ::close(fd);
        return errno = error, false;
    }
    socket_ = Descriptor::of(fd);
    user_ = ::geteuid();
    group_ = ::getegid();
    size_ = 0;
    number_ = ++last_number;
    return true;
}

void Link::end() {
    socket_.close();
    number_ = 0;
    only_holds_ = false;
    has_told_ = false;
    size_ = 0;
}

std::size_t Link::place() const {
    return static_cast<std::size_t>(this - links);
}

std::span<char> Link::buffer() {
    return buffers[place()];
}

bool Link::is_alive() const {
    char none = 0;
    return ::recv(socket_.fd, &none, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

int Link::send(const system_v::Message& message) {
    has_told_ = true;
    return put(message);
}

int Link::put(const system_v::Message& message) {
    std::string_view left = message.bytes();
    while (!left.empty()) {
        ssize_t sent = ::send(socket_.fd, left.data(), left.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) {
            bool begun = left.size() < message.bytes().size();
            end();
            return begun ? ECONNRESET : EPIPE;
        }
        left.remove_prefix(static_cast<std::size_t>(sent));
    }
    return 0;
}

int Link::call(const system_v::Message& message, std::string_view& reply) {
    if (received_ >= 0) ::close(take_descriptor());
    size_ = 0;
    if (int error = put(message)) return error;
    const std::span<char> buffer = this->buffer();
    for (;;) {
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        iovec data{buffer.data() + size_, buffer.size() - size_};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        ssize_t count = ::recvmsg(socket_.fd, &header, MSG_CMSG_CLOEXEC);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            end();
            return ECONNRESET;
        }
        for (cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
            if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
            if (received_ >= 0) ::close(received_);
            std::memcpy(&received_, CMSG_DATA(part), sizeof received_);
        }
        size_ += static_cast<std::size_t>(count);
        if (buffer[size_ - 1] == '\0') break;
        if (size_ == buffer.size()) {
            end();
            return ECONNRESET;
        }
    }
    has_told_ = false;
    reply = {buffer.data(), size_ - 1};
    return 0;
}

int Link::take_descriptor() {
    int fd = received_;
    received_ = -1;
    return fd;
}

const Link* Link::with_number(std::uint32_t number) {
    const Link* found = std::find_if(std::begin(links), std::end(links), [&](const Link& link) {
        return link.number_ == number && link.state_.load(std::memory_order_acquire) != free;
    });
    return number != 0 && found != std::end(links) ? found : nullptr;
}

bool Link::is_there(std::uint32_t number) {
    return with_number(number) != nullptr;
}

// ---- fork(2) ----

Link* Link::make_for_child() {
    Link* link = free_slot();
    if (!link) return errno = EMFILE, nullptr;
    if (link->connect()) return link->only_holds_ = true, link;
    int error = errno;
    link->release();
    return errno = error, nullptr;
}

void Link::give_away() {
    end();
    release();
}

void Link::keep_only(Link* own) {
    for (Link& link : links) {
        if (&link == own) continue;
        if (link.received_ >= 0) ::close(link.take_descriptor());
        link.end();
        link.state_.store(free, std::memory_order_release);
    }
}

}  // namespace shmd::sysv
