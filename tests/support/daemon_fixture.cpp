#include "daemon_fixture.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace shmd::test {
namespace {

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// What no segment has been made of yet: memory of no bytes.
bool is_blank(const std::filesystem::path& descriptor) {
    std::error_code gone;
    struct stat status {};
    return std::filesystem::read_symlink(descriptor, gone).string().starts_with("/memfd:shmd") &&
           ::stat(descriptor.c_str(), &status) == 0 && status.st_size == 0;
}

// Any user may write to it, since the daemon may run as another one.
UniqueFd listen_for_readiness(const std::filesystem::path& path) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(address.sun_path, 0777) != 0) {
        fail("notification socket " + path.string() + ": " + std::strerror(errno));
    }
    return socket;
}

bool has_line(std::string_view message, std::string_view line) {
    std::istringstream lines{std::string(message)};
    for (std::string each; std::getline(lines, each);) {
        if (each == line) return true;
    }
    return false;
}

}  // namespace

Daemon::Daemon(DaemonOptions options) : options_(std::move(options)) {
    socket_ = directory() / "io.shmd.Segments";
    control_socket_ = directory() / "io.shmd.Control";
    if (options_.config) std::ofstream(directory() / "config.json") << *options_.config;
    if (options_.user && ::chown(directory().c_str(), options_.user->uid, options_.user->gid) != 0) {
        fail("chown " + directory().string() + ": " + std::strerror(errno));
    }
    start();
}

void Daemon::start() {
    // Closed once the daemon is ready: later notifications fail at the daemon's end, as without a service manager.
    std::filesystem::path notify_path = directory() / "notify";
    UniqueFd notify = listen_for_readiness(notify_path);
    UniqueFd log(::open((directory() / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!log) fail(std::string("log: ") + std::strerror(errno));

    std::vector<std::string> arguments{SHMD_DAEMON_PATH, "--socket", socket_, "--control-socket", control_socket_};
    if (options_.config) {
        arguments.emplace_back("--config");
        arguments.push_back(directory() / "config.json");
    }
    arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());

    SpawnOptions spawning;
    spawning.environment = options_.environment;
    spawning.environment.push_back("NOTIFY_SOCKET=" + notify_path.string());
    spawning.user = options_.user;
    spawning.nofile = options_.nofile;
    spawning.address_space = options_.address_space;
    spawning.out = spawning.err = log.get();
    process_ = spawn(arguments, spawning);
    await_readiness(notify.get());
}

void Daemon::await_readiness(int notify_socket) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
        std::array<pollfd, 2> ends{pollfd{notify_socket, POLLIN, 0}, {process_.pidfd(), POLLIN, 0}};
        int ready = ::poll(ends.data(), ends.size(), 1000);
        if (ready <= 0) continue;
        if (ends[0].revents) {
            char message[4096];
            ssize_t count = ::recv(notify_socket, message, sizeof message, MSG_DONTWAIT);
            if (count > 0 && has_line({message, static_cast<std::size_t>(count)}, "READY=1")) return;
        } else {
            fail("the daemon ended with status " + std::to_string(process_.wait()) + " before it was ready:\n" + log());
        }
    }
    fail("the daemon did not become ready in time:\n" + log());
}

int Daemon::stop() {
    process_.signal(SIGTERM);
    return process_.wait();
}

void Daemon::restart() {
    if (running()) stop();
    start();
}

std::size_t Daemon::fd_count() const {
    std::filesystem::directory_iterator entries("/proc/" + std::to_string(pid()) + "/fd");
    return static_cast<std::size_t>(std::count_if(begin(entries), end(entries), [](const auto& entry) { return !is_blank(entry.path()); }));
}

std::int64_t Daemon::rss_kib() const {
    std::istringstream status(read_file("/proc/" + std::to_string(pid()) + "/status"));
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) return std::stoll(line.substr(std::strlen("VmRSS:")));
    }
    fail("the daemon has no resident memory: it has ended:\n" + log());
}

std::string Daemon::log() const {
    return read_file(directory() / "log");
}

}  // namespace shmd::test
