#include "progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "output.hpp"
#include "size_text.hpp"

namespace shmd::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds first_after{1000};
constexpr std::chrono::milliseconds next_after{200};
constexpr std::size_t default_width = 80;
constexpr std::size_t widest_bar = 40;
constexpr std::size_t narrowest_bar = 8;
constexpr std::string_view erase_line = "\r\x1b[K";

// A job in the background does not draw over what its user is doing.
bool is_in_foreground() {
    pid_t foreground = ::tcgetpgrp(STDERR_FILENO);
    return foreground < 0 || foreground == ::getpgrp();
}

bool obeys_escapes() {
    const char* terminal = std::getenv("TERM");
    return !terminal || std::string_view(terminal) != "dumb";
}

void put(std::string_view text) {
    [[maybe_unused]] ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
}

std::string human(double bytes) {
    return format_size(static_cast<std::int64_t>(bytes));
}

}  // namespace

Progress::Progress(std::optional<std::uint64_t> total, bool shown) : total_(total) {
    if (!shown || !obeys_escapes()) return;
    // Signals are for the thread that works.
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        drawer_ = std::jthread([this](const std::stop_token& stopping) { draw_until_stopped(stopping); });
    } catch (const std::system_error&) {
        // No thread to be had: the bytes move without a bar.
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Progress::stop() {
    if (!drawer_.joinable()) return;
    drawer_.request_stop();
    drawer_.join();
    if (drawn_) put(erase_line);
}

void Progress::draw_until_stopped(const std::stop_token& stopping) {
    auto pause = first_after;
    std::unique_lock lock(mutex_);
    while (!stopped_.wait_for(lock, stopping, pause, [&] { return stopping.stop_requested(); })) {
        if (is_in_foreground()) draw();
        pause = next_after;
    }
}

void Progress::draw() {
    std::size_t width = terminal_width(STDERR_FILENO);
    // The last column stays free: some terminals go to the next line after filling it.
    std::string line = progress_line(done(), total_, steady_clock::now() - begin_, (width ? width : default_width) - 1);
    put(std::string(erase_line) + line);
    drawn_ = true;
}

std::string progress_line(std::uint64_t done, std::optional<std::uint64_t> total, std::chrono::duration<double> elapsed,
                          std::size_t width) {
    auto amount = static_cast<double>(done);
    std::string rate = human(amount / std::max(elapsed.count(), 0.001)) + "/s";
    if (!total) return (human(amount) + ", " + rate).substr(0, width);

    double part = *total == 0 ? 1 : std::min(amount / static_cast<double>(*total), 1.0);
    char percent[8];
    std::snprintf(percent, sizeof percent, "%3d%%", static_cast<int>(part * 100));
    std::string behind = " " + human(amount) + " of " + human(static_cast<double>(*total)) + ", " + rate;
    std::size_t others = std::string_view("100% []").size() + behind.size();
    std::string bar;
    if (width >= others + narrowest_bar) {
        std::size_t cells = std::min(width - others, widest_bar);
        std::string filled(static_cast<std::size_t>(part * static_cast<double>(cells)), '#');
        bar = " [" + filled + std::string(cells - filled.size(), ' ') + "]";
    }
    return (percent + bar + behind).substr(0, width);
}

}  // namespace shmd::cli
