// Calls from JSON, with everything checked.
#include <algorithm>
#include <array>

#include "as_written.hpp"
#include "json_reader.hpp"
#include "json_writer.hpp"
#include "key.hpp"
#include "limits.hpp"
#include "messages.hpp"
#include "system_v_as_written.hpp"
#include "system_v_json.hpp"

namespace shmd {
namespace {

using json::Fields;
using json::Json;

constexpr std::size_t utf8_whole_bytes(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return text.size();
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) limit--;
    return limit;
}

// Names come back in errors; a hostile one is not sent back whole.
std::string shortened(std::string_view text) {
    return std::string(text.substr(0, utf8_whole_bytes(text, 256)));
}

bool is_log_level(std::string_view text) {
    constexpr std::string_view levels[] = {"trace", "debug", "info", "warning", "error", "critical", "off"};
    return std::find(std::begin(levels), std::end(levels), text) != std::end(levels);
}

Result<CallBody> finish(Fields& fields, CallBody body) {
    fields.no_others();
    if (fields.bad_field()) return Error::invalid_parameter(shortened(*fields.bad_field()));
    return body;
}

std::optional<Error> check_key(const std::optional<std::string>& key) {
    if (key && !is_valid_key(*key)) return Error::invalid_key(shortened(*key));
    return std::nullopt;
}

void read_target(Fields& fields, Target& target) {
    fields.allow("key", target.key).allow("id", target.id);
    if (!target.key && !target.id) fields.fail("key");
    if (target.key && target.id) fields.fail("id");
}

// A NUL would cut the label short in C, and makes sd-varlink refuse the whole reply that it is in.
bool holds_nul(std::string_view text) {
    return text.find('\0') != std::string_view::npos;
}

// A lease has a length, and nothing else has one.
void check_lease(Fields& fields, const std::optional<Lifetime>& lifetime, const std::optional<std::int64_t>& usec) {
    bool is_lease = lifetime == Lifetime::lease;
    if (is_lease != usec.has_value() || (usec && *usec < limits::least_lease_usec)) fields.fail("leaseUsec");
}

void check_acl(Fields& fields, const std::optional<std::vector<AclEntry>>& acl) {
    if (acl && acl->size() > limits::acl_entries) fields.fail("acl");
}

void check_nodes(Fields& fields, const std::optional<std::vector<std::uint32_t>>& nodes) {
    if (!nodes) return;
    bool too_high = std::ranges::any_of(*nodes, [](std::uint32_t node) { return node > limits::highest_numa_node; });
    if (nodes->empty() || nodes->size() > limits::numa_nodes || too_high) fields.fail("numaNodes");
}

void check_mode(Fields& fields, const std::optional<int>& mode) {
    if (mode && (*mode < 0 || *mode > limits::mode_bits)) fields.fail("mode");
}

Result<CallBody> decode_get_info(const Json& parameters) {
    Fields fields(parameters);
    return finish(fields, GetInfo{});
}

Result<CallBody> decode_get_interface_description(const Json& parameters) {
    GetInterfaceDescription call;
    Fields fields(parameters);
    fields.require("interface", call.interface);
    return finish(fields, std::move(call));
}

Result<CallBody> decode_create(const Json& parameters) {
    Create call;
    Fields fields(parameters);
    fields.allow("key", call.key)
        .require("sizeBytes", call.size_bytes)
        .allow("mode", call.mode)
        .allow("createMode", call.create_mode)
        .allow("access", call.access)
        .allow("reserve", call.reserve)
        .allow("staged", call.staged)
        .allow("lifetime", call.lifetime)
        .allow("labels", call.labels)
        .allow("leaseUsec", call.lease_usec)
        .allow("evictable", call.evictable)
        .allow("sealable", call.sealable)
        .allow("acl", call.acl)
        .allow("capacityBytes", call.capacity_bytes)
        .allow("hugePages", call.huge_pages)
        .allow("numaNodes", call.numa_nodes)
        .allow("placementFallback", call.placement_fallback);
    if (call.size_bytes < 1) fields.fail("sizeBytes");
    if (call.capacity_bytes && *call.capacity_bytes < call.size_bytes) fields.fail("capacityBytes");
    check_nodes(fields, call.numa_nodes);
    check_mode(fields, call.mode);
    if (call.labels && !labels_fit(*call.labels)) fields.fail("labels");
    check_lease(fields, call.lifetime, call.lease_usec);
    check_acl(fields, call.acl);
    if (call.staged == true && call.create_mode == CreateMode::any) fields.fail("createMode");
    auto bad_key = check_key(call.key);
    auto body = finish(fields, std::move(call));
    if (body && bad_key) return std::move(*bad_key);
    return body;
}

Result<CallBody> decode_open(const Json& parameters) {
    Open call;
    Fields fields(parameters);
    read_target(fields, call.target);
    fields.require("access", call.access).allow("waitUsec", call.wait_usec).allow("sealed", call.sealed);
    if (call.wait_usec && (*call.wait_usec < 0 || !call.target.key)) fields.fail("waitUsec");
    auto bad_key = check_key(call.target.key);
    auto body = finish(fields, std::move(call));
    if (body && bad_key) return std::move(*bad_key);
    return body;
}

// Which of many it was that a refusal is about.
Error about_item(Error error, std::string_view list, std::size_t index) {
    if (error.code == ErrorCode::invalid_parameter) {
        error.text = std::string(list) + "[" + std::to_string(index) + "]." + error.text.value_or("");
    }
    return error;
}

bool has_batch_size(const json::Array& items) {
    return items.value && items.value->is_array() && items.value->count() > 0 && items.value->count() <= limits::batch;
}

Result<CallBody> decode_create_many(const Json& parameters) {
    CreateMany call;
    json::Array items;
    Fields fields(parameters);
    fields.require("segments", items);
    if (!has_batch_size(items)) fields.fail("segments");
    fields.no_others();
    if (fields.bad_field()) return Error::invalid_parameter(shortened(*fields.bad_field()));
    for (const Json& item : items.value->items()) {
        if (!item.is_object()) return Error::invalid_parameter("segments");
        auto one = decode_create(item);
        if (!one) return about_item(std::move(one).error(), "segments", call.segments.size());
        call.segments.push_back(std::get<Create>(*std::move(one)));
    }
    return CallBody(std::move(call));
}

Result<CallBody> decode_open_many(const Json& parameters) {
    OpenMany call;
    json::Array items;
    Fields fields(parameters);
    fields.require("targets", items).require("access", call.access);
    if (!has_batch_size(items)) fields.fail("targets");
    fields.no_others();
    if (fields.bad_field()) return Error::invalid_parameter(shortened(*fields.bad_field()));
    for (const Json& item : items.value->items()) {
        if (!item.is_object()) return Error::invalid_parameter("targets");
        Fields one(item);
        Target target;
        read_target(one, target);
        one.no_others();
        if (one.bad_field()) {
            return about_item(Error::invalid_parameter(shortened(*one.bad_field())), "targets", call.targets.size());
        }
        call.targets.push_back(std::move(target));
    }
    return CallBody(std::move(call));
}

template <typename T>
Result<CallBody> decode_attachment_only(const Json& parameters) {
    T call;
    Fields fields(parameters);
    fields.require("attachment", call.attachment);
    if (call.attachment == 0) fields.fail("attachment");
    return finish(fields, call);
}

Result<CallBody> decode_resume(const Json& parameters) {
    Resume call;
    Fields fields(parameters);
    fields.require("attachments", call.attachments).allow("partial", call.partial);
    if (call.attachments.empty() || call.attachments.size() > limits::resumed) fields.fail("attachments");
    return finish(fields, std::move(call));
}

Result<CallBody> decode_publish(const Json& parameters) {
    Publish call;
    Fields fields(parameters);
    fields.require("attachment", call.attachment).allow("key", call.key).allow("replace", call.replace);
    if (call.attachment == 0) fields.fail("attachment");
    auto bad_key = check_key(call.key);
    auto body = finish(fields, std::move(call));
    if (body && bad_key) return std::move(*bad_key);
    return body;
}

template <typename T>
Result<CallBody> decode_target_only(const Json& parameters) {
    T call;
    Fields fields(parameters);
    read_target(fields, call.target);
    auto bad_key = check_key(call.target.key);
    auto body = finish(fields, std::move(call));
    if (body && bad_key) return std::move(*bad_key);
    return body;
}

Result<CallBody> decode_set_attributes(const Json& parameters) {
    SetAttributes call;
    Fields fields(parameters);
    read_target(fields, call.target);
    fields.allow("mode", call.mode)
        .allow("ownerUid", call.owner_uid)
        .allow("ownerGid", call.owner_gid)
        .allow("lifetime", call.lifetime)
        .allow("leaseUsec", call.lease_usec)
        .allow("evictable", call.evictable)
        .allow("labels", call.labels)
        .allow("removeLabels", call.remove_labels)
        .allow("acl", call.acl);
    check_mode(fields, call.mode);
    // The kernel takes -1 for "nobody in particular".
    if (call.owner_uid == UINT32_MAX) fields.fail("ownerUid");
    if (call.owner_gid == UINT32_MAX) fields.fail("ownerGid");
    check_lease(fields, call.lifetime, call.lease_usec);
    if (call.labels && !labels_fit(*call.labels)) fields.fail("labels");
    check_acl(fields, call.acl);
    auto bad_key = check_key(call.target.key);
    auto body = finish(fields, std::move(call));
    if (body && bad_key) return std::move(*bad_key);
    return body;
}

Result<CallBody> decode_resize(const Json& parameters) {
    Resize call;
    Fields fields(parameters);
    read_target(fields, call.target);
    fields.require("sizeBytes", call.size_bytes);
    if (call.size_bytes < 1) fields.fail("sizeBytes");
    auto bad_key = check_key(call.target.key);
    auto body = finish(fields, std::move(call));
    if (body && bad_key) return std::move(*bad_key);
    return body;
}

Result<CallBody> decode_disconnect(const Json& parameters) {
    Disconnect call;
    Fields fields(parameters);
    fields.require("pid", call.pid);
    if (call.pid < 1) fields.fail("pid");
    return finish(fields, call);
}

Result<CallBody> decode_evict(const Json& parameters) {
    Evict call;
    Fields fields(parameters);
    fields.allow("bytes", call.bytes);
    if (call.bytes && *call.bytes < 1) fields.fail("bytes");
    return finish(fields, call);
}

Result<CallBody> decode_set_log_level(const Json& parameters) {
    SetLogLevel call;
    Fields fields(parameters);
    fields.require("level", call.level);
    if (!is_log_level(call.level)) fields.fail("level");
    return finish(fields, std::move(call));
}

Result<CallBody> decode_drain(const Json& parameters) {
    Drain call;
    Fields fields(parameters);
    fields.require("enable", call.enable);
    return finish(fields, call);
}

template <typename T>
Result<CallBody> decode_prefix_only(const Json& parameters) {
    T call;
    Fields fields(parameters);
    fields.allow("prefix", call.prefix);
    if (call.prefix && !is_valid_prefix(*call.prefix)) fields.fail("prefix");
    return finish(fields, std::move(call));
}

template <typename T>
Result<CallBody> decode_without_parameters(const Json& parameters) {
    Fields fields(parameters);
    return finish(fields, T{});
}

template <typename T>
Result<CallBody> decode_system_v(const Json& parameters) {
    T call;
    Fields fields(parameters);
    system_v::read(fields, call);
    return finish(fields, std::move(call));
}

struct Method {
    std::string_view name;
    Result<CallBody> (*decode)(const Json& parameters);
};

constexpr std::array methods{
    Method{Open::method, decode_open},
    Method{Detach::method, decode_attachment_only<Detach>},
    Method{Create::method, decode_create},
    Method{OpenMany::method, decode_open_many},
    Method{CreateMany::method, decode_create_many},
    Method{OpenDetachQueue::method, decode_without_parameters<OpenDetachQueue>},
    Method{OpenSyncArea::method, decode_attachment_only<OpenSyncArea>},
    Method{RecoverLocks::method, decode_attachment_only<RecoverLocks>},
    Method{Publish::method, decode_publish},
    Method{Resume::method, decode_resume},
    Method{Describe::method, decode_target_only<Describe>},
    Method{List::method, decode_prefix_only<List>},
    Method{Delete::method, decode_target_only<Delete>},
    Method{SetAttributes::method, decode_set_attributes},
    Method{Renew::method, decode_target_only<Renew>},
    Method{Seal::method, decode_target_only<Seal>},
    Method{Resize::method, decode_resize},
    Method{Watch::method, decode_prefix_only<Watch>},
    Method{system_v::Attach::method, decode_system_v<system_v::Attach>},
    Method{system_v::Detach::method, decode_system_v<system_v::Detach>},
    Method{system_v::Get::method, decode_system_v<system_v::Get>},
    Method{system_v::Stat::method, decode_system_v<system_v::Stat>},
    Method{system_v::Set::method, decode_system_v<system_v::Set>},
    Method{system_v::Remove::method, decode_system_v<system_v::Remove>},
    Method{system_v::Lock::method, decode_system_v<system_v::Lock>},
    Method{system_v::Info::method, decode_without_parameters<system_v::Info>},
    Method{system_v::List::method, decode_without_parameters<system_v::List>},
    Method{system_v::Changes::method, decode_without_parameters<system_v::Changes>},
    Method{system_v::Inherit::method, decode_system_v<system_v::Inherit>},
    Method{system_v::Claim::method, decode_without_parameters<system_v::Claim>},
    Method{ListSegments::method, decode_prefix_only<ListSegments>},
    Method{GetSegment::method, decode_target_only<GetSegment>},
    Method{ForceDelete::method, decode_target_only<ForceDelete>},
    Method{Disconnect::method, decode_disconnect},
    Method{Evict::method, decode_evict},
    Method{Reload::method, decode_without_parameters<Reload>},
    Method{SetLogLevel::method, decode_set_log_level},
    Method{Drain::method, decode_drain},
    Method{GetStatus::method, decode_without_parameters<GetStatus>},
    Method{GetUsage::method, decode_without_parameters<GetUsage>},
    Method{GetInfo::method, decode_get_info},
    Method{GetInterfaceDescription::method, decode_get_interface_description},
};
static_assert(methods.size() == std::variant_size_v<CallBody>, "every call has a decoder");

Result<CallBody> decode_body(std::string_view method, const Json& parameters, Endpoint endpoint) {
    std::size_t dot = method.rfind('.');
    std::string_view interface = method.substr(0, dot == std::string::npos ? 0 : dot);
    auto served = served_interfaces(endpoint);
    if (dot == std::string::npos || std::find(served.begin(), served.end(), interface) == served.end()) {
        return Error{ErrorCode::interface_not_found, shortened(interface)};
    }
    for (const Method& known : methods) {
        if (known.name == method) return known.decode(parameters);
    }
    return Error{ErrorCode::method_not_found, shortened(method)};
}

std::optional<Violation> check_envelope(const Json* message) {
    if (!message) return Violation{"not JSON, or nested too deep"};
    if (!message->is_object()) return Violation{"not a JSON object"};
    int flags = 0;
    bool has_method = false;
    for (const auto& [member, value] : message->members()) {
        std::string_view name = member.as_string();
        if (name == "method") {
            if (!value.is_string()) return Violation{"'method' is not a string"};
            has_method = true;
        } else if (name == "parameters") {
            if (!value.is_object() && !value.is_null()) return Violation{"'parameters' is not an object"};
        } else if (name == "oneway" || name == "more" || name == "upgrade") {
            if (!value.is_bool()) return Violation{"'" + std::string(name) + "' is not a boolean"};
            flags += value.as_bool() ? 1 : 0;
        } else {
            return Violation{"a top-level field that Varlink does not have"};
        }
    }
    if (!has_method) return Violation{"no method"};
    if (flags > 1) return Violation{"more than one of oneway, more and upgrade"};
    return std::nullopt;
}

bool flag(const Json& message, std::string_view name) {
    const Json* value = json::find_member(message, name);
    return value && value->as_bool();
}

}  // namespace

bool labels_fit(const Labels& labels) {
    std::size_t total = 0;
    for (const auto& [name, value] : labels) {
        if (holds_nul(name) || holds_nul(value)) return false;
        total += name.size() + value.size();
        if (name.empty() || name.size() > limits::label_name_bytes || value.size() > limits::label_value_bytes) {
            return false;
        }
    }
    return labels.size() <= limits::labels && total <= limits::labels_bytes;
}

std::variant<Call, Violation> decode_call(std::string_view message, Endpoint endpoint) {
    if (endpoint == Endpoint::segments) {
        if (auto usual = call_as_written(message)) return *std::move(usual);
        if (auto usual = system_v::call_as_written(message)) return *std::move(usual);
    }
    json::Document document(message);
    if (auto violation = check_envelope(document.root())) return std::move(*violation);
    const Json& root = *document.root();

    std::string_view method = json::find_member(root, "method")->as_string();
    CallFlags flags{flag(root, "oneway"), flag(root, "more")};
    if (flag(root, "upgrade")) return Call{flags, Error{ErrorCode::method_not_implemented, shortened(method)}};
    const Json* parameters = json::find_member(root, "parameters");
    return Call{flags, decode_body(method, parameters ? *parameters : json::empty_object(), endpoint)};
}

}  // namespace shmd
