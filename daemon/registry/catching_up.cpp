// The registry's part in detach queues: what clients have put there ends, before anybody is told of it as of what lasts.
#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <utility>

#include "registry.hpp"

namespace shmd {

void Registry::add_queue(HeldAttachments& holder, DetachQueue queue, Charge charge) {
    assert(!holder.queue_);
    auto added = std::make_unique<HeldAttachments::Queue>(HeldAttachments::Queue{std::move(queue), std::move(charge)});
    if (!watchers_.empty()) added->queue.set_watched(true);
    queued_.insert(&holder);
    holder.queue_ = std::move(added);
}

// How many that were.
std::size_t Registry::end_queued(HeldAttachments& holder) {
    if (!holder.queue_) return 0;
    std::size_t ended = 0;
    const std::vector<std::uint32_t> taken = holder.queue_->queue.take();
    for (std::uint32_t attachment : taken) {
        auto found = attachments_.find(attachment);
        if (found == attachments_.end() || found->second.holder != &holder) {
            // Its client calls for each from here on.
            holder.queue_->queue.set_watched(true);
            drop_queue(holder);
            return ended;
        }
        end(found);
        ended++;
    }
    if (!taken.empty()) holder.queue_->queue.ended();
    return ended;
}

// Also of who puts there what it does not have: to look at that again and again would cost others their time. It is on the
// account of who asked for it as long as somebody has the page.
void Registry::drop_queue(HeldAttachments& holder) {
    queued_.erase(&holder);
    Remains remains{{}, holder.queue_->queue.memory(), {}, std::move(holder.queue_->charge)};
    holder.queue_.reset();  // what is mapped here is in use
    if (release_) release_(std::move(remains));
}

bool Registry::catch_up(HeldAttachments& holder) {
    return end_queued(holder) > 0;
}

bool Registry::catch_up(const Entry& entry) {
    if (queued_.empty() || entry.attachments.size() > most_looked_at) return false;
    // The list changes with every end.
    std::array<HeldAttachments*, most_looked_at> holders;
    std::array<const DetachQueue*, most_looked_at> queues;
    std::size_t count = 0;
    for (const Attachment* each : entry.attachments) {
        if (!each->holder->queue_ || (count > 0 && holders[count - 1] == each->holder)) continue;
        holders[count] = each->holder;
        queues[count++] = &each->holder->queue_->queue;
    }
    std::size_t ended = 0;
    for (std::uint64_t filled = DetachQueue::filled({queues.data(), count}); filled != 0 && ended < most_caught_up;) {
        ended += end_queued(*holders[static_cast<std::size_t>(std::countr_zero(filled))]);
        filled &= filled - 1;
    }
    return ended > 0;
}

bool Registry::catch_up_all(std::optional<std::uint32_t> uid) {
    std::size_t ended = 0;
    for (auto next = queued_.begin(); next != queued_.end() && ended < most_caught_up;) {
        HeldAttachments& holder = **next++;
        if (!uid || holder.uid() == *uid) ended += end_queued(holder);
    }
    return ended > 0;
}

HeldAttachments* Registry::catch_up_some(HeldAttachments* from) {
    constexpr int most_holders = 64;
    std::size_t ended = 0;
    int looked_at = 0;
    auto next = queued_.lower_bound(from);
    while (next != queued_.end() && looked_at++ < most_holders && ended < most_looked_at) ended += end_queued(**next++);
    return next == queued_.end() ? nullptr : *next;
}

// For a segment that others see from here on.
void Registry::note_watched(const Entry& entry) {
    if (queued_.empty() || watchers_.empty() || !watchers_.concerns(entry)) return;
    for (const Attachment* each : entry.attachments) {
        if (each->holder->queue_) each->holder->queue_->queue.set_watched(true);
    }
}

void Registry::expect_watcher() {
    for (HeldAttachments* holder : queued_) holder->queue_->queue.set_watched(true);
}

void Registry::look_who_is_watched() {
    auto is_watched = [this](const Attachment* each) { return watchers_.concerns(*each->entry); };
    for (HeldAttachments* holder : queued_) {
        DetachQueue& queue = holder->queue_->queue;
        if (!queue.is_watched() || holder->attachments_.size() > most_looked_at) continue;
        if (watchers_.empty() || std::ranges::none_of(holder->attachments_, is_watched)) queue.set_watched(false);
    }
}

}  // namespace shmd
