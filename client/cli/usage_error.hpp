// What is wrong with a command line, in words that say how it should be.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace shmd::cli {

/// Two lines: what is wrong, and where to read on.
[[nodiscard]] std::string usage_error(const CLI::App& app, const CLI::ParseError& error);

}  // namespace shmd::cli
