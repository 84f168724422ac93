#include "system_v_as_written.hpp"

#include <cstdint>

#include "written_text.hpp"

namespace shmd::system_v {
namespace {

template <typename T>
std::optional<Call> call_if(bool sound, const T& body, bool oneway = false) {
    if (!sound) return std::nullopt;
    return Call{{.oneway = oneway}, CallBody(body)};
}

}  // namespace

std::optional<Call> call_as_written(std::string_view message) {
    AsWritten text(message);
    if (!text.continues_with("{\"method\":\"io.shmd.SystemV.")) return std::nullopt;
    if (text.continues_with("Attach\",\"parameters\":{\"id\":")) {
        Attach call;
        text.integer(call.id).text(",\"flags\":").integer(call.flags).integer_if(",\"known\":", call.known).text("}}");
        return call_if(text.complete(), call);
    }
    if (text.continues_with("Stat\",\"parameters\":{\"")) {
        Stat call;
        bool by_id = text.continues_with("id");
        if (!by_id) text.text("index");
        text.text("\":").integer(by_id ? call.id.emplace() : call.index.emplace());
        text.text(",\"any\":").boolean(call.any.emplace()).integer_if(",\"known\":", call.known);
        if (call.known) text.text(",\"flags\":").integer(call.flags.emplace());
        text.text("}}");
        return call_if(text.complete(), call);
    }
    if (text.continues_with("Get\",\"parameters\":{\"key\":")) {
        Get call;
        text.integer(call.key).text(",\"sizeBytes\":").integer(call.size_bytes).text(",\"flags\":").integer(call.flags).text("}}");
        return call_if(text.complete() && call.size_bytes >= -1, call);
    }
    if (text.continues_with("Detach\",\"parameters\":{\"attachment\":")) {
        Detach call;
        text.integer(call.attachment).text("}");
        bool oneway = text.continues_with(",\"oneway\":true");
        text.text("}");
        return call_if(text.complete() && call.attachment != 0, call, oneway);
    }
    return std::nullopt;
}

bool is_empty_as_written(std::string_view reply) {
    return reply == "{\"parameters\":{}}";
}

bool read_as_written(std::string_view reply, GetReply& out) {
    GetReply read;
    AsWritten text(reply);
    text.text("{\"parameters\":{\"id\":").integer(read.id).text("}}");
    if (text.complete()) out = read;
    return text.complete();
}

bool read_as_written(std::string_view reply, AttachReply& out) {
    AttachReply read;
    AsWritten text(reply);
    text.text("{\"parameters\":{\"sizeBytes\":").integer(read.size_bytes).text(",\"segmentId\":").integer(read.segment_id);
    text.integer_if(",\"attachment\":", read.attachment).integer_if(",\"fileDescriptor\":", read.file_descriptor);
    if (text.continues_with(",\"mayEndLate\":")) text.boolean(read.may_end_late.emplace());
    text.text("}}");
    if (text.complete()) out = read;
    return text.complete();
}

bool read_as_written(std::string_view reply, StatusReply& out) {
    Status read;
    AsWritten text(reply);
    text.text("{\"parameters\":{\"status\":{\"id\":").integer(read.id);
    text.text(",\"index\":").integer(read.index);
    text.text(",\"key\":").integer(read.key);
    text.text(",\"sizeBytes\":").integer(read.size_bytes);
    text.text(",\"mode\":").integer(read.mode);
    text.text(",\"ownerUid\":").integer(read.owner_uid);
    text.text(",\"ownerGid\":").integer(read.owner_gid);
    text.text(",\"creatorUid\":").integer(read.creator_uid);
    text.text(",\"creatorGid\":").integer(read.creator_gid);
    text.text(",\"attachments\":").integer(read.attachments);
    text.text(",\"creatorPid\":").integer(read.creator_pid);
    text.text(",\"lastPid\":").integer(read.last_pid);
    text.text(",\"attachedSec\":").integer(read.attached_sec);
    text.text(",\"detachedSec\":").integer(read.detached_sec);
    text.text(",\"changedSec\":").integer(read.changed_sec).text("}");
    std::optional<std::uint32_t> prepared;
    text.integer_if(",\"prepared\":", prepared).text("}}");
    if (text.complete()) out = {read, prepared};
    return text.complete();
}

}  // namespace shmd::system_v
