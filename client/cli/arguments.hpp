// What can be typed: the commands and options of shmdctl, their help, and their values.
#pragma once

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
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
    PublishRequest publish;
    ChangeRequest change;
    AclRequest acl;
    ExecRequest exec;
    LockRequest lock;
    VersionWait version_wait;
    std::string key;
    std::string prefix;
    std::vector<std::string> keys;
    bool all = false;
    bool system_v = false;
    bool force = false;
    bool off = false;
    bool notified = false;
    std::uint64_t size = 0;
    std::int64_t number = 0;
    std::optional<std::uint64_t> bytes{};
    std::string text;
    std::function<Exit()> run;  // set by parsing; throws Failure
};

/// Has the app fill the invocation, which must live as long as it. Its parse() throws CLI::ParseError.
void define(CLI::App& app, Invocation& invocation);

}  // namespace shmd::cli
