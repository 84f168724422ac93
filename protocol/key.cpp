#include "key.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "limits.hpp"

namespace shmd {
namespace {

constexpr bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr auto key_bytes = [] {
    std::array<bool, 256> all{};
    for (unsigned c = 0; c < 256; c++) all[c] = is_alphanumeric(static_cast<char>(c));
    for (char c : std::string_view("._:/@+=-")) all[static_cast<unsigned char>(c)] = true;
    return all;
}();

bool is_key_byte(char c) {
    return key_bytes[static_cast<unsigned char>(c)];
}

}  // namespace

bool is_valid_key(std::string_view key) {
    return !key.empty() && is_valid_prefix(key);
}

bool is_valid_prefix(std::string_view prefix) {
    if (prefix.size() > limits::key_bytes) return false;
    if (prefix.empty()) return true;
    return is_alphanumeric(prefix.front()) && std::all_of(prefix.begin(), prefix.end(), is_key_byte);
}

std::string sysv_key(std::int32_t key) {
    char text[sizeof "sysv:0x00000000"];
    std::snprintf(text, sizeof text, "sysv:0x%08x", static_cast<unsigned>(key));
    return text;
}

std::optional<std::int32_t> sysv_number(std::string_view key) {
    constexpr std::string_view prefix = "sysv:0x";
    if (key.size() != prefix.size() + 8 || !key.starts_with(prefix)) return std::nullopt;
    key.remove_prefix(prefix.size());
    bool canonical = std::ranges::all_of(key, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    std::uint32_t number = 0;
    std::from_chars(key.data(), key.data() + key.size(), number, 16);
    if (!canonical || number == 0) return std::nullopt;
    return static_cast<std::int32_t>(number);
}

std::string key_from_text(std::string_view text) {
    std::string_view digits = text;
    bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    bool hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    if (hexadecimal) digits.remove_prefix(2);

    std::uint32_t number = 0;
    const char* end = digits.data() + digits.size();
    auto parsed = std::from_chars(digits.data(), end, number, hexadecimal ? 16 : 10);
    if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != end) return std::string(text);
    if (negative && number > std::uint32_t{1} << 31) return std::string(text);
    return sysv_key(static_cast<std::int32_t>(negative ? 0 - number : number));
}

}  // namespace shmd
