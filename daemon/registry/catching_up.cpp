// The registry's part in detach queues: what clients have put there ends, before anybody is told of it as of what lasts.
#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <span>
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

// How many began or ended by that: what counts for nothing can be put there without end.
std::size_t Registry::end_queued(HeldAttachments& holder) {
    if (!holder.queue_) return 0;
    std::size_t changed = 0;
    bool sound = true;
    auto end_all = [&] {
        const std::vector<DetachQueue::Ended> taken = holder.queue_->queue.take();
        for (auto [attachment, usec] : taken) {
            if (const auto& prepared = holder.queue_->prepared; prepared && prepared->id == attachment) {
                if (!prepared->entry) continue;
                begin_prepared(holder, usec);
            } else if (auto found = attachments_.find(attachment); found != attachments_.end() && found->second.holder == &holder) {
                end(found, usec);
            } else {
                sound = false;
                continue;
            }
            changed++;
        }
        if (!taken.empty()) holder.queue_->queue.ended();
    };
    end_all();
    if (sound) return changed;
    // Its client calls for each from here on. What it has put there without knowing that counts.
    holder.queue_->queue.set_watched(true);
    end_all();
    drop_queue(holder);
    return changed;
}

// Also of who puts there what it does not have: to look at that again and again would cost others their time. It is on the
// account of who asked for it as long as somebody has the page.
void Registry::drop_queue(HeldAttachments& holder) {
    forget_prepared(holder);
    queued_.erase(&holder);
    Remains remains{{}, holder.queue_->queue.memory(), {}, std::move(holder.queue_->charge)};
    holder.queue_.reset();  // what is mapped here is in use
    if (release_) release_(std::move(remains));
}

bool Registry::catch_up(HeldAttachments& holder) {
    return end_queued(holder) > 0;
}

bool Registry::catch_up(const Entry& entry) {
    return entry.attachments.size() + entry.prepared.size() <= most_looked_at && end_queued_of(entry, most_caught_up) > 0;
}

bool Registry::catch_up_wholly(const Entry& entry) {
    return end_queued_of(entry, SIZE_MAX) > 0;
}

std::size_t Registry::end_queued_of(const Entry& entry, std::size_t at_most) {
    if (queued_.empty()) return 0;
    // The list changes with every end.
    std::array<HeldAttachments*, most_looked_at> some;
    std::vector<HeldAttachments*> many;
    std::span<HeldAttachments*> holders = some;
    std::size_t found = 0;
    const std::size_t most = entry.attachments.size() + entry.prepared.size();
    if (most > some.size() && most > queued_.size()) {
        // Whoever attaches without end makes it no longer than that: everybody is looked at.
        many.assign(queued_.begin(), queued_.end());
        holders = many;
        found = many.size();
    } else {
        if (most > some.size()) {
            many.resize(most);
            holders = many;
        }
        for (const Attachment* each : entry.attachments) {
            if (each->holder->queue_ && (found == 0 || holders[found - 1] != each->holder)) holders[found++] = each->holder;
        }
        for (HeldAttachments* each : entry.prepared) holders[found++] = each;
    }
    std::size_t ended = 0;
    for (holders = holders.first(found); !holders.empty() && ended < at_most;) {
        auto part = holders.first(std::min(holders.size(), most_looked_at));
        holders = holders.subspan(part.size());
        std::array<const DetachQueue*, most_looked_at> queues;
        std::size_t count = 0;
        for (HeldAttachments*& holder : part) {
            // One that was there before may have lost its queue with that.
            if (!holder->queue_) continue;
            part[count] = holder;
            queues[count++] = &holder->queue_->queue;
        }
        for (std::uint64_t filled = DetachQueue::filled({queues.data(), count}); filled != 0 && ended < at_most;) {
            ended += end_queued(*part[static_cast<std::size_t>(std::countr_zero(filled))]);
            filled &= filled - 1;
        }
    }
    return ended;
}

bool Registry::catch_up_all(std::optional<std::uint32_t> uid) {
    std::size_t ended = 0;
    for (auto next = queued_.begin(); next != queued_.end() && ended < most_caught_up;) {
        HeldAttachments& holder = **next++;
        if (!uid || holder.uid() == *uid) ended += end_queued(holder);
    }
    return ended > 0;
}

void Registry::catch_up_process(ProcessId process) {
    for (auto next = queued_.begin(); next != queued_.end();) {
        HeldAttachments& holder = **next++;
        if (holder.process() == process) end_queued(holder);
    }
}

// In this order: who has looked at the count before it moves has put its attachment in its queue before that.
void Registry::end_preparations() {
    if (prepared_.empty()) return;
    if (change_page_) change_page_->count_name();
    const std::vector<HeldAttachments*> holders(prepared_.begin(), prepared_.end());
    for (HeldAttachments* holder : holders) end_queued(*holder);
    while (!prepared_.empty()) forget_prepared(**prepared_.begin());
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
        const auto& prepared = holder->queue_->prepared;
        const bool may_begin_watched = prepared && prepared->entry && watchers_.concerns(*prepared->entry);
        const bool any = may_begin_watched || std::ranges::any_of(holder->attachments_, is_watched);
        if (!any || watchers_.empty()) queue.set_watched(false);
    }
}

}  // namespace shmd
