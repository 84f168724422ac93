// A text that is read as this protocol's own codecs write it, for the readers of frequent messages in this directory. Without the heap,
// but for strings that are handed out.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "json_reader.hpp"
#include "json_writer.hpp"
#include "key.hpp"
#include "limits.hpp"

namespace shmd {

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

    /// If the text goes on with this name.
    template <std::size_t size, typename Int>
    AsWritten& integer_if(const char (&name)[size], std::optional<Int>& out) {
        return continues_with(name) ? integer(out.emplace()) : *this;
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

}  // namespace shmd
