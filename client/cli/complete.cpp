#include "complete.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <shmd/shmd.hpp>
#include <string_view>

#include "key.hpp"
#include "output.hpp"
#include "size_text.hpp"
#include "sockets.hpp"
#include "text.hpp"

namespace shmd::cli {
namespace {

using Names = std::vector<std::string>;

struct Choices {
    const char* command;  // "": of any
    const char* of;       // the option or the argument
    Names values;
};

const std::vector<Choices>& all_choices() {
    static const std::vector<Choices> choices{
        {"", "--reserve", {"allocate", "populate", "lazy"}},
        {"", "--lifetime", {"persistent", "attached"}},
        {"", "--huge-pages", {"none", "transparent", "2M", "1G"}},
        {"lifetime", "--evictable", {"yes", "no"}},
        {"lifetime", "HOW", {"persistent", "attached", "creator"}},
        {"log-level", "LEVEL", {"trace", "debug", "info", "warning", "error", "critical", "off"}},
    };
    return choices;
}

Names users() {
    Names names;
    ::setpwent();
    while (const passwd* entry = ::getpwent()) names.emplace_back(entry->pw_name);
    ::endpwent();
    return names;
}

Names groups() {
    Names names;
    ::setgrent();
    while (const group* entry = ::getgrent()) names.emplace_back(entry->gr_name);
    ::endgrent();
    return names;
}

// The words before the one that is being typed, understood as far as they go.
class Line {
  public:
    Line(const CLI::App& app, const Names& words) : app_(app), last_(words.empty() ? "" : words.back()) {
        for (std::size_t i = 0; i + 1 < words.size(); i++) take(words[i]);
    }

    void complete() {
        if (waiting_) return offer_values(waiting_->get_name(), last_, "");
        std::size_t equals = last_.find('=');
        bool option = !only_arguments_ && last_.starts_with('-');
        if (option && equals != std::string::npos) {
            return offer_values(last_.substr(0, equals), last_.substr(equals + 1), last_.substr(0, equals + 1));
        }
        if (option) return offer_options();
        if (command_) return offer_values(argument_name(), last_, "");
        for (const CLI::App* command : app_.get_subcommands({})) offer(command->get_name(), command->get_description());
    }

    [[nodiscard]] const std::string& found() const { return found_; }

  private:
    void take(const std::string& word) {
        if (waiting_) {
            note_value(waiting_->get_name(), word);
            waiting_ = nullptr;
        } else if (only_arguments_ || !word.starts_with('-')) {
            take_argument(word);
        } else if (word == "--") {
            only_arguments_ = true;
        } else if (std::size_t equals = word.find('='); equals != std::string::npos) {
            note_value(word.substr(0, equals), word.substr(equals + 1));
        } else if (const CLI::Option* option = option_named(word); option && option->get_items_expected_max() > 0) {
            waiting_ = option;
        }
    }

    void take_argument(const std::string& word) {
        if (command_) {
            arguments_.push_back(word);
            return;
        }
        for (const CLI::App* command : app_.get_subcommands({})) {
            if (command->get_name() == word) command_ = command;
        }
    }

    void note_value(const std::string& option, const std::string& value) {
        if (option == "--socket") socket_ = value;
    }

    [[nodiscard]] const CLI::Option* option_named(const std::string& name) const {
        const CLI::Option* option = command_ ? command_->get_option_no_throw(name) : nullptr;
        return option ? option : app_.get_option_no_throw(name);
    }

    // The next argument of the command: its last one may stand there many times.
    [[nodiscard]] std::string argument_name() const {
        std::size_t place = arguments_.size();
        for (const CLI::Option* option : command_->get_options()) {
            if (!option->get_positional()) continue;
            if (place == 0 || option->get_items_expected_max() > 1) return option->get_name(true);
            place--;
        }
        return "";
    }

    void offer_options() {
        for (const CLI::App* app : {command_, &app_}) {
            for (const CLI::Option* option : app ? app->get_options() : std::vector<const CLI::Option*>{}) {
                for (const std::string& name : option->get_lnames()) offer("--" + name, option->get_description());
            }
        }
    }

    // before: what stands in the same word in front of the value.
    void offer_values(const std::string& of, const std::string& value, const std::string& before) {
        before_ = before;
        std::string command = command_ ? command_->get_name() : "";
        for (const Choices& choices : all_choices()) {
            if (of != choices.of || (*choices.command && command != choices.command)) continue;
            for (const std::string& each : choices.values) offer(each, "");
        }
        if (of == "KEY" || of == "PREFIX") return offer_keys(value);
        if (of == "NAME=VALUE") return offer_labels("=");
        if (of == "OWNER") return offer_owners(value);
        if (of == "--acl" || of == "--add") return offer_subjects({":r", ":rw"});
        if (of == "--remove") return command == "acl" ? offer_subjects({""}) : offer_labels("");
        if (of == "FILE" || of == "--socket" || of == "--control-socket") found_ += ":files\n";
    }

    void offer_keys(const std::string& prefix) {
        Client client(segments_socket(socket_).path);
        for (const Info& segment : client.list(prefix)) {
            std::string size = format_size(static_cast<std::int64_t>(segment.size_bytes));
            if (segment.key) offer(*segment.key, size + " of " + user_name(segment.owner_uid));
        }
    }

    // Names of the labels that the segment has.
    void offer_labels(const std::string& behind) {
        if (arguments_.empty()) return;
        Client client(segments_socket(socket_).path);
        for (const auto& [name, value] : client.describe(key_from_text(arguments_.front())).labels) offer(name + behind, value);
    }

    void offer_owners(const std::string& value) {
        std::size_t colon = value.find(':');
        if (colon == std::string::npos) {
            for (const std::string& user : users()) offer(user, "");
        } else {
            for (const std::string& group : groups()) offer(value.substr(0, colon + 1) + group, "");
        }
    }

    void offer_subjects(const Names& endings) {
        for (const std::string& ending : endings) {
            for (const std::string& user : users()) offer("u:" + user + ending, "");
            for (const std::string& group : groups()) offer("g:" + group + ending, "");
        }
    }

    void offer(const std::string& word, std::string description) {
        std::string whole = before_ + word;
        if (!whole.starts_with(last_)) return;
        std::replace(description.begin(), description.end(), '\n', ' ');
        found_ += printable(whole) + (description.empty() ? "" : "\t" + printable(description)) + "\n";
    }

    const CLI::App& app_;
    std::string last_;
    std::string before_;
    const CLI::App* command_ = nullptr;
    const CLI::Option* waiting_ = nullptr;  // for its value
    bool only_arguments_ = false;
    std::vector<std::string> arguments_;
    std::string socket_;
    std::string found_;
};

void give_up_soon() {
    constexpr unsigned patience_seconds = 2;
    ::signal(SIGALRM, [](int) { ::_exit(0); });
    ::alarm(patience_seconds);
}

}  // namespace

void complete(const CLI::App& app, const std::vector<std::string>& words) {
    give_up_soon();
    Line line(app, words);
    try {
        line.complete();
    } catch (const std::exception&) {
        // Nothing more to offer: what there is counts.
    }
    print(line.found());
}

}  // namespace shmd::cli
