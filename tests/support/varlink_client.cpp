#include "varlink_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace shmd::test {
namespace {

UniqueFd connect_to(const std::string& path) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) fail("socket path too long: " + path);
    path.copy(address.sun_path, path.size());
    if (!socket || ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        fail("connect to " + path + ": " + std::strerror(errno));
    }
    return socket;
}

// One sendmsg(2). The count of bytes sent, or -1.
ssize_t send_once(int socket, std::string_view bytes, std::span<const int> fds) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * limits::message_fds)]{};
    iovec data{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

// Only grants carry descriptors, each of them one.
std::size_t declared_fds(const std::string& text) {
    constexpr std::string_view field = "\"fileDescriptor\":";
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(field, at)) != std::string::npos; at += field.size()) count++;
    return count;
}

}  // namespace

RawClient::RawClient(const std::string& path) : RawClient(connect_to(path)) {}

RawClient::RawClient(UniqueFd socket) : socket_(std::move(socket)) {
    timeval limit{patience.count(), 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool RawClient::try_send_bytes(std::string_view bytes, std::span<const int> fds) {
    if (fds.size() > limits::message_fds) fail("more descriptors than one message can carry");
    while (!bytes.empty()) {
        ssize_t count = send_once(socket_.get(), bytes, fds);
        if (count >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(count));
            fds = {};
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return false;
        } else if (errno != EINTR) {
            fail(std::string("send: ") + std::strerror(errno));
        }
    }
    return true;
}

void RawClient::send_bytes(std::string_view bytes, std::span<const int> fds) {
    if (!try_send_bytes(bytes, fds)) fail("send: the peer has closed");
}

IoStatus RawClient::read_more() {
    IoStatus status = reader_.read_from(socket_.get(), 0);
    if (status == IoStatus::would_block) fail("nothing was received in time");
    if (status == IoStatus::too_large) fail("received more than one message may hold");
    if (status == IoStatus::failed) fail(std::string("receive: ") + std::strerror(errno));
    return status;
}

std::optional<Message> RawClient::receive_unless_closed() {
    while (true) {
        if (auto text = reader_.next()) {
            Message message{std::string(*text), {}};
            for (std::size_t left = declared_fds(message.text); left > 0 && reader_.fd_count() > 0; left--) {
                message.fds.push_back(reader_.take_fd());
            }
            return message;
        }
        if (read_more() == IoStatus::closed) return std::nullopt;
    }
}

Message RawClient::receive() {
    auto message = receive_unless_closed();
    if (!message) fail("the peer closed instead of answering");
    return std::move(*message);
}

void RawClient::expect_eof() {
    if (auto message = receive_unless_closed()) fail("received instead of the end: " + message->text);
}

std::vector<Segment> RawClient::list(std::optional<std::string> prefix) {
    send(List{std::move(prefix)}, {.more = true});
    std::vector<Segment> segments;
    while (true) {
        auto received = receive_reply<List>();
        if (received.value().segment) segments.push_back(*received.value().segment);
        if (!received.reply.continues) return segments;
    }
}

void RawClient::shutdown(int how) {
    if (::shutdown(socket_.get(), how) != 0) fail(std::string("shutdown: ") + std::strerror(errno));
}

}  // namespace shmd::test
