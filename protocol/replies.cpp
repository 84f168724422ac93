// Replies: to JSON, and from JSON as a client reads them.
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "as_written.hpp"
#include "json_reader.hpp"
#include "json_writer.hpp"
#include "messages.hpp"
#include "system_v_json.hpp"

namespace shmd {
namespace {

using json::Fields;
using json::Json;
using json::ObjectWriter;

// The one map between internal errors and the wire: name, and what text and number are called there.
struct ErrorForm {
    ErrorCode code;
    std::string_view name;
    const char* text_field;
    const char* number_field;
};
constexpr std::array error_forms{
    ErrorForm{ErrorCode::no_such_segment, "io.shmd.Segments.NoSuchSegment", "key", "id"},
    ErrorForm{ErrorCode::segment_exists, "io.shmd.Segments.SegmentExists", "key", nullptr},
    ErrorForm{ErrorCode::size_mismatch, "io.shmd.Segments.SizeMismatch", nullptr, "sizeBytes"},
    ErrorForm{ErrorCode::invalid_key, "io.shmd.Segments.InvalidKey", "key", nullptr},
    ErrorForm{ErrorCode::quota_exceeded, "io.shmd.Segments.QuotaExceeded", "resource", "limit"},
    ErrorForm{ErrorCode::out_of_memory, "io.shmd.Segments.OutOfMemory", nullptr, "sizeBytes"},
    ErrorForm{ErrorCode::segment_sealed, "io.shmd.Segments.SegmentSealed", "key", "id"},
    ErrorForm{ErrorCode::not_sealed, "io.shmd.Segments.NotSealed", "key", "id"},
    ErrorForm{ErrorCode::not_sealable, "io.shmd.Segments.NotSealable", "key", "id"},
    ErrorForm{ErrorCode::segment_busy, "io.shmd.Segments.SegmentBusy", nullptr, nullptr},
    ErrorForm{ErrorCode::no_lease, "io.shmd.Segments.NoLease", "key", "id"},
    ErrorForm{ErrorCode::capacity_exceeded, "io.shmd.Segments.CapacityExceeded", nullptr, "capacityBytes"},
    ErrorForm{ErrorCode::placement_unavailable, "io.shmd.Segments.PlacementUnavailable", "setting", nullptr},
    ErrorForm{ErrorCode::draining, "io.shmd.Segments.Draining", nullptr, nullptr},
    ErrorForm{ErrorCode::no_such_process, "io.shmd.Control.NoSuchProcess", nullptr, "pid"},
    ErrorForm{ErrorCode::invalid_configuration, "io.shmd.Control.InvalidConfiguration", "reason", nullptr},
    ErrorForm{ErrorCode::system_v_failed, "io.shmd.SystemV.Failed", "name", "errno"},
    ErrorForm{ErrorCode::permission_denied, "org.varlink.service.PermissionDenied", nullptr, nullptr},
    ErrorForm{ErrorCode::invalid_parameter, "org.varlink.service.InvalidParameter", "parameter", nullptr},
    ErrorForm{ErrorCode::interface_not_found, "org.varlink.service.InterfaceNotFound", "interface", nullptr},
    ErrorForm{ErrorCode::method_not_found, "org.varlink.service.MethodNotFound", "method", nullptr},
    ErrorForm{ErrorCode::method_not_implemented, "org.varlink.service.MethodNotImplemented", "method", nullptr},
    ErrorForm{ErrorCode::expected_more, "org.varlink.service.ExpectedMore", nullptr, nullptr},
};

const ErrorForm& form_of(ErrorCode code) {
    return error_forms[static_cast<std::size_t>(code)];
}

constexpr bool forms_in_order() {
    for (std::size_t i = 0; i < error_forms.size(); i++) {
        if (static_cast<std::size_t>(error_forms[i].code) != i) return false;
    }
    return true;
}
static_assert(forms_in_order());

// A Grant without labels has some 600, and what the C library keeps at hand ends at 1032.
constexpr std::size_t usual_reply_bytes = 1000;

struct EncodeReply {
    ObjectWriter& out;

    void operator()(const Empty&) const {}
    void operator()(const ServiceInfo& info) const {
        out.add("vendor", info.vendor);
        out.add("product", info.product);
        out.add("version", info.version);
        out.add("url", info.url);
        std::string& list = out.begin("interfaces");
        list += '[';
        for (const std::string& name : info.interfaces) {
            if (list.back() != '[') list += ',';
            json::append_string(list, name);
        }
        list += ']';
    }
    void operator()(const InterfaceDescription& reply) const { out.add("description", reply.description); }
    void operator()(const Grant& grant) const { json::append_members(out.all_members(), grant); }
    void operator()(const Grants& reply) const { json::append(out.begin("grants"), reply.grants); }
    void operator()(const OpenResults& reply) const { json::append(out.begin("results"), reply.results); }
    void operator()(const SegmentReply& reply) const {
        std::string& value = out.begin("segment");
        if (reply.segment) {
            json::append(value, *reply.segment);
        } else {
            value += "null";
        }
    }
    void operator()(const Status& status) const {
        out.add("version", status.version);
        out.add("pid", status.pid);
        out.add("startedUsec", status.started_usec);
        out.add("segments", status.segments);
        out.add("bytes", status.bytes);
        out.add("attachments", status.attachments);
        out.add("connections", status.connections);
        out.add("segmentsLimit", status.segments_limit);
        out.add("bytesLimit", status.bytes_limit);
        out.add("attachmentsLimit", status.attachments_limit);
        out.add("connectionsLimit", status.connections_limit);
        out.add("draining", status.draining);
        out.add("survivesRestart", status.survives_restart);
        out.add("readyBytes", status.ready_bytes);
    }
    void operator()(const Resumed& reply) const { json::append(out.begin("attachments"), reply.attachments); }
    void operator()(const PageReply& reply) const { out.add("fileDescriptor", reply.file_descriptor); }
    void operator()(const WatchReply& reply) const {
        out.add("event", json::enum_name(reply.event));
        if (reply.segment) json::append(out.begin("segment"), *reply.segment);
    }
    void operator()(const UsageReply& reply) const { json::append(out.begin("usage"), reply.usage); }
    void operator()(const SegmentStatusReply& reply) const {
        std::string& value = out.begin("segment");
        if (reply.segment) {
            json::append(value, *reply.segment);
        } else {
            value += "null";
        }
    }
    void operator()(const Disconnected& reply) const { out.add("connections", reply.connections); }
    void operator()(const Evicted& reply) const {
        out.add("segments", reply.segments);
        out.add("bytes", reply.bytes);
    }
    template <typename T>
    requires requires(ObjectWriter& writer, const T& reply) { system_v::write(writer, reply); }
    void operator()(const T& reply) const { system_v::write(out, reply); }
};

// ---- From JSON ----

bool decode(const Json&, Empty&) {
    return true;
}

bool decode(const Json& parameters, ServiceInfo& out) {
    return !Fields(parameters)
                .require("vendor", out.vendor)
                .require("product", out.product)
                .require("version", out.version)
                .require("url", out.url)
                .require("interfaces", out.interfaces)
                .bad_field();
}

bool decode(const Json& parameters, InterfaceDescription& out) {
    return !Fields(parameters).require("description", out.description).bad_field();
}

bool decode(const Json& parameters, Grant& out) {
    return json::read(parameters, out);
}

bool decode(const Json& parameters, SegmentReply& out) {
    return !Fields(parameters).allow("segment", out.segment).bad_field();
}

bool decode(const Json& parameters, WatchReply& out) {
    return !Fields(parameters).require("event", out.event).allow("segment", out.segment).bad_field();
}

bool decode(const Json& parameters, SegmentStatusReply& out) {
    return !Fields(parameters).allow("segment", out.segment).bad_field();
}

bool decode(const Json& parameters, Disconnected& out) {
    return !Fields(parameters).require("connections", out.connections).bad_field();
}

bool decode(const Json& parameters, Evicted& out) {
    return !Fields(parameters).require("segments", out.segments).require("bytes", out.bytes).bad_field();
}

bool decode(const Json& parameters, Status& out) {
    return !Fields(parameters)
                .require("version", out.version)
                .require("pid", out.pid)
                .require("startedUsec", out.started_usec)
                .require("segments", out.segments)
                .require("bytes", out.bytes)
                .require("attachments", out.attachments)
                .require("connections", out.connections)
                .require("segmentsLimit", out.segments_limit)
                .require("bytesLimit", out.bytes_limit)
                .require("attachmentsLimit", out.attachments_limit)
                .require("connectionsLimit", out.connections_limit)
                .require("draining", out.draining)
                .require("survivesRestart", out.survives_restart)
                .require("readyBytes", out.ready_bytes)
                .bad_field();
}

bool decode(const Json& parameters, Resumed& out) {
    return !Fields(parameters).require("attachments", out.attachments).bad_field();
}

bool decode(const Json& parameters, PageReply& out) {
    return !Fields(parameters).require("fileDescriptor", out.file_descriptor).bad_field();
}

bool decode(const Json& parameters, UsageReply& out) {
    return !Fields(parameters).require("usage", out.usage).bad_field();
}

bool decode(const Json& parameters, RawReply& out) {
    out.parameters = std::string(parameters.text());
    return true;
}

template <typename T>
requires requires(const Json& parameters, T& reply) { system_v::read(parameters, reply); }
bool decode(const Json& parameters, T& out) {
    return system_v::read(parameters, out);
}

RemoteError decode_error(std::string name, const Json& parameters) {
    RemoteError error{std::move(name), std::string(parameters.text()), std::nullopt};
    for (const ErrorForm& form : error_forms) {
        if (form.name != error.name) continue;
        Error known{form.code};
        Fields fields(parameters);
        if (form.text_field) fields.allow(form.text_field, known.text);
        if (form.number_field) fields.allow(form.number_field, known.number);
        if (form.code == ErrorCode::segment_busy) fields.require("holders", known.holders);
        if (!fields.bad_field()) error.known = std::move(known);
    }
    return error;
}

bool decode(const Json& parameters, Grants& out) {
    json::Array grants;
    if (Fields(parameters).require("grants", grants).bad_field()) return false;
    for (const Json& grant : grants.value->items()) {
        if (!json::read(grant, out.grants.emplace_back())) return false;
    }
    return true;
}

bool decode(const Json& parameters, OpenResults& out) {
    json::Array results;
    if (Fields(parameters).require("results", results).bad_field()) return false;
    for (const Json& each : results.value->items()) {
        if (!each.is_object()) return false;
        OpenResult& result = out.results.emplace_back();
        std::optional<std::string> error;
        if (Fields(each).allow("grant", result.grant).allow("error", error).bad_field()) return false;
        if (error.has_value() == result.grant.has_value()) return false;
        if (!error) continue;
        const Json* details = json::find_member(each, "parameters");
        if (details && !details->is_object()) return false;
        result.error = decode_error(std::move(*error), details ? *details : json::empty_object());
    }
    return true;
}

std::string error_parameters(const Error& error) {
    const ErrorForm& form = form_of(error.code);
    std::string text;
    {
        ObjectWriter parameters(text);
        if (form.text_field) parameters.add_if(form.text_field, error.text);
        if (form.number_field) parameters.add_if(form.number_field, error.number);
        if (error.code == ErrorCode::segment_busy) json::append(parameters.begin("holders"), error.holders);
    }
    return text;
}

}  // namespace

std::string_view error_name(ErrorCode code) {
    return form_of(code).name;
}

std::string encode_reply(const ReplyBody& body, bool continues) {
    std::string message;
    message.reserve(usual_reply_bytes);
    {
        ObjectWriter object(message);
        {
            ObjectWriter parameters(object.begin("parameters"));
            std::visit(EncodeReply{parameters}, body);
        }
        if (continues) object.add("continues", true);
    }
    return message;
}

std::string encode_error(const Error& error) {
    std::string message;
    {
        ObjectWriter object(message);
        object.add("error", error_name(error.code));
        object.begin("parameters") += error_parameters(error);
    }
    return message;
}

RemoteError to_remote(Error error) {
    std::string parameters = error_parameters(error);
    return {std::string(error_name(error.code)), std::move(parameters), std::move(error)};
}

template <typename T>
std::optional<Reply<T>> decode_reply(std::string_view message) {
    if constexpr (std::is_same_v<T, Grant> || std::is_same_v<T, OpenResults>) {
        std::optional<Reply<T>> usual(std::in_place, Reply<T>{T{}});
        if (read_as_written(message, std::get<T>(usual->body))) return usual;
    }
    if constexpr (std::is_same_v<T, SegmentReply>) {
        std::optional<Reply<T>> usual(std::in_place, Reply<T>{T{}});
        if (read_as_written(message, std::get<T>(usual->body), usual->continues)) return usual;
    }
    json::Document document(message);
    const Json* root = document.root();
    if (!root || !root->is_object()) return std::nullopt;
    const Json* found = json::find_member(*root, "parameters");
    const Json& parameters = found ? *found : json::empty_object();
    if (!parameters.is_object()) return std::nullopt;

    if (const Json* error = json::find_member(*root, "error")) {
        if (!error->is_string()) return std::nullopt;
        return Reply<T>{decode_error(std::string(error->as_string()), parameters)};
    }
    Reply<T> reply{T{}};
    const Json* continues = json::find_member(*root, "continues");
    if (continues && !json::read(*continues, reply.continues)) return std::nullopt;
    if (!decode(parameters, std::get<T>(reply.body))) return std::nullopt;
    return reply;
}

template std::optional<Reply<Empty>> decode_reply(std::string_view);
template std::optional<Reply<ServiceInfo>> decode_reply(std::string_view);
template std::optional<Reply<InterfaceDescription>> decode_reply(std::string_view);
template std::optional<Reply<Grant>> decode_reply(std::string_view);
template std::optional<Reply<Grants>> decode_reply(std::string_view);
template std::optional<Reply<OpenResults>> decode_reply(std::string_view);
template std::optional<Reply<SegmentReply>> decode_reply(std::string_view);
template std::optional<Reply<WatchReply>> decode_reply(std::string_view);
template std::optional<Reply<SegmentStatusReply>> decode_reply(std::string_view);
template std::optional<Reply<Disconnected>> decode_reply(std::string_view);
template std::optional<Reply<Evicted>> decode_reply(std::string_view);
template std::optional<Reply<Status>> decode_reply(std::string_view);
template std::optional<Reply<UsageReply>> decode_reply(std::string_view);
template std::optional<Reply<Resumed>> decode_reply(std::string_view);
template std::optional<Reply<PageReply>> decode_reply(std::string_view);
template std::optional<Reply<RawReply>> decode_reply(std::string_view);
template std::optional<Reply<system_v::GetReply>> decode_reply(std::string_view);
template std::optional<Reply<system_v::AttachReply>> decode_reply(std::string_view);
template std::optional<Reply<system_v::StatusReply>> decode_reply(std::string_view);
template std::optional<Reply<system_v::InfoReply>> decode_reply(std::string_view);
template std::optional<Reply<system_v::ChangesReply>> decode_reply(std::string_view);
template std::optional<Reply<system_v::Inherited>> decode_reply(std::string_view);

std::string to_json(const Segment& segment) {
    std::string text;
    json::append(text, segment);
    return json::indented(text);
}

std::string to_json(const std::vector<Segment>& segments) {
    std::string text = "[";
    for (const Segment& segment : segments) {
        if (text.size() > 1) text += ',';
        json::append(text, segment);
    }
    text += ']';
    return json::indented(text);
}

std::span<const std::string_view> served_interfaces(Endpoint endpoint) {
    static constexpr std::string_view segments[] = {"io.shmd.Segments", "io.shmd.SystemV", "org.varlink.service"};
    static constexpr std::string_view control[] = {"io.shmd.Control", "org.varlink.service"};
    if (endpoint == Endpoint::segments) return segments;
    return control;
}

}  // namespace shmd
