#include "system_v_index.hpp"

#include "registry.hpp"
#include "system_v.hpp"

namespace shmd {

bool SystemVIndex::full() const {
    return free_.empty() && entries_.size() == system_v::indexes;
}

bool SystemVIndex::give(Entry& entry) {
    if (full()) return false;
    if (free_.empty()) {
        entries_.push_back(&entry);
        entry.system_v_index = static_cast<int>(entries_.size()) - 1;
    } else {
        entry.system_v_index = *free_.begin();
        entries_[static_cast<std::size_t>(entry.system_v_index)] = &entry;
        free_.erase(free_.begin());
    }
    return true;
}

void SystemVIndex::restore(Entry& entry) {
    auto index = static_cast<std::size_t>(entry.system_v_index);
    if (entry.system_v_index < 0 || index >= system_v::indexes || at(entry.system_v_index)) {
        entry.system_v_index = -1;
        give(entry);
        return;
    }
    for (std::size_t hole = entries_.size(); hole < index; hole++) free_.insert(static_cast<int>(hole));
    if (index >= entries_.size()) entries_.resize(index + 1);
    free_.erase(entry.system_v_index);
    entries_[index] = &entry;
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
