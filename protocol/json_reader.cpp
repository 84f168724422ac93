#include "json_reader.hpp"

#include <cassert>
#include <limits>

namespace shmd::json {
namespace {

template <typename Int>
bool read_in_range(const Json& value, Int& out, std::int64_t low, std::int64_t high) {
    if (!value.is_integer()) return false;
    std::int64_t number = value.as_integer();
    if (number < low || number > high) return false;
    out = static_cast<Int>(number);
    return true;
}

template <typename Item>
bool read_array(const Json& value, std::vector<Item>& out) {
    if (!value.is_array()) return false;
    out.clear();
    for (const Json& item : value.items()) {
        if (!read(item, out.emplace_back())) return false;
    }
    return true;
}

}  // namespace

const Json* find_member(const Json& object, std::string_view name) {
    for (const auto& [member, value] : object.members()) {
        if (member.as_string() == name) return value.is_null() ? nullptr : &value;
    }
    return nullptr;
}

const Json* Fields::find(std::string_view name) {
    assert(asked_count_ < most_fields);
    asked_[asked_count_++] = name;
    const Members members = object_.members();
    auto found = next_;
    if (found == members.end() || (*found).name.as_string() != name) {
        found = std::find_if(members.begin(), members.end(),
                             [&](const Member& member) { return member.name.as_string() == name; });
        if (found == members.end()) return nullptr;
    }
    const Json& value = (*found).value;
    next_ = ++found;
    seen_++;
    return &value;
}

Fields& Fields::no_others() {
    if (bad_field_ || seen_ == object_.count()) return *this;
    std::array<bool, most_fields> given{};
    auto asked_end = asked_.begin() + asked_count_;
    for (const Member& member : object_.members()) {
        auto asked = std::find(asked_.begin(), asked_end, member.name.as_string());
        if (asked == asked_end || std::exchange(given[asked - asked_.begin()], true)) {
            fail(member.name.as_string());
            break;
        }
    }
    return *this;
}

bool read(const Json& value, bool& out) {
    if (!value.is_bool()) return false;
    out = value.as_bool();
    return true;
}

bool read(const Json& value, std::string& out) {
    if (!value.is_string()) return false;
    out = value.as_string();
    return true;
}

bool read(const Json& value, std::int64_t& out) {
    return read_in_range(value, out, -limits::integer, limits::integer);
}

bool read(const Json& value, std::int32_t& out) {
    return read_in_range(value, out, std::numeric_limits<std::int32_t>::min(),
                         std::numeric_limits<std::int32_t>::max());
}

bool read(const Json& value, std::uint32_t& out) {
    return read_in_range(value, out, 0, std::numeric_limits<std::uint32_t>::max());
}

bool read(const Json& value, Labels& out) {
    if (!value.is_object()) return false;
    out.clear();
    for (const Member& member : value.members()) {
        if (!read(member.value, out[std::string(member.name.as_string())])) return false;
    }
    return true;
}

bool read(const Json& value, std::vector<std::string>& out) {
    return read_array(value, out);
}
bool read(const Json& value, std::vector<std::uint32_t>& out) {
    return read_array(value, out);
}
bool read(const Json& value, std::vector<Usage>& out) {
    return read_array(value, out);
}

bool read(const Json& value, std::vector<AclEntry>& out) {
    return read_array(value, out);
}
bool read(const Json& value, std::vector<Holder>& out) {
    return read_array(value, out);
}
bool read(const Json& value, std::vector<AttachmentStatus>& out) {
    return read_array(value, out);
}

// Strict: a field that is meant to narrow the entry must not be passed over.
bool read(const Json& value, AclEntry& out) {
    if (!value.is_object()) return false;
    std::optional<std::uint32_t> uid, gid;
    Fields fields(value);
    fields.allow("uid", uid).allow("gid", gid).require("access", out.access).no_others();
    if (fields.bad_field() || uid.has_value() == gid.has_value()) return false;
    out.kind = uid ? AclEntry::Kind::user : AclEntry::Kind::group;
    out.id = uid ? *uid : *gid;
    return true;
}

bool read(const Json& value, Holder& out) {
    if (!value.is_object()) return false;
    return !Fields(value)
                .require("pid", out.pid)
                .require("uid", out.uid)
                .require("attachment", out.attachment)
                .require("access", out.access)
                .bad_field();
}

bool read(const Json& value, AttachmentStatus& out) {
    if (!value.is_object()) return false;
    return !Fields(value)
                .require("attachment", out.attachment)
                .require("pid", out.pid)
                .require("uid", out.uid)
                .require("command", out.command)
                .require("access", out.access)
                .require("sinceUsec", out.since_usec)
                .bad_field();
}

bool read(const Json& value, SegmentStatus& out) {
    if (!value.is_object()) return false;
    return !Fields(value)
                .require("id", out.id)
                .allow("key", out.key)
                .require("sizeBytes", out.size_bytes)
                .require("mode", out.mode)
                .require("ownerUid", out.owner_uid)
                .require("ownerGid", out.owner_gid)
                .require("state", out.state)
                .require("sealed", out.sealed)
                .require("evictable", out.evictable)
                .require("createdUsec", out.created_usec)
                .require("attachmentCount", out.attachment_count)
                .require("attachments", out.attachments)
                .bad_field();
}

bool read(const Json& value, Segment& out) {
    if (!value.is_object()) return false;
    std::optional<Labels> labels;
    std::optional<std::vector<AclEntry>> acl;
    std::optional<std::vector<std::uint32_t>> numa_nodes;
    Fields fields(value);
    fields.require("id", out.id)
        .allow("key", out.key)
        .require("sizeBytes", out.size_bytes)
        .require("mode", out.mode)
        .require("ownerUid", out.owner_uid)
        .require("ownerGid", out.owner_gid)
        .require("creatorUid", out.creator_uid)
        .require("creatorGid", out.creator_gid)
        .require("creatorPid", out.creator_pid)
        .require("state", out.state)
        .require("sealed", out.sealed)
        .require("attachments", out.attachments)
        .require("createdUsec", out.created_usec)
        .allow("attachedUsec", out.attached_usec)
        .allow("detachedUsec", out.detached_usec)
        .require("changedUsec", out.changed_usec)
        .allow("expiresUsec", out.expires_usec)
        .require("evictable", out.evictable)
        .allow("labels", labels)
        .require("lifetime", out.lifetime)
        .allow("leaseUsec", out.lease_usec)
        .allow("acl", acl)
        .require("capacityBytes", out.capacity_bytes)
        .require("hugePages", out.huge_pages)
        .allow("numaNodes", numa_nodes);
    if (labels) out.labels = std::move(*labels);
    if (acl) out.acl = std::move(*acl);
    if (numa_nodes) out.numa_nodes = std::move(*numa_nodes);
    return !fields.bad_field() && is_sound(out);
}

bool read(const Json& value, Grant& out) {
    if (!value.is_object()) return false;
    Fields fields(value);
    fields.require("segment", out.segment)
        .allow("created", out.created)
        .require("attachment", out.attachment)
        .require("fileDescriptor", out.file_descriptor);
    return !fields.bad_field() && is_sound(out);
}

bool read(const Json& value, Usage& out) {
    if (!value.is_object()) return false;
    return !Fields(value)
                .require("uid", out.uid)
                .require("segments", out.segments)
                .require("bytes", out.bytes)
                .require("attachments", out.attachments)
                .require("connections", out.connections)
                .require("segmentsLimit", out.segments_limit)
                .require("bytesLimit", out.bytes_limit)
                .require("attachmentsLimit", out.attachments_limit)
                .require("connectionsLimit", out.connections_limit)
                .bad_field();
}

}  // namespace shmd::json
