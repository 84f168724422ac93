// What can be typed for the commands of synchronize.cpp.
#include "definitions.hpp"
#include "option_values.hpp"

namespace shmd::cli {

void define_wait(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "wait", "Wait until there is a segment, or news of it",
                                    "  shmdctl wait app/cache && start-the-reader\n"
                                    "  shmdctl wait app/cache --timeout 30s\n"
                                    "  while shmdctl wait app/table --notified; do reload; done");
    VersionWait& request = invocation.version_wait;
    add_key(command, request.key);
    add_value(command, "--timeout", "TIME", "Fail after this long: 30s, 5m (default: never)",
              [&request](const std::string& text) { request.timeout = duration_from("--timeout", text); });
    command.add_flag("--notified", invocation.notified, "Wait for the next \"shmdctl notify\" or its like, and\nprint the version");
    add_value(command, "--after", "VERSION", "The same, for a version above this one", [&](const std::string& text) {
        invocation.notified = true;
        request.after = static_cast<std::uint64_t>(number_from("--after", text, 0, INT64_MAX));
    });
    on_command(command, invocation, [&] {
        if (invocation.notified) return wait_for_version(invocation.common, request);
        wait(invocation.common, request.key, request.timeout);
    });
}

void define_notify(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "notify", "Wake who waits for news of a segment",
                                    "  generate | shmdctl write app/table && shmdctl notify app/table");
    add_key(command, invocation.key);
    on_command(command, invocation, [&] { notify(invocation.common, invocation.key); });
}

// What comes after "--" is the command's alone: main() has taken it out of what is parsed.
void define_lock(CLI::App& app, Invocation& invocation) {
    CLI::App& command = add_command(app, "lock", "Run a command while holding a segment's lock",
                                    "  shmdctl lock app/table -- update-the-table\n"
                                    "  shmdctl lock app/table --timeout 5s --repair -- rebuild-the-table\n"
                                    "  shmdctl lock app/table --read -- sh -c 'shmdctl read app/table | consume'\n"
                                    "The command finds SHMD_OWNER_DIED=1 in its environment when the previous holder died.");
    LockRequest& request = invocation.lock;
    add_key(command, request.key);
    command.add_option("COMMAND", invocation.keys, "The command and its arguments; those with a minus need\n\"--\" before")
        ->option_text("...");
    auto* read = command.add_flag_callback(
        "--read", [&request] { request.kind = LockRequest::Kind::read; },
        "The readers-writer lock, with other readers\n(default: the mutex)");
    command
        .add_flag_callback(
            "--write", [&request] { request.kind = LockRequest::Kind::write; }, "The readers-writer lock, alone")
        ->excludes(read);
    add_value(command, "--timeout", "TIME", "Fail after this long: 0, 30s, 5m (default: never)",
              [&request](const std::string& text) { request.timeout = duration_from("--timeout", text); });
    command.add_flag("--repair", request.repair, "Should a holder have died: when the command succeeds,\nall is consistent again")
        ->excludes(read);
    command.callback([&invocation, &request] {
        auto& all = request.command;
        all.insert(all.begin(), invocation.keys.begin(), invocation.keys.end());
        if (all.empty()) throw CLI::RequiredError("COMMAND");
        invocation.run = [&invocation, &request] { return lock(invocation.common, request); };
    });
}

void define_synchronize(CLI::App& app, Invocation& invocation) {
    define_lock(app, invocation);
    define_notify(app, invocation);
    define_wait(app, invocation);
}

}  // namespace shmd::cli
