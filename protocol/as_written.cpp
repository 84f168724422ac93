#include "as_written.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "json_reader.hpp"
#include "limits.hpp"

namespace shmd {
namespace {

/// Goes through a text, and stands still where it is not as expected.
class AsWritten {
  public:
    explicit AsWritten(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

    template <std::size_t size>
    AsWritten& text(const char (&expected)[size]) {
        good_ = continues_with(expected);
        return *this;
    }

    template <typename Int>
    AsWritten& integer(Int& out) {
        bool negative = good_ && at_ != end_ && *at_ == '-';
        if (negative) at_++;
        // No more digits than a number on the wire has, and no zeros before it.
        constexpr std::ptrdiff_t most_digits = 16;
        const char* begin = at_;
        std::int64_t number = 0;
        while (at_ != end_ && *at_ >= '0' && *at_ <= '9' && at_ - begin < most_digits) number = 10 * number + (*at_++ - '0');
        good_ = good_ && at_ != begin && (*begin != '0' || (at_ - begin == 1 && !negative));
        if (negative) number = -number;
        good_ = good_ && number >= least<Int>() && number <= most<Int>();
        out = static_cast<Int>(number);
        return *this;
    }

    template <typename Int>
    AsWritten& integer(std::optional<Int>& out) {
        if (is_null()) return *this;
        return integer(out.emplace());
    }

    AsWritten& boolean(bool& out) {
        out = good_ && at_ != end_ && *at_ == 't';
        return out ? text("true") : text("false");
    }

    template <std::size_t size>
    bool continues_with(const char (&expected)[size]) {
        constexpr std::size_t length = size - 1;
        bool there = good_ && static_cast<std::size_t>(end_ - at_) >= length && std::memcmp(at_, expected, length) == 0;
        if (there) at_ += length;
        return there;
    }

    /// Of what stands for itself.
    AsWritten& string(std::string_view& out) {
        text("\"");
        const char* begin = at_;
        while (at_ != end_ && *at_ >= 0x20 && *at_ < 0x7f && *at_ != '"' && *at_ != '\\') at_++;
        out = {begin, static_cast<std::size_t>(at_ - begin)};
        return text("\"");
    }

    AsWritten& string(std::optional<std::string>& out) {
        if (is_null()) return *this;
        std::string_view says;
        string(says);
        if (good_) out = says;
        return *this;
    }

    template <typename E>
    AsWritten& name(E& out) {
        std::string_view says;
        string(says);
        const auto& names = json::EnumNames<E>::names;
        auto found = std::find(names.begin(), names.end(), says);
        good_ = good_ && found != names.end();
        if (good_) out = static_cast<E>(found - names.begin());
        return *this;
    }

    /// All was as expected, and nothing follows.
    [[nodiscard]] bool complete() const { return good_ && at_ == end_; }

  private:
    template <typename Int>
    static constexpr std::int64_t least() {
        return sizeof(Int) == 8 ? -limits::integer : std::int64_t{std::numeric_limits<Int>::min()};
    }
    template <typename Int>
    static constexpr std::int64_t most() {
        return sizeof(Int) == 8 ? limits::integer : std::int64_t{std::numeric_limits<Int>::max()};
    }

    bool is_null() { return continues_with("null"); }

    const char* at_;
    const char* end_;
    bool good_ = true;
};

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

}  // namespace

std::optional<Open> open_as_written(std::string_view message) {
    Open call;
    std::string_view key;
    AsWritten text(message);
    text.text("{\"method\":\"io.shmd.Segments.Open\",\"parameters\":{\"key\":").string(key);
    text.text(",\"access\":").name(call.access).text("}}");
    if (!text.complete()) return std::nullopt;
    call.target.key = key;
    return call;
}

bool read_as_written(std::string_view message, Grant& grant) {
    AsWritten text(message);
    text.text("{\"parameters\":{\"segment\":");
    read(text, grant.segment);
    if (text.continues_with(",\"created\":")) text.boolean(grant.created.emplace());
    text.text(",\"attachment\":").integer(grant.attachment);
    text.text(",\"fileDescriptor\":").integer(grant.file_descriptor).text("}}");
    return text.complete() && json::is_sound(grant.segment) && json::is_sound(grant);
}

bool read_as_written(std::string_view message, SegmentReply& reply) {
    AsWritten text(message);
    text.text("{\"parameters\":{\"segment\":");
    read(text, reply.segment.emplace());
    text.text("}}");
    return text.complete() && json::is_sound(*reply.segment);
}

}  // namespace shmd
