// What the drop-in remembers, names that it has looked up and descriptors of small segments, holds no longer than what
// it was told does: a program makes the same calls again and again while others delete, replace and forbid what it
// uses.
#include <doctest/doctest.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>

#include "daemon_fixture.hpp"
#include "service_manager.hpp"
#include "system_v.hpp"
#include "system_v_program.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr const char* key = "sysv:0x00000ff3";
constexpr uid_t alice = 61001;
constexpr gid_t group = 62001;

// A segment of one page with this first byte.
Received<Grant> make(RawClient& client, char first, bool staged = false, int mode = 0666) {
    Create call;
    call.key = key;
    call.size_bytes = 100;
    call.mode = mode;
    call.staged = staged;
    auto made = client.call(call);
    void* data = ::mmap(nullptr, 100, PROT_READ | PROT_WRITE, MAP_SHARED, made.fds.at(0).get(), 0);
    if (data == MAP_FAILED) fail("mmap");
    *static_cast<char*>(data) = first;
    ::munmap(data, 100);
    return made;
}

const Target by_key{key, std::nullopt};

}  // namespace

TEST_CASE("a name that was looked up is missing once it is deleted, and another one's id once it is made anew") {
    const Daemon daemon;
    RawClient owner(daemon.socket());
    make(owner, 1);
    Program program(daemon.socket());
    const std::string id = program.use();
    REQUIRE(program.attach(id) == "0");
    REQUIRE_FALSE(owner.call(Delete{by_key}).is_error());
    CHECK(program.get() == "ENOENT");
    CHECK(program.first_byte() == "1");
    make(owner, 2);
    const std::string next = program.get();
    CHECK(next != id);
    REQUIRE(program.attach(next) == "0");
    CHECK(program.first_byte() == "2");
    // The deleted one is attached by its id as long as somebody has it, as the kernel has it.
    REQUIRE(program.attach(id) == "0");
    CHECK(program.first_byte() == "1");
}

TEST_CASE("a name that was looked up is the new segment's once that is published in its place") {
    const Daemon daemon;
    RawClient owner(daemon.socket());
    make(owner, 1);
    Program program(daemon.socket());
    const std::string id = program.use();
    for (char first = 2; first < 5; first++) {
        auto staged = make(owner, first, true);
        REQUIRE_FALSE(owner.call(Publish{staged.value().attachment, std::nullopt, true}).is_error());
        const std::string next = program.get();
        CHECK(next != id);
        REQUIRE(program.attach(next) == "0");
        CHECK(program.first_byte() == std::to_string(first));
        REQUIRE(program.detach() == "0");
        CHECK(program.use() == next);
    }
}

TEST_CASE("what was allowed is refused once it is not, though name and descriptor were at hand" *
          doctest::skip(!is_root())) {
    const Daemon daemon;
    RawClient owner(daemon.socket());
    make(owner, 1);
    Program program(daemon.socket(), User{alice, group, {}});
    const std::string id = program.use(0600);
    (void)program.use(0400, SHM_RDONLY);
    auto set_mode = [&](int mode) {
        SetAttributes call;
        call.target = by_key;
        call.mode = mode;
        REQUIRE_FALSE(owner.call(call).is_error());
    };
    set_mode(0644);
    CHECK(program.get(0600) == "EACCES");
    CHECK(program.get(0400) == id);
    CHECK(program.attach(id) == "EACCES");
    CHECK(program.attach(id, SHM_RDONLY) == "0");
    set_mode(0600);
    CHECK(program.get(0400) == "EACCES");
    CHECK(program.attach(id, SHM_RDONLY) == "EACCES");
    CHECK(program.first_byte() == "1");
    set_mode(0666);
    CHECK(program.use(0600) == id);
}

TEST_CASE("what another user may is not what this one may, though both have looked up the same" *
          doctest::skip(!is_root())) {
    const Daemon daemon;
    RawClient owner(daemon.socket());
    make(owner, 1);
    SetAttributes give;
    give.target = by_key;
    give.owner_uid = alice;
    give.mode = 0600;
    Program one(daemon.socket(), User{alice, group, {}}), other(daemon.socket(), User{alice + 1, group, {}});
    const std::string id = other.use(0600);
    CHECK(one.use(0600) == id);
    REQUIRE_FALSE(owner.call(give).is_error());
    CHECK(other.get(0600) == "EACCES");
    CHECK(other.attach(id) == "EACCES");
    CHECK(one.use(0600) == id);
    give.owner_uid = alice + 1;
    REQUIRE_FALSE(owner.call(give).is_error());
    CHECK(one.get(0600) == "EACCES");
    CHECK(one.attach(id) == "EACCES");
    CHECK(other.use(0600) == id);
}

TEST_CASE("after a restart, names and descriptors are those of what is there then") {
    ServiceManager manager;
    manager.start();
    std::string id;
    Program program(manager.socket());
    {
        RawClient owner(manager.socket());
        make(owner, 1);
        id = program.use();
        manager.kill();
        manager.start();
    }
    RawClient owner(manager.socket());
    CHECK(program.use() == id);
    REQUIRE_FALSE(owner.call(Delete{by_key}).is_error());
    manager.restart();
    CHECK(program.get() == "ENOENT");
    RawClient again(manager.socket());
    make(again, 2);
    REQUIRE(program.attach(program.get()) == "0");
    CHECK(program.first_byte() == "2");
}

TEST_CASE("after a restart that nothing outlived, what was remembered names nothing") {
    Daemon daemon;
    std::string id;
    Program program(daemon.socket());
    {
        RawClient owner(daemon.socket());
        make(owner, 1);
        id = program.use();
    }
    daemon.kill();
    daemon.restart();
    CHECK(program.get() == "ENOENT");
    RawClient owner(daemon.socket());
    make(owner, 2);
    const std::string next = program.get();
    CHECK(next != id);
    CHECK(program.attach(id) == "EINVAL");
    REQUIRE(program.attach(next) == "0");
    CHECK(program.first_byte() == "2");
}
