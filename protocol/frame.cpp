#include "frame.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace shmd {
namespace {

// Most messages are smaller than the first, which is as much as the C library keeps at hand for the next one.
constexpr std::size_t first_chunk = 1000, least_chunk = 4096, largest_chunk = 1 << 18;

// Takes every descriptor out of the control messages; those beyond `room` are closed here.
bool take_descriptors(msghdr& message, std::size_t room, std::deque<UniqueFd>& out) {
    bool fits = true;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; i++) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
            UniqueFd owned(fd);
            if (out.size() < room) {
                out.push_back(std::move(owned));
            } else {
                fits = false;
            }
        }
    }
    return fits;
}

std::optional<std::int32_t> read_sender(msghdr& message) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS) continue;
        ucred credentials{};
        std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
        return credentials.pid;
    }
    return std::nullopt;
}

}  // namespace

// After what has been read and not given, which comes to the front.
void FrameReader::make_room(std::size_t bytes) {
    std::size_t kept = end_ - begin_;
    if (kept + bytes > capacity_) {
        auto larger = std::make_unique_for_overwrite<char[]>(kept + bytes);
        if (kept > 0) std::memcpy(larger.get(), buffer_.get() + begin_, kept);
        buffer_ = std::move(larger);
        capacity_ = kept + bytes;
    } else if (begin_ > 0 && kept > 0) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
    }
    scanned_ -= begin_;
    begin_ = 0;
    end_ = kept;
}

void FrameReader::drop_buffer() {
    buffer_.reset();
    capacity_ = begin_ = end_ = scanned_ = 0;
}

IoStatus FrameReader::read_from(int socket, int flags) {
    std::size_t kept = end_ - begin_;
    // Grow with the message, so that a large one costs few calls and an idle connection costs nothing.
    std::size_t chunk = kept == 0 ? first_chunk : std::clamp(kept, least_chunk, largest_chunk);
    make_room(std::min(chunk, max_bytes_ + 1 - std::min(kept, max_bytes_)));

    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * limits::message_fds)];
    iovec data{buffer_.get() + end_, capacity_ - end_};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (max_fds_ > 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
    } else if (wants_sender_) {
        // Room for this alone: the kernel closes descriptors that do not fit.
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(ucred));
    }
    ssize_t count = 0;
    do {
        count = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    int error = errno;

    end_ += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    if (end_ == 0) drop_buffer();
    if (count < 0) {
        errno = error;
        if (error == EAGAIN || error == EWOULDBLOCK) return IoStatus::would_block;
        return error == ECONNRESET ? IoStatus::closed : IoStatus::failed;
    }
    if (count == 0) return IoStatus::closed;
    if (wants_sender_) sender_ = read_sender(message);
    if (max_fds_ > 0 && (message.msg_flags & MSG_CTRUNC) != 0) lost_descriptors_ = true;
    if (max_fds_ > 0 && !take_descriptors(message, max_fds_, fds_)) return IoStatus::too_large;
    return check_limit();
}

// A message is over the limit when the bytes after the last NUL are: what comes before them is whole.
IoStatus FrameReader::check_limit() {
    if (end_ - begin_ <= max_bytes_) return IoStatus::done;
    return find_end() - begin_ <= max_bytes_ ? IoStatus::done : IoStatus::too_large;
}

// Where the next NUL is, or the end of what has been read.
std::size_t FrameReader::find_end() const {
    if (scanned_ == end_) return end_;
    const void* found = std::memchr(buffer_.get() + scanned_, 0, end_ - scanned_);
    return found ? static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.get()) : end_;
}

std::optional<std::string_view> FrameReader::next() {
    std::size_t end = find_end();
    if (end == end_) {
        scanned_ = end_;
        if (begin_ == end_) drop_buffer();
        return std::nullopt;
    }
    std::string_view message(buffer_.get() + begin_, end - begin_);
    begin_ = scanned_ = end + 1;
    return message;
}

UniqueFd FrameReader::take_fd() {
    if (fds_.empty()) return {};
    UniqueFd fd = std::move(fds_.front());
    fds_.pop_front();
    return fd;
}

void FrameWriter::start(Frame frame) {
    frame_ = std::move(frame);
    frame_.bytes.push_back('\0');
    sent_ = 0;
}

IoStatus FrameWriter::write_to(int socket, int flags) {
    while (!idle()) {
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * limits::message_fds)];
        iovec data{frame_.bytes.data() + sent_, frame_.bytes.size() - sent_};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        std::size_t fd_count = std::min(frame_.fds.size(), limits::message_fds);
        if (fd_count > 0) {
            message.msg_control = control;
            message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
            for (std::size_t i = 0; i < fd_count; i++) {
                int fd = frame_.fds[i].get();
                std::memcpy(CMSG_DATA(header) + i * sizeof(int), &fd, sizeof fd);
            }
        }
        ssize_t count = ::sendmsg(socket, &message, flags | MSG_NOSIGNAL);
        if (count < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return IoStatus::would_block;
            return errno == EPIPE || errno == ECONNRESET ? IoStatus::closed : IoStatus::failed;
        }
        frame_.fds.clear();
        sent_ += static_cast<std::size_t>(count);
    }
    frame_ = {};
    sent_ = 0;
    return IoStatus::done;
}

}  // namespace shmd
