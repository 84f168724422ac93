#include "detach_queue.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>

namespace shmd::client {

std::unique_ptr<DetachQueue> DetachQueue::map(const UniqueFd& memory) {
    struct stat status {};
    int seals = ::fcntl(memory.get(), F_GET_SEALS);
    bool stays = seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
    if (!stays || ::fstat(memory.get(), &status) != 0 || status.st_size != SHMD_DETACH_QUEUE_BYTES) return nullptr;
    void* page = ::mmap(nullptr, SHMD_DETACH_QUEUE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    if (page == MAP_FAILED) return nullptr;
    // A child has no use for it, and would keep it on the account of who is done with it.
    (void)::madvise(page, SHMD_DETACH_QUEUE_BYTES, MADV_DONTFORK);
    std::unique_ptr<DetachQueue> queue(new DetachQueue(static_cast<shmd_detach_queue*>(page)));
    return queue->page_->format == SHMD_DETACH_QUEUE_FORMAT ? std::move(queue) : nullptr;
}

DetachQueue::~DetachQueue() {
    ::munmap(page_, SHMD_DETACH_QUEUE_BYTES);
}

bool DetachQueue::put(std::uint32_t attachment) noexcept {
    std::uint32_t taken = std::atomic_ref(page_->taken).load(std::memory_order_acquire);
    if (put_ - taken >= SHMD_DETACH_QUEUE_PLACES) return false;
    std::atomic_ref(page_->attachments[put_ % SHMD_DETACH_QUEUE_PLACES]).store(attachment, std::memory_order_relaxed);
    // The store and the load stay in this order: see the daemon's side.
    std::atomic_ref(page_->put).store(++put_);
    return std::atomic_ref(page_->watched).load() == 0;
}

std::vector<std::uint32_t> DetachQueue::left() const {
    std::vector<std::uint32_t> attachments;
    std::uint32_t taken = std::atomic_ref(page_->taken).load(std::memory_order_acquire);
    std::uint32_t count = std::min<std::uint32_t>(put_ - taken, SHMD_DETACH_QUEUE_PLACES);
    for (std::uint32_t i = put_ - count; i != put_; i++) attachments.push_back(page_->attachments[i % SHMD_DETACH_QUEUE_PLACES]);
    return attachments;
}

}  // namespace shmd::client
