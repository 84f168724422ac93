#include "recorder.hpp"

#include <cassert>

#include "registry.hpp"

namespace shmd {
namespace {

SegmentRecord record_of(const Entry& entry) {
    SegmentRecord record;
    record.id = entry.id;
    record.slot = entry.kept.slot();
    record.key = entry.key;
    record.staged_key = entry.staged_key;
    record.acl = entry.acl;
    record.creator = entry.creator_process;
    record.state = entry.state;
    record.lifetime = entry.lifetime;
    record.lease_usec = entry.lease_usec;
    record.lease_end = entry.lease_end;
    record.evictable = entry.evictable;
    record.last_used = entry.last_used;
    record.last_pid = entry.last_pid;
    record.system_v_index = entry.system_v_index;
    record.memory_locked = entry.memory_locked;
    record.created_usec = entry.created_usec;
    record.attached_usec = entry.attached_usec;
    record.detached_usec = entry.detached_usec;
    record.changed_usec = entry.changed_usec;
    record.labels = entry.labels;
    record.size_bytes = entry.size_bytes;
    record.capacity_bytes = entry.capacity_bytes;
    record.reserve = entry.reserve;
    record.huge_pages = entry.memory->placement().huge_pages;
    record.numa_nodes = entry.memory->placement().numa_nodes;
    record.account_uid = entry.bytes_charge.uid();
    record.charged_bytes = entry.bytes_charge.amount();
    if (entry.sync) record.sync_slot = entry.sync->kept.slot();
    return record;
}

AttachmentRecord record_of(const Attachment& attachment) {
    return {attachment.id,
            attachment.entry->id,
            attachment.access,
            attachment.holder->process(),
            attachment.holder->connection(),
            attachment.holder->uid(),
            attachment.since_usec,
            attachment.charge.uid()};
}

}  // namespace

Kept& Kept::operator=(Kept&& other) noexcept {
    if (this == &other) return *this;
    release();
    recorder_ = std::exchange(other.recorder_, nullptr);
    slot_ = other.slot_;
    stored_ = other.stored_;
    segment_ = other.segment_;
    deleted_ = other.deleted_;
    return *this;
}

void Kept::release() {
    if (Recorder* recorder = std::exchange(recorder_, nullptr)) recorder->gone(*this);
}

void Recorder::start(std::string directory, const Journal::Found& old) {
    journal_.emplace(std::move(directory), [this](Journal& journal) { snapshot(journal); }, promises(), old);
}

// For the records of the end of all that is there.
std::size_t Recorder::promises() {
    std::size_t bytes = 0;
    for (Entry* entry = registry_.next_after(0); entry; entry = registry_.next_after(entry->id)) {
        bytes += record::gone_bytes + (entry->kept.deleted_ ? 0 : record::deleted_bytes);
        bytes += entry->attachments.size() * record::detached_bytes;
    }
    return bytes;
}

std::optional<Recorder::Place> Recorder::take_place(bool of_blank) {
    if (of_blank) {
        if (auto stored = blanks_.take()) return Place{Kept(*this, stored->slot, true), std::move(stored->blank)};
    }
    auto slot = store_.take_slot();
    if (!slot) return std::nullopt;
    return Place{Kept(*this, *slot, false)};
}

Kept Recorder::adopt(Slot slot, std::int64_t segment, bool deleted) {
    Kept kept(*this, slot, true);
    kept.segment_ = segment;
    kept.deleted_ = deleted;
    return kept;
}

Result<void> Recorder::store(Kept& kept, const Memory& memory, std::function<void()> done) {
    auto copy = memory.duplicate();
    if (!copy) return std::move(copy).error();
    kept.stored_ = true;
    store_.add(kept.slot_, *std::move(copy), FdStore::Haste::now, std::move(done));
    return {};
}

bool Recorder::reserve(std::size_t segment_bytes, std::size_t attachments) {
    return closed_ || journal_->reserve(segment_bytes + attachments * (record::attachment_bytes + record::detached_bytes));
}

std::size_t Recorder::bytes_of(std::size_t key_bytes, const Labels* labels, std::size_t acl_entries,
                               std::size_t numa_nodes) {
    // The fields of fixed size, and the records of its end.
    std::size_t bytes = 512 + record::deleted_bytes + record::gone_bytes + key_bytes + 12 * acl_entries + 8 * numa_nodes;
    if (!labels) return bytes;
    for (const auto& [name, value] : *labels) bytes += 8 + name.size() + value.size();
    return bytes;
}

void Recorder::added(Entry& entry) {
    if (closed_) return;
    entry.kept.segment_ = entry.id;
    journal_->promise(record::deleted_bytes + record::gone_bytes);
    write(*journal_, record_of(entry));
}

void Recorder::changed(const Entry& entry) {
    if (!closed_) write(*journal_, record_of(entry));
}

void Recorder::renewed(const Entry& entry) {
    if (!closed_) write_renewed(*journal_, entry.id, entry.lease_end);
}

void Recorder::deleted(Entry& entry) {
    if (closed_) return;
    entry.kept.deleted_ = true;
    journal_->fulfil(record::deleted_bytes);
    write_deleted(*journal_, entry.id, entry.changed_usec);
}

void Recorder::attached(const Attachment& attachment) {
    if (closed_) return;
    journal_->promise(record::detached_bytes);
    write(*journal_, record_of(attachment));
}

void Recorder::detached(const Attachment& attachment) {
    if (closed_) return;
    journal_->fulfil(record::detached_bytes);
    const Entry& entry = *attachment.entry;
    write_detached(*journal_, attachment.id, entry.detached_usec.value_or(0), entry.last_used);
}

void Recorder::prepared() {
    if (!closed_) journal_->promise(record::attachment_bytes + record::detached_bytes);
}

void Recorder::prepared_no_more() {
    if (!closed_) journal_->fulfil(record::attachment_bytes + record::detached_bytes);
}

void Recorder::taken_up(const Attachment& attachment) {
    if (closed_ || !journal_->reserve(record::taken_up_bytes)) return;
    write_taken_up(*journal_, attachment.id, attachment.holder->connection());
}

void Recorder::held_by_another(const Attachment& attachment) {
    if (!closed_ && journal_->reserve(record::attachment_bytes)) write(*journal_, record_of(attachment));
}

void Recorder::lingers(const Entry& entry) {
    if (closed_) return;
    SegmentRecord record;
    record.id = entry.id;
    record.slot = entry.kept.slot();
    record.acl = entry.acl;
    record.acl.entries.clear();
    record.state = State::deleted;
    record.created_usec = entry.created_usec;
    record.changed_usec = entry.changed_usec;
    record.size_bytes = entry.size_bytes;
    record.capacity_bytes = entry.capacity_bytes;
    record.huge_pages = entry.memory->placement().huge_pages;
    record.account_uid = entry.bytes_charge.uid();
    record.charged_bytes = entry.bytes_charge.amount();
    lingering_.emplace(entry.id, std::move(record));
}

// First in the journal: a crash before the store knows leaves a descriptor that nobody misses.
void Recorder::gone(const Kept& kept) {
    if (closed_) return;
    if (kept.segment_ != 0) {
        lingering_.erase(kept.segment_);
        if (!kept.deleted_) journal_->fulfil(record::deleted_bytes);
        journal_->fulfil(record::gone_bytes);
        write_gone(*journal_, kept.segment_);
    }
    store_.remove(kept.slot_);
}

void Recorder::snapshot(Journal& journal) {
    write_next_id(journal, registry_.next_id());
    for (Entry* entry = registry_.next_after(0); entry; entry = registry_.next_after(entry->id)) {
        // Before the segment, which tells when the last attachment began: that may have ended.
        for (const Attachment* attachment : entry->attachments) write(journal, record_of(*attachment));
        write(journal, record_of(*entry));
    }
    for (const auto& [id, record] : lingering_) write(journal, record);
}

void Recorder::close() {
    closed_ = true;
    store_.close();
    if (journal_) journal_->close();
}

}  // namespace shmd
