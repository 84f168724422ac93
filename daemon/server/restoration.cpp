#include "restoration.hpp"

#include <ranges>
#include <utility>
#include <vector>

#include "log.hpp"

namespace shmd {

void Restoration::restore(JournalImage image, StoredFds stored) {
    parts_.registry.raise_next_id(image.next_id);
    for (const auto& [id, record] : image.attachments) attached_.insert(record.segment);
    for (const auto& [slot, fd] : stored) parts_.store.adopt_slot(slot);
    // The youngest first: should damage have hidden that an older one is gone, the younger one has its key and its place.
    for (auto& [id, record] : std::views::reverse(image.segments)) {
        std::string key = record.key.value_or("");
        if (restore_segment(std::move(record), stored)) {
            segments++;
        } else {
            lost++;
            log(LogLevel::error, "segment " + std::to_string(id) + " " + key + " is lost: its memory was not kept",
                {.key = key, .message_id = message_id::segment_lost});
        }
    }
    for (const auto& [id, record] : image.attachments) restore_attachment(record);
    for (auto& [slot, fd] : stored) {
        if (auto blank = Memory::adopt_blank(fd)) {
            parts_.blanks.adopt(slot, *std::move(blank));
        } else {
            parts_.store.remove(slot);
        }
    }
}

bool Restoration::restore_segment(SegmentRecord record, StoredFds& stored) {
    auto place = stored.find(record.slot);
    if (place == stored.end()) return false;
    auto memory = Memory::adopt(std::move(place->second), record.capacity_bytes,
                                {record.huge_pages, std::move(record.numa_nodes)});
    if (!memory) {
        stored.erase(place);
        parts_.store.remove(record.slot);
        return false;
    }
    stored.erase(place);
    if (record.key && parts_.registry.find(*record.key)) {
        record.key.reset();
        record.state = State::deleted;
    }
    auto entry = std::make_unique<Entry>();
    entry->id = record.id;
    entry->key = std::move(record.key);
    entry->staged_key = std::move(record.staged_key);
    entry->acl = std::move(record.acl);
    entry->creator_process = record.creator;
    entry->state = record.state;
    entry->lifetime = record.lifetime;
    entry->lease_usec = record.lease_usec;
    entry->lease_end = record.lease_end;
    entry->evictable = record.evictable;
    entry->last_used = record.last_used;
    entry->last_pid = record.last_pid;
    entry->system_v_index = record.system_v_index;
    entry->memory_locked = record.memory_locked;
    entry->created_usec = record.created_usec;
    entry->attached_usec = record.attached_usec;
    entry->detached_usec = record.detached_usec;
    entry->changed_usec = record.changed_usec;
    entry->labels = std::move(record.labels);
    entry->memory = std::make_shared<Memory>(*std::move(memory));
    entry->size_bytes = record.size_bytes;
    entry->capacity_bytes = record.capacity_bytes;
    entry->reserve = record.reserve;
    entry->kept = parts_.recorder.adopt(record.slot, record.id, record.state == State::deleted);
    // That of a deleted segment which nobody has any more has gone before its memory, and its slot may be another's by now.
    bool gone = record.state == State::deleted && !attached_.contains(record.id);
    if (record.sync_slot && !gone) restore_sync(*entry, record, stored);
    entry->segment_charge = parts_.quota.take(record.account_uid, Resource::segments, 1);
    entry->bytes_charge = parts_.quota.take(record.account_uid, Resource::bytes, record.charged_bytes);
    if (record.state == State::staged) {
        entry->staged_charge = parts_.quota.take(record.account_uid, Resource::staged_bytes, record.charged_bytes);
    }
    // Beyond its size nothing is reserved and all is zero; a Resize that was under way may have left something there.
    if (record.size_bytes < record.capacity_bytes && !entry->sealed()) {
        (void)Trim(*entry->memory, record.size_bytes, record.capacity_bytes).finish();
    }
    parts_.registry.restore(std::move(entry));
    return true;
}

// Without it there is a new one at the next call; who has the old one mapped is alone there.
void Restoration::restore_sync(Entry& entry, const SegmentRecord& record, StoredFds& stored) {
    auto node = stored.extract(*record.sync_slot);
    auto area = node ? SyncArea::adopt(std::move(node.mapped())) : std::nullopt;
    if (!area) {
        if (node) parts_.store.remove(*record.sync_slot);
        log(LogLevel::error, "the sync area of segment " + std::to_string(record.id) + " is lost: its memory was not kept",
            {.key = record.key.value_or(""), .message_id = message_id::segment_lost});
        return;
    }
    entry.sync = std::make_unique<Sync>(
        Sync{parts_.recorder.adopt(*record.sync_slot, 0, false),
             parts_.quota.take(record.account_uid, Resource::bytes, SyncArea::bytes), *std::move(area)});
}

void Restoration::restore_attachment(const AttachmentRecord& record) {
    Entry* entry = parts_.registry.find(record.segment);
    if (!entry) return;
    HeldAttachments& holder = 
        parts_.handlers.orphans().of(record.holder, record.uid, record.connection, parts_.processes.find(record.holder));
    parts_.registry.restore(*entry, holder, record.id, record.access, record.since_usec,
                            parts_.quota.take(record.account_uid, Resource::attachments, 1));
    // Whether it has the area, nobody remembers: it does no harm to count it.
    if (entry->sync) parts_.registry.passes_sync(record.id);
    attachments++;
}

void Restoration::settle() {
    constexpr int at_once = 64;
    while (parts_.registry.expire(boot_usec(), at_once)) continue;
    std::vector<std::int64_t> ids;
    for (Entry* entry = parts_.registry.next_after(0); entry; entry = parts_.registry.next_after(entry->id)) {
        ids.push_back(entry->id);
    }
    // While the orphans still hold the watches of their processes.
    for (std::int64_t id : ids) settle_creator(*parts_.registry.find(id));
    parts_.handlers.orphans().end_dead();
    for (std::int64_t id : ids) {
        Entry* entry = parts_.registry.find(id);
        if (!entry) continue;
        parts_.registry.recover_locks(*entry);
        parts_.registry.settle(*entry);
    }
}

void Restoration::settle_creator(Entry& entry) {
    auto process = parts_.processes.find(entry.creator_process);
    entry.creator = process;
    if (entry.lifetime != Lifetime::creator || entry.state == State::deleted) return;
    parts_.handlers.watch_creator(entry);
    if (!entry.creator_watch) parts_.registry.remove(entry, Event::expired);
}

}  // namespace shmd
