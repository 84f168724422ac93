#include "registry.hpp"

#include <sys/random.h>
#include <time.h>

#include <cassert>
#include <utility>
#include <vector>

namespace shmd {
namespace {

std::int64_t now_usec() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

// A daemon that starts anew must not give an id that an earlier one gave: the first id is the time in microseconds, and
// no daemon makes more than a segment a microsecond. Counted from 2026, it stays below 2^53 for 285 years.
std::int64_t first_id() {
    constexpr std::int64_t start_of_2026_usec = 1'767'225'600'000'000;
    return std::max<std::int64_t>(1, now_usec() - start_of_2026_usec);
}

// Likewise a number from before a restart should hardly ever name a new attachment.
std::uint32_t random_attachment_id() {
    std::uint32_t id = 0;
    if (::getrandom(&id, sizeof id, 0) != sizeof id) id = static_cast<std::uint32_t>(now_usec());
    return id;
}

}  // namespace

Segment Entry::describe() const {
    Segment segment;
    segment.id = id;
    segment.key = key;
    segment.size_bytes = memory->size();
    segment.mode = acl.mode;
    segment.owner_uid = acl.owner_uid;
    segment.owner_gid = acl.owner_gid;
    segment.creator_uid = acl.creator_uid;
    segment.creator_gid = acl.creator_gid;
    segment.creator_pid = creator_pid;
    segment.state = state;
    segment.sealed = sealed;
    segment.attachments = attachments;
    segment.created_usec = created_usec;
    segment.attached_usec = attached_usec;
    segment.detached_usec = detached_usec;
    segment.changed_usec = changed_usec;
    segment.labels = labels;
    return segment;
}

Registry::Registry(std::function<void(std::shared_ptr<Memory>)> release)
    : release_(std::move(release)), next_id_(first_id()), last_attachment_(random_attachment_id()) {}

Entry* Registry::find(std::string_view key) {
    auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : found->second;
}

Entry* Registry::find(std::int64_t id) {
    auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second.get();
}

Entry* Registry::find_attached(std::uint32_t attachment) {
    auto found = attachments_.find(attachment);
    return found == attachments_.end() ? nullptr : found->second.entry;
}

Entry* Registry::next_after(std::int64_t id) {
    auto found = by_id_.upper_bound(id);
    return found == by_id_.end() ? nullptr : found->second.get();
}

Entry& Registry::add(std::unique_ptr<Entry> entry) {
    assert(!entry->key || !find(*entry->key));
    entry->id = next_id_++;
    entry->created_usec = entry->changed_usec = now_usec();
    Entry& added = *by_id_.emplace(entry->id, std::move(entry)).first->second;
    if (added.key) {
        try {
            by_key_.emplace(*added.key, &added);
        } catch (...) {
            by_id_.erase(added.id);
            throw;
        }
        announce(*added.key);
    }
    return added;
}

std::uint32_t Registry::fresh_attachment_id() {
    do {
        last_attachment_++;
    } while (last_attachment_ == 0 || attachments_.contains(last_attachment_));
    return last_attachment_;
}

std::uint32_t Registry::attach(Entry& entry, Holder& holder, Charge charge) {
    std::uint32_t id = fresh_attachment_id();
    holder.attachments_.insert(id);
    try {
        attachments_.emplace(id, Attachment{&entry, std::move(charge)});
    } catch (...) {
        holder.attachments_.erase(id);
        throw;
    }
    entry.attachments++;
    entry.attached_usec = now_usec();
    if (entry.state == State::staged && entry.staging_attachment == 0) entry.staging_attachment = id;
    return id;
}

void Registry::detach(Holder& holder, std::uint32_t attachment) {
    assert(holder.holds(attachment));
    holder.attachments_.erase(attachment);
    auto found = attachments_.find(attachment);
    Entry& entry = *found->second.entry;
    attachments_.erase(found);
    entry.attachments--;
    entry.detached_usec = now_usec();

    bool staging_ends = entry.state == State::staged && entry.staging_attachment == attachment;
    bool lifetime_ends = entry.lifetime == Lifetime::attached && entry.attachments == 0;
    if (staging_ends || lifetime_ends) {
        remove(entry);
    } else if (entry.state == State::deleted && entry.attachments == 0) {
        erase(entry);
    }
}

void Registry::detach_all(Holder& holder) {
    while (!holder.attachments_.empty()) detach(holder, *holder.attachments_.begin());
}

void Registry::remove(Entry& entry) {
    forget_key(entry);
    entry.state = State::deleted;
    entry.changed_usec = now_usec();
    if (entry.attachments == 0) erase(entry);
}

void Registry::publish(Entry& entry, std::string key) {
    assert(entry.state == State::staged);
    entry.key = std::move(key);
    auto [place, is_free] = by_key_.try_emplace(*entry.key, &entry);
    if (!is_free) {
        Entry& replaced = *place->second;
        // The map's view must point into the entry that stays.
        by_key_.erase(place);
        by_key_.emplace(*entry.key, &entry);
        replaced.key.reset();
        remove(replaced);
    }
    entry.state = State::live;
    entry.staging_attachment = 0;
    entry.changed_usec = now_usec();
    announce(*entry.key);
}

void Registry::forget_key(Entry& entry) {
    if (!entry.key) return;
    by_key_.erase(*entry.key);
    entry.key.reset();
}

void Registry::erase(Entry& entry) {
    std::shared_ptr<Memory> memory = std::move(entry.memory);
    by_id_.erase(entry.id);
    if (release_) release_(std::move(memory));
}

void Registry::announce(const std::string& key) {
    auto [first, last] = waiting_.equal_range(key);
    for (auto waiting = first; waiting != last; ++waiting) waiting->second();
}

Registry::Ticket::Ticket(Registry& registry, std::string key, std::function<void()> wake)
    : registry_(registry), place_(registry.waiting_.emplace(std::move(key), std::move(wake))) {}

Registry::Ticket::~Ticket() {
    registry_.waiting_.erase(place_);
}

}  // namespace shmd
