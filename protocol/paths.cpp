#include "paths.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace shmd {
namespace {

constexpr std::string_view socket_name(Endpoint endpoint) {
    return endpoint == Endpoint::segments ? "io.shmd.Segments" : "io.shmd.Control";
}

std::string in_directory(std::string directory, Endpoint endpoint) {
    return std::move(directory) + "/" + std::string(socket_name(endpoint));
}

constexpr const char* system_directory = "/run/shmd";

bool is_private(const struct stat& status) {
    return S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 022) == 0;
}

const char* non_empty_environment(const char* name) {
    const char* value = ::secure_getenv(name);
    return value && *value ? value : nullptr;
}

}  // namespace

std::string system_socket(Endpoint endpoint) {
    return in_directory(system_directory, endpoint);
}

std::string user_runtime_directory() {
    if (const char* base = non_empty_environment("XDG_RUNTIME_DIR")) return std::string(base) + "/shmd";
    return "/tmp/shmd-" + std::to_string(::geteuid());
}

std::string user_socket(Endpoint endpoint) {
    return in_directory(user_runtime_directory(), endpoint);
}

std::string control_socket_of(const std::string& segments_socket) {
    std::string_view name = socket_name(Endpoint::segments);
    if (segments_socket == name) return std::string(socket_name(Endpoint::control));
    if (segments_socket.ends_with("/" + std::string(name))) {
        return in_directory(segments_socket.substr(0, segments_socket.size() - name.size() - 1), Endpoint::control);
    }
    return segments_socket + ".control";
}

std::optional<std::string> find_socket(Endpoint endpoint) {
    if (endpoint == Endpoint::control) {
        if (const char* path = non_empty_environment("SHMD_CONTROL_SOCKET")) return path;
    }
    if (const char* path = non_empty_environment("SHMD_SOCKET")) {
        return endpoint == Endpoint::control ? control_socket_of(path) : path;
    }
    std::string system = system_socket(endpoint);
    if (::access(system.c_str(), F_OK) == 0) return system;
    struct stat status {};
    std::string directory = user_runtime_directory();
    if (::lstat(directory.c_str(), &status) == 0 && !is_private_directory(directory)) return std::nullopt;
    return user_socket(endpoint);
}

bool find_segments_socket(std::span<char> path) {
    auto put = [&](const char* format, auto... values) {
        int count = std::snprintf(path.data(), path.size(), format, values...);
        return count > 0 && static_cast<std::size_t>(count) < path.size();
    };
    constexpr const char* name = "io.shmd.Segments";
    if (const char* given = non_empty_environment("SHMD_SOCKET")) return put("%s", given);
    if (!put("%s/%s", system_directory, name)) return false;
    if (::access(path.data(), F_OK) == 0) return true;
    const char* base = non_empty_environment("XDG_RUNTIME_DIR");
    if (base ? !put("%s/shmd", base) : !put("/tmp/shmd-%u", ::geteuid())) return false;
    struct stat status {};
    if (::lstat(path.data(), &status) == 0 && !is_private(status)) return false;
    std::size_t length = std::strlen(path.data());
    path = path.subspan(length);
    return put("/%s", name);
}

bool is_private_directory(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 && is_private(status);
}

}  // namespace shmd
