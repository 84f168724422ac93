#include "json_writer.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "json_reader.hpp"

namespace shmd::json {
namespace {

bool needs_no_escape(char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
}

}  // namespace

void append_string(std::string& out, std::string_view text) {
    if (std::all_of(text.begin(), text.end(), needs_no_escape)) {
        out += '"';
        out += text;
        out += '"';
    } else {
        out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
}

std::string& ObjectWriter::begin(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
}

void ObjectWriter::append_integer(std::string& out, std::int64_t value) {
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, end);
}

void append(std::string& out, const Labels& labels) {
    out += '{';
    for (const auto& [name, value] : labels) {
        if (out.back() != '{') out += ',';
        append_string(out, name);
        out += ':';
        append_string(out, value);
    }
    out += '}';
}

void append(std::string& out, const Segment& segment) {
    ObjectWriter object(out);
    object.add("id", segment.id);
    object.add("key", segment.key);
    object.add("sizeBytes", segment.size_bytes);
    object.add("mode", segment.mode);
    object.add("ownerUid", segment.owner_uid);
    object.add("ownerGid", segment.owner_gid);
    object.add("creatorUid", segment.creator_uid);
    object.add("creatorGid", segment.creator_gid);
    object.add("creatorPid", segment.creator_pid);
    object.add("state", enum_name(segment.state));
    object.add("sealed", segment.sealed);
    object.add("attachments", segment.attachments);
    object.add("createdUsec", segment.created_usec);
    object.add("attachedUsec", segment.attached_usec);
    object.add("detachedUsec", segment.detached_usec);
    object.add("changedUsec", segment.changed_usec);
    object.add("expiresUsec", segment.expires_usec);
    object.add("evictable", segment.evictable);
    append(object.begin("labels"), segment.labels);
    object.add("lifetime", enum_name(segment.lifetime));
    object.add("leaseUsec", segment.lease_usec);
    if (segment.acl.empty()) {
        object.begin("acl") += "null";
    } else {
        append(object.begin("acl"), segment.acl);
    }
    object.add("capacityBytes", segment.capacity_bytes);
    object.add("hugePages", enum_name(segment.huge_pages));
    if (segment.numa_nodes.empty()) {
        object.begin("numaNodes") += "null";
    } else {
        append(object.begin("numaNodes"), segment.numa_nodes);
    }
}

void append(std::string& out, const Grant& grant) {
    ObjectWriter object(out);
    append(object.begin("segment"), grant.segment);
    object.add_if("created", grant.created);
    object.add("attachment", grant.attachment);
    object.add("fileDescriptor", grant.file_descriptor);
}

void append(std::string& out, const OpenResult& result) {
    ObjectWriter object(out);
    if (result.grant) append(object.begin("grant"), *result.grant);
    if (!result.error) return;
    object.add("error", result.error->name);
    object.begin("parameters") += result.error->parameters;
}

void append(std::string& out, std::uint32_t number) {
    out += std::to_string(number);
}

void append(std::string& out, const AclEntry& entry) {
    ObjectWriter object(out);
    object.add(entry.kind == AclEntry::Kind::user ? "uid" : "gid", entry.id);
    object.add("access", enum_name(entry.access));
}

void append(std::string& out, const Holder& holder) {
    ObjectWriter object(out);
    object.add("pid", holder.pid);
    object.add("uid", holder.uid);
    object.add("attachment", holder.attachment);
    object.add("access", enum_name(holder.access));
}

void append(std::string& out, const AttachmentStatus& attachment) {
    ObjectWriter object(out);
    object.add("attachment", attachment.attachment);
    object.add("pid", attachment.pid);
    object.add("uid", attachment.uid);
    object.add("command", attachment.command);
    object.add("access", enum_name(attachment.access));
    object.add("sinceUsec", attachment.since_usec);
}

void append(std::string& out, const SegmentStatus& segment) {
    ObjectWriter object(out);
    object.add("id", segment.id);
    object.add("key", segment.key);
    object.add("sizeBytes", segment.size_bytes);
    object.add("mode", segment.mode);
    object.add("ownerUid", segment.owner_uid);
    object.add("ownerGid", segment.owner_gid);
    object.add("state", enum_name(segment.state));
    object.add("sealed", segment.sealed);
    object.add("evictable", segment.evictable);
    object.add("createdUsec", segment.created_usec);
    object.add("attachmentCount", segment.attachment_count);
    append(object.begin("attachments"), segment.attachments);
}

void append(std::string& out, const Usage& usage) {
    ObjectWriter object(out);
    object.add("uid", usage.uid);
    object.add("segments", usage.segments);
    object.add("bytes", usage.bytes);
    object.add("attachments", usage.attachments);
    object.add("connections", usage.connections);
    object.add("segmentsLimit", usage.segments_limit);
    object.add("bytesLimit", usage.bytes_limit);
    object.add("attachmentsLimit", usage.attachments_limit);
    object.add("connectionsLimit", usage.connections_limit);
}

std::string indented(const std::string& text) {
    return nlohmann::ordered_json::parse(text).dump(2);
}

}  // namespace shmd::json
