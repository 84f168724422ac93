// The pieces that definitions of commands are made of, and where the definitions are.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

#include "arguments.hpp"

namespace shmd::cli {

using ValueOf = std::function<void(const std::string& text)>;

CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& help, const std::string& examples);

/// An option with a value. The last one counts, unless it may be repeated.
CLI::Option& add_value(CLI::App& command, const std::string& name, const std::string& type, const std::string& help,
                       ValueOf take);
void add_repeated(CLI::App& command, const std::string& name, const std::string& type, const std::string& help,
                  ValueOf take);

/// The positional KEY, and KEY...
void add_key(CLI::App& command, std::string& key);
void add_keys(CLI::App& command, std::vector<std::string>& keys);

/// Has the command run once everything on the command line has been understood.
void on_command(CLI::App& command, Invocation& invocation, std::function<void()> run);
/// The same for one that says how it ended.
void on_command_with_exit(CLI::App& command, Invocation& invocation, std::function<Exit()> run);

// define_changes.cpp
void define_changes(CLI::App& app, Invocation& invocation);
// define_synchronize.cpp
void define_synchronize(CLI::App& app, Invocation& invocation);
// define_administration.cpp
void define_administration(CLI::App& app, Invocation& invocation);

}  // namespace shmd::cli
