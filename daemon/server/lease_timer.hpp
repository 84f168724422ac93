// Ends leases on time. Counts on CLOCK_BOOTTIME, by a timerfd: suspend counts, and a clock that is set does not.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "registry.hpp"

namespace shmd {

class LeaseTimer {
  public:
    /// Throws std::system_error when there is no timer to be had.
    LeaseTimer(asio::io_context& loop, Registry& registry);
    LeaseTimer(const LeaseTimer&) = delete;
    LeaseTimer& operator=(const LeaseTimer&) = delete;

    void start();
    void stop();

  private:
    void arm();
    void wait();

    Registry& registry_;
    asio::posix::stream_descriptor timer_;
    std::int64_t armed_for_ = 0;
};

}  // namespace shmd
