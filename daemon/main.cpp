// shmd: reads options and configuration, makes or takes the sockets, and runs the server.
#include <grp.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "config.hpp"
#include "forbid_exec.hpp"
#include "listener.hpp"
#include "log.hpp"
#include "machine.hpp"
#include "paths.hpp"
#include "server.hpp"

namespace {

constexpr std::int64_t wanted_descriptors = 524'288;
constexpr mode_t everybody = 0666;
constexpr mode_t owner_and_group = 0660;

struct Options {
    std::string socket;
    std::string control_socket;
    std::string config;
    std::string log_level;
};

std::optional<gid_t> group_named(const std::string& name) {
    const group* found = ::getgrnam(name.c_str());
    return found ? std::optional(found->gr_gid) : std::nullopt;
}

shmd::Config load_config(const Options& options) {
    auto config = shmd::default_config(shmd::memory_limit(), shmd::raise_descriptor_limit(wanted_descriptors));
    auto file = options.config.empty() ? shmd::find_config() : std::optional(options.config);
    if (file) config = shmd::read_config(*file, std::move(config));
    if (!options.socket.empty()) {
        config.socket = options.socket;
        config.control_socket.reset();
    }
    if (!options.control_socket.empty()) config.control_socket = options.control_socket;
    if (!options.log_level.empty()) config.log_level = options.log_level;
    return config;
}

// Those that are named, or those of a user instance.
std::vector<shmd::Listener> make_listeners(const shmd::Config& config) {
    using shmd::Endpoint;
    std::vector<shmd::Listener> listeners;
    if (!config.socket) shmd::prepare_user_directory(shmd::user_runtime_directory());
    std::string socket = config.socket.value_or(shmd::user_socket(Endpoint::segments));
    std::string control = config.control_socket.value_or(shmd::control_socket_of(socket));
    // Only root may give a file to a group that it is not in.
    auto group = ::geteuid() == 0 ? group_named(config.control_group) : std::nullopt;
    listeners.push_back(shmd::Listener::make(Endpoint::segments, socket, everybody, std::nullopt));
    listeners.push_back(shmd::Listener::make(Endpoint::control, control, owner_and_group, group));
    return listeners;
}

shmd::Settings settings_of(const shmd::Config& config) {
    return {config.limits, config.policy, config.message_timeout, config.log_level,
            config.huge_pages ? shmd::PageSize::any : shmd::PageSize::usual, config.ready_bytes};
}

void serve(const Options& options) {
    shmd::Config config = load_config(options);
    if (!shmd::forbid_exec()) shmd::log(shmd::LogLevel::debug, "the kernel cannot keep shmd from executing programs");
    ::signal(SIGPIPE, SIG_IGN);  // a log that nobody reads must not end the daemon
    ::signal(SIGIO, SIG_IGN);    // the kernel's way to break a lease, which Memory::in_use() takes for a moment
    shmd::Server server({settings_of(config), [&options] { return settings_of(load_config(options)); }});
    auto passed = shmd::Listener::from_systemd();
    // Made before anything is restored: they tell whether another daemon is running.
    if (passed.listeners.empty()) passed.listeners = make_listeners(config);
    const char* directory = std::getenv("RUNTIME_DIRECTORY");
    std::size_t capacity = shmd::FdStore::offered();
    if (directory && capacity > shmd::BlankPool::full) {
        server.keep_segments(directory, capacity, std::move(passed.stored));
    }
    server.run(std::move(passed.listeners));
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app(
        "The shared memory service: holds memory segments and hands them out by key.\n"
        "Without arguments it starts an instance for this user, or takes the sockets that systemd passes.",
        "shmd");
    app.set_version_flag("--version", "shmd " SHMD_VERSION);
    app.add_option("--socket", options.socket,
                   "Where programs connect (default: $XDG_RUNTIME_DIR/shmd/io.shmd.Segments)")
        ->type_name("PATH");
    app.add_option("--control-socket", options.control_socket,
                   "Where administrators connect (default: beside --socket)")
        ->type_name("PATH");
    app.add_option("--config", options.config,
                   "JSON with comments (default: /etc/shmd/shmd.conf, for users ~/.config/shmd/shmd.conf, if there)")
        ->type_name("FILE");
    app.add_option("--log-level", options.log_level, "How much to log to stderr (default: info)")
        ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "critical", "off"}));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }

    try {
        shmd::open_log();
        serve(options);
    } catch (const std::exception& error) {
        shmd::log(shmd::LogLevel::critical, error.what());
        return 1;
    }
    return 0;
}
