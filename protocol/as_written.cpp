#include "as_written.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "json_reader.hpp"
#include "json_writer.hpp"
#include "key.hpp"
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
        const char* begin = at_;
        auto number = static_cast<std::int64_t>(digits());
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
        while (at_ != end_ && json::stands_for_itself(*at_)) at_++;
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

    /// One that is valid.
    AsWritten& key(std::optional<std::string>& out) {
        std::string_view says;
        string(says);
        good_ = good_ && is_valid_key(says);
        if (good_) out = says;
        return *this;
    }

    /// Fastest for the one that is there already.
    template <typename E>
    AsWritten& name(E& out) {
        std::string_view usual = json::enum_name(out);
        std::size_t length = usual.size() + 2;
        if (good_ && static_cast<std::size_t>(end_ - at_) >= length && *at_ == '"' && at_[length - 1] == '"' &&
            std::memcmp(at_ + 1, usual.data(), usual.size()) == 0) {
            at_ += length;
            return *this;
        }
        std::string_view says;
        string(says);
        const auto& names = json::EnumNames<E>::names;
        auto found = std::find(names.begin(), names.end(), says);
        good_ = good_ && found != names.end();
        if (good_) out = static_cast<E>(found - names.begin());
        return *this;
    }

    [[nodiscard]] bool good() const { return good_; }
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

    /// The number whose digits begin here. No more of them than a number on the wire has.
    std::uint64_t digits() {
        static_assert(limits::integer < 10'000'000'000'000'000);
        if (end_ - at_ >= 2 && is_digit(at_[0]) && !is_digit(at_[1])) return static_cast<std::uint64_t>(*at_++ - '0');
        std::uint64_t number = 0;
        if (std::endian::native == std::endian::little && end_ - at_ >= 16) {
            int first = eight_digits(number);
            if (first == 8) eight_digits(number);
            return number;
        }
        constexpr int most_digits = 16;
        for (int i = 0; i < most_digits && at_ != end_ && is_digit(*at_); i++) {
            number = 10 * number + static_cast<std::uint64_t>(*at_++ - '0');
        }
        return number;
    }

    /// Reads the next digits, at most eight, behind those of the number, and how many there are. All at once: a byte that is
    /// no digit has its highest bit set below, and so may those behind it; what is left are lanes of one, of two and of four
    /// digits. There must be eight bytes.
    int eight_digits(std::uint64_t& number) {
        constexpr std::array<std::uint64_t, 9> powers{1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};
        std::uint64_t lanes;
        std::memcpy(&lanes, at_, sizeof lanes);
        lanes ^= 0x30303030'30303030;
        std::uint64_t others = ((lanes + 0x76767676'76767676) | lanes) & 0x80808080'80808080;
        int count = std::countr_zero(others) / 8;
        if (count == 0) return 0;
        lanes <<= 64 - 8 * count;
        lanes = 10 * lanes + (lanes >> 8);
        constexpr std::uint64_t every_fourth = 0x000000ff'000000ff;
        lanes = ((lanes & every_fourth) * 0x000f4240'00000064 + (lanes >> 16 & every_fourth) * 0x00002710'00000001) >> 32;
        number = number * powers[static_cast<std::size_t>(count)] + lanes;
        at_ += count;
        return count;
    }

    static bool is_digit(char c) { return c >= '0' && c <= '9'; }

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
