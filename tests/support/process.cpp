#include "process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <system_error>

extern char** environ;

namespace shmd::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int exception_status = 125;
constexpr int setup_status = 126;
constexpr int exec_status = 127;

int milliseconds_until(Clock::time_point deadline) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return static_cast<int>(std::max<long long>(left, 0));
}

// poll(2) that outlives signals. False when the time is over.
bool poll_until(pollfd* fds, nfds_t count, Clock::time_point deadline) {
    while (true) {
        int ready = ::poll(fds, count, milliseconds_until(deadline));
        if (ready > 0) return true;
        if (ready == 0) return false;
        if (errno != EINTR) fail(std::string("poll: ") + std::strerror(errno));
    }
}

std::pair<UniqueFd, UniqueFd> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail(std::string("pipe2: ") + std::strerror(errno));
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// ---- In the child, between fork and its work ----

// Handlers of the test framework must not turn a child's crash into a report.
void default_signals() {
    for (int number : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGINT, SIGTERM, SIGPIPE}) {
        std::signal(number, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool become(const User& user) {
    if (::geteuid() == 0 && ::setgroups(user.groups.size(), user.groups.data()) != 0) return false;
    return ::setresgid(user.gid, user.gid, user.gid) == 0 && ::setresuid(user.uid, user.uid, user.uid) == 0;
}

// A change of user clears both settings, so this comes after it.
void die_with(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_DUMPABLE, 1);
    if (::getppid() != parent) ::_exit(setup_status);
}

[[noreturn]] void give_up(const char* what) {
    ::dprintf(STDERR_FILENO, "%s: %s\n", what, std::strerror(errno));
    ::_exit(setup_status);
}

void set_limit(__rlimit_resource resource, const std::optional<unsigned long>& limit) {
    if (!limit) return;
    rlimit both{*limit, *limit};
    if (::setrlimit(resource, &both) != 0) give_up("setrlimit");
}

void set_standard_fds(const SpawnOptions& options) {
    int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) give_up("/dev/null");
    // Above 2 first, so that no dup2() overwrites a source that is still needed.
    std::array<int, 3> sources{options.in, options.out, options.err};
    for (int& source : sources) {
        source = ::fcntl(source < 0 ? null : source, F_DUPFD_CLOEXEC, 3);
        if (source < 0) give_up("fcntl");
    }
    for (int i = 0; i < 3; i++) {
        if (::dup2(sources[static_cast<std::size_t>(i)], i) < 0) give_up("dup2");
    }
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}

// As a service manager does: from 3 on, and told in the environment. Text that the parent has made room for takes the pid.
// Each that lies where another one is to be gives way first, and each is closed where it was: there may be nearly as many
// as the process may have.
void pass_listen_fds(const std::vector<int>& fds, std::vector<std::string>& environment) {
    if (fds.empty()) return;
    constexpr int first = 3;
    int end = first + static_cast<int>(fds.size());
    std::vector<int> from = fds;
    std::vector<int*> at(static_cast<std::size_t>(end));  // what lies at each of the places
    for (int& fd : from) {
        if (fd < end) at[static_cast<std::size_t>(fd)] = &fd;
    }
    for (int place = first; place < end; place++) {
        int& fd = from[static_cast<std::size_t>(place - first)];
        int* in_the_way = at[static_cast<std::size_t>(place)];
        if (in_the_way && in_the_way != &fd) {
            *in_the_way = ::fcntl(place, F_DUPFD_CLOEXEC, end);
            if (*in_the_way < 0) give_up("fcntl");
        }
        if (fd == place) {
            if (::fcntl(place, F_SETFD, 0) < 0) give_up("fcntl");
            continue;
        }
        if (::dup2(fd, place) < 0) give_up("dup2");
        if (fd < end) at[static_cast<std::size_t>(fd)] = nullptr;
        ::close(fd);
    }
    for (std::string& variable : environment) {
        if (variable.starts_with("LISTEN_PID=")) std::snprintf(variable.data(), variable.size() + 1, "LISTEN_PID=%d", ::getpid());
    }
}

[[noreturn]] void run_body(const std::function<int(Turns&)>& body, int socket) {
    int status = exception_status;
    try {
        Turns turns(socket);
        status = body(turns);
    } catch (const std::exception& error) {
        std::cerr << "child: " << error.what() << '\n';
    } catch (...) {
        std::cerr << "child: an assertion failed\n";
    }
    std::cout.flush();
    std::cerr.flush();
    ::_exit(status);
}

std::vector<std::string> merged_environment(const std::vector<std::string>& additions) {
    std::vector<std::string> merged = additions;
    for (char** entry = environ; *entry; entry++) {
        std::string_view inherited(*entry);
        std::string_view name = inherited.substr(0, inherited.find('=') + 1);
        bool replaced = std::any_of(additions.begin(), additions.end(),
                                    [name](const std::string& addition) { return addition.starts_with(name); });
        if (!replaced) merged.emplace_back(inherited);
    }
    return merged;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

pid_t fork_or_fail() {
    std::cout.flush();
    std::cerr.flush();
    std::fflush(nullptr);
    pid_t pid = ::fork();
    if (pid < 0) fail(std::string("fork: ") + std::strerror(errno));
    return pid;
}

// Reads what is there; closes at the end of file.
void drain(UniqueFd& from, std::string& into) {
    char buffer[1 << 16];
    ssize_t count = ::read(from.get(), buffer, sizeof buffer);
    if (count > 0) into.append(buffer, static_cast<std::size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) from.reset();
}

void feed(UniqueFd& to, std::string_view& rest) {
    ssize_t count = ::write(to.get(), rest.data(), rest.size());
    if (count >= 0) rest.remove_prefix(static_cast<std::size_t>(count));
    bool failed = count < 0 && errno != EINTR && errno != EAGAIN;
    if (rest.empty() || failed) to.reset();
}

}  // namespace

void fail(const std::string& message) {
    FAIL(message);
    std::abort();
}

bool is_root() {
    return ::geteuid() == 0;
}

// ---- TemporaryDirectory ----

TemporaryDirectory::TemporaryDirectory() {
    char name[] = "/tmp/shmd-test-XXXXXX";
    if (!::mkdtemp(name)) fail(std::string("mkdtemp ") + name + ": " + std::strerror(errno));
    path_ = name;
    if (::chmod(name, 0755) != 0) fail(std::string("chmod ") + name + ": " + std::strerror(errno));
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

// ---- OwnedProcess ----

OwnedProcess::OwnedProcess(pid_t pid) : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
    if (pidfd_) return;
    int error = errno;
    kill_and_reap();
    fail(std::string("pidfd_open: ") + std::strerror(error));
}

OwnedProcess::OwnedProcess(OwnedProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

OwnedProcess& OwnedProcess::operator=(OwnedProcess&& other) noexcept {
    if (this != &other) {
        kill_and_reap();
        pid_ = std::exchange(other.pid_, -1);
        pidfd_ = std::move(other.pidfd_);
    }
    return *this;
}

void OwnedProcess::signal(int number) const {
    if (!running()) fail("signal: the process has ended");
    if (::kill(pid_, number) != 0) fail(std::string("kill: ") + std::strerror(errno));
}

int OwnedProcess::wait() {
    if (!running()) fail("wait: the process was already waited for");
    pollfd ended{pidfd_.get(), POLLIN, 0};
    if (!poll_until(&ended, 1, Clock::now() + patience)) {
        fail("process " + std::to_string(pid_) + " did not end in time");
    }
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void OwnedProcess::kill_and_reap() noexcept {
    if (!running()) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

// ---- Programs ----

OwnedProcess spawn(const std::vector<std::string>& arguments, const SpawnOptions& options) {
    std::vector<std::string> variables = options.environment;
    if (!options.listen_fds.empty()) {
        variables.push_back("LISTEN_FDS=" + std::to_string(options.listen_fds.size()));
        variables.emplace_back("LISTEN_PID=0000000000");
    }
    std::vector<std::string> environment = merged_environment(variables);
    std::vector<char*> argv = pointers(arguments);
    std::vector<char*> envp = pointers(environment);
    pid_t parent = ::getpid();
    pid_t pid = fork_or_fail();
    if (pid > 0) return OwnedProcess(pid);

    default_signals();
    set_standard_fds(options);
    pass_listen_fds(options.listen_fds, environment);
    set_limit(RLIMIT_NOFILE, options.nofile);
    set_limit(RLIMIT_AS, options.address_space);
    if (options.user && !become(*options.user)) give_up("change of user");
    die_with(parent);
    ::execvpe(argv[0], argv.data(), envp.data());
    ::dprintf(STDERR_FILENO, "%s: %s\n", argv[0], std::strerror(errno));
    ::_exit(exec_status);
}

CommandResult run_command(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
                          std::string_view input) {
    std::signal(SIGPIPE, SIG_IGN);
    auto [child_in, in] = make_pipe();
    auto [out, child_out] = make_pipe();
    auto [err, child_err] = make_pipe();
    SpawnOptions options;
    options.environment = environment;
    options.in = child_in.get();
    options.out = child_out.get();
    options.err = child_err.get();
    OwnedProcess process = spawn(arguments, options);
    child_in.reset();
    child_out.reset();
    child_err.reset();
    ::fcntl(in.get(), F_SETFL, O_NONBLOCK);
    if (input.empty()) in.reset();

    CommandResult result;
    auto deadline = Clock::now() + patience;
    while (out || err) {
        // poll(2) passes over the entries whose descriptor is -1.
        std::array<pollfd, 3> ends{pollfd{in.get(), POLLOUT, 0}, {out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}};
        if (!poll_until(ends.data(), ends.size(), deadline)) fail(arguments.front() + " did not end in time");
        if (ends[0].revents) feed(in, input);
        if (ends[1].revents) drain(out, result.out);
        if (ends[2].revents) drain(err, result.err);
    }
    result.status = process.wait();
    return result;
}

// ---- Children that share this program ----

void Turns::signal() const {
    char byte = 1;
    if (::send(socket_, &byte, 1, MSG_NOSIGNAL) != 1) throw std::system_error(errno, std::generic_category(), "signal");
}

void Turns::wait() const {
    char byte = 0;
    ssize_t count = 0;
    do {
        count = ::recv(socket_, &byte, 1, 0);
    } while (count < 0 && errno == EINTR);
    if (count != 1) throw std::runtime_error("the parent has gone");
}

ChildProcess::ChildProcess(std::optional<User> user, std::function<int(Turns&)> body) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        fail(std::string("socketpair: ") + std::strerror(errno));
    }
    socket_.reset(ends[0]);
    UniqueFd child_socket(ends[1]);
    pid_t parent = ::getpid();
    pid_t pid = fork_or_fail();
    if (pid > 0) {
        process_ = OwnedProcess(pid);
        return;
    }
    default_signals();
    socket_.reset();
    if (user && !become(*user)) give_up("change of user");
    die_with(parent);
    run_body(body, child_socket.get());
}

void ChildProcess::wait_for_byte() const {
    std::array<pollfd, 2> ends{pollfd{socket_.get(), POLLIN, 0}, {process_.pidfd(), POLLIN, 0}};
    if (!poll_until(ends.data(), ends.size(), Clock::now() + patience)) fail("the child did not take its step in time");
    char byte = 0;
    if (::recv(socket_.get(), &byte, 1, MSG_DONTWAIT) != 1) fail("the child ended instead of taking its step");
}

void ChildProcess::send_byte() const {
    char byte = 1;
    if (::send(socket_.get(), &byte, 1, MSG_NOSIGNAL) != 1) fail("the child has gone");
}

}  // namespace shmd::test
