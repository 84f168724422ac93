#include "watch.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace shmd::client {
namespace {

constexpr std::array names{"present", "ready",    "created",  "published", "replaced", "sealed",  "resized",
                           "changed", "attached", "detached", "deleted",   "expired",  "evicted", "lost"};
static_assert(names.size() == static_cast<std::size_t>(Event::lost) + 1);
static_assert(static_cast<int>(Event::lost) == SHMD_EVENT_LOST && static_cast<int>(Event::resized) == SHMD_EVENT_RESIZED &&
              static_cast<int>(Event::deleted) == SHMD_EVENT_DELETED);

}  // namespace

Outcome<std::unique_ptr<Watch>> Watch::open(const std::string& path, const std::optional<std::string>& prefix) {
    auto connection = Connection::open(path);
    if (!connection) return std::move(connection.failure());
    auto watch = std::make_unique<Watch>(std::move(*connection));
    auto first = watch->connection_->start_stream<WatchReply>(encode_call(shmd::Watch{prefix}, {.more = true}));
    if (!first) return std::move(first.failure());
    watch->first_ = std::move(*first);
    return watch;
}

Watch::~Watch() {
    if (connection_->ours()) connection_->give_up();
}

Outcome<const shmd_event*> Watch::next(std::optional<std::int64_t> timeout_usec) {
    if (!connection_->ours()) return Failure{EPERM, "it belongs to the process that this one was forked from"};
    auto reply = first_ ? Outcome<WatchReply>(*std::exchange(first_, std::nullopt))
                        : connection_->next_of_stream<WatchReply>(timeout_usec);
    if (!reply) return std::move(reply.failure());
    segment_ = reply->segment ? make_info(std::move(*reply->segment)) : nullptr;
    event_.kind = static_cast<shmd_event_kind>(reply->event);
    event_.segment = segment_.get();
    return &event_;
}

const char* event_name(const shmd_event_kind& kind) {
    unsigned position = 0;
    static_assert(sizeof position == sizeof kind);
    std::memcpy(&position, &kind, sizeof position);
    return position < names.size() ? names[position] : nullptr;
}

}  // namespace shmd::client
