// The drop-in in processes that do what processes do: threads, signals, forks, execs, and daemons that come and go. And
// clients that would have others' attachments.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "daemon_fixture.hpp"
#include "service_manager.hpp"
#include "system_v.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

CommandResult probe(const std::string& socket, std::vector<std::string> arguments, const std::string& fallback = {}) {
    arguments.insert(arguments.begin(), SYSTEM_V_PROBE_PATH);
    return run_command(arguments, {std::string("LD_PRELOAD=") + SHMD_SYSV_PATH, "SHMD_SOCKET=" + socket, "SHMD_SYSV_FALLBACK=" + fallback});
}

void goes_well(const std::string& name) {
    const Daemon daemon;
    auto result = probe(daemon.socket(), {name});
    CHECK(result.out == "ok\n");
    CHECK(result.err == "");
    CHECK(result.status == 0);
}

// Refused calls are error replies with this errno.
template <typename C>
int errno_of(RawClient& client, const C& call) {
    auto received = client.call(call);
    if (!received.is_error()) return 0;
    return static_cast<int>(received.known_error().number.value_or(-1));
}

}  // namespace

TEST_CASE("no thread is started and nothing is printed") {
    goes_well("no_thread");
}

TEST_CASE("calls from signal handlers that interrupt the same calls, malloc and fork") {
    goes_well("signals");
}

TEST_CASE("many threads attach while the process forks") {
    goes_well("threads");
}

TEST_CASE("children, their children and those that are killed are counted, and programs that are spawned are not") {
    goes_well("forks");
}

TEST_CASE("exec ends attachments") {
    goes_well("exec");
}

TEST_CASE("a program that closes all descriptors has its files left alone") {
    goes_well("closes_all");
}

TEST_CASE("calls without a free descriptor fail and do no harm") {
    goes_well("no_descriptor_left");
}

TEST_CASE("without a daemon, calls fail with ENOSYS and one line says why") {
    const TemporaryDirectory directory;
    auto result = probe(directory.path() / "nobody", {"nobody"});
    CHECK(result.out == "ok\n");
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.err.find((directory.path() / "nobody").string()) != std::string::npos);
}

TEST_CASE("without a daemon, the kernel serves who asked for that") {
    const TemporaryDirectory directory;
    auto result = probe(directory.path() / "nobody", {"by_kernel"}, "kernel");
    CHECK(result.out == "ok\n");
    CHECK(result.err == "");
}

TEST_CASE("a daemon that is killed leaves the memory mapped, and calls fail") {
    Daemon daemon;
    auto result = probe(daemon.socket(), {"daemon_dies", std::to_string(daemon.pid())});
    CHECK(result.out == "ok\n");
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
}

TEST_CASE("attachments go on over a restart of the daemon") {
    ServiceManager manager;
    manager.start();
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const UniqueFd mine(ends[0]);
    UniqueFd its(ends[1]);
    SpawnOptions options;
    options.environment = {std::string("LD_PRELOAD=") + SHMD_SYSV_PATH, "SHMD_SOCKET=" + manager.socket()};
    options.in = options.out = its.get();
    OwnedProcess program = spawn({SYSTEM_V_PROBE_PATH, "daemon_restarts"}, options);
    its.reset();
    auto line = [&] {
        std::string text;
        for (char byte = 0; byte != '\n' && ::read(mine.get(), &byte, 1) == 1;) text += byte;
        return text;
    };
    REQUIRE(line() == "attached\n");
    manager.restart();
    REQUIRE(::write(mine.get(), "\n", 1) == 1);
    CHECK(line() == "ok\n");
    CHECK(program.wait() == 0);
}

TEST_CASE("nobody takes or ends the attachments of another process" * doctest::skip(!is_root())) {
    const Daemon daemon;
    RawClient owner(daemon.socket());
    const auto id = owner.call(system_v::Get{0, 4096, 0600}).value().id;
    const std::uint32_t attachment = *owner.call(system_v::Attach{id, 0, std::nullopt, std::nullopt}).value().attachment;
    auto attack = [&] {
        RawClient client(daemon.socket());
        for (std::uint32_t guess = attachment > 50 ? attachment - 50 : 1; guess < attachment + 50; guess++) {
            if (errno_of(client, system_v::Detach{guess}) != EINVAL) return false;
            auto inherited = client.call(system_v::Inherit{{guess}});
            if (inherited.is_error() || inherited.value().attachments != std::vector<std::uint32_t>{0}) return false;
        }
        // It is made for a child now, and still no way to be somebody else.
        for (int i = 0; i < 200; i++) (void)client.call(system_v::Claim{});
        return errno_of(client, system_v::Detach{attachment}) == EINVAL;
    };
    CHECK(run_as(0, 0, {}, attack) == 0);
    CHECK(run_as(1000, 1000, {}, attack) == 0);
    CHECK(owner.call(system_v::Stat{id, std::nullopt, std::nullopt}).value().status->attachments == 1);
    CHECK_FALSE(owner.call(system_v::Detach{attachment}).is_error());
}

TEST_CASE("a flood of inheritances ends at the quota, and with who made it" * doctest::skip(!is_root())) {
    const Daemon daemon({.config = R"({"limits": {"perUid": {"attachments": 3000}}})"});
    auto flood = [&] {
        RawClient owner(daemon.socket());
        const auto id = owner.call(system_v::Get{0, 4096, 0600}).value().id;
        const std::uint32_t attachment = *owner.call(system_v::Attach{id, 0, std::nullopt, std::nullopt}).value().attachment;
        const system_v::Inherit many{std::vector<std::uint32_t>(1000, attachment)};
        std::size_t made = 0;
        {
            RawClient greedy(daemon.socket());
            for (int i = 0; i < 6; i++) {
                const auto inherited = greedy.call(many);
                for (std::uint32_t each : inherited.value().attachments) made += each != 0 ? 1 : 0;
            }
        }
        // Nobody claimed them.
        auto status = owner.call(system_v::Stat{id, std::nullopt, std::nullopt});
        return made == 2999 && status.value().status->attachments == 1;
    };
    CHECK(run_as(1000, 1000, {}, flood) == 0);
}

TEST_CASE("all attachments of a process have ended for who has seen its end") {
    goes_well("many");
}
