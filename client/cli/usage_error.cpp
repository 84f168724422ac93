#include "usage_error.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "suggest.hpp"
#include "text.hpp"

namespace shmd::cli {
namespace {

std::vector<std::string> command_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    return names;
}

void add_option_names(std::vector<std::string>& names, const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
}

std::string did_you_mean(const std::string& typed, const std::vector<std::string>& candidates) {
    auto meant = nearest(typed, candidates);
    return meant ? "; did you mean " + in_quotes(*meant) + "?" : "";
}

std::string unexpected(const CLI::App& app, const CLI::App* command, const std::string& argument) {
    if (argument.starts_with('-') && argument.size() > 1) {
        std::vector<std::string> names;
        add_option_names(names, app);
        if (command) add_option_names(names, *command);
        std::string name = argument.substr(0, argument.find('='));
        if (std::ranges::find(names, name) != names.end()) {
            return in_quotes(name) + " is no option behind \"--\"; put it before that";
        }
        return "there is no option " + in_quotes(name) + did_you_mean(name, names);
    }
    if (!command) return "there is no command " + in_quotes(argument) + did_you_mean(argument, command_names(app));
    return in_quotes(argument) + " is one argument too many";
}

std::string words_of(const CLI::App& app, const CLI::App* command, const CLI::ParseError& error) {
    // Whatever is missing may be what was mistyped, so that comes first.
    std::vector<std::string> unknown = app.remaining(true);
    if (!unknown.empty()) return unexpected(app, command, unknown.front());
    std::string words = error.what();
    if (error.get_name() == "ArgumentMismatch" && words.find(':') != std::string::npos) {
        return words.substr(0, words.find(':')) + " needs a value";
    }
    return command ? printable(words) : "a command is missing, such as create, ls or rm";
}

}  // namespace

std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
    auto commands = app.get_subcommands();
    const CLI::App* command = commands.empty() ? nullptr : commands.front();
    std::string typed = command ? command->get_name() : "";
    return (command ? typed + ": " : "") + words_of(app, command, error) + "\nTry \"shmdctl " +
           (command ? typed + " " : "") + "--help\".";
}

}  // namespace shmd::cli
