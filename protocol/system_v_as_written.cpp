#include "system_v_as_written.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>

#include "limits.hpp"

namespace shmd::system_v {
namespace {

/// Goes through a text, and is no good from where it is not as expected.
class Text {
  public:
    explicit Text(std::string_view text) : left_(text) {}

    bool continues_with(std::string_view expected) {
        bool there = good_ && left_.starts_with(expected);
        if (there) left_.remove_prefix(expected.size());
        return there;
    }

    Text& text(std::string_view expected) {
        good_ = continues_with(expected);
        return *this;
    }

    template <typename Int>
    Text& integer(Int& out) {
        const bool negative = continues_with("-");
        // No more digits than a number on the wire has, and no zeros before it.
        constexpr std::size_t most_digits = 16;
        std::int64_t number = 0;
        std::size_t digits = 0;
        for (; digits < left_.size() && digits < most_digits; digits++) {
            const auto digit = static_cast<unsigned char>(left_[digits] - '0');
            if (digit > 9) break;
            number = 10 * number + digit;
        }
        good_ = good_ && digits > 0 && (left_[0] != '0' || (digits == 1 && !negative));
        if (negative) number = -number;
        constexpr bool wide = sizeof(Int) == sizeof number;
        good_ = good_ && number >= (wide ? -limits::integer : std::int64_t{std::numeric_limits<Int>::min()}) &&
                number <= (wide ? limits::integer : std::int64_t{std::numeric_limits<Int>::max()});
        out = static_cast<Int>(number);
        left_.remove_prefix(digits);
        return *this;
    }

    /// If the text goes on with this name.
    template <typename Int>
    Text& integer_if(std::string_view name, std::optional<Int>& out) {
        return continues_with(name) ? integer(out.emplace()) : *this;
    }

    Text& boolean(bool& out) {
        out = continues_with("true");
        return out ? *this : text("false");
    }

    /// All was as expected, and nothing follows.
    [[nodiscard]] bool complete() const { return good_ && left_.empty(); }

  private:
    std::string_view left_;
    bool good_ = true;
};

template <typename T>
std::optional<Call> call_if(bool sound, const T& body, bool oneway = false) {
    if (!sound) return std::nullopt;
    return Call{{.oneway = oneway}, CallBody(body)};
}

}  // namespace

std::optional<Call> call_as_written(std::string_view message) {
    Text text(message);
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
    Text text(reply);
    text.text("{\"parameters\":{\"id\":").integer(read.id).text("}}");
    if (text.complete()) out = read;
    return text.complete();
}

bool read_as_written(std::string_view reply, AttachReply& out) {
    AttachReply read;
    Text text(reply);
    text.text("{\"parameters\":{\"sizeBytes\":").integer(read.size_bytes).text(",\"segmentId\":").integer(read.segment_id);
    text.integer_if(",\"attachment\":", read.attachment).integer_if(",\"fileDescriptor\":", read.file_descriptor);
    if (text.continues_with(",\"mayEndLate\":")) text.boolean(read.may_end_late.emplace());
    text.text("}}");
    if (text.complete()) out = read;
    return text.complete();
}

bool read_as_written(std::string_view reply, StatusReply& out) {
    Status read;
    Text text(reply);
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
