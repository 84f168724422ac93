#include "json_reader.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cassert>
#include <limits>

namespace shmd::json {
namespace {

// Counts brackets outside strings. Exact for valid JSON; for anything else the parser refuses anyway.
bool nests_too_deep(std::string_view text) {
    auto opening = std::count(text.begin(), text.end(), '{') + std::count(text.begin(), text.end(), '[');
    if (opening <= limits::message_depth) return false;
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\') i++;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > limits::message_depth) return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

// RapidJSON 1.1 lets the escaped second half of a surrogate pair stand alone; the bytes it makes of it are not UTF-8.
bool has_lone_low_surrogate(std::string_view text) {
    std::size_t behind_high = std::string_view::npos;
    for (std::size_t i = text.find('\\'); i < text.size(); i = text.find('\\', i)) {
        std::string_view escape = text.substr(i, 4);
        bool is_unicode = escape.size() > 1 && escape[1] == 'u';
        bool begins_with_d = is_unicode && escape.size() == 4 && (escape[2] == 'd' || escape[2] == 'D');
        auto continues_with = [&](std::string_view digits) {
            return begins_with_d && digits.find(escape[3]) != std::string_view::npos;
        };
        if (continues_with("cdefCDEF") && i != behind_high) return true;
        i += is_unicode ? sizeof "\\uXXXX" - 1 : 2;
        behind_high = continues_with("89abAB") ? i : std::string_view::npos;
    }
    return false;
}

template <typename Int>
bool read_in_range(const Json& value, Int& out, std::int64_t low, std::int64_t high) {
    if (!value.IsInt64()) return false;
    std::int64_t number = value.GetInt64();
    if (number < low || number > high) return false;
    out = static_cast<Int>(number);
    return true;
}

template <typename Item>
bool read_array(const Json& value, std::vector<Item>& out) {
    if (!value.IsArray()) return false;
    out.clear();
    for (const Json& item : value.GetArray()) {
        if (!read(item, out.emplace_back())) return false;
    }
    return true;
}

}  // namespace

Document::Document(std::string_view text)
    : value_allocator_(values_, sizeof values_),
      stack_allocator_(stack_, sizeof stack_),
      document_(&value_allocator_, sizeof stack_ * 3 / 4, &stack_allocator_) {
    // The parser would take a NUL for the end, and passes over any part of a byte order mark.
    bool begins_beyond_ascii = !text.empty() && static_cast<unsigned char>(text.front()) >= 0x80;
    if (begins_beyond_ascii || text.find('\0') != std::string_view::npos) return;
    if (nests_too_deep(text) || has_lone_low_surrogate(text)) return;
    constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    document_.Parse<flags>(text.data(), text.size());
    valid_ = !document_.HasParseError();
}

std::string to_text(const Json& value) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    value.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

const Json& empty_object() {
    static const Json object(rapidjson::kObjectType);
    return object;
}

const Json* find_member(const Json& object, std::string_view name) {
    for (const auto& member : object.GetObject()) {
        if (view(member.name) == name) return member.value.IsNull() ? nullptr : &member.value;
    }
    return nullptr;
}

const Json* Fields::find(std::string_view name) {
    assert(asked_count_ < most_fields);
    asked_[asked_count_++] = name;
    auto found = next_;
    if (found == object_.MemberEnd() || view(found->name) != name) {
        found = std::find_if(object_.MemberBegin(), object_.MemberEnd(),
                             [&](const auto& member) { return view(member.name) == name; });
        if (found == object_.MemberEnd()) return nullptr;
    }
    next_ = found + 1;
    seen_++;
    return &found->value;
}

Fields& Fields::no_others() {
    if (bad_field_ || seen_ == object_.MemberCount()) return *this;
    std::array<bool, most_fields> given{};
    auto asked_end = asked_.begin() + asked_count_;
    for (const auto& member : object_.GetObject()) {
        auto asked = std::find(asked_.begin(), asked_end, view(member.name));
        if (asked == asked_end || std::exchange(given[asked - asked_.begin()], true)) {
            fail(view(member.name));
            break;
        }
    }
    return *this;
}

bool read(const Json& value, bool& out) {
    if (!value.IsBool()) return false;
    out = value.GetBool();
    return true;
}

bool read(const Json& value, std::string& out) {
    if (!value.IsString()) return false;
    out = view(value);
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
    if (!value.IsObject()) return false;
    out.clear();
    for (const auto& member : value.GetObject()) {
        if (!read(member.value, out[std::string(view(member.name))])) return false;
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
    if (!value.IsObject()) return false;
    std::optional<std::uint32_t> uid, gid;
    Fields fields(value);
    fields.allow("uid", uid).allow("gid", gid).require("access", out.access).no_others();
    if (fields.bad_field() || uid.has_value() == gid.has_value()) return false;
    out.kind = uid ? AclEntry::Kind::user : AclEntry::Kind::group;
    out.id = uid ? *uid : *gid;
    return true;
}

bool read(const Json& value, Holder& out) {
    if (!value.IsObject()) return false;
    return !Fields(value)
                .require("pid", out.pid)
                .require("uid", out.uid)
                .require("attachment", out.attachment)
                .require("access", out.access)
                .bad_field();
}

bool read(const Json& value, AttachmentStatus& out) {
    if (!value.IsObject()) return false;
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
    if (!value.IsObject()) return false;
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
    if (!value.IsObject()) return false;
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
    return !fields.bad_field() && out.size_bytes > 0 && out.capacity_bytes >= out.size_bytes;
}

bool read(const Json& value, Grant& out) {
    if (!value.IsObject()) return false;
    Fields fields(value);
    fields.require("segment", out.segment)
        .allow("created", out.created)
        .require("attachment", out.attachment)
        .require("fileDescriptor", out.file_descriptor);
    return !fields.bad_field() && out.attachment != 0 && out.file_descriptor >= 0;
}

bool read(const Json& value, Usage& out) {
    if (!value.IsObject()) return false;
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
