#include "arguments.hpp"

#include <utility>

#include "size_text.hpp"
#include "text.hpp"

namespace shmd::cli {
namespace {

constexpr std::size_t help_column = 26;

using ValueOf = std::function<void(const std::string& text)>;

// ---- Texts into values. What they throw ends as wrong usage. ----

CLI::ValidationError wrong_value(const std::string& option, const std::string& text, const std::string& wanted) {
    return CLI::ValidationError(option, in_quotes(text) + " is not " + wanted);
}

std::uint64_t size_from(const std::string& option, const std::string& text) {
    auto size = parse_size(text);
    if (!size) throw wrong_value(option, text, "a size; write it as 100, 4K, 16M, 2G or 1T");
    return static_cast<std::uint64_t>(*size);
}

unsigned mode_from(const std::string& text) {
    bool octal = !text.empty() && text.size() <= 4 && text.find_first_not_of("01234567") == std::string::npos;
    unsigned long mode = octal ? std::stoul(text, nullptr, 8) : 01000;
    if (mode > 0777) throw wrong_value("--mode", text, "a mode; write it as 0644, up to 0777");
    return static_cast<unsigned>(mode);
}

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

void add_label(Labels& labels, const std::string& text) {
    std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) throw wrong_value("--label", text, "of the form NAME=VALUE");
    if (!labels.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
        throw CLI::ValidationError("--label", in_quotes(text.substr(0, equals)) + " is given twice");
    }
}

// An unset variable of a script must not lead to another daemon.
std::string is_named(const std::string& path) {
    return path.empty() ? "the path is empty" : "";
}

// ---- Pieces of commands ----

CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& help, const std::string& examples) {
    CLI::App* command = app.add_subcommand(name, help);
    command->group("Commands")->fallthrough();
    command->footer("\"shmdctl --help\" tells of the options that all commands have.\n\nExamples:\n" + examples);
    return *command;
}

CLI::Option& add_value(CLI::App& command, const std::string& name, const std::string& type, const std::string& help,
                       ValueOf take) {
    return *command.add_option_function<std::string>(name, std::move(take), help)->type_name(type)->take_last();
}

void add_key(CLI::App& command, std::string& key) {
    command
        .add_option("KEY", key,
                    "The segment's key. An integer, decimal or 0x\nhexadecimal, means the System V key of that number")
        ->required()
        ->type_name("");
}

void add_offset(CLI::App& command, std::uint64_t& offset) {
    add_value(command, "--offset", "N[K|M|G]", "Begin at this byte (default: 0)",
              [&offset](const std::string& text) { offset = size_from("--offset", text); });
}

// Has the command run once everything on the command line has been understood.
void on_command(CLI::App& command, Invocation& invocation, std::function<void()> run) {
    command.callback([&invocation, run = std::move(run)] {
        invocation.run = [run] {
            run();
            return Exit::ok;
        };
    });
}

// ---- The commands ----

void add_create_options(CLI::App& command, CreateOptions& options) {
    add_value(command, "--mode", "OCTAL", "Who may use it, as in chmod(1) (default: 0600)",
              [&options](const std::string& text) { options.mode = mode_from(text); });
    command.add_flag_callback(
        "--any", [&options] { options.create_mode = CreateMode::any; },
        "Succeed if the segment is there already and large\nenough, and leave it as it is");
    add_value(command, "--label", "NAME=VALUE", "A text to keep with the segment; may be repeated",
              [&options](const std::string& text) { add_label(options.labels, text); })
        .trigger_on_parse();
    add_value(command, "--reserve", "HOW",
              "allocate: all of its memory is reserved (default);\n"
              "populate: and zeroed; lazy: it comes when touched",
              [&options](const std::string& text) {
                  options.reserve = choice_from<Reserve>(
                      "--reserve", text,
                      {{"lazy", Reserve::lazy}, {"allocate", Reserve::allocate}, {"populate", Reserve::populate}});
              });
    add_value(command, "--lifetime", "HOW",
              "persistent: until it is deleted (default);\n"
              "attached: until the last process closes it",
              [&options](const std::string& text) {
                  options.lifetime = choice_from<Lifetime>(
                      "--lifetime", text, {{"persistent", Lifetime::persistent}, {"attached", Lifetime::attached}});
              });
}

void define_create(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "create", "Create a segment of zeros",
                                    "  shmdctl create app/cache --size 64M\n"
                                    "  shmdctl create app/cache --size 64M --mode 0640 --label team=billing\n"
                                    "  shmdctl create 0xff3 --size 100 --any");
    CreateRequest& request = invocation.create;
    add_key(command, request.key);
    add_value(command, "--size", "N[K|M|G]", "How many bytes; K, M, G and T count in 1024s",
              [&request](const std::string& text) {
                  request.size = size_from("--size", text);
                  if (request.size == 0) throw wrong_value("--size", text, "a size; a segment has at least 1 byte");
              })
        .required();
    add_create_options(command, request.options);
    on_command(command, invocation, [&] { create(invocation.common, request); });
}

void define_write(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "write", "Copy a file or standard input into a segment",
                                    "  shmdctl write app/cache cache.bin\n"
                                    "  zcat cache.gz | shmdctl write app/cache\n"
                                    "  echo hello | shmdctl write app/cache --offset 4K");
    WriteRequest& request = invocation.write;
    add_key(command, request.key);
    command.add_option("FILE", request.file, "Where the bytes come from (default: standard input)")->type_name("");
    add_offset(command, request.offset);
    on_command(command, invocation, [&] { write(invocation.common, request); });
}

void define_read(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "read", "Copy the bytes of a segment to standard output",
                                    "  shmdctl read app/cache > cache.bin\n"
                                    "  shmdctl read app/cache --offset 4K --length 64 | xxd");
    ReadRequest& request = invocation.read;
    add_key(command, request.key);
    add_offset(command, request.offset);
    add_value(command, "--length", "N[K|M|G]", "How many bytes (default: up to the end)",
              [&request](const std::string& text) { request.length = size_from("--length", text); });
    on_command(command, invocation, [&] { read(invocation.common, request); });
}

void define_looks(CLI::App& app, Invocation& invocation) {
    CLI::App& stat_command = add_command(app, "stat", "Show all that is known of a segment",
                                         "  shmdctl stat app/cache\n"
                                         "  shmdctl --json stat app/cache | jq .attachments");
    add_key(stat_command, invocation.key);
    on_command(stat_command, invocation, [&] { stat(invocation.common, invocation.key); });

    CLI::App& list_command = add_command(app, "ls", "List the segments that you may look at",
                                         "  shmdctl ls\n"
                                         "  shmdctl ls app/\n"
                                         "  shmdctl --json ls | jq -r '.[].key'");
    list_command.add_option("PREFIX", invocation.prefix, "Only keys that begin with this")->type_name("");
    on_command(list_command, invocation, [&] { list(invocation.common, invocation.prefix); });
}

// CLI11 takes "[a,b]" for a list of two. Nothing must be deleted that was not typed.
void refuse_lists(const std::vector<std::string>& typed) {
    for (const std::string& argument : typed) {
        bool list = argument.size() > 1 && argument.front() == '[' && argument.back() == ']';
        if (list) throw wrong_value("KEY", argument, "a key; keys begin with a letter or a digit");
    }
}

void define_rm(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "rm", "Delete segments; whoever has one open keeps its memory",
                                    "  shmdctl rm app/cache\n"
                                    "  shmdctl rm app/cache app/index 0xff3");
    command.add_option("KEY", invocation.keys, "The keys of the segments, each as for stat")
        ->required()
        ->option_text("...");
    command.callback([&] {
        refuse_lists(invocation.typed);
        invocation.run = [&] { return remove(invocation.common, invocation.keys); };
    });
}

void define_administration(CLI::App& app, Invocation& invocation) {
    CLI::App& status_command = add_command(app, "status", "Show the daemon's state and limits",
                                           "  sudo shmdctl status\n"
                                           "  sudo shmdctl --json status | jq .bytes");
    on_command(status_command, invocation, [&] { status(invocation.common); });
    CLI::App& usage_command = add_command(app, "usage", "Show what each user holds",
                                          "  sudo shmdctl usage\n"
                                          "  sudo shmdctl --json usage | jq '.usage[] | select(.uid == 1000)'");
    on_command(usage_command, invocation, [&] { usage(invocation.common); });
}

}  // namespace

void define(CLI::App& app, Invocation& invocation) {
    CLI::FormatterBase& formatter = *app.get_formatter();
    formatter.column_width(help_column);
    for (const auto& [theirs, ours] : {std::pair{"SUBCOMMAND", "COMMAND"},

                                       {"Positionals", "Arguments"},
                                       {"REQUIRED", ""}}) {
        formatter.label(theirs, ours);
    }
    app.description("Administers the shared memory segments of shmd.");
    app.footer(
        "Examples:\n"
        "  shmdctl create app/cache --size 64M\n"
        "  shmdctl write app/cache cache.bin\n"
        "  shmdctl ls\n"
        "\n"
        "\"shmdctl COMMAND --help\" tells more of a command.\n"
        "Exit status: 0, 1 when refused, 2 for wrong usage, 3 when no daemon answers.");
    app.set_version_flag("--version", "shmdctl " SHMD_VERSION, "Print the version and exit");
    app.set_help_flag("-h,--help", "Print this help and exit");
    app.add_option("--socket", invocation.common.socket,
                   "Where the daemon listens (default: $SHMD_SOCKET,\nthe system instance, your own instance)")
        ->type_name("PATH")
        ->check(is_named);
    app.add_option("--control-socket", invocation.common.control_socket,
                   "The same for status and usage (default:\n$SHMD_CONTROL_SOCKET, beside the other)")
        ->type_name("PATH")
        ->check(is_named);
    app.add_flag("--json", invocation.common.json, "Print one JSON document, for programs");
    app.require_subcommand(1);
    define_create(app, invocation);
    define_write(app, invocation);
    define_read(app, invocation);
    define_looks(app, invocation);
    define_rm(app, invocation);
    define_administration(app, invocation);
}

}  // namespace shmd::cli
