// JSON whose length has a bound that is known before, put together here and appended to a string in one go: for what every
// reply has.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "json_reader.hpp"

namespace shmd::json {

/// The most that an integer takes.
inline constexpr std::size_t most_digits = 20;

/// The eight digits of a number below 10^8, the first one in the lowest byte. They are all made at once, in lanes of one
/// register: quotients by 10^4, 10^2 and 10 as multiplications, which are exact for what is in a lane.
inline std::uint64_t eight_digits(std::uint32_t number) {
    std::uint64_t fours = number / 10'000 | std::uint64_t{number % 10'000} << 32;
    std::uint64_t hundreds = fours * 10'486 >> 20 & 0x0000007f'0000007f;
    std::uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
    std::uint64_t tens = twos * 103 >> 10 & 0x000f000f'000f000f;
    return tens | (twos - 10 * tens) << 8;
}

/// Writes the number and returns the end of it. May use all of the most_digits bytes behind out.
inline char* write_integer(char* out, std::int64_t value) {
    constexpr std::uint64_t zeros = 0x30303030'30303030, eight = 100'000'000;
    if (value >= 0 && value < 10) {
        *out = static_cast<char>('0' + value);
        return out + 1;
    }
    auto number = static_cast<std::uint64_t>(value);
    if (std::endian::native != std::endian::little || value < 0 || number >= eight * eight) {
        return std::to_chars(out, out + most_digits, value).ptr;
    }
    std::uint64_t high = number < eight ? number : number / eight;
    std::uint64_t digits = eight_digits(static_cast<std::uint32_t>(high));
    int leading = std::countr_zero(digits) & ~7;
    std::uint64_t text = (digits | zeros) >> leading;
    std::memcpy(out, &text, sizeof text);
    out += 8 - leading / 8;
    if (number < eight) return out;
    text = eight_digits(static_cast<std::uint32_t>(number - high * eight)) | zeros;
    std::memcpy(out, &text, sizeof text);
    return out + 8;
}

/// What is written is there when this is destroyed. room: the most bytes that will be written before that, or before flush().
template <std::size_t room>
class BoundedText {
  public:
    explicit BoundedText(std::string& out) : out_(out) {}
    BoundedText(const BoundedText&) = delete;
    BoundedText& operator=(const BoundedText&) = delete;
    ~BoundedText() { flush(); }

    /// What is written is there, and the caller may add to it.
    std::string& flush() {
        assert(at_ <= bytes_ + room);
        out_.append(bytes_, static_cast<std::size_t>(at_ - bytes_));
        at_ = bytes_;
        return out_;
    }

    template <std::size_t size>
    BoundedText& text(const char (&literal)[size]) {
        std::memcpy(at_, literal, size - 1);
        at_ += size - 1;
        return *this;
    }
    BoundedText& copy(std::string_view some) {
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
        return text("\"").copy(enum_name(value)).text("\"");
    }

  private:
    std::string& out_;
    // Not cleared. What is behind the room is for the last number.
    char bytes_[room + most_digits];
    char* at_ = bytes_;
};

}  // namespace shmd::json
