#include "option_values.hpp"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "limits.hpp"
#include "size_text.hpp"

namespace shmd::cli {
namespace {

template <typename T>
std::optional<T> whole_number(std::string_view text) {
    T number{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

// The kernel takes the last id for "nobody in particular".
std::optional<std::uint32_t> id_number(std::string_view text) {
    auto id = whole_number<std::uint32_t>(text);
    return id == UINT32_MAX ? std::nullopt : id;
}

std::pair<std::string, std::string> split(const std::string& text, char at) {
    std::size_t place = text.find(at);
    if (place == std::string::npos) return {text, ""};
    return {text.substr(0, place), text.substr(place + 1)};
}

}  // namespace

CLI::ValidationError wrong_value(const std::string& option, const std::string& text, const std::string& wanted) {
    return CLI::ValidationError(option, in_quotes(text) + " is not " + wanted);
}

std::uint64_t size_from(const std::string& option, const std::string& text, bool least_one) {
    auto size = parse_size(text);
    if (!size) throw wrong_value(option, text, "a size; write it as 100, 4K, 16M, 2G or 1T");
    if (least_one && *size == 0) throw wrong_value(option, text, "a size; a segment has at least 1 byte");
    return static_cast<std::uint64_t>(*size);
}

unsigned mode_from(const std::string& option, const std::string& text) {
    bool octal = !text.empty() && text.size() <= 4 && text.find_first_not_of("01234567") == std::string::npos;
    unsigned long mode = octal ? std::stoul(text, nullptr, 8) : 01000;
    if (mode > 0777) throw wrong_value(option, text, "a mode; write it as 0644, up to 0777");
    return static_cast<unsigned>(mode);
}

std::chrono::microseconds duration_from(const std::string& option, const std::string& text) {
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> units{
        {{"ms", 1'000}, {"s", 1'000'000}, {"m", 60'000'000}, {"h", 3'600'000'000}, {"d", 86'400'000'000}, {"", 1'000'000}}};
    std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    auto number = whole_number<std::int64_t>(std::string_view(text).substr(0, digits));
    for (const auto& [unit, usec] : units) {
        if (!number || unit != std::string_view(text).substr(digits)) continue;
        if (*number <= limits::integer / usec) return std::chrono::microseconds(*number * usec);
    }
    throw wrong_value(option, text, "a time; write it as 30s, 500ms, 5m, 2h or 1d");
}

std::chrono::microseconds lease_from(const std::string& option, const std::string& text) {
    auto lease = duration_from(option, text);
    if (lease < std::chrono::seconds(1)) throw wrong_value(option, text, "a lease; it lasts at least a second");
    return lease;
}

std::uint32_t user_from(const std::string& option, const std::string& text) {
    if (auto id = id_number(text)) return *id;
    if (const passwd* entry = ::getpwnam(text.c_str())) return entry->pw_uid;
    throw wrong_value(option, text, "a user of this machine, nor a uid");
}

std::uint32_t group_from(const std::string& option, const std::string& text) {
    if (auto id = id_number(text)) return *id;
    if (const group* entry = ::getgrnam(text.c_str())) return entry->gr_gid;
    throw wrong_value(option, text, "a group of this machine, nor a gid");
}

AclEntry acl_subject_from(const std::string& option, const std::string& text) {
    auto [kind, name] = split(text, ':');
    if (kind == "u" || kind == "user") return {AclEntry::Kind::user, user_from(option, name), Access::read};
    if (kind == "g" || kind == "group") return {AclEntry::Kind::group, group_from(option, name), Access::read};
    throw wrong_value(option, text, "an entry; write it as u:NAME:r, u:NAME:rw or g:NAME:r");
}

AclEntry acl_entry_from(const std::string& option, const std::string& text) {
    std::size_t last = text.rfind(':');
    std::string access = last == std::string::npos ? "" : text.substr(last + 1);
    if (access != "r" && access != "rw") {
        throw wrong_value(option, text, "an entry; write it as u:NAME:r, u:NAME:rw or g:NAME:r");
    }
    AclEntry entry = acl_subject_from(option, text.substr(0, last));
    entry.access = access == "rw" ? Access::write : Access::read;
    return entry;
}

std::vector<std::uint32_t> nodes_from(const std::string& option, const std::string& text) {
    auto refusal = [&] { return wrong_value(option, text, "a list of nodes; write it as 0 or 0,2-3"); };
    std::vector<std::uint32_t> nodes;
    std::string rest = text;
    do {
        auto [item, others] = split(rest, ',');
        auto [first_text, last_text] = split(item, '-');
        auto first = whole_number<std::uint32_t>(first_text);
        auto last = item.find('-') == std::string::npos ? first : whole_number<std::uint32_t>(last_text);
        if (!first || !last || *last < *first || *last > limits::highest_numa_node) throw refusal();
        for (std::uint32_t node = *first; node <= *last; node++) nodes.push_back(node);
        if (rest.ends_with(',')) throw refusal();
        rest = others;
    } while (!rest.empty());
    return nodes;
}

std::int64_t number_from(const std::string& option, const std::string& text, std::int64_t least, std::int64_t most) {
    auto number = whole_number<std::int64_t>(text);
    if (number && *number >= least && *number <= most) return *number;
    throw wrong_value(option, text, "a number from " + std::to_string(least) + " to " + std::to_string(most));
}

void add_label(Labels& labels, const std::string& option, const std::string& text) {
    std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) throw wrong_value(option, text, "of the form NAME=VALUE");
    if (!labels.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
        throw CLI::ValidationError(option, in_quotes(text.substr(0, equals)) + " is given twice");
    }
}

void refuse_lists(const std::vector<std::string>& typed) {
    for (const std::string& argument : typed) {
        bool list = argument.size() > 1 && argument.front() == '[' && argument.back() == ']';
        if (list) throw wrong_value("KEY", argument, "a key; keys begin with a letter or a digit");
    }
}

}  // namespace shmd::cli
