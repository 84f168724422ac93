#include "lingering.hpp"

#include <algorithm>
#include <utility>

namespace shmd {

void Lingering::take(Remains remains) {
    if (!free(remains)) kept_.push_back(std::move(remains));
}

bool Lingering::look() {
    const std::size_t before = kept_.size();
    auto looks = std::min<std::size_t>(kept_.size(), looks_a_turn);
    for (; looks > 0; looks--) {
        Remains remains = std::move(kept_.front());
        kept_.pop_front();
        take(std::move(remains));
    }
    return kept_.size() < before;
}

bool Lingering::free(Remains& remains) {
    // A reservation that is under way, or a thread that is about to let go of it, still shares it.
    if (remains.memory.use_count() > 1) return false;
    if (remains.memory->in_use()) return false;
    workers_.discard(std::move(remains.memory));
    return true;
}

}  // namespace shmd
