// libshmd in a process that forks, changes its user, runs threads, waits, and outlives its daemon.
#include <doctest/doctest.h>
#include <pthread.h>
#include <shmd/shmd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "libshmd_handles.hpp"

using namespace shmd::test;

namespace {

constexpr uid_t alice = 61001;
constexpr gid_t alice_group = 62001;

int open_descriptors() {
    std::filesystem::directory_iterator entries("/proc/self/fd");
    return static_cast<int>(std::distance(begin(entries), end(entries)));
}

// Opens, looks and closes, as often as it takes until the program has seen enough.
void hammer(const Daemon& daemon, Client& shared, const std::atomic<bool>& enough) {
    while (!enough) {
        shared.open("key", SHMD_WRITE).data()[1] = 'x';
        Client own(daemon);
        own.open("key", SHMD_READ);
        shared.keys("k");
    }
}

}  // namespace

TEST_CASE("a child has none of its parent's connections") {
    Daemon daemon;
    Client client(daemon), gone(daemon);
    Segment segment = client.create("key", 10);
    Segment outliving = gone.open("key", SHMD_READ);
    gone.disconnect();
    int before = open_descriptors();
    pid_t child = ::fork();
    if (child == 0) ::_exit(before - open_descriptors());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 2);
}

TEST_CASE("a child's calls are its own, and closing what it inherited only unmaps it there") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 10);
    ChildProcess child([&](Turns& turns) {
        segment.data()[0] = 'c';
        if (shmd_publish(segment.get(), "other", 0) != -EPERM) return 1;
        segment.close();
        Segment own = client.open("key", SHMD_READ);
        if (own.data()[0] != 'c') return 2;
        turns.signal();
        turns.wait();
        return 0;
    });
    child.wait_for_byte();
    CHECK(client.attachments("key") == 2);
    CHECK(segment.data()[0] == 'c');
    child.send_byte();
    CHECK(child.wait() == 0);
    settled(daemon, 1);
    CHECK(client.attachments("key") == 1);
    segment.close();
    CHECK(client.attachments("key") == 0);
}

TEST_CASE("a parent's death ends its grants though its child lives on with the mapping") {
    Daemon daemon;
    Client client(daemon);
    Segment kept = client.create("key", 10);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    ChildProcess parent([&](Turns& turns) {
        Segment opened = client.open("key", SHMD_WRITE);
        if (::fork() == 0) {
            ::close(ends[1]);
            char byte = 0;
            ssize_t end = ::read(ends[0], &byte, 1);
            opened.data()[0] = 'g';
            ::_exit(static_cast<int>(end));
        }
        turns.signal();
        turns.wait();
        return 0;
    });
    ::close(ends[0]);
    parent.wait_for_byte();
    CHECK(client.attachments("key") == 2);
    parent.kill();
    settled(daemon, 1);
    CHECK(client.attachments("key") == 1);
    ::close(ends[1]);
}

TEST_CASE("a child of a child connects by itself too") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 10);
    ChildProcess child([&](Turns&) {
        Segment own = client.open("key", SHMD_READ);
        ChildProcess grandchild([&](Turns&) {
            own.close();
            segment.close();
            return client.attachments("key") == 2 ? 0 : 1;
        });
        return grandchild.wait();
    });
    CHECK(child.wait() == 0);
}

// AddressSanitizer's own allocator, in GCC 12, may be locked for ever in the child of a process with threads.
#ifdef __SANITIZE_ADDRESS__
constexpr bool forks_with_threads = false;
#else
constexpr bool forks_with_threads = true;
#endif

TEST_CASE("a fork while other threads are in calls gives a child that can call" * doctest::skip(!forks_with_threads)) {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 10);
    std::atomic<bool> enough = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) threads.emplace_back([&] { hammer(daemon, client, enough); });
    for (int i = 0; i < 50; i++) {
        ChildProcess child([&](Turns&) {
            segment.close();
            client.open("key", SHMD_WRITE).data()[0] = 'c';
            client.disconnect();
            return 0;
        });
        CHECK(child.wait() == 0);
    }
    enough = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(segment.data()[0] == 'c');
}

TEST_CASE("threads share a client, and nothing of what they did is left") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    {
        Client client(daemon);
        Segment shared = client.create("shared", sizeof(std::atomic<int>));
        std::vector<std::thread> threads;
        std::atomic<int> failures = 0;
        for (int i = 0; i < 8; i++) {
            threads.emplace_back([&client, &failures, key = "own/" + std::to_string(i)] {
                for (int round = 0; round < 100; round++) {
                    Segment own = client.create(key.c_str(), 10);
                    Segment opened = client.open("shared", SHMD_WRITE);
                    (*reinterpret_cast<std::atomic<int>*>(opened.data()))++;
                    if (client.attachments(key.c_str()) != 1) failures++;
                    if (shmd_delete(client.get(), key.c_str()) != 0) failures++;
                    shmd_segment* none = nullptr;
                    if (shmd_open(client.get(), key.c_str(), SHMD_READ, &none) != -ENOENT) failures++;
                    if (std::string(shmd_last_error()->message).find(key) == std::string::npos) failures++;
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        CHECK(failures == 0);
        CHECK(*reinterpret_cast<std::atomic<int>*>(shared.data()) == 800);
        CHECK(client.attachments("shared") == 1);
        CHECK(shmd_delete(client.get(), "shared") == 0);
    }
    expect_return_to(daemon, before);
}

TEST_CASE("after a change of the effective user calls are made as that user, and grants live on" *
          doctest::skip(!is_root())) {
    Daemon daemon;
    Client observer(daemon);
    ChildProcess child([&](Turns& turns) {
        Client client(daemon);
        Segment of_root = client.create("of/root", 10);
        if (::setresgid(-1, alice_group, -1) != 0 || ::setresuid(-1, alice, -1) != 0) return 1;
        shmd_segment* none = nullptr;
        if (shmd_open(client.get(), "of/root", SHMD_READ, &none) != -EACCES) return 2;
        Segment of_alice = client.create("of/alice", 10);
        if (shmd_segment_info(of_alice.get())->owner_uid != alice) return 3;
        if (shmd_segment_info(of_alice.get())->owner_gid != alice_group) return 4;
        turns.signal();
        turns.wait();
        of_root.close();
        turns.signal();
        turns.wait();
        if (::setresuid(-1, 0, -1) != 0 || ::setresgid(-1, 0, -1) != 0) return 5;
        client.open("of/root", SHMD_WRITE);
        turns.signal();
        turns.wait();
        return 0;
    });
    // Each user's connection, and the observer's.
    child.wait_for_byte();
    settled(daemon, 3);
    CHECK(observer.attachments("of/root") == 1);
    CHECK(observer.attachments("of/alice") == 1);
    child.send_byte();
    child.wait_for_byte();
    settled(daemon, 2);
    CHECK(observer.attachments("of/root") == 0);
    CHECK(observer.attachments("of/alice") == 1);
    child.send_byte();
    child.wait_for_byte();
    settled(daemon, 3);
    CHECK(observer.attachments("of/alice") == 1);
    child.send_byte();
    CHECK(child.wait() == 0);
}

TEST_CASE("a restarted daemon is found again, and mapped memory stays mapped") {
    std::signal(SIGPIPE, SIG_DFL);
    Daemon daemon;
    Client client(daemon);
    Segment before = client.create("before", 10);
    before.data()[0] = 'b';
    daemon.restart();
    CHECK(before.data()[0] == 'b');
    Segment after = client.create("after", 10);
    before.data()[0] = 'a';
    before.close();
    CHECK(client.attachments("after") == 1);

    daemon.kill();
    shmd_segment* none = nullptr;
    CHECK(shmd_create(client.get(), "never", 10, nullptr, &none) == -ECONNREFUSED);
    CHECK(std::string(shmd_last_error()->message).starts_with("cannot create segment 'never' of 10 bytes: no daemon"));
    daemon.restart();
    client.create("again", 10);
    CHECK(client.open("again", SHMD_READ).data()[0] == 0);
    after.data()[0] = 'x';
}

TEST_CASE("a staged segment whose connection has ended cannot be published any more") {
    Daemon daemon;
    Client client(daemon);
    shmd_create_options staged = SHMD_CREATE_OPTIONS_INIT;
    staged.staged = 1;
    Segment segment = client.create("key", 10, &staged);
    daemon.kill();
    CHECK(shmd_publish(segment.get(), nullptr, 0) == -ECONNREFUSED);
    daemon.restart();
    CHECK(shmd_publish(segment.get(), nullptr, 0) == -ECONNRESET);
    CHECK(std::string(shmd_last_error()->message).find("create it again") != std::string::npos);
}

TEST_CASE("a wait ends with the segment when its key appears, and holds up nobody meanwhile") {
    Daemon daemon;
    Client client(daemon);
    for (std::int64_t timeout : {std::int64_t{-1}, std::int64_t{3'600'000'000}}) {
        shmd_segment* come = nullptr;
        int result = 1;
        std::thread waiting([&] { result = shmd_open_wait(client.get(), "late", SHMD_READ, timeout, &come); });
        // The client's connection and the one that waits.
        settled(daemon, 2);
        Segment made = client.create("late", 10);
        made.data()[0] = 'l';
        waiting.join();
        REQUIRE(result == 0);
        CHECK(*static_cast<char*>(shmd_data(come)) == 'l');
        settled(daemon, 1);
        CHECK(client.attachments("late") == 2);
        shmd_close(come);
        CHECK(shmd_delete(client.get(), "late") == 0);
    }
}

TEST_CASE("a thread that is cancelled in a call ends after it") {
    Daemon daemon;
    Client client(daemon);
    struct Wait {
        shmd_client* client;
        shmd_segment* segment = nullptr;
        int result = 1;
    } wait{client.get()};
    pthread_t thread{};
    auto body = [](void* argument) -> void* {
        auto* self = static_cast<Wait*>(argument);
        self->result = shmd_open_wait(self->client, "late", SHMD_READ, -1, &self->segment);
        ::pthread_testcancel();
        return nullptr;
    };
    REQUIRE(::pthread_create(&thread, nullptr, body, &wait) == 0);
    settled(daemon, 2);
    CHECK(::pthread_cancel(thread) == 0);
    client.create("late", 10);
    void* end = nullptr;
    REQUIRE(::pthread_join(thread, &end) == 0);
    CHECK(end == PTHREAD_CANCELED);
    CHECK(wait.result == 0);
    shmd_close(wait.segment);
}

TEST_CASE("a wait for a key that does not come is ENOENT, and one for a key that is there ends at once") {
    Daemon daemon;
    Client client(daemon);
    shmd_segment* segment = nullptr;
    CHECK(shmd_open_wait(client.get(), "key", SHMD_READ, 0, &segment) == -ENOENT);
    CHECK(shmd_open_wait(client.get(), "key", SHMD_READ, 1, &segment) == -ENOENT);
    CHECK(std::string(shmd_last_error()->name) == "io.shmd.Segments.NoSuchSegment");
    CHECK(segment == nullptr);
    client.create("key", 10);
    REQUIRE(shmd_open_wait(client.get(), "key", SHMD_READ, -1, &segment) == 0);
    shmd_close(segment);
    CHECK(client.attachments("key") == 0);
}
