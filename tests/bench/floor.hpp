// The floor: the least that a service which passes memory over a Unix socket can take. One forked process answers fixed
// bytes with fixed bytes; it reads no message, looks nothing up, checks nobody, and allocates nothing. What it passes
// is what shmd passes: a memfd, re-opened through /proc/self/fd with just the access that was asked for.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "process.hpp"
#include "unique_fd.hpp"

namespace shmd::bench {

/// Bytes of a message there and back: about those of Open and of its answer.
inline constexpr std::size_t floor_request_bytes = 100;
inline constexpr std::size_t floor_reply_bytes = 600;
/// Bytes of the message that an end of use takes: about those of Detach.
inline constexpr std::size_t floor_end_bytes = 90;

/// The size of the memory that it passes.
inline constexpr std::size_t floor_memory_bytes = 4096;

/// One client's connection to the server.
class FloorClient {
  public:
    explicit FloorClient(UniqueFd socket) : socket_(std::move(socket)) {}

    /// There and back, without a descriptor.
    void ping();
    /// There and back with the memory; mapped for reading, first byte read, unmapped, closed.
    void open();
    /// The same, and the server is told, without an answer, that it is over. It is woken for that.
    void open_and_tell();
    /// As open(), with memory that the server makes for this call alone, mapped for writing, first byte written.
    void create();

  private:
    UniqueFd exchange(char what);

    UniqueFd socket_;
};

/// The server. Killed and reaped at the end of its life.
class FloorServer {
  public:
    /// One client: the server blocks in recv(2). More: it asks epoll(7) who is next.
    explicit FloorServer(std::size_t clients = 1);

    [[nodiscard]] pid_t pid() const { return server_.pid(); }

    /// Hands each client out once, here or in a child of this process.
    [[nodiscard]] FloorClient take_client(std::size_t number) { return FloorClient(std::move(ends_.at(number))); }

  private:
    std::vector<UniqueFd> server_ends_;  // before ends_, which is made along with it
    std::vector<UniqueFd> ends_;
    test::ChildProcess server_;
};

}  // namespace shmd::bench
