// A progress bar on standard error, for those who wait longer than a second in front of a terminal.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace shmd::cli {

class Progress {
  public:
    /// total: bytes to come, if that is known. shown false: never draws anything. Draws from a thread of its own, so it
    /// also moves while the caller waits for its input.
    Progress(std::optional<std::uint64_t> total, bool shown);
    /// Erases the bar.
    ~Progress() { stop(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void advance(std::size_t bytes) { done_.fetch_add(bytes, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }

    /// Erases the bar before its end, to make room for a message.
    void stop();

  private:
    void draw_until_stopped(const std::stop_token& stopping);
    void draw();

    const std::optional<std::uint64_t> total_;
    const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::atomic<std::uint64_t> done_ = 0;
    bool drawn_ = false;
    std::mutex mutex_;
    std::condition_variable_any stopped_;
    std::jthread drawer_;
};

/// One state of the bar in at most `width` columns: "  42% [####      ] 126M of 300M, 85.3M/s". Without a total the
/// amount and the rate alone.
[[nodiscard]] std::string progress_line(std::uint64_t done, std::optional<std::uint64_t> total,
                                        std::chrono::duration<double> elapsed, std::size_t width);

}  // namespace shmd::cli
