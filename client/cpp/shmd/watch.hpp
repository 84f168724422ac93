// What happens to segments, as it happens. Included by <shmd/shmd.hpp>.
#pragma once

#include <chrono>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <shmd/error.hpp>
#include <shmd/info.hpp>

namespace shmd {
inline namespace v0 {

/// What shmd_event_kind in <shmd/shmd.h> tells of each.
enum class EventKind {
    present = SHMD_EVENT_PRESENT,
    ready = SHMD_EVENT_READY,
    created = SHMD_EVENT_CREATED,
    published = SHMD_EVENT_PUBLISHED,
    replaced = SHMD_EVENT_REPLACED,
    sealed = SHMD_EVENT_SEALED,
    resized = SHMD_EVENT_RESIZED,
    changed = SHMD_EVENT_CHANGED,
    attached = SHMD_EVENT_ATTACHED,
    detached = SHMD_EVENT_DETACHED,
    deleted = SHMD_EVENT_DELETED,
    expired = SHMD_EVENT_EXPIRED,
    evicted = SHMD_EVENT_EVICTED,
    lost = SHMD_EVENT_LOST
};

/// "created" for EventKind::created.
[[nodiscard]] inline std::string_view to_string(EventKind kind) noexcept {
    return shmd_event_name(static_cast<shmd_event_kind>(kind));
}

struct Event {
    EventKind kind = EventKind::ready;
    std::optional<Info> segment{};  // as it was then; none for ready and lost
};

/// Tells what happens to segments. For one thread at a time. Made by Client::watch(). When the daemon goes, next() throws
/// with std::errc::connection_reset: make another.
class Watch {
  public:
    /// Takes over a watch of the C interface.
    explicit Watch(shmd_watch* watch) noexcept : watch_(watch) {}

    /// Waits for the next event.
    Event next() { return *next_within(-1); }

    /// The same, up to this long. Nothing when none has come.
    template <typename Rep, typename Period>
    std::optional<Event> next(std::chrono::duration<Rep, Period> timeout) {
        return next_within(detail::timeout_usec(timeout));
    }

    /// Readable when more events have come. Then, and after opening, call next(0s) until there is nothing.
    [[nodiscard]] int fd() const noexcept { return shmd_watch_fd(watch_.get()); }

  private:
    std::optional<Event> next_within(std::int64_t usec) {
        const shmd_event* event = nullptr;
        int result = shmd_watch_next(watch_.get(), usec, &event);
        if (result == -ETIMEDOUT) return std::nullopt;
        detail::check(result);
        Event told{static_cast<EventKind>(event->kind)};
        if (event->segment) told.segment = detail::info_from(*event->segment);
        return told;
    }

    detail::Owned<shmd_watch> watch_;
};

}  // namespace v0
}  // namespace shmd
