// Limits: of users, of the machine, of the daemon's own process. Each refusal names what ran out; nothing is lost by
// it.
#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "limits.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr uid_t alice = 61001;
constexpr gid_t alice_group = 62001;

Create create(std::int64_t size, std::optional<std::string> key = std::nullopt) {
    Create call;
    call.key = std::move(key);
    call.size_bytes = size;
    return call;
}

bool serves(const Daemon& daemon) {
    RawClient client(daemon.socket());
    auto made = client.call(create(10));
    return !made.is_error() && !client.call(Delete{{made.value().segment.key, std::nullopt}}).is_error();
}

DaemonOptions with_config(std::string config) {
    DaemonOptions options;
    options.config = std::move(config);
    return options;
}

}  // namespace

TEST_CASE("5,000 connections are served, and all of them go") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    std::int64_t rss = daemon.rss_kib();
    {
        std::vector<RawClient> clients;
        for (int i = 0; i < 5000; i++) clients.emplace_back(daemon.socket());
        CHECK(settled(daemon, 5000).status.connections == 5001);
        CHECK(serves(daemon));
        for (std::size_t i = 0; i < clients.size(); i += 1000) CHECK_FALSE(clients[i].call(GetInfo{}).is_error());
        // 8 KiB an idle connection.
        if (!sanitized) CHECK(daemon.rss_kib() - rss < 5000 * 8);
    }
    expect_return_to(daemon, before);
}

TEST_CASE("a connection over a user's limit is told so and closed; other users still connect" *
          doctest::skip(!is_root())) {
    Daemon daemon(with_config(R"({"limits": {"perUid": {"connections": 5}}})"));
    Snapshot before = settled(daemon);
    ChildProcess user(User{alice, alice_group}, [&](Turns& turns) {
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 5; i++) {
            clients.push_back(std::make_unique<RawClient>(daemon.socket()));
            if (clients.back()->call(GetInfo{}).is_error()) return 1;
        }
        RawClient sixth(daemon.socket());
        if (sixth.receive_reply<GetInfo>().known_error() != Error::quota_exceeded("connections", 5)) return 2;
        sixth.expect_eof();
        turns.signal();
        turns.wait();
        return 0;
    });
    user.wait_for_byte();
    CHECK(run_as(alice + 1, alice_group, {}, [&] { return serves(daemon); }) == 0);
    user.send_byte();
    CHECK(user.wait() == 0);
    expect_return_to(daemon, before);
}

TEST_CASE("nobody keeps the administrators from the control socket") {
    Daemon daemon(with_config(R"({"limits": {"connections": 3}})"));
    std::vector<RawClient> clients;
    for (int i = 0; i < 3; i++) clients.emplace_back(daemon.socket());
    CHECK_FALSE(clients.back().call(GetInfo{}).is_error());
    RawClient refused(daemon.socket());
    CHECK(refused.receive_reply<GetInfo>().known_error() == Error::quota_exceeded("connections", 3));
    RawClient admin(daemon.control_socket());
    CHECK(admin.call(GetStatus{}).value().connections == 4);
}

TEST_CASE("each limit of a user is named when it is met, and free again after a deletion" * doctest::skip(!is_root())) {
    Daemon daemon(with_config(R"({"limits": {"perUid": {"segments": 3, "bytes": "64K", "attachments": 4}}})"));
    Snapshot before = settled(daemon);
    CHECK(run_as(alice, alice_group, {}, [&] {
              RawClient client(daemon.socket());
              if (client.call(create((64 << 10) + 1)).known_error() != Error::quota_exceeded("bytes", 64 << 10))
                  return 1;
              if (client.call(create(60 << 10, "large")).is_error()) return 2;
              if (client.call(create(4097)).known_error() != Error::quota_exceeded("bytes", 64 << 10)) return 3;
              if (client.call(Delete{{"large", std::nullopt}}).is_error()) return 4;
              // Deleted, but still attached: the memory is not free yet.
              if (!client.call(create(4097)).is_error()) return 5;
              return 0;
          }) == 0);
    CHECK(run_as(alice, alice_group, {}, [&] {
              RawClient client(daemon.socket());
              for (const char* key : {"a", "b", "c"}) {
                  if (client.call(create(1, key)).is_error()) return 1;
              }
              if (client.call(create(1, "d")).known_error() != Error::quota_exceeded("segments", 3)) return 2;
              if (client.call(Open{{"a", std::nullopt}, Access::read}).is_error()) return 3;
              auto fifth = client.call(Open{{"a", std::nullopt}, Access::read});
              if (fifth.known_error() != Error::quota_exceeded("attachments", 4)) return 4;
              for (const char* key : {"a", "b", "c"}) {
                  if (client.call(Delete{{key, std::nullopt}}).is_error()) return 5;
              }
              return 0;
          }) == 0);
    expect_return_to(daemon, before);
}

TEST_CASE("the totals hold for root too") {
    Daemon daemon(with_config(R"({"limits": {"bytes": "1M", "segments": 2}})"));
    RawClient client(daemon.socket());
    CHECK(client.call(create((1 << 20) + 1)).known_error() == Error::quota_exceeded("bytes", 1 << 20));
    CHECK_FALSE(client.call(create(1 << 19, "a")).is_error());
    CHECK_FALSE(client.call(create(1 << 19, "b")).is_error());
    CHECK(client.call(create(1)).known_error() == Error::quota_exceeded("segments", 2));
}

TEST_CASE("more memory than the machine has is refused at once") {
    Daemon daemon(with_config(R"({"limits": {"bytes": "8000T"}})"));
    Snapshot before = settled(daemon);
    std::int64_t machine = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
    for (std::int64_t size : {machine + 1, limits::integer}) {
        RawClient client(daemon.socket());
        for (Reserve reserve : {Reserve::lazy, Reserve::allocate, Reserve::populate}) {
            Create call = create(size);
            call.reserve = reserve;
            CHECK(client.call(call).known_error() == Error::out_of_memory(size));
        }
    }
    CHECK(serves(daemon));
    expect_return_to(daemon, before);
}

TEST_CASE("a daemon that may open few files says so, and goes on when some are free again") {
    DaemonOptions options;
    options.config = R"({"limits": {"segments": 1000, "connections": 1000}})";
    options.user = is_root() ? std::optional(User{alice, alice_group}) : std::nullopt;
    options.nofile = 64;
    Daemon daemon(options);
    Snapshot before = settled(daemon);
    {
        RawClient client(daemon.socket());
        int made = 0;
        for (;; made++) {
            auto reply = client.call(create(1, "k" + std::to_string(made)));
            if (!reply.is_error()) continue;
            CHECK(reply.known_error() == Error::quota_exceeded("fileDescriptors", 64));
            break;
        }
        CHECK(made > 20);
        // Nobody more can be accepted; who is there is still served.
        RawClient waiting(daemon.socket());
        waiting.send(GetInfo{});
        CHECK(client.call(List{}).is_error());
        for (int i = 0; i < made; i++) {
            REQUIRE_FALSE(client.call(Delete{{"k" + std::to_string(i), std::nullopt}}).is_error());
        }
        client.close();
        // It was left waiting, or it was let in as the last one and told why it could not be served.
        auto answer = waiting.receive_reply<GetInfo>();
        if (answer.is_error()) CHECK(answer.known_error() == Error::quota_exceeded("fileDescriptors", 64));
    }
    CHECK(serves(daemon));
    expect_return_to(daemon, before);
}

TEST_CASE("10,000 segments cost at most 1 KiB each of the daemon's own memory") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    RawClient client(daemon.socket());
    REQUIRE(serves(daemon));
    std::int64_t rss = daemon.rss_kib();
    Create call = create(1);
    call.reserve = Reserve::lazy;
    std::vector<std::uint32_t> attachments;
    for (int i = 0; i < 10'000; i++) {
        call.key = "application/table/" + std::to_string(i);
        auto made = client.call(call);
        attachments.push_back(made.value().attachment);
    }
    for (std::uint32_t attachment : attachments) REQUIRE_FALSE(client.call(Detach{attachment}).is_error());
    if (!sanitized) CHECK(daemon.rss_kib() - rss <= 10'000);
    CHECK(client.list().size() == 10'000);
    for (int i = 0; i < 10'000; i++) {
        REQUIRE_FALSE(client.call(Delete{{"application/table/" + std::to_string(i), std::nullopt}}).is_error());
    }
    client.close();
    expect_return_to(daemon, before);
}
