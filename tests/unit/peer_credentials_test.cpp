#include "peer_credentials.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace shmd;

TEST_CASE("a process is told from others, and the same is found each time") {
    UniqueFd self = open_pidfd(::getpid());
    UniqueFd again = open_pidfd(::getpid());
    UniqueFd parent = open_pidfd(::getppid());
    REQUIRE(self);
    CHECK(mark_of_process(self.get(), ::getpid()) == mark_of_process(again.get(), ::getpid()));
    if (parent) CHECK(mark_of_process(self.get(), ::getpid()) != mark_of_process(parent.get(), ::getppid()));
}

TEST_CASE("where pidfds have no inodes a process is told by when it started") {
    UniqueFd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    // Process 1 started within the first second after boot or later than that, but before this one.
    CHECK(mark_of_process(other.get(), 1) <= mark_of_process(other.get(), ::getpid()));
    CHECK(mark_of_process(other.get(), ::getpid()) > 0);
}

TEST_CASE("a process that cannot be seen has no mark") {
    UniqueFd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    constexpr int nobodys_id = 0x7fffffff;
    CHECK(mark_of_process(other.get(), nobodys_id) == 0);
}

TEST_CASE("there is no pidfd of a process that has ended") {
    pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
    CHECK_FALSE(open_pidfd(child));
}
