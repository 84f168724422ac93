#include "system_v_message.hpp"

#include <cassert>
#include <cerrno>
#include <climits>
#include <cstring>

#include "bounded_text.hpp"
#include "messages.hpp"
#include "system_v_as_written.hpp"
#include "system_v_json.hpp"

namespace shmd::system_v {

using json::Json;
using namespace std::string_view_literals;

Message::Message(std::string_view method) {
    put("{\"method\":\"").put(method).put("\"");
}

Message& Message::put(std::string_view text) {
    assert(size_ + text.size() <= sizeof bytes_);
    std::memcpy(bytes_ + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
}

Message& Message::put(std::int64_t number) {
    assert(size_ + json::most_digits <= sizeof bytes_);
    size_ = static_cast<std::size_t>(json::write_integer(bytes_ + size_, number) - bytes_);
    return *this;
}

Message& Message::put(bool value) {
    return put(value ? "true"sv : "false"sv);
}

void Message::end() {
    put("}\0"sv);
}

Message::Message(const Get& call) : Message(Get::method) {
    put(",\"parameters\":{\"key\":").put(std::int64_t{call.key});
    put(",\"sizeBytes\":").put(call.size_bytes).put(",\"flags\":").put(std::int64_t{call.flags}).put("}").end();
}

Message::Message(const Attach& call) : Message(Attach::method) {
    put(",\"parameters\":{\"id\":").put(std::int64_t{call.id}).put(",\"flags\":").put(std::int64_t{call.flags});
    if (call.known) put(",\"known\":").put(*call.known);
    if (call.probe) put(",\"probe\":").put(*call.probe);
    put("}").end();
}

Message::Message(const Detach& call, bool oneway) : Message(Detach::method) {
    put(",\"parameters\":{\"attachment\":").put(std::int64_t{call.attachment}).put("}");
    if (oneway) put(",\"oneway\":true");
    end();
}

Message::Message(const Stat& call) : Message(Stat::method) {
    put(call.id ? ",\"parameters\":{\"id\":" : ",\"parameters\":{\"index\":");
    put(std::int64_t{call.id ? *call.id : call.index.value_or(-1)});
    put(",\"any\":").put(call.any.value_or(false));
    if (call.known && call.flags) put(",\"known\":").put(*call.known).put(",\"flags\":").put(std::int64_t{*call.flags});
    put("}").end();
}

Message::Message(const Set& call) : Message(Set::method) {
    put(",\"parameters\":{\"id\":").put(std::int64_t{call.id}).put(",\"ownerUid\":").put(std::int64_t{call.owner_uid});
    put(",\"ownerGid\":").put(std::int64_t{call.owner_gid}).put(",\"mode\":").put(std::int64_t{call.mode}).put("}").end();
}

Message::Message(const Remove& call) : Message(Remove::method) {
    put(",\"parameters\":{\"id\":").put(std::int64_t{call.id}).put("}").end();
}

Message::Message(const Lock& call) : Message(Lock::method) {
    put(",\"parameters\":{\"id\":").put(std::int64_t{call.id}).put(",\"locked\":").put(call.locked).put("}").end();
}

Message::Message(const Info&) : Message(Info::method) {
    end();
}

Message::Message(const Changes&) : Message(Changes::method) {
    end();
}

Message::Message(const OpenDetachQueue&) : Message(OpenDetachQueue::method) {
    end();
}

Message& Message::put_list(std::span<const std::uint32_t> attachments) {
    put(",\"parameters\":{\"attachments\":[");
    for (std::size_t i = 0; i < attachments.size() && i < message_attachments; i++) {
        if (i > 0) put(",");
        put(std::int64_t{attachments[i]});
    }
    return put("]");
}

Message Message::inherit(std::span<const std::uint32_t> attachments) {
    Message message(Inherit::method);
    message.put_list(attachments).put("}").end();
    return message;
}

Message Message::resume(std::span<const std::uint32_t> attachments, bool partial) {
    Message message(Resume::method);
    message.put_list(attachments).put(",\"partial\":").put(partial).put("}").end();
    return message;
}

Message::Message(const Claim&) : Message(Claim::method) {
    put(",\"oneway\":true").end();
}

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
    if (is_empty_as_written(reply)) return 0;
    return take_parameters(reply, [](const Json&) { return true; });
}

int take(std::string_view reply, GetReply& out) {
    if (read_as_written(reply, out)) return 0;
    return take_parameters(reply, [&](const Json& parameters) { return read(parameters, out); });
}

int take(std::string_view reply, AttachReply& out) {
    if (read_as_written(reply, out)) return 0;
    return take_parameters(reply, [&](const Json& parameters) { return read(parameters, out); });
}

int take(std::string_view reply, StatusReply& out) {
    if (read_as_written(reply, out)) return 0;
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
