// The table of System V segments: the small indexes that their ids are made of, given as the kernel gives them (ipc_idr_alloc()
// in ipc/util.c): one after the other, and from the begin again where 64, or half as many again as are in use, are behind.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

namespace shmd {

struct Entry;

class SystemVIndex {
  public:
    /// The next free index is this entry's now. False when none is free: then it has none.
    bool give(Entry& entry);
    /// The entry keeps the index that it had in an earlier process; another should that be taken.
    void restore(Entry& entry);
    void take_back(Entry& entry);

    /// Null when nobody has it.
    [[nodiscard]] Entry* at(std::int64_t index) const;
    [[nodiscard]] bool full() const;
    /// The highest that is in use; 0 when none is.
    [[nodiscard]] int highest() const { return entries_.empty() ? 0 : static_cast<int>(entries_.size()) - 1; }

  private:
    [[nodiscard]] int next_free() const;
    void place(Entry& entry);

    std::vector<Entry*> entries_;  // ends with one that is in use
    std::set<int> free_;           // holes below the end
    int next_ = 0;                 // where the search for one begins
};

}  // namespace shmd
