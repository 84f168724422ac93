#include "system_v_message.hpp"

#include <cerrno>
#include <cinttypes>
#include <climits>
#include <cstdarg>
#include <cstdio>

#include "system_v_json.hpp"

namespace shmd::system_v {

using json::Json;

void Message::put(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int count = std::vsnprintf(bytes_ + size_, sizeof bytes_ - size_, format, arguments);
    va_end(arguments);
    if (count > 0) size_ += static_cast<std::size_t>(count);
}

namespace {

const char* text(bool value) {
    return value ? "true" : "false";
}

}  // namespace

#define CALL(name, parameters) "{\"method\":\"io.shmd.SystemV." name "\",\"parameters\":{" parameters "}}"

Message::Message(const Get& call) {
    put(CALL("Get", "\"key\":%d,\"sizeBytes\":%" PRId64 ",\"flags\":%d"), call.key, call.size_bytes, call.flags);
    bytes_[size_++] = '\0';
}

Message::Message(const Attach& call) {
    put("{\"method\":\"io.shmd.SystemV.Attach\",\"parameters\":{\"id\":%d,\"flags\":%d", call.id, call.flags);
    if (call.known) put(",\"known\":%" PRId64, *call.known);
    if (call.probe) put(",\"probe\":%s", text(*call.probe));
    put("}}");
    bytes_[size_++] = '\0';
}

Message::Message(const Detach& call, bool oneway) {
    put("{\"method\":\"io.shmd.SystemV.Detach\",\"parameters\":{\"attachment\":%" PRIu32 "}%s}", call.attachment,
        oneway ? ",\"oneway\":true" : "");
    bytes_[size_++] = '\0';
}

Message::Message(const Stat& call) {
    put(CALL("Stat", "\"%s\":%d,\"any\":%s"), call.id ? "id" : "index", call.id ? *call.id : call.index.value_or(-1),
        text(call.any.value_or(false)));
    bytes_[size_++] = '\0';
}

Message::Message(const Set& call) {
    put(CALL("Set", "\"id\":%d,\"ownerUid\":%" PRIu32 ",\"ownerGid\":%" PRIu32 ",\"mode\":%d"), call.id, call.owner_uid,
        call.owner_gid, call.mode);
    bytes_[size_++] = '\0';
}

Message::Message(const Remove& call) {
    put(CALL("Remove", "\"id\":%d"), call.id);
    bytes_[size_++] = '\0';
}

Message::Message(const Lock& call) {
    put(CALL("Lock", "\"id\":%d,\"locked\":%s"), call.id, text(call.locked));
    bytes_[size_++] = '\0';
}

Message::Message(const Info&) {
    put("{\"method\":\"io.shmd.SystemV.Info\"}");
    bytes_[size_++] = '\0';
}

Message::Message(const Changes&) {
    put("{\"method\":\"io.shmd.SystemV.Changes\"}");
    bytes_[size_++] = '\0';
}

void Message::put_list(std::span<const std::uint32_t> attachments) {
    for (std::size_t i = 0; i < attachments.size() && i < message_attachments; i++) {
        put(i == 0 ? "%" PRIu32 : ",%" PRIu32, attachments[i]);
    }
}

Message Message::inherit(std::span<const std::uint32_t> attachments) {
    Message message;
    message.put("{\"method\":\"io.shmd.SystemV.Inherit\",\"parameters\":{\"attachments\":[");
    message.put_list(attachments);
    message.put("]}}");
    message.bytes_[message.size_++] = '\0';
    return message;
}

Message Message::resume(std::span<const std::uint32_t> attachments, bool partial) {
    Message message;
    message.put("{\"method\":\"io.shmd.Segments.Resume\",\"parameters\":{\"attachments\":[");
    message.put_list(attachments);
    message.put("],\"partial\":%s}}", text(partial));
    message.bytes_[message.size_++] = '\0';
    return message;
}

Message::Message(const Claim&) {
    put("{\"method\":\"io.shmd.SystemV.Claim\",\"oneway\":true}");
    bytes_[size_++] = '\0';
}

#undef CALL

namespace {

int errno_of(std::string_view error, const Json& parameters) {
    if (error == "io.shmd.SystemV.Failed") {
        const Json* number = json::find_member(parameters, "errno");
        return number && number->is_integer() && number->as_integer() > 0 && number->as_integer() <= INT_MAX
                   ? static_cast<int>(number->as_integer())
                   : EIO;
    }
    // Those of a daemon that takes no more connections, and of one that is older than this interface.
    if (error == "io.shmd.Segments.QuotaExceeded" || error == "io.shmd.Segments.OutOfMemory") return ENOMEM;
    bool too_old = error == "org.varlink.service.InterfaceNotFound" || error == "org.varlink.service.MethodNotFound";
    return too_old ? ENOSYS : EIO;
}

// 0 when `read` has taken the parameters.
template <typename F>
int take_parameters(std::string_view reply, const F& read) {
    json::Document document(reply);
    const Json* root = document.root();
    if (!root || !root->is_object()) return EIO;
    const Json* found = json::find_member(*root, "parameters");
    const Json& parameters = found ? *found : json::empty_object();
    if (!parameters.is_object()) return EIO;
    if (const Json* error = json::find_member(*root, "error")) {
        return error->is_string() ? errno_of(error->as_string(), parameters) : EIO;
    }
    return read(parameters) ? 0 : EIO;
}

}  // namespace

int take(std::string_view reply) {
    return take_parameters(reply, [](const Json&) { return true; });
}

int take(std::string_view reply, GetReply& out) {
    return take_parameters(reply, [&](const Json& parameters) { return read(parameters, out); });
}

int take(std::string_view reply, AttachReply& out) {
    return take_parameters(reply, [&](const Json& parameters) { return read(parameters, out); });
}

int take(std::string_view reply, StatusReply& out) {
    return take_parameters(reply, [&](const Json& parameters) { return read(parameters, out) && out.status; });
}

int take(std::string_view reply, InfoReply& out) {
    return take_parameters(reply, [&](const Json& parameters) { return read(parameters, out); });
}

int take(std::string_view reply, Attachments& out) {
    return take_parameters(reply, [&](const Json& parameters) {
        const Json* list = json::find_member(parameters, "attachments");
        if (!list || !list->is_array() || list->count() > message_attachments) return false;
        for (const Json& item : list->items()) {
            if (!json::read(item, out.ids[out.count++])) return false;
        }
        return true;
    });
}

}  // namespace shmd::system_v
