// The real daemon in a temporary directory, ready when the constructor returns and gone with its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "process.hpp"

namespace shmd::test {

struct DaemonOptions {
    std::vector<std::string> arguments{};          // besides the sockets and the configuration
    std::optional<std::string> config{};           // the JSON text of a configuration file
    std::vector<std::string> environment{};        // NAME=value
    std::optional<User> user{};                    // who it runs as; left out, who runs the test
    std::optional<unsigned long> nofile{};         // RLIMIT_NOFILE
    std::optional<unsigned long> address_space{};  // RLIMIT_AS, bytes
};

/// Starts the daemon and waits until it says READY=1. FAILs with its log when it ends before that.
class Daemon {
  public:
    explicit Daemon(DaemonOptions options = {});

    [[nodiscard]] const std::string& socket() const { return socket_; }
    [[nodiscard]] const std::string& control_socket() const { return control_socket_; }
    [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }
    [[nodiscard]] pid_t pid() const { return process_.pid(); }
    [[nodiscard]] bool running() const { return process_.running(); }

    /// SIGTERM. The exit status, or 128 plus the number of the signal that ended it.
    int stop();
    /// SIGKILL.
    void kill() { process_.kill_and_reap(); }
    /// Starts it again on the same paths; stops it first if it runs.
    void restart();

    /// Descriptors that the daemon has open, without those of memory that it has made ahead for small segments to come:
    /// how many these are changes at any time.
    [[nodiscard]] std::size_t fd_count() const;
    /// Its resident memory in KiB, shared memory included.
    [[nodiscard]] std::int64_t rss_kib() const;
    /// What it has written to its standard error since the first start.
    [[nodiscard]] std::string log() const;

  private:
    void start();
    void await_readiness(int notify_socket);

    DaemonOptions options_;
    TemporaryDirectory directory_;
    std::string socket_;
    std::string control_socket_;
    OwnedProcess process_;
};

}  // namespace shmd::test
