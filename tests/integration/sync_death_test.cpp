// Locks, sections and waits when those who hold them die, when the daemon dies, and when somebody writes at random where
// they lie. Work goes on, and who comes next is told.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <shmd/sync.h>
#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <thread>

#include "accounting.hpp"
#include "libshmd_handles.hpp"
#include "mapping.hpp"
#include "process.hpp"
#include "service_manager.hpp"
#include "sync_area.h"
#include "varlink_client.hpp"

using namespace shmd::test;

namespace {

constexpr std::int64_t long_enough = 60'000'000;

// A process that has opened the segment, done this, and waits to be killed.
template <typename Act>
ChildProcess holder(const std::string& socket, shmd_access access, Act act) {
    ChildProcess child([=](Turns& turns) {
        Client client(socket);
        Segment segment = client.open("key", access);
        if (act(segment.get()) != 0) return 1;
        turns.signal();
        turns.wait();
        return 0;
    });
    child.wait_for_byte();
    return child;
}

int lock(shmd_segment* segment) {
    return shmd_lock(segment, 0);
}

}  // namespace

TEST_CASE("who dies with the mutex leaves it to the next, who is told until somebody has repaired") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 100);
    ChildProcess dead = holder(daemon.socket(), SHMD_WRITE, lock);
    CHECK(shmd_lock(segment.get(), 0) == -ETIMEDOUT);
    dead.kill();
    CHECK(shmd_lock(segment.get(), long_enough) == SHMD_OWNER_DIED);
    CHECK(shmd_unlock(segment.get()) == 0);
    CHECK(shmd_lock(segment.get(), 0) == SHMD_OWNER_DIED);
    CHECK(shmd_make_consistent(segment.get()) == 0);
    CHECK(shmd_unlock(segment.get()) == 0);
    CHECK(shmd_lock(segment.get(), 0) == 0);
}

TEST_CASE("detaching, and an administrator, end what is held as a death does") {
    Daemon daemon;
    Client client(daemon), other(daemon);
    Segment segment = client.create("key", 100);
    {
        Segment closed = other.open("key", SHMD_WRITE);
        REQUIRE(shmd_lock(closed.get(), 0) == 0);
    }
    CHECK(shmd_lock(segment.get(), long_enough) == SHMD_OWNER_DIED);
    REQUIRE(shmd_make_consistent(segment.get()) == 0);
    REQUIRE(shmd_unlock(segment.get()) == 0);

    ChildProcess sent_away([&](Turns& turns) {
        Client mine(daemon);
        Segment held = mine.open("key", SHMD_WRITE);
        if (shmd_write_lock(held.get(), 0) != 0) return 1;
        turns.signal();
        turns.wait();
        if (shmd_write_unlock(held.get()) != -EPERM) return 2;  // it has been taken away
        // It may go on for a while with what it has mapped: the next who waits finds that out.
        if (shmd_lock(held.get(), 0) != 0) return 3;
        turns.signal();
        turns.wait();
        return 0;
    });
    sent_away.wait_for_byte();
    RawClient control(daemon.control_socket());
    REQUIRE(control.call(shmd::Disconnect{sent_away.pid()}).value().connections == 1);
    CHECK(shmd_write_lock(segment.get(), long_enough) == SHMD_OWNER_DIED);
    sent_away.send_byte();
    sent_away.wait_for_byte();
    CHECK(shmd_lock(segment.get(), long_enough) == SHMD_OWNER_DIED);
    sent_away.send_byte();
    CHECK(sent_away.wait() == 0);
}

TEST_CASE("a dead reader keeps no writer waiting, and a dead writer no reader") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 100);
    auto read_twice = [](shmd_segment* mine) { return shmd_read_lock(mine, 0) + shmd_read_lock(mine, 0); };
    ChildProcess reader = holder(daemon.socket(), SHMD_WRITE, read_twice);
    CHECK(shmd_write_lock(segment.get(), 0) == -ETIMEDOUT);
    std::thread killer([&] { reader.kill(); });
    CHECK(shmd_write_lock(segment.get(), long_enough) == 0);
    killer.join();
    CHECK(shmd_write_unlock(segment.get()) == 0);

    ChildProcess writer = holder(daemon.socket(), SHMD_WRITE, [](shmd_segment* mine) { return shmd_write_lock(mine, 0); });
    writer.kill();
    CHECK(shmd_read_lock(segment.get(), long_enough) == SHMD_OWNER_DIED);
    CHECK(shmd_read_unlock(segment.get()) == 0);
    CHECK(shmd_write_lock(segment.get(), long_enough) == SHMD_OWNER_DIED);
    CHECK(shmd_make_consistent(segment.get()) == 0);
    CHECK(shmd_write_unlock(segment.get()) == 0);
    CHECK(shmd_read_lock(segment.get(), 0) == 0);
    CHECK(shmd_read_unlock(segment.get()) == 0);

    // One that died while it waited for a reader to leave.
    REQUIRE(shmd_read_lock(segment.get(), 0) == 0);
    ChildProcess waiting([&](Turns& turns) {
        Client mine(daemon);
        Segment held = mine.open("key", SHMD_WRITE);
        if (shmd_write_lock(held.get(), 0) != -ETIMEDOUT) return 1;
        turns.signal();
        return shmd_write_lock(held.get(), -1);
    });
    waiting.wait_for_byte();
    waiting.kill();
    CHECK(shmd_read_unlock(segment.get()) == 0);
    CHECK(shmd_write_lock(segment.get(), long_enough) >= 0);
}

TEST_CASE("what a writer has left half written is no snapshot until it is repaired") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 100);
    Segment reader = client.open("key", SHMD_READ);
    std::array<char, 8> copy{};
    REQUIRE(shmd_snapshot(reader.get(), 0, copy.data(), copy.size(), 0) == 0);
    ChildProcess dead = holder(daemon.socket(), SHMD_WRITE, [](shmd_segment* mine) {
        int begun = shmd_begin_write(mine, 0);
        std::strcpy(static_cast<char*>(shmd_data(mine)), "half");
        return begun;
    });
    CHECK(shmd_snapshot(reader.get(), 0, copy.data(), copy.size(), 1000) == -ETIMEDOUT);
    dead.kill();
    CHECK(shmd_snapshot(reader.get(), 0, copy.data(), copy.size(), long_enough) == -EOWNERDEAD);
    // A section without repair leaves it as it is.
    REQUIRE(shmd_begin_write(segment.get(), 0) == SHMD_OWNER_DIED);
    REQUIRE(shmd_end_write(segment.get()) == 0);
    CHECK(shmd_snapshot(reader.get(), 0, copy.data(), copy.size(), 0) == -EOWNERDEAD);
    SUBCASE("in a section") {
        REQUIRE(shmd_begin_write(segment.get(), 0) == SHMD_OWNER_DIED);
        std::strcpy(segment.data(), "whole");
        REQUIRE(shmd_make_consistent(segment.get()) == 0);
        CHECK(shmd_snapshot(reader.get(), 0, copy.data(), copy.size(), 1000) == -ETIMEDOUT);
        REQUIRE(shmd_end_write(segment.get()) == 0);
    }
    SUBCASE("under the mutex alone") {
        REQUIRE(shmd_lock(segment.get(), 0) == SHMD_OWNER_DIED);
        std::strcpy(segment.data(), "whole");
        REQUIRE(shmd_make_consistent(segment.get()) == 0);
        REQUIRE(shmd_unlock(segment.get()) == 0);
    }
    CHECK(shmd_snapshot(reader.get(), 0, copy.data(), copy.size(), 0) == 0);
    CHECK(std::string(copy.data()) == "whole");
}

TEST_CASE("a daemon that was killed gives back, when it is there again, what has been left meanwhile") {
    ServiceManager manager;
    manager.start();
    Client client(manager.socket());
    Segment segment = client.create("key", 100);
    REQUIRE(shmd_lock(segment.get(), 0) == 0);
    REQUIRE(shmd_unlock(segment.get()) == 0);
    for (int round = 0; round < 10; round++) {
        CAPTURE(round);
        ChildProcess dead = holder(manager.socket(), SHMD_WRITE, lock);
        bool before = round % 2 == 0;
        if (before) dead.kill();  // the daemon may or may not have seen it
        manager.kill();
        if (!before) dead.kill();
        int locked = 0;
        std::thread waiter([&] { locked = shmd_lock(segment.get(), long_enough); });
        manager.start();
        waiter.join();
        CHECK(locked == SHMD_OWNER_DIED);
        CHECK(shmd_make_consistent(segment.get()) == 0);
        CHECK(shmd_unlock(segment.get()) == 0);
    }
    // The living keep what they hold, and it is the same area.
    REQUIRE(shmd_lock(segment.get(), 0) == 0);
    manager.kill();
    manager.start();
    Segment late = client.open("key", SHMD_WRITE);
    CHECK(shmd_lock(late.get(), 1000) == -ETIMEDOUT);
    CHECK(shmd_unlock(segment.get()) == 0);
    CHECK(shmd_lock(late.get(), 0) == 0);
}

TEST_CASE("the area comes and goes with its segment, in the store and on the account") {
    ServiceManager manager;
    manager.start();
    Client client(manager.socket());
    RawClient control(manager.control_socket());
    auto bytes = [&] { return control.call(shmd::GetStatus{}).value().bytes; };
    Segment segment = client.create("key", 4096);
    CHECK(bytes() == 4096);
    REQUIRE(shmd_lock(segment.get(), 0) == 0);
    CHECK(bytes() == 8192);
    manager.kill();
    manager.start();
    RawClient again(manager.control_socket());
    CHECK(again.call(shmd::GetStatus{}).value().bytes == 8192);
    REQUIRE(shmd_unlock(segment.get()) == 0);
    REQUIRE(shmd_delete(client.get(), "key") == 0);
    segment.close();
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (again.call(shmd::GetStatus{}).value().bytes != 0) REQUIRE(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE("without a daemon that keeps anything, who waits learns that it waits in vain") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 100);
    ChildProcess dead = holder(daemon.socket(), SHMD_WRITE, lock);
    daemon.kill();
    dead.kill();
    daemon.restart();
    CHECK(shmd_lock(segment.get(), long_enough) == -ECONNRESET);
}

TEST_CASE("other users' access to the area is that to the segment" * doctest::skip(!is_root())) {
    Daemon daemon(DaemonOptions{.user = User{2001, 2001}});
    CHECK(run_as(2002, 2002, {}, [&] {
              shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
              options.mode = 0644;
              Client client(daemon);
              Segment segment = client.create("key", 100, &options);
              return shmd_lock(segment.get(), 0) == 0 && shmd_unlock(segment.get()) == 0;
          }) == 0);
    CHECK(run_as(2003, 2003, {}, [&] {
              RawClient raw(daemon.socket());
              auto grant = raw.call(shmd::Open{{"key", std::nullopt}, shmd::Access::read});
              auto area = raw.call(shmd::OpenSyncArea{grant.value().attachment});
              int fd = area.fds.at(0).get();
              if (::mmap(nullptr, SHMD_SYNC_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) return 2;
              if (::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR) >= 0) return 3;
              RawClient stranger(daemon.socket());
              auto refused = stranger.call(shmd::OpenSyncArea{grant.value().attachment});
              if (refused.known_error().code != shmd::ErrorCode::permission_denied) return 4;
              auto unrecovered = stranger.call(shmd::RecoverLocks{grant.value().attachment});
              return unrecovered.known_error().code == shmd::ErrorCode::permission_denied ? 0 : 5;
          }) == 0);
}

TEST_CASE("random bytes in the area, and no pages at all, harm those who share it and nobody else") {
    const char* given = std::getenv("SHMD_SYNC_SEED");
    auto seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 0)) : std::random_device()();
    INFO("SHMD_SYNC_SEED=" << seed);
    std::mt19937 random(seed);
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 100);
    RawClient raw(daemon.socket());
    auto grant = raw.call(shmd::Open{{"key", std::nullopt}, shmd::Access::write});
    auto area = raw.call(shmd::OpenSyncArea{grant.value().attachment});
    Mapping memory(area.fds.at(0).get(), SHMD_SYNC_BYTES, shmd::Access::write);
    auto scribble = [&] {
        auto* words = reinterpret_cast<std::uint32_t*>(memory.data());
        for (int i = 0; i < 200; i++) {
            std::size_t place = random() % 8 < 6 ? random() % 72 : random() % (SHMD_SYNC_BYTES / 4);
            std::uint32_t value = random() % 2 ? static_cast<std::uint32_t>(random()) : grant.value().attachment;
            __atomic_store_n(words + place, value, __ATOMIC_RELAXED);
        }
        if (random() % 4 == 0) {
            (void)::fallocate(area.fds.at(0).get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SHMD_SYNC_BYTES);
        }
    };
    // Those who share it use it all the while: whatever they are told, they are told something.
    for (int round = 0; round < 200; round++) {
        std::thread user([&] {
            Segment mine = client.open("key", SHMD_WRITE);
            std::array<char, 8> copy{};
            if (shmd_lock(mine.get(), 500) >= 0) (void)shmd_unlock(mine.get());
            if (shmd_read_lock(mine.get(), 500) >= 0) (void)shmd_read_unlock(mine.get());
            if (shmd_write_lock(mine.get(), 500) >= 0) (void)shmd_write_unlock(mine.get());
            (void)shmd_snapshot(mine.get(), 0, copy.data(), copy.size(), 500);
            (void)shmd_notify(mine.get(), nullptr);
            (void)shmd_wait(mine.get(), 1, 500, nullptr);
        });
        scribble();
        (void)raw.call(shmd::RecoverLocks{grant.value().attachment});
        scribble();
        user.join();
    }
    // Others are served as ever.
    Segment other = client.create("other", 100);
    CHECK(shmd_lock(other.get(), 0) == 0);
    CHECK(shmd_unlock(other.get()) == 0);
    // With zeros it is as new, but for the format.
    std::memset(memory.data(), 0, SHMD_SYNC_BYTES);
    CHECK(shmd_lock(segment.get(), 0) == -ENOTSUP);
    CHECK(daemon.stop() == 0);
}

TEST_CASE("waiters are there in numbers, and all are served when the one before dies, again and again") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 100);
    constexpr int many = 12;
    // Each takes the lock, tells, and dies with it.
    std::vector<ChildProcess> processes;
    for (int i = 0; i < many; i++) {
        processes.emplace_back([&](Turns&) {
            Client mine(daemon);
            Segment held = mine.open("key", SHMD_WRITE);
            if (shmd_lock(held.get(), -1) < 0) return 1;
            (*static_cast<int*>(shmd_data(held.get())))++;
            ::raise(SIGKILL);
            return 2;
        });
    }
    for (ChildProcess& process : processes) CHECK(process.wait() == 128 + SIGKILL);
    CHECK(shmd_lock(segment.get(), long_enough) == SHMD_OWNER_DIED);
    CHECK(*reinterpret_cast<int*>(segment.data()) == many);
}

TEST_CASE("a deleted segment whose memory is in use yet takes no other's area when the daemon comes back") {
    ServiceManager manager;
    manager.start();
    Client client(manager.socket());
    constexpr int many = 200;
    auto key = [](int number) { return "older" + std::to_string(number); };
    std::vector<Segment> older;
    for (int i = 0; i < many; i++) older.push_back(client.create(key(i).c_str(), 100));
    RawClient raw(manager.socket());
    shmd::Create create;
    create.key = "younger";
    create.size_bytes = 4096;
    auto grant = raw.call(create);
    Mapping in_use(grant.fds.at(0).get(), 4096, shmd::Access::write);
    REQUIRE_FALSE(raw.call(shmd::OpenSyncArea{grant.value().attachment}).is_error());
    REQUIRE_FALSE(raw.call(shmd::Delete{{"younger", std::nullopt}}).is_error());
    REQUIRE_FALSE(raw.call(shmd::Detach{grant.value().attachment}).is_error());
    // One of these gets the place in the store that the younger one's area had.
    for (Segment& segment : older) REQUIRE(shmd_lock(segment.get(), 0) == 0);
    manager.kill();
    manager.start();
    Client late(manager.socket());
    for (int i = 0; i < many; i++) {
        CAPTURE(i);
        CHECK(shmd_lock(late.open(key(i).c_str(), SHMD_WRITE).get(), 0) == -ETIMEDOUT);
    }
    for (Segment& segment : older) CHECK(shmd_unlock(segment.get()) == 0);
}
