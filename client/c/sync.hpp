// An open segment's sync area in this process: its mapping, and what is known here beside it. What is done in it is
// sync_core's; asking the daemon is open_segment's.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "failure.hpp"
#include "messages.hpp"
#include "process_mark.hpp"
#include "sync_core.h"
#include "unique_fd.hpp"

namespace shmd::client {

/// A number that no other thread alive has.
inline std::uintptr_t this_thread() noexcept {
    return reinterpret_cast<std::uintptr_t>(__builtin_thread_pointer());
}

/// One lock as this process holds it: by which thread, so that it need not wait for itself.
class HeldBy {
  public:
    void taken() noexcept { thread_.store(this_thread(), std::memory_order_relaxed); }
    void given_back() noexcept { thread_.store(0, std::memory_order_relaxed); }
    [[nodiscard]] bool somebody() const noexcept { return thread_.load(std::memory_order_relaxed) != 0; }
    [[nodiscard]] bool me() const noexcept { return thread_.load(std::memory_order_relaxed) == this_thread(); }

  private:
    std::atomic<std::uintptr_t> thread_ = 0;
};

/// The mutex of a sync area with all that it takes to lock it when it is free, side by side: each step from pointer to pointer
/// would cost a third of an atomic operation.
class FastMutex {
  public:
    /// From here on take() may succeed.
    void ready(const shmd_sync& sync) noexcept {
        attachment_ = sync.attachment;
        process_ = process_mark();
        word_.store(&sync.area->mutex, std::memory_order_release);
    }
    void gone() noexcept { word_.store(nullptr, std::memory_order_release); }

    /// False: take the long way.
    [[nodiscard]] bool take() noexcept {
        std::uint64_t* word = usable_word();
        if (!word || !exchange(*word, 0, attachment_)) return false;
        holder_.taken();
        return true;
    }
    /// Likewise.
    [[nodiscard]] bool give_back() noexcept {
        std::uint64_t* word = usable_word();
        if (!word) return false;
        holder_.given_back();
        return exchange(*word, attachment_, 0);
    }
    [[nodiscard]] HeldBy& holder() noexcept { return holder_; }

  private:
    // Before anything else is read here: it is published by the word.
    [[nodiscard]] std::uint64_t* usable_word() const noexcept {
        std::uint64_t* word = word_.load(std::memory_order_acquire);
        return word && process_ == process_mark() ? word : nullptr;
    }
    static bool exchange(std::uint64_t& word, std::uint64_t from, std::uint64_t to) noexcept {
        return __atomic_compare_exchange_n(&word, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }

    std::atomic<std::uint64_t*> word_ = nullptr;
    std::uint32_t attachment_ = 0;
    std::uint32_t process_ = 0;
    HeldBy holder_;
};

class Sync {
  public:
    /// Fails with EPROTO for a descriptor that is no sync area, ENOTSUP for one of another format, and as mmap(2).
    static Outcome<std::unique_ptr<Sync>> map(const UniqueFd& area, std::uint32_t attachment, Access access);
    Sync(const Sync&) = delete;
    Sync& operator=(const Sync&) = delete;
    ~Sync();

    /// False in a child of the process that opened it.
    [[nodiscard]] bool ours() const noexcept;

    /// Readable when the version has gone up since it was made or last read. The first call starts a thread.
    Outcome<int> notification_fd();

    shmd_sync core{};
    HeldBy writer{};
    std::atomic<bool> in_section = false;  // belongs to who has the mutex

  private:
    Sync(shmd_sync_area* area, std::uint32_t attachment, Access access);
    static void* serve(void* self);

    const std::uint32_t process_;
    std::mutex notifier_mutex_;
    UniqueFd event_;
    pthread_t thread_{};
    std::uint32_t stop_ = 0;
    std::uint64_t seen_ = 0;  // the thread's
};

}  // namespace shmd::client
