// shmdctl: from what was typed to an exit status.
#include <algorithm>
#include <exception>
#include <sstream>

#include "arguments.hpp"
#include "complete.hpp"
#include "failure.hpp"
#include "output.hpp"
#include "usage_error.hpp"

namespace {

using namespace shmd::cli;

// The first word that is neither an option nor an option's value.
std::string command_of(const std::vector<std::string>& typed) {
    for (std::size_t i = 0; i < typed.size(); i++) {
        if (typed[i] == "--socket" || typed[i] == "--control-socket") {
            i++;
        } else if (!typed[i].starts_with('-')) {
            return typed[i];
        }
    }
    return {};
}

Exit run(int argc, char** argv) {
    Invocation invocation{.typed{argv + std::min(argc, 1), argv + argc}};
    CLI::App app("", "shmdctl");
    define(app, invocation);
    if (!invocation.typed.empty() && invocation.typed.front() == complete_argument) {
        complete(app, {invocation.typed.begin() + 1, invocation.typed.end()});
        return Exit::ok;
    }
    // What comes after "--" belongs to the program that these run.
    auto& typed = invocation.typed;
    const std::string command = command_of(typed);
    if (command == "lock" || command == "exec") {
        auto dashes = std::ranges::find(typed, "--");
        auto& program = command == "lock" ? invocation.lock.command : invocation.exec.program;
        if (dashes != typed.end()) program.assign(dashes + 1, typed.end());
        typed.erase(dashes, typed.end());
        argc = static_cast<int>(typed.size()) + 1;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() != 0) {
            complain(usage_error(app, error));
            return Exit::wrong_usage;
        }
        std::ostringstream text;  // the help or the version
        app.exit(error, text, text);
        print(text.str());
        return Exit::ok;
    }
    return invocation.run();
}

}  // namespace

int main(int argc, char** argv) {
    Exit exit = Exit::refused;
    try {
        exit = run(argc, argv);
    } catch (const Failure& failure) {
        if (*failure.what()) complain(failure.what());
        exit = failure.exit();
    } catch (const std::exception& error) {
        complain(error.what());
    }
    return static_cast<int>(exit);
}
