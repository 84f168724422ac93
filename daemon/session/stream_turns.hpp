// Turns of streams: what is told to many at once is told to one user's connections a few at a time, so that somebody
// with many watchers does not come between others and the event loop with all of them.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>

namespace shmd {

class StreamTurns {
  public:
    /// Of one user, in one round of the event loop.
    static constexpr int at_a_time = 4;

    StreamTurns() = default;
    StreamTurns(const StreamTurns&) = delete;
    StreamTurns& operator=(const StreamTurns&) = delete;

    /// Is let go by its end. Whoever has it may wait for others' turns, but for nothing that may take long.
    class [[nodiscard]] Turn {
      public:
        Turn(StreamTurns& turns, std::uint32_t uid) : turns_(&turns), uid_(uid) {}
        Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), uid_(other.uid_) {}
        Turn& operator=(Turn&&) = delete;
        ~Turn() { end(); }
        void end();

      private:
        StreamTurns* turns_;
        std::uint32_t uid_;
    };
    /// In the order of asking.
    asio::awaitable<Turn> take(const asio::any_io_executor& executor, std::uint32_t uid);

  private:
    struct User {
        int taken = 0;
        std::deque<std::shared_ptr<asio::steady_timer>> waiting{};
    };
    std::unordered_map<std::uint32_t, User> users_;
};

}  // namespace shmd
