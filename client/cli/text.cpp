#include "text.hpp"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>
#include <vector>

#include "size_text.hpp"

namespace shmd::cli {
namespace {

struct CodePoint {
    char32_t value = 0;
    std::size_t bytes = 0;  // 0: not UTF-8
};

// The first code point of a text that is not empty.
CodePoint decode(std::string_view text) {
    auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned char first = byte(0);
    if (first < 0x80) return {first, 1};
    std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return {};
    char32_t value = first & (0x7fU >> length);
    for (std::size_t i = 1; i < length; i++) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        value = value << 6 | (byte(i) & 0x3fU);
    }
    constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < smallest[length] || value > 0x10ffff || surrogate) return {};
    return {value, length};
}

// Controls, line separators, and the marks that change the direction of what follows.
bool is_harmful(char32_t c) {
    auto between = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
    return c < 0x20 || between(0x7f, 0x9f) || c == 0x061c || between(0x200b, 0x200f) || between(0x2028, 0x202e) ||
           between(0x2060, 0x2069) || c == 0xfeff;
}

std::string escaped(const char* format, unsigned value) {
    char text[16];
    std::snprintf(text, sizeof text, format, value);
    return text;
}

std::string escaped(char32_t c) {
    if (c == '\n') return "\\n";
    if (c == '\t') return "\\t";
    if (c == '\r') return "\\r";
    return escaped(c < 0x20 ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(c));
}

// One of the reentrant look-ups, with a buffer that grows until the entry fits.
template <typename Entry, typename Lookup>
std::string name_of(unsigned id, Lookup lookup, char* Entry::*name) {
    std::vector<char> buffer(1024);
    Entry entry{};
    Entry* found = nullptr;
    while (lookup(id, &entry, buffer.data(), buffer.size(), &found) == ERANGE && buffer.size() < (1U << 20)) {
        buffer.resize(buffer.size() * 4);
    }
    return found ? printable(found->*name) : std::to_string(id);
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        CodePoint c = decode(text);
        if (c.bytes == 0) {
            out += escaped("\\x%02x", static_cast<unsigned char>(text.front()));
        } else if (is_harmful(c.value)) {
            out += escaped(c.value);
        } else if (c.value == '\\') {
            out += "\\\\";
        } else {
            out += text.substr(0, c.bytes);
        }
        text.remove_prefix(std::max<std::size_t>(c.bytes, 1));
    }
    return out;
}

std::string in_quotes(std::string_view text) {
    return "\"" + printable(text) + "\"";
}

std::string named(std::string_view key) {
    return key.empty() ? "\"\"" : printable(key);
}

std::size_t width_of(std::string_view text) {
    auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
}

std::string user_name(uid_t uid) {
    return name_of(uid, ::getpwuid_r, &passwd::pw_name);
}

std::string group_name(gid_t gid) {
    return name_of(gid, ::getgrgid_r, &group::gr_name);
}

std::string octal_mode(unsigned mode) {
    return escaped("%04o", mode);
}

std::string letters_of_mode(unsigned mode) {
    std::string letters = "rwxrwxrwx";
    for (std::size_t i = 0; i < letters.size(); i++) {
        if (!(mode >> (letters.size() - 1 - i) & 1)) letters[i] = '-';
    }
    return letters;
}

std::string local_time(std::int64_t usec, bool with_zone) {
    std::time_t seconds = usec / 1'000'000;
    std::tm broken_down{};
    if (!::localtime_r(&seconds, &broken_down)) return std::to_string(usec) + " us";
    char text[64];
    text[std::strftime(text, sizeof text, with_zone ? "%Y-%m-%d %H:%M:%S %z" : "%Y-%m-%d %H:%M:%S", &broken_down)] = 0;
    return text;
}

std::int64_t now_usec() {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

std::string duration_text(std::chrono::microseconds duration) {
    constexpr std::array<std::pair<std::int64_t, const char*>, 4> units{{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}};
    std::int64_t left = duration.count() / 1'000'000;
    if (left == 0) return std::to_string(duration.count()) + " us";
    std::string text;
    for (const auto& [seconds, unit] : units) {
        if (left >= seconds) text += (text.empty() ? "" : " ") + std::to_string(left / seconds) + unit;
        left %= seconds;
    }
    return text;
}

std::string exact_size(std::uint64_t bytes) {
    std::string text = std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
    if (bytes >= 1024) text += " (" + format_size(static_cast<std::int64_t>(bytes)) + ")";
    return text;
}

}  // namespace shmd::cli
