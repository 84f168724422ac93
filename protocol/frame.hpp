// Messages on a stream socket: JSON bytes ended by a NUL, and the descriptors sent with them, held as one object.
// Knows sockets and limits; knows nothing of JSON, methods or users. Source of the rules: UAPI.20 (Varlink IPC) and
// systemd's way of passing descriptors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "limits.hpp"
#include "unique_fd.hpp"

namespace shmd {

/// One outgoing message with its descriptors.
struct Frame {
    std::string bytes;  // without the NUL
    std::vector<UniqueFd> fds{};
};

enum class IoStatus {
    done,         // read: bytes came; write: all was written
    would_block,  // try again when the socket is ready
    closed,       // the peer has closed the connection
    too_large,    // the peer sent a message over the limit
    failed,       // errno says why
};

/// Cuts the byte stream of one socket into messages. Not thread-safe. Does not own the socket.
class FrameReader {
  public:
    /// max_fds: how many received descriptors it holds at most. With 0 none ever reaches this process: the kernel
    /// closes them. Above that, the surplus is closed at once and the read answers too_large.
    explicit FrameReader(std::size_t max_fds, std::size_t max_bytes = limits::message_bytes)
        : max_fds_(max_fds), max_bytes_(max_bytes) {}

    /// One recvmsg(2) with these flags (MSG_DONTWAIT or 0). Invalidates what next() gave.
    IoStatus read_from(int socket, int flags);

    /// The next complete message without its NUL, or nothing. Valid until next() or read_from() is called again.
    std::optional<std::string_view> next();

    /// True when a complete message waits, or bytes that may hold one.
    [[nodiscard]] bool has_buffered() const { return begin_ < end_; }

    /// From here on the kernel tells who sends: on sockets with SO_PASSCRED, where no descriptors are taken.
    void want_sender() { wants_sender_ = true; }
    /// The process that sent what was read last, as this pid namespace sees it (0: not).
    [[nodiscard]] std::optional<std::int32_t> sender() const { return sender_; }

    /// Memory held for messages, in bytes.
    [[nodiscard]] std::size_t capacity() const { return capacity_; }

    /// Descriptors in the order of their arrival. Replies say how many are theirs; take that many.
    [[nodiscard]] std::size_t fd_count() const { return fds_.size(); }
    UniqueFd take_fd();

    /// True once the kernel dropped descriptors on their way in, as it does when this process may open no more files.
    [[nodiscard]] bool lost_descriptors() const { return lost_descriptors_; }

  private:
    IoStatus check_limit();
    void make_room(std::size_t bytes);
    void drop_buffer();
    [[nodiscard]] std::size_t find_end() const;

    std::size_t max_fds_;
    std::size_t max_bytes_;
    std::unique_ptr<char[]> buffer_;  // not cleared: what is read next overwrites it
    std::size_t capacity_ = 0;
    std::size_t end_ = 0;      // of what has been read
    std::size_t begin_ = 0;    // the first byte that next() has not given
    std::size_t scanned_ = 0;  // no NUL before this one
    std::deque<UniqueFd> fds_;
    bool lost_descriptors_ = false;
    bool wants_sender_ = false;
    std::optional<std::int32_t> sender_;
};

/// Sends messages one after the other. Not thread-safe. Does not own the socket.
class FrameWriter {
  public:
    /// Takes the next message. The one before must be done.
    void start(Frame frame);

    /// One sendmsg(2) with these flags (MSG_DONTWAIT or 0). Descriptors go with the first byte, and are closed here
    /// once sent. After would_block call it again for the rest.
    IoStatus write_to(int socket, int flags);

    [[nodiscard]] bool idle() const { return sent_ == frame_.bytes.size(); }

    /// Descriptors given to start() that have not left. Dropping them lets the message go without.
    void drop_fds() { frame_.fds.clear(); }

  private:
    Frame frame_;
    std::size_t sent_ = 0;
};

}  // namespace shmd
