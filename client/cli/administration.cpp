// The administrator's commands: calls of io.shmd.Control.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "key.hpp"
#include "output.hpp"
#include "text.hpp"
#include "views.hpp"

namespace shmd::cli {
namespace {

using Json = nlohmann::json;

Client connect_control(const Common& common) {
    Socket socket = control_socket(common.control_socket, common.socket);
    try {
        return Client::control(socket.path);
    } catch (const Error& error) {
        throw connect_failure(error, socket);
    }
}

std::string method(const char* name) {
    return std::string("io.shmd.Control.") + name;
}

// The daemon's answer as JSON text. subject: the key that it is about, as it was typed.
std::string ask(const Common& common, const char* name, const Json& parameters = Json::object(),
                const std::string& subject = {}) {
    Client client = connect_control(common);
    try {
        return client.call(method(name), parameters.dump());
    } catch (const Error& error) {
        throw call_failure(error, subject, Action::administer);
    }
}

Json parameters_for(const std::string& typed_key) {
    return {{"key", key_from_text(typed_key)}};
}

}  // namespace

void status(const Common& common) {
    std::string reply = ask(common, "GetStatus");
    common.json ? print_json(indented(reply)) : print(status_view(reply));
}

void usage(const Common& common) {
    std::string reply = ask(common, "GetUsage");
    common.json ? print_json(indented(reply)) : print(usage_view(reply, terminal_width(STDOUT_FILENO)));
}

void list_all(const Common& common, const std::string& prefix) {
    Client client = connect_control(common);
    std::string replies;
    try {
        replies = client.call_many(method("ListSegments"), prefix.empty() ? "{}" : Json{{"prefix", prefix}}.dump());
    } catch (const Error& error) {
        throw call_failure(error, printable(prefix), Action::list);
    }
    std::string segments = items_of(replies, "segment");
    common.json ? print_json(indented(segments)) : print(statuses_view(segments, terminal_width(STDOUT_FILENO)));
}

void who(const Common& common, const std::string& key) {
    std::string reply = ask(common, "GetSegment", parameters_for(key), named(key));
    std::string attachments = attachments_of(reply);
    if (std::int64_t left_out = attachments_left_out(reply); left_out > 0) {
        complain(named(key) + ": " + std::to_string(left_out) + " more are left out");
    }
    if (common.json) return print_json(indented(attachments));
    std::string view = who_view(attachments, terminal_width(STDOUT_FILENO));
    if (view.empty() && is_terminal(STDOUT_FILENO)) complain(named(key) + ": nobody has it open");
    print(view);
}

Exit remove_by_force(const Common& common, const std::vector<std::string>& keys) {
    Exit exit = Exit::ok;
    for (const std::string& key : keys) {
        try {
            ask(common, "Delete", parameters_for(key), named(key));
        } catch (const Failure& failure) {
            if (failure.exit() == Exit::no_daemon) throw;
            complain(failure.what());
            exit = failure.exit();
        }
    }
    return exit;
}

void evict(const Common& common, std::optional<std::uint64_t> bytes) {
    std::string reply = ask(common, "Evict", bytes ? Json{{"bytes", *bytes}} : Json::object());
    common.json ? print_json(indented(reply)) : print(evicted_view(reply));
}

void disconnect(const Common& common, std::int64_t pid) {
    std::string reply = ask(common, "Disconnect", {{"pid", pid}}, "process " + std::to_string(pid));
    if (common.json) print_json(indented(reply));
}

void reload(const Common& common) {
    ask(common, "Reload");
}

void set_log_level(const Common& common, const std::string& level) {
    ask(common, "SetLogLevel", {{"level", level}});
}

void drain(const Common& common, bool enable) {
    ask(common, "Drain", {{"enable", enable}});
}

}  // namespace shmd::cli
