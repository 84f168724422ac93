#include "json_fields.hpp"

#include <limits>

namespace shmd::json {
namespace {

// Counts brackets outside strings. Exact for valid JSON; for anything else the parser refuses anyway.
bool nests_too_deep(std::string_view text) {
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

template <typename Int>
bool read_in_range(const Json& value, Int& out, std::int64_t low, std::int64_t high) {
    if (!value.is_number_integer()) return false;
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high)) return false;
    auto number = value.get<std::int64_t>();
    if (number < low || number > high) return false;
    out = static_cast<Int>(number);
    return true;
}

template <typename Item>
bool read_array(const Json& value, std::vector<Item>& out) {
    if (!value.is_array()) return false;
    out.clear();
    for (const Json& item : value) {
        if (!read(item, out.emplace_back())) return false;
    }
    return true;
}

template <typename T>
OrderedJson nullable(const std::optional<T>& value) {
    return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

}  // namespace

Json parse(std::string_view text) {
    if (nests_too_deep(text)) return Json(Json::value_t::discarded);
    return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

bool read(const Json& value, bool& out) {
    if (!value.is_boolean()) return false;
    out = value.get<bool>();
    return true;
}

bool read(const Json& value, std::string& out) {
    if (!value.is_string()) return false;
    out = value.get_ref<const std::string&>();
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
    for (const auto& [name, text] : value.items()) {
        if (!read(text, out[name])) return false;
    }
    return true;
}

bool read(const Json& value, std::vector<std::string>& out) {
    return read_array(value, out);
}
bool read(const Json& value, std::vector<Usage>& out) {
    return read_array(value, out);
}

bool read(const Json& value, Segment& out) {
    if (!value.is_object()) return false;
    std::optional<Labels> labels;
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
        .allow("labels", labels);
    if (labels) out.labels = std::move(*labels);
    return !fields.bad_field() && out.size_bytes > 0;
}

bool read(const Json& value, Usage& out) {
    if (!value.is_object()) return false;
    return !Fields(value)
                .require("uid", out.uid)
                .require("segments", out.segments)
                .require("bytes", out.bytes)
                .require("attachments", out.attachments)
                .require("connections", out.connections)
                .bad_field();
}

OrderedJson write(const Segment& segment) {
    OrderedJson out = OrderedJson::object();
    out.get_ref<OrderedJson::object_t&>().reserve(19);
    out.emplace("id", segment.id);
    out.emplace("key", nullable(segment.key));
    out.emplace("sizeBytes", segment.size_bytes);
    out.emplace("mode", segment.mode);
    out.emplace("ownerUid", segment.owner_uid);
    out.emplace("ownerGid", segment.owner_gid);
    out.emplace("creatorUid", segment.creator_uid);
    out.emplace("creatorGid", segment.creator_gid);
    out.emplace("creatorPid", segment.creator_pid);
    out.emplace("state", enum_name(segment.state));
    out.emplace("sealed", segment.sealed);
    out.emplace("attachments", segment.attachments);
    out.emplace("createdUsec", segment.created_usec);
    out.emplace("attachedUsec", nullable(segment.attached_usec));
    out.emplace("detachedUsec", nullable(segment.detached_usec));
    out.emplace("changedUsec", segment.changed_usec);
    out.emplace("expiresUsec", nullable(segment.expires_usec));
    out.emplace("evictable", segment.evictable);
    out.emplace("labels", OrderedJson::object());
    for (const auto& [name, text] : segment.labels) out["labels"].emplace(name, text);
    return out;
}

}  // namespace shmd::json
