// JSON whose length has a bound that is known before, written at the end of a string: for what every reply has.
#pragma once

#include <array>
#include <cassert>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "json_reader.hpp"

namespace shmd::json {

inline constexpr std::array<char, 200> two_digits = [] {
    std::array<char, 200> all{};
    for (std::size_t i = 0; i < 100; i++) {
        all[2 * i] = static_cast<char>('0' + i / 10);
        all[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return all;
}();

/// The most that an integer takes.
inline constexpr std::size_t most_digits = 20;

/// Writes the number and returns the end of it. Eight digits at a time, with divisions half as wide: half of what
/// std::to_chars() takes.
inline char* write_integer(char* out, std::int64_t value) {
    if (value < 0) return std::to_chars(out, out + most_digits, value).ptr;
    char digits[most_digits];
    char* begin = std::end(digits);
    auto put_two = [&begin](std::uint32_t number) {
        begin -= 2;
        std::memcpy(begin, two_digits.data() + 2 * number, 2);
    };
    auto rest = static_cast<std::uint64_t>(value);
    while (rest >= 100'000'000) {
        auto low = static_cast<std::uint32_t>(rest % 100'000'000);
        rest /= 100'000'000;
        for (int i = 0; i < 4; i++, low /= 100) put_two(low % 100);
    }
    auto high = static_cast<std::uint32_t>(rest);
    for (; high >= 10; high /= 100) put_two(high % 100);
    if (high > 0 || value == 0) *--begin = static_cast<char>('0' + high);
    auto length = static_cast<std::size_t>(std::end(digits) - begin);
    std::memcpy(out, begin, length);
    return out + length;
}

/// What is written is there when this is destroyed.
class BoundedText {
  public:
    /// room: the most bytes that will be written.
    BoundedText(std::string& out, std::size_t room) : out_(out) {
        std::size_t size = out.size();
        out.resize(size + room);
        at_ = out.data() + size;
    }
    BoundedText(const BoundedText&) = delete;
    BoundedText& operator=(const BoundedText&) = delete;
    ~BoundedText() {
        auto size = static_cast<std::size_t>(at_ - out_.data());
        assert(size <= out_.size());
        out_.resize(size);
    }

    template <std::size_t size>
    BoundedText& text(const char (&literal)[size]) {
        std::memcpy(at_, literal, size - 1);
        at_ += size - 1;
        return *this;
    }
    BoundedText& text(std::string_view some) {
        std::memcpy(at_, some.data(), some.size());
        at_ += some.size();
        return *this;
    }
    BoundedText& integer(std::int64_t value) {
        at_ = write_integer(at_, value);
        return *this;
    }
    BoundedText& integer(const std::optional<std::int64_t>& value) { return value ? integer(*value) : text("null"); }
    BoundedText& boolean(bool value) { return value ? text("true") : text("false"); }
    template <typename E>
    BoundedText& name(E value) {
        return text("\"").text(enum_name(value)).text("\"");
    }

  private:
    std::string& out_;
    char* at_;
};

}  // namespace shmd::json
