// Reading typed fields out of a JSON object, for the codecs in this directory alone. The first bad field is remembered
// by name; that name is what InvalidParameter carries.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "limits.hpp"
#include "messages.hpp"
#include "types.hpp"

namespace shmd::json {

using Json = nlohmann::json;
/// For output: keeps the order of the IDL.
using OrderedJson = nlohmann::ordered_json;

/// The wire names of an enum's values, in the order of their declaration.
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
    static constexpr std::array<std::string_view, 2> names{"persistent", "attached"};
};

template <typename E>
std::string_view enum_name(E value) {
    return EnumNames<E>::names[static_cast<std::size_t>(value)];
}

/// Parses a text that may nest at most limits::message_depth deep. A discarded value when it is not JSON.
Json parse(std::string_view text);

bool read(const Json& value, bool& out);
bool read(const Json& value, std::string& out);
bool read(const Json& value, std::int64_t& out);
bool read(const Json& value, std::int32_t& out);
bool read(const Json& value, std::uint32_t& out);
bool read(const Json& value, Labels& out);
bool read(const Json& value, std::vector<std::string>& out);
bool read(const Json& value, Segment& out);
bool read(const Json& value, Usage& out);
bool read(const Json& value, std::vector<Usage>& out);

template <typename E>
requires std::is_enum_v<E>
bool read(const Json& value, E& out) {
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    const auto& names = EnumNames<E>::names;
    auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) return false;
    out = static_cast<E>(found - names.begin());
    return true;
}

OrderedJson write(const Segment& segment);

class Fields {
  public:
    explicit Fields(const Json& object) : object_(object) {}

    template <typename T>
    Fields& require(const char* name, T& out) {
        const Json* value = find(name);
        if (!value || !read(*value, out)) fail(name);
        return *this;
    }

    template <typename T>
    Fields& allow(const char* name, std::optional<T>& out) {
        const Json* value = find(name);
        if (!value || value->is_null()) return *this;
        if (!read(*value, out.emplace())) fail(name);
        return *this;
    }

    /// Fails on a field that nobody asked for.
    Fields& no_others() {
        if (bad_field_ || seen_ == object_.size()) return *this;
        for (const auto& [name, value] : object_.items()) {
            if (std::find(asked_.begin(), asked_.end(), name) == asked_.end()) return fail(name), *this;
        }
        return *this;
    }

    void fail(std::string_view name) {
        if (!bad_field_) bad_field_ = name;
    }

    [[nodiscard]] const std::optional<std::string>& bad_field() const { return bad_field_; }

  private:
    const Json* find(const char* name) {
        asked_.push_back(name);
        auto found = object_.find(name);
        if (found == object_.end()) return nullptr;
        seen_++;
        return &*found;
    }

    const Json& object_;
    std::vector<std::string_view> asked_;
    std::size_t seen_ = 0;
    std::optional<std::string> bad_field_;
};

}  // namespace shmd::json
