#include "sleeper.hpp"

#include <algorithm>

namespace shmd::node {
namespace {

constexpr std::int64_t millisecond = 1'000'000;

// Sleeps on both words. 0 and -EAGAIN: look again. Before Linux 5.16, which cannot, it looks every 50 ms.
int sleep_on_both(std::uint32_t* futex, std::uint32_t expected, std::uint32_t* stop, std::int64_t until) {
    struct Entry {
        std::uint64_t value, address;
        std::uint32_t flags, reserved;
    };
    constexpr long futex_waitv = 449;  // on every architecture
    constexpr std::uint32_t futex_32 = 2;
    Entry both[] = {{expected, reinterpret_cast<std::uintptr_t>(futex), futex_32, 0},
                    {0, reinterpret_cast<std::uintptr_t>(stop), futex_32, 0}};
    // 64-bit times on every architecture.
    struct {
        std::int64_t seconds, nanoseconds;
    } time = {until / 1'000'000'000, until % 1'000'000'000};
    if (::syscall(futex_waitv, both, 2, 0, &time, CLOCK_MONOTONIC) >= 0) return 0;
    if (errno != ENOSYS && errno != EPERM) return -errno;
    return shmd_sync_futex_wait(futex, expected, std::min(until, shmd_sync_now() + 50 * millisecond));
}

bool is_failure(int slept) {
    return slept < 0 && slept != -EAGAIN && slept != -ETIMEDOUT && slept != -EINTR;
}

}  // namespace

int Sleeper::look() {
    if (cancelled()) return -ECANCELED;
    if (std::int64_t now = shmd_sync_now(); now >= until_) {
        length_ = std::min(2 * length_, longest);
        until_ = now + length_;
        on_long_();
    }
    return 0;
}

int Sleeper::sleep(std::uint32_t* futex, std::uint32_t expected) {
    if (int ended = look(); ended < 0) return ended;
    int slept = sleep_on_both(futex, expected, &stop_, shmd_sync_sleep_until(futex, until_, SHMD_SYNC_BESIDE_READERS));
    return is_failure(slept) ? slept : 0;
}

int Sleeper::nap(std::int64_t nanoseconds) {
    if (int ended = look(); ended < 0) return ended;
    int slept = shmd_sync_futex_wait(&stop_, 0, shmd_sync_now() + nanoseconds);
    return is_failure(slept) ? slept : 0;
}

int lock_word(std::uint64_t* word, std::uint32_t me, Sleeper& sleeper) {
    std::uint64_t mark = 0;
    for (;;) {
        std::uint64_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
        if (shmd_sync_holder(seen) == 0) {
            std::uint64_t died = seen & SHMD_SYNC_OWNER_DIED;
            if (!__atomic_compare_exchange_n(word, &seen, me | died | mark, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
            return died ? SHMD_SYNC_DONE_OWNER_DIED : 0;
        }
        std::uint64_t marked = seen | SHMD_SYNC_WAITERS;
        if (seen != marked &&
            !__atomic_compare_exchange_n(word, &seen, marked, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            continue;
        }
        int slept = sleeper.sleep(shmd_sync_high_half(word), static_cast<std::uint32_t>(marked >> 32));
        if (slept < 0) return slept;
        // Others may be asleep still.
        mark = SHMD_SYNC_WAITERS;
    }
}

int read_lock(shmd_sync& sync, Sleeper& sleeper) {
    std::uint64_t* word = &sync.area->rwlock;
    for (;;) {
        int locked = shmd_sync_read_lock(&sync, SHMD_SYNC_NOW);
        if (locked != -ETIMEDOUT) return locked;
        std::uint64_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
        int slept = 0;
        if (shmd_sync_holder(seen) == 0) {
            // All slots are taken, or the writer has just left.
            slept = sleeper.nap(millisecond);
        } else {
            std::uint64_t marked = seen | SHMD_SYNC_WAITERS;
            if (seen != marked &&
                !__atomic_compare_exchange_n(word, &seen, marked, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
                continue;
            }
            slept = sleeper.sleep(shmd_sync_high_half(word), static_cast<std::uint32_t>(marked >> 32));
        }
        if (slept < 0) return slept;
    }
}

int write_lock(shmd_sync& sync, Sleeper& sleeper) {
    shmd_sync_area* area = sync.area;
    int locked = lock_word(&area->rwlock, sync.attachment, sleeper);
    if (locked < 0) return locked;
    std::uint32_t number = 0;
    for (;;) {
        std::uint32_t drain = __atomic_load_n(&area->drain, __ATOMIC_SEQ_CST);
        std::uint32_t high = std::min<std::uint32_t>(__atomic_load_n(&area->high_water, __ATOMIC_SEQ_CST), SHMD_SYNC_SLOTS);
        // A slot that was once seen free stays so: whoever takes it now leaves it again.
        while (number < high && __atomic_load_n(shmd_sync_slot(area, number), __ATOMIC_SEQ_CST) == 0) number++;
        if (number == high) return locked;
        if (int slept = sleeper.sleep(&area->drain, drain); slept < 0) {
            (void)shmd_sync_write_unlock(&sync);
            return slept;
        }
    }
}

int wait_for_version(shmd_sync& sync, std::uint64_t after, std::uint64_t* version, Sleeper& sleeper) {
    for (;;) {
        int waited = shmd_sync_wait_cancellable(&sync, after, sleeper.until(), sleeper.stop(), version);
        if (waited != -ETIMEDOUT && waited != -EINTR) return waited;
        if (int ended = sleeper.look(); ended < 0) return ended;
    }
}

int snapshot(const shmd_sync& sync, void* to, const void* from, std::size_t length, Sleeper& sleeper) {
    for (;;) {
        if (int ended = sleeper.look(); ended < 0) return ended;
        int taken = shmd_sync_snapshot(&sync, to, from, length, shmd_sync_now() + 20 * millisecond);
        if (taken != -ETIMEDOUT) return taken;
    }
}

}  // namespace shmd::node
