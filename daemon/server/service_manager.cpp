#include "service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "size_text.hpp"
#include "unique_fd.hpp"

namespace shmd {
namespace {

constexpr auto status_interval = std::chrono::seconds(1);
constexpr auto next_attempt = std::chrono::milliseconds(10);

// 1536 gives "1.5 KiB".
std::string size_for_people(std::int64_t bytes) {
    std::string text = format_size(bytes);
    if (std::isdigit(static_cast<unsigned char>(text.back()))) return text + " B";
    return text.substr(0, text.size() - 1) + " " + text.back() + "iB";
}

// Never waits, unlike sd_notify(3): the manager may be busy. False when it may hear this later.
// sd_notify(3) describes the protocol: one datagram to $NOTIFY_SOCKET, a path or an abstract name.
bool notify_if_heard(const std::string& state) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::size_t length = path ? std::strlen(path) : 0;
    if (length == 0 || length >= sizeof address.sun_path) return true;
    std::memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0';
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return false;
    auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    ssize_t sent = ::sendto(socket.get(), state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                            reinterpret_cast<const sockaddr*>(&address), size);
    int error = errno;
    return sent >= 0 || (error != EAGAIN && error != ENOBUFS && error != ENOMEM);
}

}  // namespace

ServiceManager::ServiceManager(asio::io_context& loop, const Quota& quota)
    : quota_(quota), watchdog_timer_(loop), status_timer_(loop), untold_timer_(loop) {}

// In order, and none is left out.
void ServiceManager::tell(std::string state) {
    untold_.push_back(std::move(state));
    if (untold_.size() == 1) tell_more();
}

void ServiceManager::tell_more() {
    while (!untold_.empty() && notify_if_heard(untold_.front())) untold_.pop_front();
    if (untold_.empty()) return;
    untold_timer_.expires_after(next_attempt);
    untold_timer_.async_wait([this](asio::error_code error) {
        if (!error) tell_more();
    });
}

void ServiceManager::ready() {
    tell("READY=1");
    std::uint64_t usec = 0;
    if (::sd_watchdog_enabled(0, &usec) > 0) {
        // Twice as often as it must be.
        watchdog_interval_ = std::chrono::microseconds(usec / 2);
        keep_watchdog();
    }
    if (std::getenv("NOTIFY_SOCKET")) keep_status();
}

void ServiceManager::keep_watchdog() {
    (void)notify_if_heard("WATCHDOG=1");  // the next one comes soon
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
    if (status != status_ && notify_if_heard(status)) status_ = std::move(status);
    status_timer_.expires_after(status_interval);
    status_timer_.async_wait([this](asio::error_code error) {
        if (!error) keep_status();
    });
}

void ServiceManager::reloading() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    std::int64_t usec = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
    tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}

void ServiceManager::reloaded() {
    tell("READY=1");
}

// A manager that does not hear it now sees the process end.
void ServiceManager::stopping() {
    (void)notify_if_heard("STOPPING=1");
    untold_.clear();
    untold_timer_.cancel();
    watchdog_timer_.cancel();
    status_timer_.cancel();
}

}  // namespace shmd
