// What can be typed: the commands and options of shmdctl, their help, and their values.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

#include "commands.hpp"

namespace shmd::cli {

/// What was typed.
struct Invocation {
    std::vector<std::string> typed;  // all of it, as it came
    Common common;
    CreateRequest create;
    WriteRequest write;
    ReadRequest read;
    std::string key;
    std::string prefix;
    std::vector<std::string> keys;
    std::function<Exit()> run;  // set by parsing; throws Failure
};

/// Has the app fill the invocation, which must live as long as it. Its parse() throws CLI::ParseError.
void define(CLI::App& app, Invocation& invocation);

}  // namespace shmd::cli
