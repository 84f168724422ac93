#include "orphans.hpp"

#include <vector>

namespace shmd {

HeldAttachments& Orphans::of(ProcessId process, std::uint32_t uid, std::uint64_t connection,
                             std::shared_ptr<ProcessLife> life) {
    const Key key(process, connection);
    auto [place, is_new] = held_.try_emplace(key, process, uid, connection);
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

std::vector<std::uint32_t> Orphans::resume(const std::vector<std::uint32_t>& attachments, HeldAttachments& to) {
    std::vector<std::uint32_t> resumed;
    const ProcessId process = to.process();
    auto take = [&](std::uint32_t attachment) {
        if (registry_.holds(to, attachment)) return true;
        const Attachment* wanted = registry_.find_attachment(attachment);
        if (!wanted || wanted->holder->process() != process) return false;
        auto place = held_.find({process, wanted->holder->connection()});
        if (place == held_.end() || &place->second.attachments != wanted->holder) return false;
        HeldAttachments& from = place->second.attachments;
        // Where the id is all that tells a process, it must at least be the same user's.
        if (process.pid == 0 || (process.mark == 0 && from.uid() != to.uid())) return false;
        registry_.hand_over(attachment, from, to);
        place->second.taken_up_by = to.connection();
        return true;
    };
    for (std::uint32_t attachment : attachments) {
        if (take(attachment)) resumed.push_back(attachment);
    }
    return resumed;
}

void Orphans::end_rest(const HeldAttachments& to) {
    std::vector<Key> ended;
    for (auto place = held_.lower_bound({to.process(), 0}); place != held_.end() && place->first.first == to.process(); ++place) {
        if (place->second.taken_up_by == to.connection()) ended.push_back(place->first);
    }
    for (const Key& key : ended) end(key);
}

}  // namespace shmd
