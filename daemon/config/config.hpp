// What can be set, its defaults, and the configuration file: JSON with comments.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "policy.hpp"
#include "quota.hpp"

namespace shmd {

struct Config {
    std::optional<std::string> socket;
    std::optional<std::string> control_socket;
    std::string control_group = "shmd-admin";
    std::string log_level = "info";
    std::chrono::seconds message_timeout{30};
    bool huge_pages = true;  // for what is large, unasked
    std::int64_t ready_bytes = 0;  // made ahead; 0: none
    Limits limits;
    KeyPolicy policy;
};

/// The defaults for a machine that may use this many bytes of memory and this many descriptors.
[[nodiscard]] Config default_config(std::int64_t memory_bytes, std::int64_t descriptors);

/// Reads a file over these defaults. Throws std::runtime_error that names the file, the place and what is wrong.
[[nodiscard]] Config read_config(const std::string& path, Config defaults);

/// The file that is read when none is named, if there is one: /etc/shmd/shmd.conf for root and system users, else
/// $XDG_CONFIG_HOME/shmd/shmd.conf.
[[nodiscard]] std::optional<std::string> find_config();

}  // namespace shmd
