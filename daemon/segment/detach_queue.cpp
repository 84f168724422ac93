#include "detach_queue.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "lost_pages.hpp"

namespace shmd {

Result<DetachQueue> DetachQueue::create() {
    auto memory = Memory::create("detach queue", bytes, {.sealable = false});
    if (!memory) return std::move(memory).error();
    if (auto reserved = Reservation(*memory, Reserve::allocate, 0, bytes).finish(); !reserved) {
        return std::move(reserved).error();
    }
    auto page = memory->map();
    if (!page) return std::move(page).error();
    DetachQueue made(std::make_shared<Memory>(*std::move(memory)), static_cast<shmd_detach_queue*>(*page));
    made.page_->format = SHMD_DETACH_QUEUE_FORMAT;
    return made;
}

DetachQueue::DetachQueue(DetachQueue&& other) noexcept
    : memory_(std::move(other.memory_)), page_(std::exchange(other.page_, nullptr)), taken_(other.taken_), watched_(other.watched_) {}

DetachQueue::~DetachQueue() {
    if (page_) ::munmap(page_, bytes);
}

// Who puts something there reads this after that, and whoever takes it reads that after this: one of both sees the other.
void DetachQueue::set_watched(bool watched) {
    watched_ = watched;
    (void)survives_lost_pages([&] { std::atomic_ref(page_->watched).store(watched ? 1 : 0); });
}

std::uint64_t DetachQueue::filled(std::span<const DetachQueue* const> queues) {
    std::uint64_t bits = 0;
    (void)survives_lost_pages([&] {
        for (std::size_t i = 0; i < queues.size(); i++) {
            const DetachQueue& queue = *queues[i];
            if (std::atomic_ref(queue.page_->put).load() != queue.taken_) bits |= std::uint64_t{1} << i;
        }
    });
    return bits;
}

std::vector<DetachQueue::Ended> DetachQueue::take() {
    // Outside what a lost page would cut short.
    std::uint32_t put = taken_, count = 0;
    Ended ended[SHMD_DETACH_QUEUE_PLACES];
    (void)survives_lost_pages([&] {
        put = std::atomic_ref(page_->put).load();
        std::uint32_t most = std::min<std::uint32_t>(put - taken_, SHMD_DETACH_QUEUE_PLACES);
        for (; count < most; count++) {
            const std::uint32_t place = (taken_ + count) % SHMD_DETACH_QUEUE_PLACES;
            ended[count] = {std::atomic_ref(page_->attachments[place]).load(std::memory_order_relaxed),
                            std::atomic_ref(page_->usec[place]).load(std::memory_order_relaxed)};
        }
    });
    taken_ = put;
    return {ended, ended + count};
}

void DetachQueue::ended() {
    (void)survives_lost_pages([&] { std::atomic_ref(page_->taken).store(taken_, std::memory_order_release); });
}

}  // namespace shmd
