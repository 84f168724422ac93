#include "json_writer.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <nlohmann/json.hpp>

#include "bounded_text.hpp"
#include "json_reader.hpp"
#include "limits.hpp"

namespace shmd::json {
void append_string(std::string& out, std::string_view text) {
    if (stands_for_itself(text)) {
        out.push_back('"');
        out.append(text);
        out.push_back('"');
    } else {
        out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
}

// Put together here and appended in one go: to append piece by piece takes four times as long.
class ObjectWriter::Piece {
  public:
    Piece(ObjectWriter& writer, std::string_view name) {
        assert(name.size() <= most_name_bytes);
        if (!writer.first_) *end_++ = ',';
        writer.first_ = false;
        *end_++ = '"';
        end_ += name.copy(end_, most_name_bytes);
        *end_++ = '"';
        *end_++ = ':';
    }

    Piece& add(std::int64_t value) {
        end_ = write_integer(end_, value);
        return *this;
    }

    [[nodiscard]] std::string_view text() const { return {bytes_, static_cast<std::size_t>(end_ - bytes_)}; }

  private:
    static constexpr std::size_t most_name_bytes = 32, around_name = 4;

    char bytes_[most_name_bytes + around_name + most_digits];
    char* end_ = bytes_;
};

std::string& ObjectWriter::begin(std::string_view name) {
    return out_ += Piece(*this, name).text();
}

void ObjectWriter::add_integer(std::string_view name, std::int64_t value) {
    out_ += Piece(*this, name).add(value).text();
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

namespace {

// Of all that has a bound: 18 numbers, names, and a key.
constexpr std::size_t most_usual_bytes = 18 * most_digits + 512 + limits::key_bytes;
using Usual = BoundedText<most_usual_bytes>;

// Whatever else there is may be of any length.
template <typename T>
void put_list(Usual& text, const T& list) {
    if (list.empty()) {
        text.text("null");
    } else {
        append(text.flush(), list);
    }
}

// As as_written.cpp reads it.
void put(Usual& text, const Segment& segment) {
    text.text("{\"id\":").integer(segment.id).text(",\"key\":");
    if (!segment.key) {
        text.text("null");
    } else if (segment.key->size() <= limits::key_bytes && stands_for_itself(*segment.key)) {
        text.text("\"").copy(*segment.key).text("\"");
    } else {
        append_string(text.flush(), *segment.key);
    }
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
    text.text(",\"labels\":");
    if (segment.labels.empty()) {
        text.text("{}");
    } else {
        append(text.flush(), segment.labels);
    }
    text.text(",\"lifetime\":").name(segment.lifetime);
    text.text(",\"leaseUsec\":").integer(segment.lease_usec);
    text.text(",\"acl\":");
    put_list(text, segment.acl);
    text.text(",\"capacityBytes\":").integer(segment.capacity_bytes);
    text.text(",\"hugePages\":").name(segment.huge_pages);
    text.text(",\"numaNodes\":");
    put_list(text, segment.numa_nodes);
    text.text("}");
}

}  // namespace

void append(std::string& out, const Segment& segment) {
    Usual text(out);
    put(text, segment);
}

void append_members(std::string& out, const Grant& grant) {
    Usual text(out);
    text.text("\"segment\":");
    put(text, grant.segment);
    if (grant.created) text.text(",\"created\":").boolean(*grant.created);
    text.text(",\"attachment\":").integer(grant.attachment);
    text.text(",\"fileDescriptor\":").integer(grant.file_descriptor);
}

void append(std::string& out, const Grant& grant) {
    out += '{';
    append_members(out, grant);
    out += '}';
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
