// Locks that a segment's functions give: each is held until the end of its life, and told of a holder who died before. What
// <shmd/sync.h> says of deaths, processes and timeouts holds here. Part of <shmd/shmd.hpp>.
//
//     auto lock = segment.lock();
//     if (lock.owner_died()) {
//         repair(table);
//         lock.make_consistent();
//     }
//     table.rows++;
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include <shmd/error.hpp>
#include <shmd/sync.h>

namespace shmd {
inline namespace v0 {

namespace detail {

// False when the time was over.
inline bool in_time(int code) {
    if (code == -ETIMEDOUT) return false;
    check(code < 0 ? code : 0);
    return true;
}

}  // namespace detail

/// A lock that is held. Take and Release are functions of the C interface. Any thread may end it. It must not outlive its
/// segment.
template <int (*Take)(shmd_segment*, std::int64_t), int (*Release)(shmd_segment*)>
class HeldLock {
  public:
    HeldLock(HeldLock&& other) noexcept
        : segment_(std::exchange(other.segment_, nullptr)), owner_died_(other.owner_died_) {}
    HeldLock& operator=(HeldLock&& other) noexcept {
        if (this != &other) {
            if (segment_) (void)Release(segment_);
            segment_ = std::exchange(other.segment_, nullptr);
            owner_died_ = other.owner_died_;
        }
        return *this;
    }
    HeldLock(const HeldLock&) = delete;
    HeldLock& operator=(const HeldLock&) = delete;
    ~HeldLock() {
        if (segment_) (void)Release(segment_);
    }

    /// True when a previous holder died, and nobody has called consistent since what it may have left half changed.
    [[nodiscard]] bool owner_died() const noexcept { return owner_died_; }
    /// Says that what is protected is whole again. Not for readers, who change nothing.
    void make_consistent() {
        detail::check(shmd_make_consistent(segment_));
        owner_died_ = false;
    }
    /// Gives it back before the end of its life. Throws with std::errc::operation_not_permitted when it is not held any more:
    /// an administrator may have ended the grant.
    void unlock() { detail::check(Release(std::exchange(segment_, nullptr))); }

    /// For the segment's functions.
    [[nodiscard]] static HeldLock take(shmd_segment* segment) {
        int taken = Take(segment, -1);
        detail::check(taken < 0 ? taken : 0);
        return HeldLock(segment, taken == SHMD_OWNER_DIED);
    }
    [[nodiscard]] static std::optional<HeldLock> take_within(shmd_segment* segment, std::int64_t usec) {
        int taken = Take(segment, usec);
        if (!detail::in_time(taken)) return std::nullopt;
        return HeldLock(segment, taken == SHMD_OWNER_DIED);
    }

  private:
    HeldLock(shmd_segment* segment, bool owner_died) noexcept : segment_(segment), owner_died_(owner_died) {}

    shmd_segment* segment_;
    bool owner_died_;
};

using MutexLock = HeldLock<shmd_lock, shmd_unlock>;
using ReadLock = HeldLock<shmd_read_lock, shmd_read_unlock>;
using WriteLock = HeldLock<shmd_write_lock, shmd_write_unlock>;
using WriteSection = HeldLock<shmd_begin_write, shmd_end_write>;

}  // namespace v0
}  // namespace shmd
