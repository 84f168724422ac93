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

// A daemon that starts anew must not give an id that an earlier one gave: the first id is the time in microseconds, and
// no daemon makes more than a segment a microsecond. Counted from 2026, it stays below 2^53 for 285 years.
std::int64_t first_id() {
    constexpr std::int64_t start_of_2026_usec = 1'767'225'600'000'000;
    return std::max<std::int64_t>(1, wall_usec() - start_of_2026_usec);
}

// Likewise a number from before a restart should hardly ever name a new attachment.
std::uint32_t random_attachment_id() {
    std::uint32_t id = 0;
    if (::getrandom(&id, sizeof id, 0) != sizeof id) id = static_cast<std::uint32_t>(wall_usec());
    return id;
}

}  // namespace

std::int64_t wall_usec() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

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
        segment.expires_usec = wall_usec() + (lease_end - boot_usec());
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
    entry->created_usec = entry->changed_usec = wall_usec();
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
    entry.changed_usec = wall_usec();
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
