// The commands that processes meet by: lock, notify, and waiting for a notification.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "failure.hpp"
#include "key.hpp"
#include "output.hpp"
#include "text.hpp"

namespace shmd::cli {
namespace {

// As env(1) and the shells have them.
constexpr int cannot_run = 126;
constexpr int not_found = 127;

volatile std::sig_atomic_t running = 0;  // the command's process

void pass_on(int signal) {
    if (running > 0) ::kill(static_cast<pid_t>(running), signal);
}

Segment open_for_writing(Client& client, const std::string& key) {
    try {
        return client.open_write(key_from_text(key));
    } catch (const Error& error) {
        throw explained(client, error, key, Action::write);
    }
}

// Becomes the command, in the child.
[[noreturn]] void become(const std::vector<std::string>& command, pid_t parent) {
    // Without its lock it must not go on.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(cannot_run);
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments.front(), arguments.data());
    int error = errno;
    complain(system_failure(named(command.front()), error).what());
    ::_exit(error == ENOENT ? not_found : cannot_run);
}

// Runs it to its end. Its exit status, or 128 plus the signal that ended it.
int run(const std::vector<std::string>& command) {
    const pid_t parent = ::getpid();
    pid_t child = ::fork();
    if (child < 0) throw system_failure("a process for the command cannot be made", errno);
    if (child == 0) become(command, parent);
    running = child;
    // A terminal sends these to both: the command decides.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGQUIT, SIG_IGN);
    std::signal(SIGTERM, pass_on);
    std::signal(SIGHUP, pass_on);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) throw system_failure("the command cannot be waited for", errno);
    }
    running = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

template <typename Lock>
int run_under(std::optional<Lock> lock, const LockRequest& request) {
    if (!lock) throw Failure(Exit::refused, named(request.key) + ": it is locked, and was not given back in this time");
    bool died = lock->owner_died();
    if (died && !request.repair) {
        complain(named(request.key) + ": the lock's previous holder died; what it protects may be half changed (see --repair)");
    }
    ::setenv("SHMD_OWNER_DIED", died ? "1" : "0", 1);
    int status = run(request.command);
    if constexpr (!std::is_same_v<Lock, ReadLock>) {
        if (died && request.repair && status == 0) lock->make_consistent();
    }
    try {
        lock->unlock();
    } catch (const Error& error) {
        throw Failure(Exit::refused, named(request.key) + ": the lock was taken away while the command ran: " + error.what());
    }
    return status;
}

}  // namespace

Exit lock(const Common& common, const LockRequest& request) {
    Client client = connect(common);
    Segment segment = open_for_writing(client, request.key);
    auto timeout = request.timeout.value_or(std::chrono::microseconds::max());
    try {
        switch (request.kind) {
            case LockRequest::Kind::mutex: return static_cast<Exit>(run_under(segment.lock_for(timeout), request));
            case LockRequest::Kind::read: return static_cast<Exit>(run_under(segment.read_lock_for(timeout), request));
            case LockRequest::Kind::write: return static_cast<Exit>(run_under(segment.write_lock_for(timeout), request));
        }
        return Exit::wrong_usage;
    } catch (const Error& error) {
        throw call_failure(error, named(request.key), Action::write);
    }
}

void notify(const Common& common, const std::string& key) {
    Client client = connect(common);
    Segment segment = open_for_writing(client, key);
    try {
        std::uint64_t version = segment.notify();
        common.json ? print_json(nlohmann::json{{"version", version}}.dump()) : print(std::to_string(version) + "\n");
    } catch (const Error& error) {
        throw call_failure(error, named(key), Action::write);
    }
}

void wait_for_version(const Common& common, const VersionWait& request) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    Client client = connect(common);
    try {
        auto forever = std::chrono::microseconds::max();
        auto segment = client.open_read(key_from_text(request.key), request.timeout.value_or(forever));
        std::uint64_t after = request.after ? *request.after : segment.version();
        auto passed = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
        auto left = request.timeout ? *request.timeout - passed : forever;
        auto version = segment.wait_for(after, left);
        if (!version) throw Failure(Exit::refused, named(request.key) + ": nobody has notified in this time");
        common.json ? print_json(nlohmann::json{{"version", *version}}.dump()) : print(std::to_string(*version) + "\n");
    } catch (const Error& error) {
        throw explained(client, error, request.key, Action::wait);
    }
}

}  // namespace shmd::cli
