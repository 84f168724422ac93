#include "forbid_exec.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>

namespace {

constexpr int no_filter = 100;
constexpr int executed = 0;

// What a child ends with that forbids itself to execute and then does this: the errno, or `executed`.
template <typename F>
int in_child(const F& attempt) {
    pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (!shmd::forbid_exec()) ::_exit(no_filter);
        attempt();
        ::_exit(errno);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

char program[] = "/bin/true";
char* arguments[] = {program, nullptr};
char* environment[] = {nullptr};

}  // namespace

TEST_CASE("a process that forbids itself to execute cannot execute a program") {
    CHECK(in_child([] { ::execve(program, arguments, environment); }) == EPERM);
}

TEST_CASE("a process that forbids itself to execute cannot execute memory") {
    int memory = ::memfd_create("program", MFD_CLOEXEC);
    std::ifstream file(program, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    REQUIRE(::write(memory, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    CHECK(in_child([&] { ::syscall(SYS_execveat, memory, "", arguments, environment, AT_EMPTY_PATH); }) == EPERM);
    CHECK(in_child([&] { ::fexecve(memory, arguments, environment); }) == EPERM);
    ::close(memory);
}

TEST_CASE("a process that forbids itself to execute can do everything else") {
    CHECK(in_child([] { errno = ::memfd_create("memory", MFD_CLOEXEC) < 0 ? errno : 0; }) == 0);
    CHECK(in_child([] { errno = ::open("/proc/self/stat", O_RDONLY) < 0 ? errno : 0; }) == 0);
}

TEST_CASE("without that the same program runs") {
    pid_t child = ::fork();
    if (child == 0) {
        ::execve(program, arguments, environment);
        ::_exit(errno);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == executed);
}
