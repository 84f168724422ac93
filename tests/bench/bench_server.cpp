#include "bench_server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace shmd::bench {
namespace {

bool accepts(const std::string& socket) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.size() >= sizeof address.sun_path) test::fail("the path of a socket is too long: " + socket);
    std::memcpy(address.sun_path, socket.c_str(), socket.size());
    return fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

bool has_program(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::istringstream directories(path == nullptr ? "" : path);
    for (std::string directory; std::getline(directories, directory, ':');) {
        if (::access((directory + '/' + name).c_str(), X_OK) == 0) return true;
    }
    return false;
}

BenchServer::BenchServer(const std::function<std::vector<std::string>(const std::string& socket)>& arguments)
    : socket_(directory_.path() / "socket") {
    const std::filesystem::path log = directory_.path() / "log";
    UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    process_ = test::spawn(arguments(socket_), {.out = output.get(), .err = output.get()});
    constexpr int tries_ms = 5;
    for (auto left = std::chrono::milliseconds(test::patience).count(); !accepts(socket_); left -= tries_ms) {
        // It does not say when it is ready, so this waits for its end, and looks again and again.
        pollfd ended{process_.pidfd(), POLLIN, 0};
        if (::poll(&ended, 1, tries_ms) > 0) test::fail(arguments(socket_).front() + " ended: " + text_of(log));
        if (left <= 0) test::fail(arguments(socket_).front() + " does not listen: " + text_of(log));
    }
}

std::vector<pid_t> BenchServer::threads() const {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(process_.pid()) + "/task")) {
        found.push_back(std::stoi(entry.path().filename()));
    }
    return found;
}

}  // namespace shmd::bench
