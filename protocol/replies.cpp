// Replies: to JSON, and from JSON as a client reads them.
#include <algorithm>
#include <array>

#include "json_fields.hpp"
#include "messages.hpp"

namespace shmd {
namespace {

using json::Fields;
using json::Json;
using json::OrderedJson;

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

struct EncodeReply {
    OrderedJson& out;

    void operator()(const Empty&) const {}
    void operator()(const ServiceInfo& info) const {
        out.emplace("vendor", info.vendor);
        out.emplace("product", info.product);
        out.emplace("version", info.version);
        out.emplace("url", info.url);
        out.emplace("interfaces", info.interfaces);
    }
    void operator()(const InterfaceDescription& reply) const { out.emplace("description", reply.description); }
    void operator()(const Grant& grant) const {
        out.emplace("segment", json::write(grant.segment));
        if (grant.created) out.emplace("created", *grant.created);
        out.emplace("attachment", grant.attachment);
        out.emplace("fileDescriptor", grant.file_descriptor);
    }
    void operator()(const SegmentReply& reply) const {
        out.emplace("segment", reply.segment ? json::write(*reply.segment) : OrderedJson(nullptr));
    }
    void operator()(const Status& status) const {
        out.emplace("version", status.version);
        out.emplace("pid", status.pid);
        out.emplace("startedUsec", status.started_usec);
        out.emplace("segments", status.segments);
        out.emplace("bytes", status.bytes);
        out.emplace("attachments", status.attachments);
        out.emplace("connections", status.connections);
        out.emplace("segmentsLimit", status.segments_limit);
        out.emplace("bytesLimit", status.bytes_limit);
        out.emplace("attachmentsLimit", status.attachments_limit);
        out.emplace("connectionsLimit", status.connections_limit);
    }
    void operator()(const UsageReply& reply) const {
        OrderedJson list = OrderedJson::array();
        for (const Usage& usage : reply.usage) {
            OrderedJson item = OrderedJson::object();
            item.emplace("uid", usage.uid);
            item.emplace("segments", usage.segments);
            item.emplace("bytes", usage.bytes);
            item.emplace("attachments", usage.attachments);
            item.emplace("connections", usage.connections);
            list.push_back(std::move(item));
        }
        out.emplace("usage", std::move(list));
    }
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
    Fields fields(parameters);
    fields.require("segment", out.segment)
        .allow("created", out.created)
        .require("attachment", out.attachment)
        .require("fileDescriptor", out.file_descriptor);
    return !fields.bad_field() && out.attachment != 0 && out.file_descriptor >= 0;
}

bool decode(const Json& parameters, SegmentReply& out) {
    return !Fields(parameters).allow("segment", out.segment).bad_field();
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
                .bad_field();
}

bool decode(const Json& parameters, UsageReply& out) {
    return !Fields(parameters).require("usage", out.usage).bad_field();
}

bool decode(const Json& parameters, RawReply& out) {
    out.parameters = parameters.dump();
    return true;
}

RemoteError decode_error(std::string name, const Json& parameters) {
    RemoteError error{std::move(name), parameters.dump(), std::nullopt};
    for (const ErrorForm& form : error_forms) {
        if (form.name != error.name) continue;
        Error known{form.code};
        Fields fields(parameters);
        if (form.text_field) fields.allow(form.text_field, known.text);
        if (form.number_field) fields.allow(form.number_field, known.number);
        if (!fields.bad_field()) error.known = std::move(known);
    }
    return error;
}

// A text with broken UTF-8 in it must not keep the message from its reader.
std::string text_of(const OrderedJson& message) {
    return message.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace

std::string_view error_name(ErrorCode code) {
    return form_of(code).name;
}

std::string encode_reply(const ReplyBody& body, bool continues) {
    OrderedJson parameters = OrderedJson::object();
    std::visit(EncodeReply{parameters}, body);
    OrderedJson message = OrderedJson::object();
    message.emplace("parameters", std::move(parameters));
    if (continues) message.emplace("continues", true);
    return text_of(message);
}

std::string encode_error(const Error& error) {
    const ErrorForm& form = form_of(error.code);
    OrderedJson parameters = OrderedJson::object();
    if (form.text_field && error.text) parameters.emplace(form.text_field, *error.text);
    if (form.number_field && error.number) parameters.emplace(form.number_field, *error.number);
    OrderedJson message = OrderedJson::object();
    message.emplace("error", form.name);
    message.emplace("parameters", std::move(parameters));
    return text_of(message);
}

template <typename T>
std::optional<Reply<T>> decode_reply(std::string_view message) {
    Json parsed = json::parse(message);
    if (!parsed.is_object()) return std::nullopt;
    static const Json no_parameters = Json::object();
    auto found = parsed.find("parameters");
    const Json& parameters = found == parsed.end() || found->is_null() ? no_parameters : *found;
    if (!parameters.is_object()) return std::nullopt;

    if (auto error = parsed.find("error"); error != parsed.end() && !error->is_null()) {
        if (!error->is_string()) return std::nullopt;
        return Reply<T>{decode_error(error->get<std::string>(), parameters)};
    }
    Reply<T> reply{T{}};
    if (auto continues = parsed.find("continues"); continues != parsed.end() && !continues->is_null()) {
        if (!json::read(*continues, reply.continues)) return std::nullopt;
    }
    if (!decode(parameters, std::get<T>(reply.body))) return std::nullopt;
    return reply;
}

template std::optional<Reply<Empty>> decode_reply(std::string_view);
template std::optional<Reply<ServiceInfo>> decode_reply(std::string_view);
template std::optional<Reply<InterfaceDescription>> decode_reply(std::string_view);
template std::optional<Reply<Grant>> decode_reply(std::string_view);
template std::optional<Reply<SegmentReply>> decode_reply(std::string_view);
template std::optional<Reply<Status>> decode_reply(std::string_view);
template std::optional<Reply<UsageReply>> decode_reply(std::string_view);
template std::optional<Reply<RawReply>> decode_reply(std::string_view);

std::string to_json(const Segment& segment) {
    return json::write(segment).dump(2);
}

std::string to_json(const std::vector<Segment>& segments) {
    OrderedJson list = OrderedJson::array();
    for (const Segment& segment : segments) list.push_back(json::write(segment));
    return list.dump(2);
}

std::array<std::string_view, 2> served_interfaces(Endpoint endpoint) {
    return {endpoint == Endpoint::segments ? "io.shmd.Segments" : "io.shmd.Control", "org.varlink.service"};
}

}  // namespace shmd
