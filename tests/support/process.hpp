// Processes that tests start: other users, other programs, and children that are stepped through without sleeping.
// Every one of them is killed and reaped by its owner, and dies with the thread that started it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unique_fd.hpp"

namespace shmd::test {

/// How long a test waits for anything before it fails. Reaching it means a defect, never a slow machine.
inline constexpr std::chrono::seconds patience{60};

/// Whether sanitizers are at work: then memory is no measure.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// Ends the test case as failed.
[[noreturn]] void fail(const std::string& message);

/// A fresh directory of mode 0755, removed with all that is in it.
class TemporaryDirectory {
  public:
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups{};
};

/// A child of this process. Kills and reaps it at the end of its life.
class OwnedProcess {
  public:
    OwnedProcess() = default;
    explicit OwnedProcess(pid_t pid);
    OwnedProcess(OwnedProcess&& other) noexcept;
    OwnedProcess& operator=(OwnedProcess&& other) noexcept;
    ~OwnedProcess() { kill_and_reap(); }

    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Readable once the process has ended. Borrowed.
    [[nodiscard]] int pidfd() const { return pidfd_.get(); }
    [[nodiscard]] bool running() const { return pid_ > 0; }

    void signal(int number) const;
    /// Waits for its end: the exit status, or 128 plus the number of the signal that ended it. FAILs after `patience`.
    int wait();
    void kill_and_reap() noexcept;

  private:
    pid_t pid_ = -1;
    UniqueFd pidfd_;
};

/// What a program to be started needs besides its arguments.
struct SpawnOptions {
    std::vector<std::string> environment{};  // NAME=value; takes the place of the inherited variable
    std::optional<User> user{};
    std::optional<unsigned long> nofile{};         // RLIMIT_NOFILE
    std::optional<unsigned long> address_space{};  // RLIMIT_AS, bytes
    int in = -1, out = -1, err = -1;               // borrowed; -1 is /dev/null
    std::vector<int> listen_fds{};                 // borrowed; passed as sd_listen_fds(3) expects, from 3 on
};

/// Starts a program with no descriptors but its standard ones and with default signals. Exit status 127: it could not
/// be started; its standard error says why.
[[nodiscard]] OwnedProcess spawn(const std::vector<std::string>& arguments, const SpawnOptions& options = {});

struct CommandResult {
    int status = 0;
    std::string out;
    std::string err;
};

/// Runs a program to its end, with `input` on a pipe as its standard input. FAILs after `patience`.
[[nodiscard]] CommandResult run_command(const std::vector<std::string>& arguments,
                                        const std::vector<std::string>& environment = {}, std::string_view input = {});

/// The child's side of a ChildProcess: steps are taken in turns.
class Turns {
  public:
    explicit Turns(int socket) : socket_(socket) {}
    /// Tells the parent that this step is done.
    void signal() const;
    /// Waits for the parent's send_byte().
    void wait() const;

  private:
    int socket_;
};

/// A fork of this process that runs a function and ends with what it returns. The child inherits every descriptor, open
/// connections included. Its assertions are not counted here: say what failed with the exit status. A thrown exception,
/// a failed REQUIRE included, is exit status 125.
class ChildProcess {
  public:
    explicit ChildProcess(std::function<int(Turns&)> body) : ChildProcess(std::nullopt, std::move(body)) {}
    ChildProcess(std::optional<User> user, std::function<int(Turns&)> body);

    [[nodiscard]] pid_t pid() const { return process_.pid(); }
    /// Waits for the child's next signal(). FAILs when the child ends instead.
    void wait_for_byte() const;
    /// Lets the child go on.
    void send_byte() const;
    /// Waits for its end; see OwnedProcess::wait().
    int wait() { return process_.wait(); }
    /// SIGKILL, and waits for its end.
    void kill() { process_.kill_and_reap(); }

  private:
    UniqueFd socket_;
    OwnedProcess process_;
};

/// Runs body in a child that is this user and returns its exit status; a bool counts as true 0, false 1. Needs root
/// unless the user is already this one: tests that use it are skipped with `* doctest::skip(!is_root())`.
template <std::invocable F>
int run_as(uid_t uid, gid_t gid, std::vector<gid_t> groups, F body) {
    ChildProcess child(User{uid, gid, std::move(groups)}, [&body](Turns&) -> int {
        if constexpr (std::same_as<std::invoke_result_t<F>, bool>) {
            return body() ? 0 : 1;
        } else {
            return body();
        }
    });
    return child.wait();
}

[[nodiscard]] bool is_root();

}  // namespace shmd::test
