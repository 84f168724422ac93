// Reading typed fields out of a JSON object, for the codecs in this directory alone. The first bad field is remembered
// by name; that name is what InvalidParameter carries.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json_document.hpp"
#include "limits.hpp"
#include "messages.hpp"
#include "types.hpp"

namespace shmd::json {

/// The member of this name, or null. A null there counts as absent.
[[nodiscard]] const Json* find_member(const Json& object, std::string_view name);

template <typename E>
struct EnumNames;
template <>
struct EnumNames<Access> {
    static constexpr std::array<std::string_view, 2> names{"read", "write"};
};
template <>
struct EnumNames<CreateMode> {
    static constexpr std::array<std::string_view, 2> names{"new", "any"};
};
template <>
struct EnumNames<Reserve> {
    static constexpr std::array<std::string_view, 3> names{"lazy", "allocate", "populate"};
};
template <>
struct EnumNames<State> {
    static constexpr std::array<std::string_view, 3> names{"staged", "live", "deleted"};
};
template <>
struct EnumNames<Lifetime> {
    static constexpr std::array<std::string_view, 4> names{"persistent", "attached", "creator", "lease"};
};
template <>
struct EnumNames<HugePages> {
    static constexpr std::array<std::string_view, 4> names{"none", "transparent", "huge2M", "huge1G"};
};
template <>
struct EnumNames<Event> {
    static constexpr std::array<std::string_view, 14> names{
        "present", "ready",    "created",  "published", "replaced", "sealed",  "resized",
        "changed", "attached", "detached", "deleted",   "expired",  "evicted", "lost"};
};

template <typename E>
std::string_view enum_name(E value) {
    return EnumNames<E>::names[static_cast<std::size_t>(value)];
}

/// An array whose items the caller reads. Valid as long as the document.
struct Array {
    const Json* value = nullptr;
};
inline bool read(const Json& value, Array& out) {
    out.value = &value;
    return value.is_array();
}

/// What no type says.
[[nodiscard]] inline bool is_sound(const Segment& segment) {
    return segment.size_bytes > 0 && segment.capacity_bytes >= segment.size_bytes;
}
[[nodiscard]] inline bool is_sound(const Grant& grant) {
    return grant.attachment != 0 && grant.file_descriptor >= 0;
}

bool read(const Json& value, bool& out);
bool read(const Json& value, std::string& out);
bool read(const Json& value, std::int64_t& out);
bool read(const Json& value, std::int32_t& out);
bool read(const Json& value, std::uint32_t& out);
bool read(const Json& value, Labels& out);
bool read(const Json& value, std::vector<std::string>& out);
bool read(const Json& value, std::vector<std::uint32_t>& out);
bool read(const Json& value, Segment& out);
bool read(const Json& value, Usage& out);
bool read(const Json& value, std::vector<Usage>& out);
bool read(const Json& value, AclEntry& out);
bool read(const Json& value, std::vector<AclEntry>& out);
bool read(const Json& value, Holder& out);
bool read(const Json& value, std::vector<Holder>& out);
bool read(const Json& value, AttachmentStatus& out);
bool read(const Json& value, std::vector<AttachmentStatus>& out);
bool read(const Json& value, SegmentStatus& out);
bool read(const Json& value, Grant& out);

template <typename E>
requires std::is_enum_v<E>
bool read(const Json& value, E& out) {
    if (!value.is_string()) return false;
    const auto& names = EnumNames<E>::names;
    auto found = std::find(names.begin(), names.end(), value.as_string());
    if (found == names.end()) return false;
    out = static_cast<E>(found - names.begin());
    return true;
}

/// Takes fields out of an object, which must outlive this.
class Fields {
  public:
    explicit Fields(const Json& object) : object_(object), next_(object.members().begin()) {}

    template <typename T>
    Fields& require(std::string_view name, T& out) {
        const Json* value = find(name);
        if (!value || !read(*value, out)) fail(name);
        return *this;
    }

    template <typename T>
    Fields& allow(std::string_view name, std::optional<T>& out) {
        const Json* value = find(name);
        if (!value || value->is_null()) return *this;
        if (!read(*value, out.emplace())) fail(name);
        return *this;
    }

    /// Fails on a field that nobody asked for, and on one that is there twice.
    Fields& no_others();

    void fail(std::string_view name) {
        if (!bad_field_) bad_field_ = name;
    }

    [[nodiscard]] const std::optional<std::string>& bad_field() const { return bad_field_; }

  private:
    const Json* find(std::string_view name);

    static constexpr std::size_t most_fields = 32;

    const Json& object_;
    MemberIterator next_;  // behind the last one found: whoever writes in the order of the IDL is read in one go
    std::array<std::string_view, most_fields> asked_{};
    std::size_t asked_count_ = 0;
    std::size_t seen_ = 0;
    std::optional<std::string> bad_field_;
};

}  // namespace shmd::json
