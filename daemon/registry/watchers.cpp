#include "watchers.hpp"

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

#include "registry.hpp"

namespace shmd {
namespace {

std::size_t common_length(std::string_view a, std::string_view b) {
    auto differ = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<std::size_t>(differ.first - a.begin());
}

std::int64_t bytes_of(const WatchReply& reply) {
    std::size_t bytes = sizeof reply;
    if (const auto& segment = reply.segment) {
        bytes += segment->key.value_or("").size() + segment->acl.size() * sizeof(AclEntry);
        for (const auto& [name, value] : segment->labels) bytes += 2 * sizeof(std::string) + name.size() + value.size();
    }
    return static_cast<std::int64_t>(bytes);
}

}  // namespace

Watcher::Watcher(Watchers& watchers, Quota& quota, std::string prefix, const Peer& peer, std::function<void()> wake)
    : watchers_(watchers), quota_(quota), prefix_(std::move(prefix)), peer_(peer), wake_(std::move(wake)) {
    watchers_.by_prefix_[prefix_].push_back(this);
}

Watcher::~Watcher() {
    auto place = watchers_.by_prefix_.find(prefix_);
    std::erase(place->second, this);
    if (place->second.empty()) watchers_.by_prefix_.erase(place);
}

bool Watcher::take_lost() {
    return std::exchange(lost_, false);
}

std::shared_ptr<const Happening> Watcher::take() {
    if (queue_.empty()) return nullptr;
    auto event = std::move(queue_.front().event);
    queue_.pop_front();
    return event;
}

void Watcher::push(const std::shared_ptr<const Happening>& event, std::int64_t bytes) noexcept {
    if (lost_) return;
    bool was_idle = idle();
    lost_ = true;
    try {
        if (event && queue_.size() < most_events) {
            if (auto charge = quota_.charge(peer_.uid, Resource::watch_bytes, bytes)) {
                queue_.push_back({event, *std::move(charge)});
                lost_ = false;
            }
        }
    } catch (const std::bad_alloc&) {
        // Lost.
    }
    if (lost_) queue_.clear();
    if (was_idle) wake_();
}

// Calls found with each who watches such a key and may see the segment, until it says true. Goes from the longest prefix
// of the key to shorter ones, and passes over those that the key does not begin with.
template <typename Found>
void Watchers::find(const Entry& entry, const Found& found) const {
    if (by_prefix_.empty() || !entry.key) return;
    std::string_view left = *entry.key;
    for (;;) {
        auto place = by_prefix_.upper_bound(left);
        if (place == by_prefix_.begin()) return;
        --place;
        std::size_t common = common_length(place->first, left);
        if (common == place->first.size()) {
            for (Watcher* watcher : place->second) {
                if (check_describe(watcher->peer_, entry.acl) && found(*watcher)) return;
            }
            if (common == 0) return;
            common--;
        }
        left = left.substr(0, common);
    }
}

void Watchers::tell(Event event, const Entry& entry) noexcept {
    std::shared_ptr<const Happening> reply;
    std::int64_t bytes = 0;
    find(entry, [&](Watcher& watcher) {
        try {
            if (!reply) {
                reply = std::make_shared<const Happening>(Happening{{event, entry.describe()}});
                bytes = bytes_of(*reply);
            }
        } catch (const std::bad_alloc&) {
            // Pushed as null.
        }
        watcher.push(reply, bytes);
        return false;
    });
}

bool Watchers::concerns(const Entry& entry) const {
    bool any = false;
    find(entry, [&any](const Watcher&) { return any = true; });
    return any;
}

}  // namespace shmd
