// Segments that are made of files which the daemon has made ahead: they are as any other, and what is kept for those to come
// is in nobody's way.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "mapping.hpp"
#include "service_manager.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr std::size_t most_ahead = 64;
constexpr uid_t alice = 61001;
constexpr gid_t alice_group = 62001;

Create create(std::string key, std::int64_t size = 4096) {
    Create call;
    call.key = std::move(key);
    call.size_bytes = size;
    return call;
}

// Descriptors of memory of which no segment has been made yet.
std::size_t descriptors_ahead(pid_t process) {
    namespace fs = std::filesystem;
    std::size_t count = 0;
    for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(process) + "/fd")) {
        std::error_code gone;
        struct stat status {};
        bool is_memory = fs::read_symlink(fd.path(), gone).string().starts_with("/memfd:shmd");
        if (is_memory && ::stat(fd.path().c_str(), &status) == 0 && status.st_size == 0) count++;
    }
    return count;
}

void await_ahead(const Daemon& daemon, std::size_t blanks) {
    wait_until(daemon, std::to_string(blanks) + " blanks",
               [&](const Snapshot&) { return descriptors_ahead(daemon.pid()) == 2 * blanks; });
}

int access_of(const UniqueFd& fd) {
    return ::fcntl(fd.get(), F_GETFL) & O_ACCMODE;
}

// Each way to make one, with what is to be seen of it.
void check_all_kinds(RawClient& client) {
    auto check = [&](const Create& call, int access, const std::function<void(Received<Grant>&)>& look = {}) {
        CAPTURE(*call.key);
        auto made = client.call(call);
        REQUIRE_FALSE(made.is_error());
        const Segment& segment = made.value().segment;
        struct stat status {};
        REQUIRE(::fstat(made.fds.at(0).get(), &status) == 0);
        CHECK(status.st_size == call.capacity_bytes.value_or(call.size_bytes));
        CHECK((status.st_mode & 07777) == 0600);
        CHECK(access_of(made.fds.at(0)) == access);
        CHECK_FALSE(segment.sealed);
        if (look) look(made);
        if (segment.state == State::live) CHECK_FALSE(client.call(Delete{{std::nullopt, segment.id}}).is_error());
        REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
    };
    check(create("write"), O_RDWR, [&](Received<Grant>& made) {
        Mapping memory(made.fds.at(0).get(), 4096, Access::write);
        std::strcpy(memory.data(), "text");
        auto opened = client.call(Open{{"write", std::nullopt}, Access::read});
        CHECK(std::string(Mapping(opened.fds.at(0).get(), 4096, Access::read).data()) == "text");
        CHECK(access_of(opened.fds.at(0)) == O_RDONLY);
    });
    Create call = create("read");
    call.access = Access::read;
    check(call, O_RDONLY, [&](Received<Grant>& made) {
        CHECK_FALSE(client.call(Seal{{"read", std::nullopt}}).is_error());
        CHECK((::fcntl(made.fds.at(0).get(), F_GET_SEALS) & F_SEAL_WRITE) != 0);
    });
    call = create("staged");
    call.staged = true;
    check(call, O_RDWR);
    call = create("not-sealable");
    call.sealable = false;
    check(call, O_RDWR, [&](Received<Grant>& made) {
        constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
        CHECK(::fcntl(made.fds.at(0).get(), F_GET_SEALS) == seals);
    });
    for (std::int64_t size : {10, 1 << 20}) {
        call = create("lazy", size);
        call.reserve = Reserve::lazy;
        check(call, O_RDWR, [](Received<Grant>& made) {
            struct stat status {};
            REQUIRE(::fstat(made.fds.at(0).get(), &status) == 0);
            CHECK(status.st_blocks == 0);
        });
    }
    for (std::int64_t size : {1, 4096, 4097, 100'000, 8 << 20}) {
        for (Reserve reserve : {Reserve::allocate, Reserve::populate}) {
            call = create("reserved", size);
            call.reserve = reserve;
            check(call, O_RDWR, [&](Received<Grant>& made) {
                struct stat status {};
                REQUIRE(::fstat(made.fds.at(0).get(), &status) == 0);
                CHECK(status.st_blocks * 512 == (size + 4095) / 4096 * 4096);
            });
        }
    }
    call = create("grows", 10);
    call.capacity_bytes = 1 << 20;
    check(call, O_RDWR);
}

}  // namespace

TEST_CASE("blanks are made at the start, and again when segments were made of them") {
    Daemon daemon;
    await_ahead(daemon, most_ahead);
    RawClient client(daemon.socket());
    for (int i = 0; i < 200; i++) REQUIRE_FALSE(client.call(create("key" + std::to_string(i))).is_error());
    // Each create has one made, or orders those that are missing.
    wait_until(daemon, "more blanks", [&](const Snapshot&) { return descriptors_ahead(daemon.pid()) > most_ahead; });
    CHECK(client.list().size() == 200);
}

TEST_CASE("every kind of segment is made, and its memory comes back") {
    Daemon daemon;
    await_ahead(daemon, most_ahead);
    Snapshot before = settled(daemon);
    {
        RawClient client(daemon.socket());
        for (int i = 0; i < 30; i++) check_all_kinds(client);
    }
    // What the daemon still had open itself would stay in use, and on the account.
    expect_return_to(daemon, before);
}

TEST_CASE("so it is where a service manager keeps the segments") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket()), control(manager.control_socket());
    for (int i = 0; i < 30; i++) check_all_kinds(client);
    auto deadline = std::chrono::steady_clock::now() + patience;
    for (Status status; status.bytes > 0 || status.segments > 0;) {
        status = control.call(GetStatus{}).value();
        REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
    // What was kept for the next ones is as good after a restart.
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    check_all_kinds(again);
}

TEST_CASE("nobody but the daemon's user opens such a segment past the daemon" * doctest::skip(!is_root())) {
    Daemon daemon;
    await_ahead(daemon, most_ahead);
    CHECK(run_as(alice, alice_group, {}, [&] {
              RawClient client(daemon.socket());
              auto made = client.call(create("hers"));
              if (made.is_error() || made.value().segment.owner_uid != alice) return 1;
              Mapping(made.fds.at(0).get(), 4096, Access::write).data()[0] = 1;
              std::string path = "/proc/self/fd/" + std::to_string(made.fds.at(0).get());
              return ::open(path.c_str(), O_RDWR) < 0 && errno == EACCES ? 0 : 2;
          }) == 0);
    CHECK(run_as(alice + 1, alice_group + 1, {}, [&] {
              RawClient client(daemon.socket());
              auto opened = client.call(Open{{"hers", std::nullopt}, Access::read});
              return opened.is_error() && opened.known_error() == Error::permission_denied() ? 0 : 1;
          }) == 0);
}

TEST_CASE("blanks go before a segment or a grant is refused for want of descriptors") {
    DaemonOptions options;
    options.config = R"({"limits": {"segments": 10000, "connections": 10000}})";
    options.user = is_root() ? std::optional(User{alice, alice_group}) : std::nullopt;
    options.nofile = 1024;
    Daemon daemon(options);
    await_ahead(daemon, 16);
    RawClient client(daemon.socket());
    REQUIRE_FALSE(client.call(create("first")).is_error());
    std::size_t used = settled(daemon, 1).fd_count - 1;
    // Each keeps one descriptor, and one more passes through.
    std::size_t room = 1024 - used - 1;
    for (std::size_t i = 0; i < room; i++) {
        CAPTURE(i);
        REQUIRE_FALSE(client.call(create("key" + std::to_string(i))).is_error());
    }
    CHECK(client.call(create("more")).known_error() == Error::quota_exceeded("fileDescriptors", 1024));
    CHECK_FALSE(client.call(Open{{"first", std::nullopt}, Access::read}).is_error());
    CHECK(descriptors_ahead(daemon.pid()) == 0);
}

TEST_CASE("blanks go before a grant is refused and a connection left waiting for want of descriptors") {
    DaemonOptions options;
    options.config = R"({"limits": {"segments": 10000, "connections": 10000}})";
    options.user = is_root() ? std::optional(User{alice, alice_group}) : std::nullopt;
    options.nofile = 1024;
    Daemon daemon(options);
    await_ahead(daemon, 16);
    std::vector<RawClient> clients;
    clients.emplace_back(daemon.socket());
    REQUIRE_FALSE(clients.back().call(create("shared")).is_error());
    // One descriptor each: all are of one process. With what is kept for others, all but one are used then.
    std::size_t before = settled(daemon, 1).fd_count - 1;
    while (clients.size() + before + descriptors_ahead(daemon.pid()) < 1024) {
        clients.emplace_back(daemon.socket());
        REQUIRE_FALSE(clients.back().call(GetInfo{}).is_error());
    }
    CHECK(descriptors_ahead(daemon.pid()) > 0);
    auto opened = clients.front().call(OpenMany{std::vector<Target>(10, {"shared", std::nullopt}), Access::read});
    CHECK(opened.fds.size() == 10);
    CHECK(descriptors_ahead(daemon.pid()) == 0);
    std::size_t room = 1024 - before + 1;
    for (std::size_t i = clients.size(); i < room; i++) {
        CAPTURE(i);
        clients.emplace_back(daemon.socket());
        REQUIRE_FALSE(clients.back().call(GetInfo{}).is_error());
    }
    CHECK(descriptors_ahead(daemon.pid()) == 0);
    // A grant cannot be had any more, until somebody leaves.
    CHECK(clients.front().call(create("key")).known_error() == Error::quota_exceeded("fileDescriptors", 1024));
    clients.erase(clients.end() - 8, clients.end());
    wait_until(daemon, "descriptors", [&](const Snapshot& snapshot) { return snapshot.fd_count < 1022; });
    CHECK_FALSE(clients.front().call(create("key")).is_error());
}
