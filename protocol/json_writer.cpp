#include "json_writer.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>

#include "json_reader.hpp"

namespace shmd::json {
namespace {

constexpr std::array<char, 200> two_digits = [] {
    std::array<char, 200> all{};
    for (std::size_t i = 0; i < 100; i++) {
        all[2 * i] = static_cast<char>('0' + i / 10);
        all[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return all;
}();

bool needs_no_escape(char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
}

}  // namespace

void append_string(std::string& out, std::string_view text) {
    if (std::all_of(text.begin(), text.end(), needs_no_escape)) {
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
        if (value < 0) {
            end_ = std::to_chars(end_, std::end(bytes_), value).ptr;
            return *this;
        }
        // Eight digits at a time, with half as wide divisions: half of what std::to_chars() takes, and replies are full of times.
        char digits[most_digits];
        char* begin = std::end(digits);
        auto rest = static_cast<std::uint64_t>(value);
        while (rest >= 100'000'000) {
            auto low = static_cast<std::uint32_t>(rest % 100'000'000);
            rest /= 100'000'000;
            for (int i = 0; i < 4; i++, low /= 100) begin = put_two(begin, low % 100);
        }
        auto high = static_cast<std::uint32_t>(rest);
        for (; high >= 10; high /= 100) begin = put_two(begin, high % 100);
        if (high > 0 || value == 0) *--begin = static_cast<char>('0' + high);
        end_ = std::copy(begin, std::end(digits), end_);
        return *this;
    }

    [[nodiscard]] std::string_view text() const { return {bytes_, static_cast<std::size_t>(end_ - bytes_)}; }

  private:
    static char* put_two(char* before, std::uint32_t number) {
        std::memcpy(before - 2, two_digits.data() + 2 * number, 2);
        return before - 2;
    }

    static constexpr std::size_t most_name_bytes = 32, most_digits = 20, around_name = 4;

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
