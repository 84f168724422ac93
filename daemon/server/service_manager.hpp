// What systemd is told of the service: when it is ready, reloads and stops, that its event loop turns (the watchdog), and
// how much it keeps (STATUS=). It is never waited for. Without systemd nothing happens here.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

#include "quota.hpp"

namespace shmd {

class ServiceManager {
  public:
    ServiceManager(asio::io_context& loop, const Quota& quota);
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    /// From here on tells that the loop turns, and what the quota says is used.
    void ready();
    /// Until reloaded().
    void reloading();
    void reloaded();
    /// The last word.
    void stopping();

  private:
    void tell(std::string state);
    void tell_more();
    void keep_watchdog();
    void keep_status();

    const Quota& quota_;
    asio::steady_timer watchdog_timer_;
    asio::steady_timer status_timer_;
    std::chrono::microseconds watchdog_interval_{0};
    std::string status_;
    std::deque<std::string> untold_;
    asio::steady_timer untold_timer_;
};

}  // namespace shmd
