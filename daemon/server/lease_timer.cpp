#include "lease_timer.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace shmd {
namespace {

// Segments that go in one turn of the loop.
constexpr int expired_a_turn = 64;

int make_timer() {
    int fd = ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
    return fd;
}

}  // namespace

LeaseTimer::LeaseTimer(asio::io_context& loop, Registry& registry) : registry_(registry), timer_(loop, make_timer()) {}

void LeaseTimer::start() {
    registry_.on_lease_change([this] { arm(); });
    arm();
    wait();
}

void LeaseTimer::stop() {
    registry_.on_lease_change({});
    asio::error_code ignored;
    timer_.close(ignored);
}

void LeaseTimer::arm() {
    std::int64_t end = registry_.next_lease_end();
    if (end == armed_for_) return;
    armed_for_ = end;
    itimerspec when{};
    when.it_value = {end / 1'000'000, end % 1'000'000 * 1000};
    (void)::timerfd_settime(timer_.native_handle(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void LeaseTimer::wait() {
    timer_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code error) {
        if (error) return;
        std::uint64_t count = 0;
        (void)!::read(timer_.native_handle(), &count, sizeof count);
        registry_.expire(boot_usec(), expired_a_turn);
        // Also when some are left: a time that has passed makes the timer readable at once.
        armed_for_ = 0;
        arm();
        wait();
    });
}

}  // namespace shmd
