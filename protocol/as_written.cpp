#include "as_written.hpp"

#include <string>

#include "json_reader.hpp"
#include "limits.hpp"
#include "written_text.hpp"

namespace shmd {
namespace {

void read(AsWritten& text, Segment& segment) {
    text.text("{\"id\":").integer(segment.id);
    text.text(",\"key\":").string(segment.key);
    text.text(",\"sizeBytes\":").integer(segment.size_bytes);
    text.text(",\"mode\":").integer(segment.mode);
    text.text(",\"ownerUid\":").integer(segment.owner_uid);
    text.text(",\"ownerGid\":").integer(segment.owner_gid);
    text.text(",\"creatorUid\":").integer(segment.creator_uid);
    text.text(",\"creatorGid\":").integer(segment.creator_gid);
    text.text(",\"creatorPid\":").integer(segment.creator_pid);
    text.text(",\"state\":").name(segment.state);
    text.text(",\"sealed\":").boolean(segment.sealed);
    text.text(",\"attachments\":").integer(segment.attachments);
    text.text(",\"createdUsec\":").integer(segment.created_usec);
    text.text(",\"attachedUsec\":").integer(segment.attached_usec);
    text.text(",\"detachedUsec\":").integer(segment.detached_usec);
    text.text(",\"changedUsec\":").integer(segment.changed_usec);
    text.text(",\"expiresUsec\":").integer(segment.expires_usec);
    text.text(",\"evictable\":").boolean(segment.evictable);
    text.text(",\"labels\":{},\"lifetime\":").name(segment.lifetime);
    text.text(",\"leaseUsec\":").integer(segment.lease_usec);
    text.text(",\"acl\":null,\"capacityBytes\":").integer(segment.capacity_bytes);
    text.text(",\"hugePages\":").name(segment.huge_pages);
    text.text(",\"numaNodes\":null}");
}

// False when it was not as expected, or is not sound.
bool read(AsWritten& text, Grant& grant) {
    text.text("{\"segment\":");
    read(text, grant.segment);
    if (text.continues_with(",\"created\":")) text.boolean(grant.created.emplace());
    text.text(",\"attachment\":").integer(grant.attachment);
    text.text(",\"fileDescriptor\":").integer(grant.file_descriptor).text("}");
    return text.good() && json::is_sound(grant.segment) && json::is_sound(grant);
}

// Up to the members that are rare.
bool read(AsWritten& text, Create& create) {
    text.key(create.key).text(",\"sizeBytes\":").integer(create.size_bytes);
    if (text.continues_with(",\"mode\":")) text.integer(create.mode.emplace());
    if (text.continues_with(",\"createMode\":")) text.name(create.create_mode.emplace());
    if (text.continues_with(",\"access\":")) text.name(create.access.emplace());
    if (text.continues_with(",\"reserve\":")) text.name(create.reserve.emplace());
    if (text.continues_with(",\"lifetime\":")) text.name(create.lifetime.emplace());
    text.text("}}");
    bool is_good_mode = !create.mode || (*create.mode >= 0 && *create.mode <= limits::mode_bits);
    return text.good() && create.size_bytes >= 1 && is_good_mode && create.lifetime != Lifetime::lease;
}

// Whether the keys are valid is said for each of them, in the reply.
bool read(AsWritten& text, OpenMany& open) {
    do {
        std::string_view key;
        text.text("{\"key\":").string(key).text("}");
        if (!text.good() || open.targets.size() == limits::batch) return false;
        open.targets.push_back({std::string(key), std::nullopt});
    } while (text.continues_with(","));
    text.text("],\"access\":").name(open.access).text("}}");
    return text.good();
}

}  // namespace

std::optional<Call> call_as_written(std::string_view message) {
    AsWritten text(message);
    text.text("{\"method\":\"io.shmd.Segments.");
    Call call{{}, CallBody(Open{})};
    CallBody& body = *call.body;
    if (text.continues_with("Open\",\"parameters\":{\"key\":")) {
        Open& open = *std::get_if<Open>(&body);
        text.key(open.target.key).text(",\"access\":").name(open.access).text("}}");
    } else if (text.continues_with("Detach\",\"parameters\":{\"attachment\":")) {
        Detach& detach = body.emplace<Detach>();
        text.integer(detach.attachment).text("},\"oneway\":true}");
        call.flags.oneway = true;
        if (detach.attachment == 0) return std::nullopt;
    } else if (text.continues_with("Create\",\"parameters\":{\"key\":")) {
        if (!read(text, body.emplace<Create>())) return std::nullopt;
    } else if (text.continues_with("Delete\",\"parameters\":{\"key\":")) {
        text.key(body.emplace<Delete>().target.key).text("}}");
    } else if (text.continues_with("OpenMany\",\"parameters\":{\"targets\":[")) {
        if (!read(text, body.emplace<OpenMany>())) return std::nullopt;
    } else {
        return std::nullopt;
    }
    if (!text.complete()) return std::nullopt;
    return call;
}

bool read_as_written(std::string_view message, Grant& grant) {
    AsWritten text(message);
    text.text("{\"parameters\":");
    bool is_sound = read(text, grant);
    return is_sound && text.text("}").complete();
}

bool read_as_written(std::string_view message, OpenResults& reply) {
    AsWritten text(message);
    text.text("{\"parameters\":{\"results\":[");
    do {
        text.text("{\"grant\":");
        if (!read(text, reply.results.emplace_back().grant.emplace())) return false;
        text.text("}");
    } while (text.continues_with(","));
    return text.text("]}}").complete();
}

bool read_as_written(std::string_view message, SegmentReply& reply, bool& continues) {
    AsWritten text(message);
    text.text("{\"parameters\":{\"segment\":");
    read(text, reply.segment.emplace());
    text.text("}");
    continues = text.continues_with(",\"continues\":true");
    text.text("}");
    return text.complete() && json::is_sound(*reply.segment);
}

}  // namespace shmd
