// A service manager with an fd store, as systemd is one: it holds the listening sockets and what the daemon gives it to
// keep (sd_notify(3): FDSTORE=1, FDSTOREREMOVE=1, BARRIER=1), and starts the daemon with all of it (sd_listen_fds(3)).
// For what must be tried often and at exact moments; tests/systemd has the real one.
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "process.hpp"
#include "unique_fd.hpp"

namespace shmd::test {

struct ServiceManagerOptions {
    std::size_t store = 1000;  // descriptors; 0: no store
    std::optional<User> user{};
    std::vector<std::string> arguments{};
    std::optional<unsigned long> nofile{};  // RLIMIT_NOFILE
};

class ServiceManager {
  public:
    explicit ServiceManager(ServiceManagerOptions options = {});
    ~ServiceManager();
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    /// Starts the daemon and waits until it says READY=1. FAILs with its log when it ends before that.
    /// started: called when the process is there, which has been told of all that the store holds now.
    void start(const std::function<void()>& started = {});
    /// Starts a daemon that is to fail: its exit status.
    int start_in_vain();
    /// SIGTERM; the exit status.
    int stop();
    void kill() { daemon_.kill_and_reap(); }
    void restart() {
        stop();
        start();
    }
    /// As a manager does when the service is stopped.
    void empty_store();

    [[nodiscard]] std::string socket() const { return directory_.path() / "io.shmd.Segments"; }
    [[nodiscard]] std::string control_socket() const { return directory_.path() / "io.shmd.Control"; }
    [[nodiscard]] std::filesystem::path state_directory() const { return directory_.path() / "state"; }
    [[nodiscard]] std::filesystem::path journal() const { return state_directory() / "journal"; }
    [[nodiscard]] std::string notify_socket() const { return directory_.path() / "notify"; }
    [[nodiscard]] pid_t pid() const { return daemon_.pid(); }
    [[nodiscard]] std::string log() const;
    /// RLIMIT_NOFILE of the daemons to come.
    void limit_descriptors(unsigned long most) { options_.nofile = most; }
    /// Descriptors in the store.
    [[nodiscard]] std::size_t stored();
    /// While held, the manager takes nothing in and answers no barrier.
    void hold() {
        held_.lock();
        holding_ = true;
    }
    void go_on() {
        if (std::exchange(holding_, false)) held_.unlock();
    }

  private:
    void spawn_daemon();
    void listen();
    void handle(std::string_view text, std::vector<UniqueFd> fds);

    ServiceManagerOptions options_;
    TemporaryDirectory directory_;
    UniqueFd segments_, control_, notify_;
    UniqueFd wake_;  // tells the thread to end
    OwnedProcess daemon_;
    std::mutex held_;
    bool holding_ = false;
    std::mutex mutex_;
    std::multimap<std::string, UniqueFd> store_;
    UniqueFd ready_;  // an eventfd
    std::thread thread_;
};

}  // namespace shmd::test
