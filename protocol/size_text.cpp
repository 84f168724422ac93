#include "size_text.hpp"

#include <charconv>
#include <cstdio>

#include "limits.hpp"

namespace shmd {
namespace {

constexpr std::string_view units = "KMGT";

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) {
    std::int64_t number = 0;
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc() || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    int shift = 0;
    if (!text.empty()) {
        std::size_t unit = units.find(text.front());
        if (unit == std::string_view::npos || text.size() > 1) return std::nullopt;
        shift = 10 * (static_cast<int>(unit) + 1);
    }
    if (number > limits::integer >> shift) return std::nullopt;
    return number << shift;
}

std::string format_size(std::int64_t bytes) {
    if (bytes < 1024) return std::to_string(bytes);
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (value /= 1024; value >= 1023.95 && unit + 1 < units.size(); unit++) value /= 1024;
    char text[32];
    std::snprintf(text, sizeof text, value < 99.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return text;
}

}  // namespace shmd
