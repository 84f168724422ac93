// The registry's part in attachments: from the grant to its end, by whatever way, and what may begin by a queue.
#include <algorithm>
#include <cassert>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "registry.hpp"

namespace shmd {
namespace {

// Of a list in no order. By doubling: reserve() alone would copy them all every time.
void make_room(std::vector<Attachment*>& list) {
    if (list.size() == list.capacity()) list.reserve(std::max<std::size_t>(1, 2 * list.size()));
}

// The last in the list takes the place of the one that goes.
void take_out(std::vector<Attachment*>& list, std::size_t place, std::size_t Attachment::*place_in_list) {
    list[place] = list.back();
    list[place]->*place_in_list = place;
    list.pop_back();
}

// A client may be believed as far as it can be true.
std::int64_t believed(std::int64_t said_usec, std::int64_t since_usec, std::int64_t now) {
    return said_usec >= since_usec && said_usec < now ? said_usec : now;
}

// One of the entry's times, and who it was. Others may have come since.
void note_last(Entry& entry, std::optional<std::int64_t>& time, std::int64_t usec, std::int64_t now, std::int32_t pid) {
    // What lies in the future is of before somebody set the clock.
    auto is_latest = [&](std::optional<std::int64_t> other) { return usec >= other.value_or(0) || *other > now; };
    if (is_latest(entry.attached_usec) && is_latest(entry.detached_usec)) entry.last_pid = pid;
    if (is_latest(time)) time = usec;
}

}  // namespace

std::uint32_t Registry::fresh_attachment_id() {
    do {
        last_attachment_++;
    } while (last_attachment_ == 0 || attachments_.contains(last_attachment_));
    return last_attachment_;
}

// With room for it in both lists.
Attachment& Registry::take_in(Entry& entry, HeldAttachments& holder, std::uint32_t id) {
    make_room(entry.attachments);
    make_room(holder.attachments_);
    return attachments_.try_emplace(id).first->second;
}

std::uint32_t Registry::prepare(Entry& entry, HeldAttachments& holder, Access access, Charge charge) {
    forget_prepared(holder);
    const std::uint32_t id = fresh_attachment_id();
    entry.prepared.push_back(&holder);
    try {
        prepared_.insert(&holder);
    } catch (...) {
        entry.prepared.pop_back();
        throw;
    }
    if (recorder_) recorder_->prepared();
    holder.queue_->prepared.emplace(id, &entry, access, wall_usec(), std::move(charge));
    if (!holder.queue_->queue.is_watched() && watchers_.concerns(entry)) holder.queue_->queue.set_watched(true);
    return id;
}

void Registry::begin_prepared(HeldAttachments& holder, std::int64_t said_usec) {
    HeldAttachments::Prepared begun = *std::exchange(holder.queue_->prepared, std::nullopt);
    prepared_.erase(&holder);
    std::erase(begun.entry->prepared, &holder);
    if (recorder_) recorder_->prepared_no_more();
    const std::int64_t now = wall_usec();
    const std::int64_t usec = believed(said_usec, begun.since_usec, now);
    restore(*begun.entry, holder, begun.id, begun.access, usec, std::move(begun.charge));
    note_last(*begun.entry, begun.entry->attached_usec, usec, now, holder.pid());
    if (recorder_) recorder_->attached(*begun.entry->attachments.back());
    if (begun.entry->state == State::live) watchers_.tell(Event::attached, *begun.entry);
}

// It begins no more, though the holder may not know of that yet.
void Registry::forget_prepared(HeldAttachments& holder) {
    if (prepared_.erase(&holder) == 0) return;
    if (recorder_) recorder_->prepared_no_more();
    std::erase(std::exchange(holder.queue_->prepared->entry, nullptr)->prepared, &holder);
    holder.queue_->prepared->charge.release();
}

void Registry::forget_prepared(const Entry& entry) {
    while (!entry.prepared.empty()) forget_prepared(*entry.prepared.back());
}

std::uint32_t Registry::attach(Entry& entry, HeldAttachments& holder, Access access, Charge charge) {
    std::uint32_t id = fresh_attachment_id();
    std::int64_t now = wall_usec();
    restore(entry, holder, id, access, now, std::move(charge));
    if (holder.queue_ && !holder.queue_->queue.is_watched() && watchers_.concerns(entry)) holder.queue_->queue.set_watched(true);
    entry.attached_usec = now;
    entry.last_pid = holder.pid();
    if (recorder_) recorder_->attached(*entry.attachments.back());
    if (entry.state == State::live) watchers_.tell(Event::attached, entry);
    return id;
}

void Registry::restore(Entry& entry, HeldAttachments& holder, std::uint32_t id, Access access, std::int64_t since_usec,
                       Charge charge) {
    Attachment& added = take_in(entry, holder, id);
    unlist(entry);
    added = {id, &entry, &holder, access, since_usec, entry.attachments.size(), holder.attachments_.size(), std::move(charge)};
    entry.attachments.push_back(&added);
    holder.attachments_.push_back(&added);
    relist(entry);
}

void Registry::hand_over(std::uint32_t attachment, HeldAttachments& from, HeldAttachments& to) {
    Attachment& taken = attachments_.at(attachment);
    make_room(to.attachments_);
    take_out(from.attachments_, taken.place_of_holder, &Attachment::place_of_holder);
    taken.holder = &to;
    taken.place_of_holder = to.attachments_.size();
    to.attachments_.push_back(&taken);
    if (recorder_) recorder_->taken_up(taken);
}

void Registry::detach(HeldAttachments& holder, std::uint32_t attachment, std::int64_t ended_usec) {
    auto found = attachments_.find(attachment);
    assert(found != attachments_.end() && found->second.holder == &holder);
    (void)holder;
    end(found, ended_usec);
}

void Registry::end(std::unordered_map<std::uint32_t, Attachment>::iterator attachment, std::int64_t ended_usec) {
    const Attachment& ended = attachment->second;
    Entry& entry = *ended.entry;
    HeldAttachments& holder = *ended.holder;
    // First: whoever hears of the end may count on it, and a daemon that is killed here begins anew with it.
    if (entry.sync) leave_sync(*entry.sync, ended);
    unlist(entry);
    take_out(entry.attachments, ended.place, &Attachment::place);
    take_out(holder.attachments_, ended.place_of_holder, &Attachment::place_of_holder);
    const std::int64_t now = wall_usec();
    note_last(entry, entry.detached_usec, believed(ended_usec, ended.since_usec, now), now, holder.pid());
    entry.last_used = boot_usec();
    if (recorder_) recorder_->detached(ended);
    attachments_.erase(attachment);
    relist(entry);
    if (entry.state == State::live) watchers_.tell(Event::detached, entry);
    after_detach(entry);
}

void Registry::detach(std::uint32_t attachment) {
    end(attachments_.find(attachment));
}

void Registry::give_to(HeldAttachments& holder, ProcessId process) {
    holder.process_ = process;
    for (const Attachment* each : holder.attachments_) {
        if (recorder_) recorder_->held_by_another(*each);
    }
}

// What lived only for its attachments goes with the last of them.
void Registry::after_detach(Entry& entry) {
    bool staging_ends = entry.state == State::staged && entry.attachments.empty();
    bool lifetime_ends = entry.lifetime == Lifetime::attached && entry.attachments.empty();
    if (staging_ends) {
        remove(entry);
    } else if (lifetime_ends && entry.state != State::deleted) {
        remove(entry, Event::expired);
    } else if (entry.state == State::deleted && entry.attachments.empty()) {
        erase(entry);
    }
}

bool Registry::detach_all(HeldAttachments& holder, std::size_t at_most) {
    // What it has put there has its own time.
    end_queued(holder);
    if (holder.queue_) drop_queue(holder);
    for (; at_most > 0 && !holder.empty(); at_most--) end(attachments_.find(holder.attachments_.back()->id));
    return !holder.empty();
}

}  // namespace shmd
