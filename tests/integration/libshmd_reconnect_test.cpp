// libshmd and a daemon that goes away, refuses, or comes back: what is asked again, on which connection, and what is
// not.
#include <doctest/doctest.h>
#include <shmd/shmd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libshmd_fake_daemon.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

std::string last_message() {
    return shmd_last_error()->message;
}
std::string last_name() {
    return shmd_last_error()->name;
}

}  // namespace

TEST_CASE("a daemon that goes away before it answers: what can do harm twice is ECONNRESET and not repeated") {
    Pair pair;
    pair.peer.shutdown(SHUT_WR);
    CHECK(shmd_delete(pair.client(), "key") == -ECONNRESET);
    CHECK(last_message().find("may or may not") != std::string::npos);
    expect_call(pair.peer, "io.shmd.Segments.Delete");
    CHECK_FALSE(pair.daemon.has_connection_waiting());

    Pair creating;
    creating.peer.shutdown(SHUT_WR);
    shmd_segment* segment = nullptr;
    CHECK(shmd_create(creating.client(), "key", 1, nullptr, &segment) == -ECONNRESET);
    CHECK_FALSE(creating.daemon.has_connection_waiting());

    // Without a key, `any` makes another segment each time.
    Pair unkeyed;
    unkeyed.peer.shutdown(SHUT_WR);
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.create_mode = SHMD_CREATE_ANY;
    CHECK(shmd_create(unkeyed.client(), nullptr, 1, &options, &segment) == -ECONNRESET);
    CHECK_FALSE(unkeyed.daemon.has_connection_waiting());
}

TEST_CASE("a daemon that goes away before it answers: what does no harm twice is asked again, once") {
    for (int answers : {0, 1}) {
        CAPTURE(answers);
        Pair pair;
        pair.peer.shutdown(SHUT_WR);
        std::thread daemon([&pair, answers] {
            RawClient second = pair.daemon.accept();
            (void)second.receive();
            if (answers == 0) return second.close();
            UniqueFd fd = memory(10);
            Grant found = grant(10);
            found.created = false;
            send(second, found, {fd.get()});
            (void)second.receive_unless_closed();
        });
        shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
        options.create_mode = SHMD_CREATE_ANY;
        shmd_segment* segment = nullptr;
        int result = shmd_create(pair.client(), "key", 10, &options, &segment);
        CHECK(result == (answers == 0 ? -ECONNRESET : 0));
        shmd_close(segment);
        daemon.join();
        CHECK_FALSE(pair.daemon.has_connection_waiting());
    }
}

TEST_CASE("a call that never reached a daemon is made again, whatever it is") {
    Pair pair;
    send(pair.peer, Empty{});
    CHECK(shmd_delete(pair.client(), "key") == 0);
    pair.peer.close();
    std::thread daemon([&pair] {
        RawClient second = pair.daemon.accept();
        expect_call(second, "io.shmd.Segments.Delete");
        send(second, Empty{});
        (void)second.receive_unless_closed();
    });
    CHECK(shmd_delete(pair.client(), "key") == 0);
    shmd_disconnect(std::exchange(pair.test_client.client, nullptr));
    daemon.join();
}

TEST_CASE("a connection that the daemon refuses says why, even when it was closed before the first call") {
    for (bool closed_before : {false, true}) {
        CAPTURE(closed_before);
        Pair pair;
        pair.peer.send_bytes(encode_error(Error::quota_exceeded("connections", 5)) + '\0');
        if (closed_before) pair.peer.close();
        CHECK(pair.open() == -EDQUOT);
        CHECK(last_name() == "io.shmd.Segments.QuotaExceeded");
        CHECK(std::string(shmd_last_error()->parameters) == R"({"resource":"connections","limit":5})");
        CHECK_FALSE(pair.daemon.has_connection_waiting());
    }
}

namespace {

// Answers the main connection that there is no such key, and hangs up on that many waits. Then the key is there.
void hang_up_on_waits(const FakeDaemon& daemon, int waits) {
    UniqueFd fd = memory(10);
    RawClient main = daemon.accept();
    for (; waits > 0 && main.receive_unless_closed(); waits--) {
        main.send_bytes(encode_error(Error::no_such_segment("key", std::nullopt)) + '\0');
        RawClient waiting = daemon.accept();
        expect_call(waiting, "io.shmd.Segments.Open");
    }
    if (main.receive_unless_closed()) send(main, grant(10), {fd.get()});
    while (main.receive_unless_closed()) {
    }
}

}  // namespace

TEST_CASE("a wait for a key goes on after the daemon's restart, but not for ever") {
    for (int waits : {1, 16, 17}) {
        CAPTURE(waits);
        FakeDaemon daemon;
        TestClient client(daemon);
        std::thread server([&] { hang_up_on_waits(daemon, waits); });
        shmd_segment* segment = nullptr;
        int result = shmd_open_wait(client.client, "key", SHMD_READ, -1, &segment);
        CHECK(result == (waits > 16 ? -ECONNRESET : 0));
        shmd_close(segment);
        shmd_disconnect(std::exchange(client.client, nullptr));
        server.join();
    }
}

TEST_CASE("a key that has come is held until it has been opened: it may go with its last grant") {
    FakeDaemon daemon;
    TestClient client(daemon);
    std::atomic<bool> held = false;
    std::thread server([&] {
        UniqueFd fd = memory(10);
        RawClient main = daemon.accept();
        (void)main.receive();
        main.send_bytes(encode_error(Error::no_such_segment("key", std::nullopt)) + '\0');
        RawClient waiting = daemon.accept();
        (void)waiting.receive();
        send(waiting, grant(10), {fd.get()});
        (void)main.receive();
        char byte = 0;
        held = ::recv(waiting.socket(), &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
        send(main, grant(10), {fd.get()});
        waiting.expect_eof();
        (void)main.receive_unless_closed();
    });
    shmd_segment* segment = nullptr;
    CHECK(shmd_open_wait(client.client, "key", SHMD_READ, -1, &segment) == 0);
    shmd_close(segment);
    server.join();
    CHECK(held);
}

namespace {

// Waits until a thread of this process is in this system call.
void await_system_call(pid_t thread, long number) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    std::string path = "/proc/self/task/" + std::to_string(thread) + "/syscall";
    for (std::string current; current != std::to_string(number); std::ifstream(path) >> current) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
}

}  // namespace

TEST_CASE("a child can call though another thread was connecting when it was made") {
    FakeDaemon daemon(0);
    TestClient client(daemon);
    daemon.accept().close();
    // Takes the only place in the queue, so that the thread's new connection has to wait.
    RawClient first_in_queue(daemon.path());
    auto asks_in_vain = [&] {
        shmd_info* info = nullptr;
        return shmd_describe(client.client, "key", &info) == -ENOENT;
    };
    std::atomic<pid_t> id = 0;
    std::atomic<bool> thread_answered = false;
    std::thread thread([&] {
        id = ::gettid();
        thread_answered = asks_in_vain();
    });
    while (id == 0) std::this_thread::yield();
    await_system_call(id, SYS_connect);
    ChildProcess child([&](Turns&) { return asks_in_vain() ? 0 : 1; });
    daemon.accept().close();
    std::vector<RawClient> peers;
    for (int i = 0; i < 2; i++) {
        peers.push_back(daemon.accept());
        (void)peers.back().receive();
        peers.back().send_bytes(encode_error(Error::no_such_segment("key", std::nullopt)) + '\0');
    }
    CHECK(child.wait() == 0);
    thread.join();
    CHECK(thread_answered);
}
