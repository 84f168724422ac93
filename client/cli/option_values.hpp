// Texts of the command line into values. What they throw ends as wrong usage.
#pragma once

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <shmd/shmd.hpp>

#include "text.hpp"

namespace shmd::cli {

/// "OPTION: "TEXT" is not WANTED".
[[nodiscard]] CLI::ValidationError wrong_value(const std::string& option, const std::string& text,
                                               const std::string& wanted);

/// "100", "4K", "16M"; at least 1 where least_one.
[[nodiscard]] std::uint64_t size_from(const std::string& option, const std::string& text, bool least_one = false);

/// "0640".
[[nodiscard]] unsigned mode_from(const std::string& option, const std::string& text);

/// "30", "30s", "500ms", "5m", "2h", "1d".
[[nodiscard]] std::chrono::microseconds duration_from(const std::string& option, const std::string& text);

/// The same, at least a second.
[[nodiscard]] std::chrono::microseconds lease_from(const std::string& option, const std::string& text);

/// A name or a number.
[[nodiscard]] std::uint32_t user_from(const std::string& option, const std::string& text);
[[nodiscard]] std::uint32_t group_from(const std::string& option, const std::string& text);

/// "u:alice:rw" or "g:staff:r", also with "user:" and "group:" as setfacl(1) has it.
[[nodiscard]] AclEntry acl_entry_from(const std::string& option, const std::string& text);
/// The same without the access.
[[nodiscard]] AclEntry acl_subject_from(const std::string& option, const std::string& text);

/// "0", "0,2-3".
[[nodiscard]] std::vector<std::uint32_t> nodes_from(const std::string& option, const std::string& text);

/// "1234".
[[nodiscard]] std::int64_t number_from(const std::string& option, const std::string& text, std::int64_t least,
                                       std::int64_t most);

/// Adds "NAME=VALUE".
void add_label(Labels& labels, const std::string& option, const std::string& text);

template <typename T>
T choice_from(const std::string& option, const std::string& text,
              const std::vector<std::pair<std::string, T>>& choices) {
    std::string names;
    for (const auto& [name, value] : choices) {
        if (name == text) return value;
        names += (names.empty() ? "" : ", ") + name;
    }
    throw wrong_value(option, text, "one of " + names);
}

/// CLI11 takes "[a,b]" for a list of two. Nothing must be touched that was not typed.
void refuse_lists(const std::vector<std::string>& typed);

}  // namespace shmd::cli
