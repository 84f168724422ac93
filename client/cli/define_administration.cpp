// The administrator's commands: all over the control socket.
#include <cstdint>

#include "definitions.hpp"
#include "option_values.hpp"

namespace shmd::cli {
namespace {

void define_questions(CLI::App& app, Invocation& invocation) {
    CLI::App& status_command = add_command(app, "status", "Show the daemon's state and limits",
                                           "  sudo shmdctl status\n"
                                           "  sudo shmdctl --json status | jq .bytes");
    on_command(status_command, invocation, [&] { status(invocation.common); });
    CLI::App& usage_command = add_command(app, "usage", "Show what each user holds",
                                          "  sudo shmdctl usage\n"
                                          "  sudo shmdctl --json usage | jq '.usage[] | select(.uid == 1000)'");
    on_command(usage_command, invocation, [&] { usage(invocation.common); });
    CLI::App& who_command = add_command(app, "who", "Show which processes have a segment open",
                                        "  sudo shmdctl who app/cache\n"
                                        "  sudo shmdctl --json who app/cache | jq '.[].pid'");
    add_key(who_command, invocation.key);
    on_command(who_command, invocation, [&] { who(invocation.common, invocation.key); });
}

void define_orders(CLI::App& app, Invocation& invocation) {
    CLI::App& evict_command = add_command(app, "evict", "Drop evictable segments, the longest unused first",
                                          "  sudo shmdctl evict\n"
                                          "  sudo shmdctl evict --bytes 1G");
    add_value(evict_command, "--bytes", "N[K|M|G]", "Until so much is freed (default: all of them)",
              [&](const std::string& text) { invocation.bytes = size_from("--bytes", text, true); });
    on_command(evict_command, invocation, [&] { evict(invocation.common, invocation.bytes); });

    CLI::App& kill_command = add_command(app, "kill", "Close all connections of a process",
                                         "  sudo shmdctl kill 4242\n"
                                         "It keeps what it has mapped.");
    kill_command
        .add_option_function<std::string>(
            "PID", [&](const std::string& text) { invocation.number = number_from("PID", text, 1, INT32_MAX); },
            "The process; \"shmdctl who\" shows those there are")
        ->required()
        ->type_name("");
    on_command(kill_command, invocation, [&] { disconnect(invocation.common, invocation.number); });

    CLI::App& reload_command =
        add_command(app, "reload", "Have the daemon read its configuration anew", "  sudo shmdctl reload");
    on_command(reload_command, invocation, [&] { reload(invocation.common); });

    CLI::App& level_command = add_command(app, "log-level", "Change how much the daemon logs",
                                          "  sudo shmdctl log-level debug\n"
                                          "Holds until the daemon ends or reloads.");
    level_command
        .add_option_function<std::string>(
            "LEVEL",
            [&](const std::string& text) {
                invocation.text = choice_from<std::string>("LEVEL", text,
                                                           {{"trace", "trace"},
                                                            {"debug", "debug"},
                                                            {"info", "info"},
                                                            {"warning", "warning"},
                                                            {"error", "error"},
                                                            {"critical", "critical"},
                                                            {"off", "off"}});
            },
            "trace, debug, info, warning, error, critical or off")
        ->required()
        ->type_name("");
    on_command(level_command, invocation, [&] { set_log_level(invocation.common, invocation.text); });

    CLI::App& drain_command = add_command(app, "drain", "Have the daemon make no new segments",
                                          "  sudo shmdctl drain\n"
                                          "  sudo shmdctl drain --off\n"
                                          "Those that are there can be used on.");
    drain_command.add_flag("--off", invocation.off, "Make new ones again");
    on_command(drain_command, invocation, [&] { drain(invocation.common, !invocation.off); });
}

}  // namespace

void define_administration(CLI::App& app, Invocation& invocation) {
    define_questions(app, invocation);
    define_orders(app, invocation);
}

}  // namespace shmd::cli
