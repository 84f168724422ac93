#include "system_v_json.hpp"

#include "bounded_text.hpp"
#include "limits.hpp"

namespace shmd::system_v {

using json::Fields;
using json::Json;
using json::ObjectWriter;

// ---- Calls ----

void read(Fields& fields, Get& call) {
    fields.require("key", call.key).require("sizeBytes", call.size_bytes).require("flags", call.flags);
    if (call.size_bytes < -1) fields.fail("sizeBytes");
}

void read(Fields& fields, Attach& call) {
    fields.require("id", call.id)
        .require("flags", call.flags)
        .allow("known", call.known)
        .allow("probe", call.probe);
}

void read(Fields& fields, Detach& call) {
    fields.require("attachment", call.attachment);
    if (call.attachment == 0) fields.fail("attachment");
}

void read(Fields& fields, Stat& call) {
    fields.allow("id", call.id).allow("index", call.index).allow("any", call.any).allow("known", call.known).allow("flags", call.flags);
    if (call.id.has_value() == call.index.has_value()) fields.fail("id");
    if (call.known.has_value() != call.flags.has_value()) fields.fail("known");
}

void read(Fields& fields, Set& call) {
    fields.require("id", call.id)
        .require("ownerUid", call.owner_uid)
        .require("ownerGid", call.owner_gid)
        .require("mode", call.mode);
}

void read(Fields& fields, Remove& call) {
    fields.require("id", call.id);
}

void read(Fields& fields, Lock& call) {
    fields.require("id", call.id).require("locked", call.locked);
}

void read(Fields& fields, Inherit& call) {
    fields.require("attachments", call.attachments);
    if (call.attachments.empty() || call.attachments.size() > limits::resumed) fields.fail("attachments");
}

void write(ObjectWriter& out, const Get& call) {
    out.add("key", call.key);
    out.add("sizeBytes", call.size_bytes);
    out.add("flags", call.flags);
}

void write(ObjectWriter& out, const Attach& call) {
    out.add("id", call.id);
    out.add("flags", call.flags);
    out.add_if("known", call.known);
    out.add_if("probe", call.probe);
}

void write(ObjectWriter& out, const Detach& call) {
    out.add("attachment", call.attachment);
}

void write(ObjectWriter& out, const Stat& call) {
    out.add_if("id", call.id);
    out.add_if("index", call.index);
    out.add_if("any", call.any);
    out.add_if("known", call.known);
    out.add_if("flags", call.flags);
}

void write(ObjectWriter& out, const Set& call) {
    out.add("id", call.id);
    out.add("ownerUid", call.owner_uid);
    out.add("ownerGid", call.owner_gid);
    out.add("mode", call.mode);
}

void write(ObjectWriter& out, const Remove& call) {
    out.add("id", call.id);
}

void write(ObjectWriter& out, const Lock& call) {
    out.add("id", call.id);
    out.add("locked", call.locked);
}

void write(ObjectWriter& out, const Inherit& call) {
    json::append(out.begin("attachments"), call.attachments);
}

// ---- Replies ----

namespace {

bool read_status(const Json& value, Status& out) {
    if (!value.is_object()) return false;
    return !Fields(value)
                .require("id", out.id)
                .require("index", out.index)
                .require("key", out.key)
                .require("sizeBytes", out.size_bytes)
                .require("mode", out.mode)
                .require("ownerUid", out.owner_uid)
                .require("ownerGid", out.owner_gid)
                .require("creatorUid", out.creator_uid)
                .require("creatorGid", out.creator_gid)
                .require("attachments", out.attachments)
                .require("creatorPid", out.creator_pid)
                .require("lastPid", out.last_pid)
                .require("attachedSec", out.attached_sec)
                .require("detachedSec", out.detached_sec)
                .require("changedSec", out.changed_sec)
                .bad_field();
}

// As system_v_as_written.cpp reads it.
void write_status(std::string& out, const Status& status) {
    constexpr std::size_t numbers = 15, names = 240;
    json::BoundedText<numbers * json::most_digits + names> text(out);
    text.text("{\"id\":").integer(status.id);
    text.text(",\"index\":").integer(status.index);
    text.text(",\"key\":").integer(status.key);
    text.text(",\"sizeBytes\":").integer(status.size_bytes);
    text.text(",\"mode\":").integer(status.mode);
    text.text(",\"ownerUid\":").integer(status.owner_uid);
    text.text(",\"ownerGid\":").integer(status.owner_gid);
    text.text(",\"creatorUid\":").integer(status.creator_uid);
    text.text(",\"creatorGid\":").integer(status.creator_gid);
    text.text(",\"attachments\":").integer(status.attachments);
    text.text(",\"creatorPid\":").integer(status.creator_pid);
    text.text(",\"lastPid\":").integer(status.last_pid);
    text.text(",\"attachedSec\":").integer(status.attached_sec);
    text.text(",\"detachedSec\":").integer(status.detached_sec);
    text.text(",\"changedSec\":").integer(status.changed_sec).text("}");
}

}  // namespace

bool read(const Json& parameters, GetReply& reply) {
    return !Fields(parameters).require("id", reply.id).bad_field();
}

bool read(const Json& parameters, AttachReply& reply) {
    return !Fields(parameters)
                .require("sizeBytes", reply.size_bytes)
                .require("segmentId", reply.segment_id)
                .allow("attachment", reply.attachment)
                .allow("fileDescriptor", reply.file_descriptor)
                .allow("mayEndLate", reply.may_end_late)
                .bad_field();
}

bool read(const Json& parameters, StatusReply& reply) {
    const Json* status = json::find_member(parameters, "status");
    const Json* prepared = json::find_member(parameters, "prepared");
    if (prepared && !prepared->is_null() && !json::read(*prepared, reply.prepared.emplace())) return false;
    return !status || read_status(*status, reply.status.emplace());
}

bool read(const Json& parameters, InfoReply& reply) {
    return !Fields(parameters)
                .require("highestIndex", reply.highest_index)
                .require("segments", reply.segments)
                .require("segmentsLimit", reply.segments_limit)
                .require("bytes", reply.bytes)
                .require("bytesLimit", reply.bytes_limit)
                .bad_field();
}

bool read(const Json& parameters, ChangesReply& reply) {
    return !Fields(parameters).require("fileDescriptor", reply.file_descriptor).bad_field();
}

bool read(const Json& parameters, Inherited& reply) {
    return !Fields(parameters).require("attachments", reply.attachments).bad_field();
}

void write(ObjectWriter& out, const GetReply& reply) {
    out.add("id", reply.id);
}

void write(ObjectWriter& out, const AttachReply& reply) {
    out.add("sizeBytes", reply.size_bytes);
    out.add("segmentId", reply.segment_id);
    out.add_if("attachment", reply.attachment);
    out.add_if("fileDescriptor", reply.file_descriptor);
    out.add_if("mayEndLate", reply.may_end_late);
}

void write(ObjectWriter& out, const StatusReply& reply) {
    std::string& value = out.begin("status");
    if (reply.status) {
        write_status(value, *reply.status);
    } else {
        value += "null";
    }
    out.add_if("prepared", reply.prepared);
}

void write(ObjectWriter& out, const InfoReply& reply) {
    out.add("highestIndex", reply.highest_index);
    out.add("segments", reply.segments);
    out.add("segmentsLimit", reply.segments_limit);
    out.add("bytes", reply.bytes);
    out.add("bytesLimit", reply.bytes_limit);
}

void write(ObjectWriter& out, const ChangesReply& reply) {
    out.add("fileDescriptor", reply.file_descriptor);
}

void write(ObjectWriter& out, const Inherited& reply) {
    json::append(out.begin("attachments"), reply.attachments);
}

}  // namespace shmd::system_v
