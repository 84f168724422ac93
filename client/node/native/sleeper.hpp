// How a thread of ours waits in a sync area: the locks of protocol/SYNC.md, such that another thread can end the wait at once.
// Knows nothing of JavaScript.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "sync_core.h"

namespace shmd::node {

/// The sleep of one wait. All results of a function that takes one are those of sync_core.h, and -ECANCELED.
class Sleeper {
  public:
    /// on_long: called when it has slept for a second, for two more, and so on, for the daemon to be asked about those who may
    /// have died.
    explicit Sleeper(std::function<void()> on_long) : on_long_(std::move(on_long)) {}

    /// From any thread. The wait ends with -ECANCELED, or has already ended.
    void cancel() noexcept { shmd_sync_cancel(&stop_); }
    [[nodiscard]] bool cancelled() const noexcept { return __atomic_load_n(&stop_, __ATOMIC_SEQ_CST) != 0; }

    /// Sleeps as long as *futex is expected. 0: look again. A wake-up may have come together with the cancellation, so that is
    /// told only here, before the next sleep, when the word is known to be held and to have its mark.
    int sleep(std::uint32_t* futex, std::uint32_t expected);
    /// Sleeps for so long, for what nobody tells. 0: look again.
    int nap(std::int64_t nanoseconds);
    /// The same without sleeping.
    int look();

    [[nodiscard]] std::uint32_t* stop() noexcept { return &stop_; }
    /// Until when it sleeps at most.
    [[nodiscard]] std::int64_t until() const noexcept { return until_; }

  private:
    static constexpr std::int64_t second = 1'000'000'000;
    static constexpr std::int64_t longest = 16 * second;

    std::function<void()> on_long_;
    std::int64_t length_ = second;
    std::int64_t until_ = shmd_sync_now() + length_;
    std::uint32_t stop_ = 0;
};

int lock_word(std::uint64_t* word, std::uint32_t me, Sleeper& sleeper);
int read_lock(shmd_sync& sync, Sleeper& sleeper);
int write_lock(shmd_sync& sync, Sleeper& sleeper);
/// *version: the one there is.
int wait_for_version(shmd_sync& sync, std::uint64_t after, std::uint64_t* version, Sleeper& sleeper);
int snapshot(const shmd_sync& sync, void* to, const void* from, std::size_t length, Sleeper& sleeper);

}  // namespace shmd::node
