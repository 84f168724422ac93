// Turns in the event loop. Every connection that has something to do has one in each round; so that nobody has most of
// all turns by having most of all connections, those that belong together share some.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>

namespace shmd {

class Turns {
  public:
    /// at_a_time: how many each group has in one round.
    Turns(asio::any_io_executor executor, int at_a_time) : executor_(std::move(executor)), at_a_time_(at_a_time) {}
    Turns(const Turns&) = delete;
    Turns& operator=(const Turns&) = delete;

    [[nodiscard]] int at_a_time() const { return at_a_time_; }

    /// Waits for one, in the order of asking. It is good for what is done before the next wait, and ends by itself when
    /// all that is ready then has been served. This must outlive the loop's run.
    asio::awaitable<void> take(std::uint32_t group);

  private:
    struct Group {
        int taken = 0;
        std::deque<std::shared_ptr<asio::steady_timer>> waiting{};
    };
    void give_back(std::uint32_t group);

    asio::any_io_executor executor_;
    int at_a_time_;
    std::unordered_map<std::uint32_t, Group> groups_;
};

}  // namespace shmd
