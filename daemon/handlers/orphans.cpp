#include "orphans.hpp"

#include <vector>

namespace shmd {

HeldAttachments& Orphans::of(ProcessId process, std::uint32_t uid, std::shared_ptr<ProcessLife> life) {
    const Key key(process, uid);
    auto [place, is_new] = held_.try_emplace(key, process, uid);
    Held& held = place->second;
    if (is_new && life) {
        held.death_watch = life->when_dead([this, key] { end(key); });
        held.life = std::move(life);
    }
    return held.attachments;
}

void Orphans::end(const Key& key) {
    auto place = held_.find(key);
    if (place == held_.end()) return;
    registry_.detach_all(place->second.attachments);
    held_.erase(place);
}

void Orphans::end_dead() {
    std::vector<Key> dead;
    for (const auto& [key, held] : held_) {
        if (!held.death_watch) dead.push_back(key);
    }
    for (const Key& key : dead) end(key);
}

bool Orphans::resume(std::uint32_t attachment, ProcessId process, HeldAttachments& to) {
    if (process.start == 0) return false;
    auto first = held_.lower_bound({process, 0});
    for (auto place = first; place != held_.end() && place->first.first == process; ++place) {
        HeldAttachments& from = place->second.attachments;
        if (!from.holds(attachment)) continue;
        registry_.hand_over(attachment, from, to);
        if (from.empty()) held_.erase(place);
        return true;
    }
    return false;
}

}  // namespace shmd
