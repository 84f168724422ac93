#include "registry.hpp"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "key.hpp"

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

std::int64_t boot_usec() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

Segment Entry::describe() const {
    Segment segment;
    describe(segment);
    return segment;
}

void Entry::describe(Segment& segment, bool is_sealed) const {
    segment.id = id;
    segment.key = key;
    segment.size_bytes = size_bytes;
    segment.mode = acl.mode;
    segment.owner_uid = acl.owner_uid;
    segment.owner_gid = acl.owner_gid;
    segment.creator_uid = acl.creator_uid;
    segment.creator_gid = acl.creator_gid;
    segment.creator_pid = creator_process.pid;
    segment.state = state;
    segment.sealed = is_sealed;
    segment.attachments = static_cast<std::int64_t>(attachments.size());
    segment.created_usec = created_usec;
    segment.attached_usec = attached_usec;
    segment.detached_usec = detached_usec;
    segment.changed_usec = changed_usec;
    if (!labels.empty()) segment.labels = labels;
    segment.lifetime = lifetime;
    if (lifetime == Lifetime::lease) {
        segment.lease_usec = lease_usec;
        segment.expires_usec = now_usec() + (lease_end - boot_usec());
    }
    segment.evictable = evictable;
    segment.acl = acl.entries;
    segment.capacity_bytes = capacity_bytes;
    segment.huge_pages = memory->placement().huge_pages;
    segment.numa_nodes = memory->placement().numa_nodes;
}

// As the kernel makes them: the index and a sequence, here that of all segments, which never goes back.
std::int32_t Entry::system_v_id() const {
    if (system_v_index < 0) return -1;
    return static_cast<std::int32_t>(id % 65536) * system_v::indexes + system_v_index;
}

bool Entry::is_staged_by(const HeldAttachments& holder) const {
    return state == State::staged && !attachments.empty() && attachments.front()->holder == &holder;
}

Registry::Registry(std::function<void(Remains)> release)
    : release_(std::move(release)), next_id_(first_id()), last_attachment_(random_attachment_id()) {}

Entry* Registry::find(std::string_view key) {
    return by_key_.find(key);
}

Entry* Registry::find(std::int64_t id) {
    auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second.get();
}

const Attachment* Registry::find_attachment(std::uint32_t attachment) const {
    auto found = attachments_.find(attachment);
    return found == attachments_.end() ? nullptr : &found->second;
}

Entry* Registry::find_attached(std::uint32_t attachment) {
    const Attachment* found = find_attachment(attachment);
    return found ? found->entry : nullptr;
}

Entry* Registry::find_system_v(std::int32_t id) {
    Entry* entry = id < 0 ? nullptr : system_v_.at(id % system_v::indexes);
    return entry && entry->system_v_id() == id ? entry : nullptr;
}

// Most often behind the one that was found last: without looking for it the step costs the same however many there are.
Entry* Registry::next_after(std::int64_t id) {
    bool goes_on = last_listed_ != by_id_.end() && last_listed_->first == id;
    auto found = goes_on ? std::next(last_listed_) : by_id_.upper_bound(id);
    last_listed_ = found;
    if (found == by_id_.end()) return nullptr;
    if (auto following = std::next(found); following != by_id_.end()) {
        constexpr std::size_t line_bytes = 64;
        for (std::size_t line = 0; line < sizeof(Entry); line += line_bytes) {
            __builtin_prefetch(reinterpret_cast<const char*>(following->second.get()) + line);
        }
    }
    return found->second.get();
}

Entry& Registry::add(std::unique_ptr<Entry> entry, bool private_system_v) {
    assert(!entry->key || !find(*entry->key));
    entry->id = next_id_++;
    entry->created_usec = entry->changed_usec = now_usec();
    entry->last_used = boot_usec();
    if (entry->lifetime == Lifetime::lease) entry->lease_end = entry->last_used + entry->lease_usec;
    bool is_system_v = private_system_v || (entry->key && sysv_number(*entry->key));
    if (is_system_v) system_v_.give(*entry);
    Entry& added = insert(std::move(entry));
    if (recorder_) recorder_->added(added);
    if (added.key) announce(*added.key);
    if (added.state == State::live) watchers_.tell(Event::created, added);
    return added;
}

Entry& Registry::restore(std::unique_ptr<Entry> entry) {
    next_id_ = std::max(next_id_, entry->id + 1);
    if (entry->system_v_index >= 0) {
        system_v_.restore(*entry);
    } else if (entry->key && sysv_number(*entry->key)) {
        system_v_.give(*entry);
    }
    return insert(std::move(entry));
}

Entry& Registry::insert(std::unique_ptr<Entry> entry) {
    Entry& added = *entry;
    try {
        by_key_.make_room();
        by_id_.emplace(added.id, std::move(entry));
    } catch (...) {
        system_v_.take_back(added);
        throw;
    }
    if (added.key) by_key_.insert(added);
    relist(added);
    return added;
}

Result<const ChangePage*> Registry::change_page() {
    if (!change_page_) {
        auto made = ChangePage::create();
        if (!made) return std::move(made).error();
        change_page_.emplace(*std::move(made));
        // Clients take 0 for "not known".
        change_page_->count_name();
    }
    return &*change_page_;
}

void Registry::note_name_change(const Entry& entry) {
    if (change_page_ && entry.system_v_index >= 0) change_page_->count_name();
}

void Registry::note_removal(const Entry& entry) {
    if (!change_page_ || entry.system_v_index < 0) return;
    change_page_->count_name();
    change_page_->count_removal();
}

void Registry::settle(Entry& entry) {
    if (entry.state != State::live && entry.attachments.empty()) after_detach(entry);
}

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
    prepared_.insert(&holder);
    if (recorder_) recorder_->prepared();
    holder.queue_->prepared.emplace(id, &entry, access, now_usec(), std::move(charge));
    if (!holder.queue_->queue.is_watched() && watchers_.concerns(entry)) holder.queue_->queue.set_watched(true);
    return id;
}

void Registry::begin_prepared(HeldAttachments& holder, std::int64_t said_usec) {
    HeldAttachments::Prepared begun = *std::exchange(holder.queue_->prepared, std::nullopt);
    prepared_.erase(&holder);
    if (recorder_) recorder_->prepared_no_more();
    const std::int64_t now = now_usec();
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
    holder.queue_->prepared->entry = nullptr;
    holder.queue_->prepared->charge.release();
}

void Registry::forget_prepared(const Entry& entry) {
    for (auto next = prepared_.begin(); next != prepared_.end();) {
        HeldAttachments& holder = **next++;
        if (holder.queue_->prepared->entry == &entry) forget_prepared(holder);
    }
}

std::uint32_t Registry::attach(Entry& entry, HeldAttachments& holder, Access access, Charge charge) {
    std::uint32_t id = fresh_attachment_id();
    std::int64_t now = now_usec();
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
    const std::int64_t now = now_usec();
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

void Registry::remove(Entry& entry, Event why) {
    if (entry.state == State::deleted) return;
    forget_prepared(entry);
    unlist(entry);
    bool was_live = entry.state == State::live;
    entry.state = State::deleted;
    entry.staged_charge.release();
    entry.creator_watch.reset();
    touch(entry);
    if (recorder_) recorder_->deleted(entry);
    if (was_live) watchers_.tell(why, entry);
    note_removal(entry);
    forget_key(entry);
    if (entry.attachments.empty()) erase(entry);
}

void Registry::publish(Entry& entry, std::string key) {
    assert(entry.state == State::staged);
    by_key_.make_room();
    Entry* replaced = find(key);
    entry.key = std::move(key);
    if (!replaced) {
        by_key_.insert(entry);
    } else {
        by_key_.replace(*replaced, entry);
        forget_prepared(*replaced);
        unlist(*replaced);
        replaced->state = State::deleted;
        replaced->creator_watch.reset();
        touch(*replaced);
        watchers_.tell(Event::replaced, *replaced);
        note_removal(*replaced);
        replaced->key.reset();
    }
    entry.state = State::live;
    if (entry.system_v_index < 0 && sysv_number(*entry.key)) system_v_.give(entry);
    entry.staged_charge.release();
    touch(entry);
    relist(entry);
    if (recorder_) {
        JournalGroup both_or_none(recorder_->journal());
        if (replaced) recorder_->deleted(*replaced);
        recorder_->changed(entry);
    }
    if (replaced && replaced->attachments.empty()) erase(*replaced);
    announce(*entry.key);
    note_watched(entry);
    watchers_.tell(Event::published, entry);
}

void Registry::renew(Entry& entry) {
    unlist(entry);
    entry.lease_end = boot_usec() + entry.lease_usec;
    relist(entry);
    if (recorder_) recorder_->renewed(entry);
}

void Registry::sealed(Entry& entry) {
    touch(entry);
    if (recorder_) recorder_->changed(entry);
    if (entry.state == State::live) watchers_.tell(Event::sealed, entry);
}

void Registry::lock_memory(Entry& entry, bool locked) {
    entry.memory_locked = locked;
    if (recorder_) recorder_->changed(entry);
}

void Registry::resize(Entry& entry, std::int64_t size_bytes) {
    entry.size_bytes = size_bytes;
    touch(entry);
    note_name_change(entry);
    if (recorder_) recorder_->changed(entry);
    if (entry.state == State::live) watchers_.tell(Event::resized, entry);
}

bool Registry::expire(std::int64_t now, int at_most) {
    for (; at_most > 0; at_most--) {
        if (leases_.empty() || leases_.begin()->first > now) return false;
        remove(*leases_.begin()->second, Event::expired);
    }
    return true;
}

std::int64_t Registry::evictable_bytes() const {
    std::int64_t bytes = 0;
    for (const auto& [account, evictables] : evictables_) bytes += evictables.bytes;
    return bytes;
}

std::int64_t Registry::evictable_bytes(std::uint32_t account) const {
    auto found = evictables_.find(account);
    return found == evictables_.end() ? 0 : found->second.bytes;
}

std::int64_t Registry::evict(std::optional<std::uint32_t> account) {
    std::pair<std::int64_t, Entry*> oldest{INT64_MAX, nullptr};
    for (const auto& [uid, evictables] : evictables_) {
        if (!account || *account == uid) oldest = std::min(oldest, *evictables.by_last_use.begin());
    }
    if (!oldest.second) return 0;
    std::int64_t bytes = oldest.second->bytes_charge.amount();
    remove(*oldest.second, Event::evicted);
    return bytes;
}

void Registry::touch(Entry& entry) {
    entry.changed_usec = now_usec();
}

// Takes an entry out of the orders by lease and by last use; relist() puts it in where it now belongs.
void Registry::unlist(Entry& entry) {
    if (entry.lease_end != 0) leases_.erase({entry.lease_end, &entry});
    if (!entry.evictable) return;
    auto account = evictables_.find(entry.bytes_charge.uid());
    if (account == evictables_.end() || account->second.by_last_use.erase({entry.last_used, &entry}) == 0) return;
    account->second.bytes -= entry.bytes_charge.amount();
    if (account->second.by_last_use.empty()) evictables_.erase(account);
}

void Registry::relist(Entry& entry) {
    if (entry.state == State::deleted) return;
    if (entry.lifetime == Lifetime::lease) {
        leases_.emplace(entry.lease_end, &entry);
        if (lease_changed_ && leases_.begin()->second == &entry) lease_changed_();
    }
    if (!entry.evictable || entry.state != State::live || !entry.attachments.empty()) return;
    Evictables& account = evictables_[entry.bytes_charge.uid()];
    account.by_last_use.emplace(entry.last_used, &entry);
    account.bytes += entry.bytes_charge.amount();
}

void Registry::forget_key(Entry& entry) {
    if (!entry.key) return;
    by_key_.erase(entry);
    entry.key.reset();
}

void Registry::erase(Entry& entry) {
    if (recorder_) recorder_->lingers(entry);
    Remains remains{std::move(entry.kept), std::move(entry.memory), std::move(entry.segment_charge),
                    std::move(entry.bytes_charge)};
    std::unique_ptr<Sync> sync = std::move(entry.sync);
    system_v_.take_back(entry);
    auto place = by_id_.find(entry.id);
    if (last_listed_ == place) last_listed_ = by_id_.end();
    by_id_.erase(place);
    if (!release_) return;
    if (sync) {
        Remains of_sync{{}, sync->area.memory(), {}, std::move(sync->charge)};
        sync.reset();  // what is mapped here is in use
        release_(std::move(of_sync));
    }
    release_(std::move(remains));
}

void Registry::add_sync(Entry& entry, std::unique_ptr<Sync> sync) {
    entry.sync = std::move(sync);
    if (recorder_) recorder_->changed(entry);
}

void Registry::passes_sync(std::uint32_t attachment) {
    Attachment& reader = attachments_.at(attachment);
    if (reader.access != Access::read || reader.reads_sync) return;
    reader.reads_sync = true;
    Sync& sync = *reader.entry->sync;
    sync.area.set_read_only(++sync.read_only);
}

void Registry::leave_sync(Sync& sync, const Attachment& attachment) {
    if (attachment.reads_sync) sync.area.set_read_only(--sync.read_only);
    sync.area.release(attachment.id);
}

void Registry::give_back_locks(const HeldAttachments& holder, std::size_t at_most) {
    for (const Attachment* each : holder.attachments_) {
        if (at_most-- == 0) return;
        if (each->entry->sync) each->entry->sync->area.release(each->id);
    }
}

void Registry::recover_locks(Entry& entry) {
    if (!entry.sync) return;
    entry.sync->area.recover([&](std::uint32_t holder) {
        const Attachment* attachment = find_attachment(holder);
        return attachment && attachment->entry == &entry;
    });
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
