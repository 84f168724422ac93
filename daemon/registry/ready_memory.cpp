#include "ready_memory.hpp"

#include <algorithm>
#include <utility>

namespace shmd {

std::optional<ReadyMemory::Ready> ReadyMemory::take(std::int64_t bytes, std::int64_t now_usec) {
    if (limit_ == 0 || bytes < least_bytes) return std::nullopt;
    note(bytes, now_usec);
    // The rest of a larger one would have to be freed first.
    auto best = ready_.end();
    for (auto each = ready_.begin(); each != ready_.end(); ++each) {
        if (each->bytes <= bytes && (best == ready_.end() || each->bytes > best->bytes)) best = each;
    }
    if (best == ready_.end()) return std::nullopt;
    std::optional<Ready> taken(std::move(*best));
    ready_.erase(best);
    return taken;
}

void ReadyMemory::note(std::int64_t bytes, std::int64_t now_usec) {
    if (bytes > limit_) return;
    wishes_.push_front({bytes, now_usec});
    forget(now_usec);
}

// What is too long ago, and what there is no room for besides the later ones.
void ReadyMemory::forget(std::int64_t now_usec) {
    std::int64_t sum = 0;
    for (auto wish = wishes_.begin(); wish != wishes_.end();) {
        auto latest = std::find_if(wishes_.begin(), wish, [&](const Wish& each) { return each.bytes == wish->bytes; });
        bool is_burst = latest->asked_usec - wish->asked_usec < burst_usec;
        bool lasts = wish->asked_usec + keep_usec > now_usec && is_burst && sum + wish->bytes <= limit_;
        if (lasts) sum += wish->bytes;
        wish = lasts ? std::next(wish) : wishes_.erase(wish);
    }
}

std::int64_t ReadyMemory::wished(std::int64_t bytes) const {
    return std::count_if(wishes_.begin(), wishes_.end(), [&](const Wish& wish) { return wish.bytes == bytes; });
}

std::int64_t ReadyMemory::count(std::int64_t bytes) const {
    return std::count_if(ready_.begin(), ready_.end(), [&](const Ready& each) { return each.bytes == bytes; });
}

std::unique_ptr<ReadyMemory::Making> ReadyMemory::begin(std::int64_t now_usec) {
    forget(now_usec);
    auto wish = std::find_if(wishes_.begin(), wishes_.end(),
                             [&](const Wish& each) { return count(each.bytes) < wished(each.bytes); });
    if (wish == wishes_.end() || this->bytes() + wish->bytes > limit_) return nullptr;
    auto making = std::make_unique<Making>();
    UniqueFd blank;
    if (recorder_) {
        auto place = recorder_->take_place(true);
        // Nothing of it may have to be stored when a client waits.
        if (!place || !place->kept.stored()) return nullptr;
        making->ready.kept = std::move(place->kept);
        blank = std::move(place->blank.file);
    }
    auto memory = Memory::ahead(wish->bytes, std::move(blank));
    if (!memory) return nullptr;
    making->ready.bytes = wish->bytes;
    making->ready.memory = std::make_shared<Memory>(*std::move(memory));
    making->reservation.emplace(*making->ready.memory, Reserve::allocate, 0, wish->bytes, pages_);
    return making;
}

bool ReadyMemory::wants(const Making& making, std::int64_t now_usec) {
    forget(now_usec);
    return count(making.ready.bytes) < wished(making.ready.bytes);
}

void ReadyMemory::add(std::unique_ptr<Making> made) {
    ready_.push_back(std::move(made->ready));
}

std::vector<std::shared_ptr<Memory>> ReadyMemory::surplus(std::int64_t now_usec) {
    forget(now_usec);
    std::vector<std::shared_ptr<Memory>> dropped;
    for (auto each = ready_.begin(); each != ready_.end();) {
        bool wanted = count(each->bytes) <= wished(each->bytes);
        if (!wanted) dropped.push_back(std::move(each->memory));
        each = wanted ? std::next(each) : ready_.erase(each);
    }
    return dropped;
}

std::vector<std::shared_ptr<Memory>> ReadyMemory::give_back() {
    wishes_.clear();
    return surplus(0);
}

std::int64_t ReadyMemory::bytes() const {
    std::int64_t sum = 0;
    for (const Ready& each : ready_) sum += each.bytes;
    return sum;
}

}  // namespace shmd
