#include "arguments.hpp"

#include <utility>

#include "definitions.hpp"
#include "option_values.hpp"

namespace shmd::cli {
namespace {

constexpr std::size_t help_column = 26;

// An unset variable of a script must not lead to another daemon.
std::string is_named(const std::string& path) {
    return path.empty() ? "the path is empty" : "";
}

void add_offset(CLI::App& command, std::uint64_t& offset) {
    add_value(command, "--offset", "N[K|M|G]", "Begin at this byte (default: 0)",
              [&offset](const std::string& text) { offset = size_from("--offset", text); });
}

// ---- The commands ----

void add_create_options(CLI::App& command, CreateOptions& options) {
    add_value(command, "--mode", "OCTAL", "Who may use it, as in chmod(1) (default: what\nthe daemon is configured for, or 0600)",
              [&options](const std::string& text) { options.mode = mode_from("--mode", text); });
    add_repeated(command, "--acl", "ENTRY",
                 "Access for one more user or group: u:NAME:r,\nu:NAME:rw or g:NAME:r; may be repeated",
                 [&options](const std::string& text) { options.acl.push_back(acl_entry_from("--acl", text)); });
    add_repeated(command, "--label", "NAME=VALUE", "A text to keep with the segment; may be repeated",
                 [&options](const std::string& text) { add_label(options.labels, "--label", text); });
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
    add_value(command, "--lease", "TIME", "Until so long nobody has renewed it: 30s, 5m, 2h",
              [&options](const std::string& text) {
                  options.lifetime = Lifetime::lease;
                  options.lease = lease_from("--lease", text);
              });
    command.add_flag("--evictable", options.evictable,
                     "It may be dropped when memory runs short and\nnobody has it open");
    command.add_flag_callback(
        "--unsealable", [&options] { options.sealable = false; }, "Nobody can ever make it immutable");
    add_value(command, "--capacity", "N[K|M|G]", "How far it can be resized (default: not at all)",
              [&options](const std::string& text) { options.capacity_bytes = size_from("--capacity", text, true); });
    add_value(command, "--huge-pages", "KIND", "transparent, 2M or 1G",
              [&options](const std::string& text) {
                  options.huge_pages = choice_from<HugePages>("--huge-pages", text,
                                                              {{"none", HugePages::none},
                                                               {"transparent", HugePages::transparent},
                                                               {"2M", HugePages::huge_2m},
                                                               {"1G", HugePages::huge_1g}});
              });
    add_value(command, "--numa-nodes", "LIST", "Memory of these nodes alone: 0 or 0,2-3",
              [&options](const std::string& text) { options.numa_nodes = nodes_from("--numa-nodes", text); });
    command.add_flag("--fallback", options.placement_fallback,
                     "Do without huge pages or nodes that the machine\ncannot give");
}

void define_create(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "create", "Create a segment of zeros",
                                    "  shmdctl create app/cache --size 64M\n"
                                    "  shmdctl create app/cache --size 64M --mode 0640 --label team=billing\n"
                                    "  shmdctl create app/session --size 4K --lease 30m --acl g:staff:rw\n"
                                    "  shmdctl create 0xff3 --size 100 --any");
    CreateRequest& request = invocation.create;
    add_key(command, request.key);
    add_value(command, "--size", "N[K|M|G]", "How many bytes; K, M, G and T count in 1024s",
              [&request](const std::string& text) { request.size = size_from("--size", text, true); })
        .required();
    command.add_flag_callback(
        "--any", [&request] { request.options.create_mode = CreateMode::any; },
        "Succeed if the segment is there already and large\nenough, and leave it as it is");
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

void define_publish(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "publish", "Put a file into a new segment, in one step",
                                    "  shmdctl publish app/table table.bin\n"
                                    "  generate | shmdctl publish app/table --seal --mode 0644\n"
                                    "Whoever has the old segment open keeps it whole.");
    PublishRequest& request = invocation.publish;
    add_key(command, request.key);
    command.add_option("FILE", request.file, "Where the bytes come from (default: standard input)")->type_name("");
    command.add_flag_callback(
        "--no-replace", [&request] { request.replace = false; }, "Fail when the key is taken");
    command.add_flag("--seal", request.seal, "Make it immutable first");
    add_create_options(command, request.options);
    on_command(command, invocation, [&] { publish(invocation.common, request); });
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
    list_command.add_flag("--all", invocation.all, "Those of all users, staged and deleted ones too\n(control socket)");
    list_command
        .add_flag("--sysv", invocation.system_v, "System V segments of all users, as ipcs -m shows\nthe kernel's")
        ->excludes("--all", "PREFIX");
    on_command(list_command, invocation, [&] {
        if (invocation.system_v) return list_system_v(invocation.common);
        invocation.all ? list_all(invocation.common, invocation.prefix) : list(invocation.common, invocation.prefix);
    });

    CLI::App& watch_command = add_command(app, "watch", "Tell what happens to segments as it happens",
                                          "  shmdctl watch app/\n"
                                          "  shmdctl --json watch | jq -r 'select(.event == \"deleted\").segment.key'");
    watch_command.add_option("PREFIX", invocation.prefix, "Only keys that begin with this")->type_name("");
    on_command(watch_command, invocation, [&] { watch(invocation.common, invocation.prefix); });
}

void define_rm(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "rm", "Delete segments; whoever has one open keeps its memory",
                                    "  shmdctl rm app/cache\n"
                                    "  shmdctl rm app/cache app/index 0xff3\n"
                                    "  sudo shmdctl rm --force somebody/else");
    add_keys(command, invocation.keys);
    command.add_flag("--force", invocation.force, "Whoever owns them (control socket)");
    on_command_with_exit(command, invocation, [&] {
        return invocation.force ? remove_by_force(invocation.common, invocation.keys)
                                : remove(invocation.common, invocation.keys);
    });
}

// What comes after "--" is the program's alone: main() has taken it out of what is parsed.
void define_exec(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "exec", "Run a program with its System V shared memory on shmd",
                                    "  shmdctl exec -- php script.php\n"
                                    "  shmdctl exec -- ./server --port 5432\n"
                                    "  shmdctl exec --fallback -- ipcmk --shmem 4096");
    command.add_option("PROGRAM", invocation.keys, "The program and its arguments; those with a minus need\n\"--\" before")
        ->option_text("...");
    command.add_flag("--fallback", invocation.exec.fallback, "Leave it to the kernel when no daemon answers");
    command.callback([&invocation] {
        auto& program = invocation.exec.program;
        program.insert(program.begin(), invocation.keys.begin(), invocation.keys.end());
        if (program.empty()) throw CLI::RequiredError("PROGRAM");
        invocation.run = [&invocation] {
            exec(invocation.common, invocation.exec);
            return Exit::ok;
        };
    });
}

}  // namespace

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

void add_repeated(CLI::App& command, const std::string& name, const std::string& type, const std::string& help,
                  ValueOf take) {
    command.add_option_function<std::string>(name, std::move(take), help)->type_name(type)->trigger_on_parse();
}

void add_key(CLI::App& command, std::string& key) {
    command
        .add_option("KEY", key,
                    "The segment's key. An integer, decimal or 0x\nhexadecimal, means the System V key of that number")
        ->required()
        ->type_name("");
}

void on_command(CLI::App& command, Invocation& invocation, std::function<void()> run) {
    command.callback([&invocation, run = std::move(run)] {
        invocation.run = [run] {
            run();
            return Exit::ok;
        };
    });
}

void on_command_with_exit(CLI::App& command, Invocation& invocation, std::function<Exit()> run) {
    command.callback([&invocation, run = std::move(run)] {
        refuse_lists(invocation.typed);
        invocation.run = run;
    });
}

void add_keys(CLI::App& command, std::vector<std::string>& keys) {
    command.add_option("KEY", keys, "The keys of the segments, each as for stat")->required()->option_text("...");
}

// ---- All of it ----

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
                   "The same for an administrator's commands (default:\n$SHMD_CONTROL_SOCKET, beside the other)")
        ->type_name("PATH")
        ->check(is_named);
    app.add_flag("--json", invocation.common.json, "Print one JSON document, for programs");
    app.require_subcommand(1);
    define_create(app, invocation);
    define_write(app, invocation);
    define_read(app, invocation);
    define_publish(app, invocation);
    define_looks(app, invocation);
    define_rm(app, invocation);
    define_synchronize(app, invocation);
    define_exec(app, invocation);
    define_changes(app, invocation);
    define_administration(app, invocation);
}

}  // namespace shmd::cli
