#include "system_v_index.hpp"

#include <algorithm>

#include "registry.hpp"
#include "system_v.hpp"

namespace shmd {

bool SystemVIndex::full() const {
    return free_.empty() && entries_.size() == system_v::indexes;
}

int SystemVIndex::next_free() const {
    const int end = static_cast<int>(entries_.size());
    const int in_use = end - static_cast<int>(free_.size());
    const int limit = std::min(std::max(in_use * 3 / 2, 64), system_v::indexes);
    auto free_from = [&](int first) {
        auto hole = free_.lower_bound(first);
        return hole != free_.end() ? *hole : std::max(first, end);
    };
    int found = free_from(next_);
    return found < limit ? found : free_from(0);
}

bool SystemVIndex::give(Entry& entry) {
    if (full()) return false;
    entry.system_v_index = next_free();
    next_ = entry.system_v_index + 1;
    place(entry);
    return true;
}

void SystemVIndex::place(Entry& entry) {
    auto index = static_cast<std::size_t>(entry.system_v_index);
    for (std::size_t hole = entries_.size(); hole < index; hole++) free_.insert(static_cast<int>(hole));
    if (index >= entries_.size()) entries_.resize(index + 1);
    free_.erase(entry.system_v_index);
    entries_[index] = &entry;
}

void SystemVIndex::restore(Entry& entry) {
    auto index = static_cast<std::size_t>(entry.system_v_index);
    if (entry.system_v_index < 0 || index >= system_v::indexes || at(entry.system_v_index)) {
        entry.system_v_index = -1;
        give(entry);
        return;
    }
    place(entry);
}

void SystemVIndex::take_back(Entry& entry) {
    if (entry.system_v_index < 0) return;
    entries_[static_cast<std::size_t>(entry.system_v_index)] = nullptr;
    free_.insert(entry.system_v_index);
    entry.system_v_index = -1;
    while (!entries_.empty() && !entries_.back()) {
        entries_.pop_back();
        free_.erase(static_cast<int>(entries_.size()));
    }
}

Entry* SystemVIndex::at(std::int64_t index) const {
    if (index < 0 || index >= static_cast<std::int64_t>(entries_.size())) return nullptr;
    return entries_[static_cast<std::size_t>(index)];
}

}  // namespace shmd
