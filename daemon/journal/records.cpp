#include "records.hpp"

#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace shmd {
namespace {

// Fields of a segment: a tag, the number of bytes, the bytes. A reader who does not know the tag passes over it, unless
// bit 15 is set.
using Tag = std::uint16_t;
constexpr Tag critical_field = 0x8000;

enum : Tag {
    tag_id = 1 | critical_field,
    tag_slot = 2 | critical_field,
    tag_key = 3 | critical_field,
    tag_staged_key = 4 | critical_field,
    tag_owner_uid = 5 | critical_field,
    tag_owner_gid = 6 | critical_field,
    tag_creator_uid = 7 | critical_field,
    tag_creator_gid = 8 | critical_field,
    tag_mode = 9 | critical_field,
    tag_acl_entry = 10 | critical_field,
    tag_creator_pid = 11,
    tag_creator_mark = 12,
    tag_state = 13 | critical_field,
    tag_lifetime = 14 | critical_field,
    tag_lease_usec = 15 | critical_field,
    tag_lease_end = 16 | critical_field,
    tag_evictable = 17 | critical_field,
    tag_last_used = 18,
    tag_created_usec = 19,
    tag_attached_usec = 20,
    tag_detached_usec = 21,
    tag_changed_usec = 22,
    tag_label = 23,
    tag_size_bytes = 24 | critical_field,
    tag_capacity_bytes = 25 | critical_field,
    tag_reserve = 26,
    tag_huge_pages = 27 | critical_field,
    tag_numa_node = 28,
    tag_account_uid = 29 | critical_field,
    tag_charged_bytes = 30 | critical_field,
    tag_system_v_index = 31,
    tag_last_pid = 32,
    tag_memory_locked = 33,
    // Without it there would be two areas for one segment, and locks that exclude nobody.
    tag_sync_slot = 34 | critical_field,
};

[[noreturn]] void newer(const char* what, std::int64_t number) {
    throw std::runtime_error("the journal has a " + std::string(what) + " " + std::to_string(number) +
                             " that this version of shmd does not know: install the version that wrote it");
}

[[noreturn]] void malformed() {
    throw std::runtime_error("the journal has a record of the wrong length: it was not written by shmd");
}

// How many values of an enumeration this version knows: those from 0 on.
template <typename T>
constexpr int known_values = 0;
template <>
constexpr int known_values<Access> = 2;
template <>
constexpr int known_values<AclEntry::Kind> = 2;
template <>
constexpr int known_values<State> = 3;
template <>
constexpr int known_values<Lifetime> = 4;
template <>
constexpr int known_values<Reserve> = 3;
template <>
constexpr int known_values<HugePages> = 4;

template <typename T>
T known(std::int64_t value) {
    static_assert(known_values<T> > 0);
    if (value < 0 || value >= known_values<T>) newer("value", value);
    return static_cast<T>(value);
}

class Writer {
  public:
    template <typename T>
    void value(T v) {
        static_assert(std::is_arithmetic_v<T>);
        bytes_.append(reinterpret_cast<const char*>(&v), sizeof v);
    }
    template <typename T>
    void field(Tag tag, T v) {
        if constexpr (std::is_enum_v<T>) {
            field(tag, static_cast<std::int32_t>(v));
        } else {
            value(tag);
            value(static_cast<std::uint16_t>(sizeof v));
            value(v);
        }
    }
    void text(Tag tag, std::string_view v) {
        value(tag);
        value(static_cast<std::uint16_t>(v.size()));
        bytes_.append(v);
    }
    template <typename T>
    void field(Tag tag, const std::optional<T>& v) {
        if (v) field(tag, *v);
    }
    [[nodiscard]] std::string_view bytes() const { return bytes_; }

  private:
    std::string bytes_;
};

class Reader {
  public:
    explicit Reader(std::string_view bytes) : left_(bytes) {}
    [[nodiscard]] bool at_end() const { return left_.empty(); }
    std::string_view text(std::size_t length) {
        if (length > left_.size()) malformed();
        std::string_view taken = left_.substr(0, length);
        left_.remove_prefix(length);
        return taken;
    }
    template <typename T>
    T value() {
        T v{};
        std::memcpy(&v, text(sizeof v).data(), sizeof v);
        return v;
    }

  private:
    std::string_view left_;
};

template <typename T>
void get(std::string_view bytes, T& into) {
    if constexpr (std::is_enum_v<T>) {
        std::int32_t v = 0;
        get(bytes, v);
        into = known<T>(v);
    } else {
        if (bytes.size() != sizeof into) malformed();
        std::memcpy(&into, bytes.data(), sizeof into);
    }
}

void get(std::string_view bytes, std::optional<std::int64_t>& into) {
    std::int64_t v = 0;
    get(bytes, v);
    into = v;
}

AclEntry acl_entry(std::string_view bytes) {
    Reader reader(bytes);
    AclEntry entry;
    entry.kind = known<AclEntry::Kind>(reader.value<std::uint16_t>());
    entry.access = known<Access>(reader.value<std::uint16_t>());
    entry.id = reader.value<std::uint32_t>();
    return entry;
}

void put_acl_entry(Writer& writer, const AclEntry& entry) {
    writer.value(Tag{tag_acl_entry});
    writer.value(std::uint16_t{8});
    writer.value(static_cast<std::uint16_t>(entry.kind));
    writer.value(static_cast<std::uint16_t>(entry.access));
    writer.value(entry.id);
}

// A label is its name, a zero, its value: names have no zeros.
void put_label(Writer& writer, const std::string& name, const std::string& value) {
    writer.text(tag_label, name + '\0' + value);
}

void take_field(SegmentRecord& segment, Tag tag, std::string_view bytes) {
    switch (tag) {
        case tag_id: return get(bytes, segment.id);
        case tag_slot: return get(bytes, segment.slot);
        case tag_key: segment.key = bytes; return;
        case tag_staged_key: segment.staged_key = bytes; return;
        case tag_owner_uid: return get(bytes, segment.acl.owner_uid);
        case tag_owner_gid: return get(bytes, segment.acl.owner_gid);
        case tag_creator_uid: return get(bytes, segment.acl.creator_uid);
        case tag_creator_gid: return get(bytes, segment.acl.creator_gid);
        case tag_mode: return get(bytes, segment.acl.mode);
        case tag_acl_entry: segment.acl.entries.push_back(acl_entry(bytes)); return;
        case tag_creator_pid: return get(bytes, segment.creator.pid);
        case tag_creator_mark: return get(bytes, segment.creator.mark);
        case tag_state: return get(bytes, segment.state);
        case tag_lifetime: return get(bytes, segment.lifetime);
        case tag_lease_usec: return get(bytes, segment.lease_usec);
        case tag_lease_end: return get(bytes, segment.lease_end);
        case tag_evictable: return get(bytes, segment.evictable);
        case tag_last_used: return get(bytes, segment.last_used);
        case tag_created_usec: return get(bytes, segment.created_usec);
        case tag_attached_usec: return get(bytes, segment.attached_usec);
        case tag_detached_usec: return get(bytes, segment.detached_usec);
        case tag_changed_usec: return get(bytes, segment.changed_usec);
        case tag_label: {
            std::size_t zero = bytes.find('\0');
            if (zero == std::string_view::npos) malformed();
            segment.labels.emplace(bytes.substr(0, zero), bytes.substr(zero + 1));
            return;
        }
        case tag_size_bytes: return get(bytes, segment.size_bytes);
        case tag_capacity_bytes: return get(bytes, segment.capacity_bytes);
        case tag_reserve: return get(bytes, segment.reserve);
        case tag_huge_pages: return get(bytes, segment.huge_pages);
        case tag_numa_node: {
            std::uint32_t node = 0;
            get(bytes, node);
            segment.numa_nodes.push_back(node);
            return;
        }
        case tag_account_uid: return get(bytes, segment.account_uid);
        case tag_charged_bytes: return get(bytes, segment.charged_bytes);
        case tag_system_v_index: return get(bytes, segment.system_v_index);
        case tag_last_pid: return get(bytes, segment.last_pid);
        case tag_memory_locked: return get(bytes, segment.memory_locked);
        case tag_sync_slot: return get(bytes, segment.sync_slot.emplace());
        default:
            if (tag & critical_field) newer("field", tag);
    }
}

SegmentRecord read_segment(std::string_view payload) {
    Reader reader(payload);
    SegmentRecord segment;
    while (!reader.at_end()) {
        Tag tag = reader.value<Tag>();
        auto length = reader.value<std::uint16_t>();
        take_field(segment, tag, reader.text(length));
    }
    return segment;
}

AttachmentRecord read_attachment(std::string_view payload) {
    Reader reader(payload);
    AttachmentRecord attachment;
    attachment.segment = reader.value<std::int64_t>();
    attachment.holder.mark = reader.value<std::uint64_t>();
    attachment.since_usec = reader.value<std::int64_t>();
    attachment.connection = reader.value<std::uint64_t>();
    attachment.id = reader.value<std::uint32_t>();
    attachment.holder.pid = reader.value<std::int32_t>();
    attachment.uid = reader.value<std::uint32_t>();
    attachment.account_uid = reader.value<std::uint32_t>();
    attachment.access = known<Access>(reader.value<std::uint32_t>());
    return attachment;
}

}  // namespace

void write(Journal& journal, const SegmentRecord& segment) {
    Writer out;
    out.field(tag_id, segment.id);
    out.field(tag_slot, segment.slot);
    if (segment.key) out.text(tag_key, *segment.key);
    if (segment.staged_key) out.text(tag_staged_key, *segment.staged_key);
    out.field(tag_owner_uid, segment.acl.owner_uid);
    out.field(tag_owner_gid, segment.acl.owner_gid);
    out.field(tag_creator_uid, segment.acl.creator_uid);
    out.field(tag_creator_gid, segment.acl.creator_gid);
    out.field(tag_mode, segment.acl.mode);
    for (const AclEntry& entry : segment.acl.entries) put_acl_entry(out, entry);
    out.field(tag_creator_pid, segment.creator.pid);
    out.field(tag_creator_mark, segment.creator.mark);
    out.field(tag_state, segment.state);
    out.field(tag_lifetime, segment.lifetime);
    if (segment.lifetime == Lifetime::lease) {
        out.field(tag_lease_usec, segment.lease_usec);
        out.field(tag_lease_end, segment.lease_end);
    }
    out.field(tag_evictable, segment.evictable);
    out.field(tag_last_used, segment.last_used);
    out.field(tag_created_usec, segment.created_usec);
    out.field(tag_attached_usec, segment.attached_usec);
    out.field(tag_detached_usec, segment.detached_usec);
    out.field(tag_changed_usec, segment.changed_usec);
    for (const auto& [name, value] : segment.labels) put_label(out, name, value);
    out.field(tag_size_bytes, segment.size_bytes);
    out.field(tag_capacity_bytes, segment.capacity_bytes);
    out.field(tag_reserve, segment.reserve);
    out.field(tag_huge_pages, segment.huge_pages);
    for (std::uint32_t node : segment.numa_nodes) out.field(tag_numa_node, node);
    out.field(tag_account_uid, segment.account_uid);
    out.field(tag_charged_bytes, segment.charged_bytes);
    if (segment.system_v_index >= 0) out.field(tag_system_v_index, segment.system_v_index);
    out.field(tag_last_pid, segment.last_pid);
    if (segment.memory_locked) out.field(tag_memory_locked, segment.memory_locked);
    out.field(tag_sync_slot, segment.sync_slot);
    journal.append(record::segment, out.bytes());
}

void write(Journal& journal, const AttachmentRecord& attachment) {
    Writer out;
    out.value(attachment.segment);
    out.value(attachment.holder.mark);
    out.value(attachment.since_usec);
    out.value(attachment.connection);
    out.value(attachment.id);
    out.value(attachment.holder.pid);
    out.value(attachment.uid);
    out.value(attachment.account_uid);
    out.value(static_cast<std::uint32_t>(attachment.access));
    journal.append(record::attachment, out.bytes());
}

void write_deleted(Journal& journal, std::int64_t segment, std::int64_t changed_usec) {
    Writer out;
    out.value(segment);
    out.value(changed_usec);
    journal.append(record::deleted, out.bytes());
}

void write_gone(Journal& journal, std::int64_t segment) {
    Writer out;
    out.value(segment);
    journal.append(record::gone, out.bytes());
}

void write_detached(Journal& journal, std::uint32_t attachment, std::int64_t detached_usec, std::int64_t last_used) {
    Writer out;
    out.value(detached_usec);
    out.value(last_used);
    out.value(attachment);
    journal.append(record::detached, out.bytes());
}

void write_renewed(Journal& journal, std::int64_t segment, std::int64_t lease_end) {
    Writer out;
    out.value(segment);
    out.value(lease_end);
    journal.append(record::renewed, out.bytes());
}

void write_taken_up(Journal& journal, std::uint32_t attachment, std::uint64_t connection) {
    Writer out;
    out.value(connection);
    out.value(attachment);
    journal.append(record::taken_up, out.bytes());
}

void write_next_id(Journal& journal, std::int64_t id) {
    Writer out;
    out.value(id);
    journal.append(record::next_id, out.bytes());
}

void JournalImage::take(RecordType type, std::string_view payload) {
    Reader reader(payload);
    auto segment_at = [this](std::int64_t id) -> SegmentRecord* {
        auto found_at = segments.find(id);
        return found_at == segments.end() ? nullptr : &found_at->second;
    };
    switch (type) {
        case record::segment: {
            SegmentRecord segment = read_segment(payload);
            next_id = std::max(next_id, segment.id + 1);
            segments[segment.id] = std::move(segment);
            break;
        }
        case record::deleted:
            if (SegmentRecord* segment = segment_at(reader.value<std::int64_t>())) {
                segment->state = State::deleted;
                segment->key.reset();
                segment->changed_usec = reader.value<std::int64_t>();
            }
            break;
        case record::gone:
            segments.erase(reader.value<std::int64_t>());
            break;
        case record::attachment: {
            AttachmentRecord attachment = read_attachment(payload);
            if (SegmentRecord* segment = segment_at(attachment.segment)) {
                segment->attached_usec = attachment.since_usec;
                segment->last_pid = attachment.holder.pid;
            }
            attachments[attachment.id] = attachment;
            break;
        }
        case record::detached: {
            auto detached_usec = reader.value<std::int64_t>();
            auto last_used = reader.value<std::int64_t>();
            auto ended = attachments.find(reader.value<std::uint32_t>());
            if (ended == attachments.end()) break;
            if (SegmentRecord* segment = segment_at(ended->second.segment)) {
                segment->detached_usec = detached_usec;
                segment->last_used = last_used;
                segment->last_pid = ended->second.holder.pid;
            }
            attachments.erase(ended);
            break;
        }
        case record::next_id:
            next_id = std::max(next_id, reader.value<std::int64_t>());
            break;
        case record::renewed:
            if (SegmentRecord* segment = segment_at(reader.value<std::int64_t>())) {
                segment->lease_end = reader.value<std::int64_t>();
            }
            break;
        case record::taken_up: {
            auto connection = reader.value<std::uint64_t>();
            auto taken = attachments.find(reader.value<std::uint32_t>());
            if (taken != attachments.end()) taken->second.connection = connection;
            break;
        }
        default:
            if (type & critical_record) newer("record", type);
    }
}

JournalImage JournalImage::read(const std::string& directory) {
    JournalImage image;
    image.found =
        Journal::read(directory, [&image](RecordType type, std::string_view payload) { image.take(type, payload); });
    return image;
}

}  // namespace shmd
