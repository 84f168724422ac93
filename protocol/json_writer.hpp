// Writing JSON objects member by member, for the codecs in this directory alone. Written straight into one string:
// every reply passes here.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "messages.hpp"
#include "types.hpp"

namespace shmd::json {

/// What every JSON string may hold as it is, and is one byte.
[[nodiscard]] inline bool stands_for_itself(char c) {
    static constexpr auto these = [] {
        std::array<bool, 256> all{};
        for (std::size_t i = 0x20; i < 0x7f; i++) all[i] = i != '"' && i != '\\';
        return all;
    }();
    return these[static_cast<unsigned char>(c)];
}

[[nodiscard]] inline bool stands_for_itself(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return stands_for_itself(c); });
}

/// Appends text as a JSON string. Bytes that are not UTF-8 become U+FFFD.
void append_string(std::string& out, std::string_view text);

/// One object. Its closing brace is written when it is destroyed. Names are literals that need no escapes.
class ObjectWriter {
  public:
    explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
    ObjectWriter(const ObjectWriter&) = delete;
    ObjectWriter& operator=(const ObjectWriter&) = delete;
    ~ObjectWriter() { out_ += '}'; }

    void add(std::string_view name, std::string_view value) { append_string(begin(name), value); }
    void add(std::string_view name, const std::string& value) { add(name, std::string_view(value)); }
    void add(std::string_view name, const char* value) { add(name, std::string_view(value)); }
    void add(std::string_view name, std::integral auto value) {
        if constexpr (std::same_as<decltype(value), bool>) {
            begin(name) += value ? std::string_view("true") : std::string_view("false");
        } else {
            add_integer(name, value);
        }
    }

    /// Null when there is none.
    template <typename T>
    void add(std::string_view name, const std::optional<T>& value) {
        if (value) {
            add(name, *value);
        } else {
            begin(name).append("null", 4);
        }
    }
    /// Nothing when there is none.
    template <typename T>
    void add_if(std::string_view name, const std::optional<T>& value) {
        if (value) add(name, *value);
    }

    /// Writes the name; the caller appends the value to what this returns.
    std::string& begin(std::string_view name);

    /// For a caller who writes all members.
    std::string& all_members() { return out_; }

  private:
    class Piece;

    void add_integer(std::string_view name, std::int64_t value);

    std::string& out_;
    bool first_ = true;
};

inline void append(std::string& out, const std::string& text) {
    append_string(out, text);
}
void append(std::string& out, std::uint32_t number);
void append(std::string& out, const Labels& labels);
void append(std::string& out, const Segment& segment);
void append(std::string& out, const Grant& grant);
/// The same without the braces.
void append_members(std::string& out, const Grant& grant);
void append(std::string& out, const OpenResult& result);
void append(std::string& out, const Usage& usage);
void append(std::string& out, const AclEntry& entry);
void append(std::string& out, const Holder& holder);
void append(std::string& out, const AttachmentStatus& attachment);
void append(std::string& out, const SegmentStatus& segment);

template <typename T>
void append(std::string& out, const std::vector<T>& items) {
    out += '[';
    bool first = true;
    for (const T& item : items) {
        if (!std::exchange(first, false)) out += ',';
        append(out, item);
    }
    out += ']';
}

/// The same text with line breaks and an indent of 2.
[[nodiscard]] std::string indented(const std::string& text);

}  // namespace shmd::json
