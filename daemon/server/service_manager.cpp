#include "service_manager.hpp"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <cctype>
#include <cstdlib>

#include "size_text.hpp"

namespace shmd {
namespace {

constexpr auto status_interval = std::chrono::seconds(1);

// 1536 gives "1.5 KiB".
std::string size_for_people(std::int64_t bytes) {
    std::string text = format_size(bytes);
    if (std::isdigit(static_cast<unsigned char>(text.back()))) return text + " B";
    return text.substr(0, text.size() - 1) + " " + text.back() + "iB";
}

}  // namespace

ServiceManager::ServiceManager(asio::io_context& loop, const Quota& quota)
    : quota_(quota), watchdog_timer_(loop), status_timer_(loop) {}

void ServiceManager::ready() {
    ::sd_notify(0, "READY=1");
    std::uint64_t usec = 0;
    if (::sd_watchdog_enabled(0, &usec) > 0) {
        // Twice as often as it must be.
        watchdog_interval_ = std::chrono::microseconds(usec / 2);
        keep_watchdog();
    }
    if (std::getenv("NOTIFY_SOCKET")) keep_status();
}

void ServiceManager::keep_watchdog() {
    ::sd_notify(0, "WATCHDOG=1");
    watchdog_timer_.expires_after(watchdog_interval_);
    watchdog_timer_.async_wait([this](asio::error_code error) {
        if (!error) keep_watchdog();
    });
}

// Looks every so often rather than at every change: a change costs nothing then.
void ServiceManager::keep_status() {
    std::int64_t segments = quota_.total(Resource::segments);
    std::string status = "STATUS=" + std::to_string(segments) + (segments == 1 ? " segment, " : " segments, ") +
                         size_for_people(quota_.total(Resource::bytes));
    if (status != status_) ::sd_notify(0, status.c_str());
    status_ = std::move(status);
    status_timer_.expires_after(status_interval);
    status_timer_.async_wait([this](asio::error_code error) {
        if (!error) keep_status();
    });
}

void ServiceManager::reloading() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    std::int64_t usec = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
    ::sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec)).c_str());
}

void ServiceManager::reloaded() {
    ::sd_notify(0, "READY=1");
}

void ServiceManager::stopping() {
    ::sd_notify(0, "STOPPING=1");
    watchdog_timer_.cancel();
    status_timer_.cancel();
}

}  // namespace shmd
