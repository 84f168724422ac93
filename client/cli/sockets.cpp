#include "sockets.hpp"

#include <cstdlib>
#include <string_view>

#include "failure.hpp"
#include "paths.hpp"
#include "text.hpp"

namespace shmd::cli {
namespace {

std::string start_with(std::string_view option, const std::string& path) {
    return "start one there with \"shmd " + std::string(option) + " " + printable(path) + "\"";
}

bool is_set(const char* variable) {
    const char* value = ::secure_getenv(variable);
    return value && *value;
}

// Where the search led that every client does.
Socket found_socket(Endpoint endpoint) {
    auto path = find_socket(endpoint);
    if (!path) {
        throw Failure(Exit::no_daemon, "no daemon answers: there is no system instance at " + system_socket(endpoint) +
                                           ", and " + printable(user_runtime_directory()) +
                                           " is not a private directory of this user; start one with \"systemctl "
                                           "start shmd\", or name its socket with --socket");
    }
    for (const char* variable : {"SHMD_CONTROL_SOCKET", "SHMD_SOCKET"}) {
        bool is_control = std::string_view(variable) == "SHMD_CONTROL_SOCKET";
        if (!is_set(variable) || (is_control && endpoint != Endpoint::control)) continue;
        return {*path, "start one there, or mend $" + std::string(variable) + ", which names it"};
    }
    if (*path == system_socket(endpoint)) {
        return {*path, "start one with \"systemctl start shmd\", or name another's socket with --socket"};
    }
    return {*path, "nor is there a system instance at " + system_socket(endpoint) +
                       "; start one with \"systemctl start shmd\", or run \"shmd\" for yourself, or name its socket "
                       "with --socket"};
}

}  // namespace

Socket segments_socket(const std::string& given) {
    if (given.empty()) return found_socket(Endpoint::segments);
    return {given, start_with("--socket", given)};
}

Socket control_socket(const std::string& given, const std::string& given_segments) {
    if (!given.empty()) return {given, start_with("--control-socket", given)};
    if (given_segments.empty()) return found_socket(Endpoint::control);
    return {control_socket_of(given_segments), start_with("--socket", given_segments)};
}

}  // namespace shmd::cli
