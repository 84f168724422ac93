#include "service_manager.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

namespace shmd::test {
namespace {

UniqueFd bound_socket(const std::string& path, int type, mode_t mode) {
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(path.c_str(), mode) != 0 || (type == SOCK_STREAM && ::listen(socket.get(), SOMAXCONN) != 0)) {
        fail("socket " + path + ": " + std::strerror(errno));
    }
    return socket;
}

std::map<std::string, std::string> fields_of(std::string_view text) {
    std::map<std::string, std::string> fields;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::size_t equals = line.find('=');
        if (equals != std::string::npos) fields[line.substr(0, equals)] = line.substr(equals + 1);
    }
    return fields;
}

}  // namespace

ServiceManager::ServiceManager(ServiceManagerOptions options) : options_(std::move(options)) {
    segments_ = bound_socket(socket(), SOCK_STREAM, 0666);
    control_ = bound_socket(control_socket(), SOCK_STREAM, 0660);
    notify_ = bound_socket(directory_.path() / "notify", SOCK_DGRAM, 0777);
    wake_.reset(::eventfd(0, EFD_CLOEXEC));
    ready_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    std::filesystem::create_directory(state_directory());
    ::chmod(state_directory().c_str(), 0700);
    if (options_.user) {
        (void)!::chown(state_directory().c_str(), options_.user->uid, options_.user->gid);
        (void)!::chown(directory_.path().c_str(), options_.user->uid, options_.user->gid);
    }
    thread_ = std::thread([this] { listen(); });
}

ServiceManager::~ServiceManager() {
    go_on();
    daemon_.kill_and_reap();
    std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
    thread_.join();
}

void ServiceManager::listen() {
    for (;;) {
        std::array<pollfd, 2> ends{pollfd{notify_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
        if (::poll(ends.data(), ends.size(), -1) < 0) continue;
        if (ends[1].revents) return;
        std::lock_guard held(held_);
        char text[4096];
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)];
        iovec bytes{text, sizeof text};
        msghdr message{};
        message.msg_iov = &bytes;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        ssize_t length = ::recvmsg(notify_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (length < 0) continue;
        std::vector<UniqueFd> fds;
        for (cmsghdr* each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
            if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
            std::size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; i++) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(each) + i * sizeof fd, sizeof fd);
                fds.emplace_back(fd);
            }
        }
        handle({text, static_cast<std::size_t>(length)}, std::move(fds));
    }
}

// What comes with a barrier is closed, which is its answer.
void ServiceManager::handle(std::string_view text, std::vector<UniqueFd> fds) {
    auto fields = fields_of(text);
    if (fields.contains("READY")) {
        std::uint64_t one = 1;
        (void)!::write(ready_.get(), &one, sizeof one);
    }
    std::lock_guard lock(mutex_);
    if (fields.contains("FDSTOREREMOVE")) store_.erase(fields["FDNAME"]);
    if (!fields.contains("FDSTORE")) return;
    for (UniqueFd& fd : fds) {
        if (store_.size() < options_.store) store_.emplace(fields["FDNAME"], std::move(fd));
    }
}

void ServiceManager::empty_store() {
    std::lock_guard lock(mutex_);
    store_.clear();
}

std::size_t ServiceManager::stored() {
    std::lock_guard lock(mutex_);
    return store_.size();
}

void ServiceManager::spawn_daemon() {
    std::uint64_t count = 0;
    (void)!::read(ready_.get(), &count, sizeof count);
    UniqueFd log(::open((directory_.path() / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    SpawnOptions spawning;
    spawning.user = options_.user;
    spawning.nofile = options_.nofile;
    spawning.out = spawning.err = log.get();
    spawning.listen_fds = {segments_.get(), control_.get()};
    std::vector<std::string> arguments{SHMD_DAEMON_PATH};
    arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
    std::string names = "io.shmd.Segments:io.shmd.Control";
    // Nothing leaves the store before the child has its own.
    std::lock_guard lock(mutex_);
    for (const auto& [name, fd] : store_) {
        spawning.listen_fds.push_back(fd.get());
        names += ":" + name;
    }
    spawning.environment = {"NOTIFY_SOCKET=" + (directory_.path() / "notify").string(), "LISTEN_FDNAMES=" + names,
                            "RUNTIME_DIRECTORY=" + state_directory().string(),
                            "FDSTORE=" + std::to_string(options_.store)};
    daemon_ = spawn(arguments, spawning);
}

void ServiceManager::start(const std::function<void()>& started) {
    spawn_daemon();
    if (started) started();
    std::array<pollfd, 2> ends{pollfd{ready_.get(), POLLIN, 0}, {daemon_.pidfd(), POLLIN, 0}};
    auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
    if (::poll(ends.data(), ends.size(), static_cast<int>(milliseconds)) <= 0) fail("the daemon did not become ready:\n" + log());
    if (!ends[0].revents) {
        fail("the daemon ended with status " + std::to_string(daemon_.wait()) + " before it was ready:\n" + log());
    }
}

int ServiceManager::start_in_vain() {
    spawn_daemon();
    return daemon_.wait();
}

int ServiceManager::stop() {
    daemon_.signal(SIGTERM);
    return daemon_.wait();
}

std::string ServiceManager::log() const {
    std::ifstream file(directory_.path() / "log", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace shmd::test
