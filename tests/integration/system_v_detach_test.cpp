// The drop-in need not wake the daemon for each shmdt(2), and nobody can tell: whoever asks is told what the kernel would tell.
#include <doctest/doctest.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <thread>

#include "daemon_fixture.hpp"
#include "mapping.hpp"
#include "service_manager.hpp"
#include "syscall_counter.hpp"
#include "system_v.hpp"
#include "system_v_asking.hpp"
#include "system_v_program.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

TEST_CASE("shmdt of a program that attaches much sends nothing") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program program(daemon.socket());
    (void)program.use();
    auto attach = count_in_process(program.pid(), [&] { REQUIRE(program.attach(id) == "0"); });
    auto detach = count_in_process(program.pid(), [&] { REQUIRE(program.detach() == "0"); });
    if (!attach || !detach) return;
    CHECK(attach->first["sendto"] == 1);
    CHECK(detach->first["sendto"] == 0);
}

TEST_CASE("who asks after a shmdt is told of it, and when and by whom it was") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program program(daemon.socket());
    (void)program.use();
    for (int i = 0; i < 100; i++) {
        REQUIRE(program.attach(id) == "0");
        CHECK(status(asking, id).attachments == 1);
        const time_t before = now_sec();
        REQUIRE(program.detach() == "0");
        const time_t after = now_sec();
        const auto told = i % 2 ? status(asking, id)
                                : *asking.call(system_v::Stat{std::nullopt, std::stoi(id) % system_v::indexes, true}).value().status;
        CHECK(told.attachments == 0);
        CHECK(told.last_pid == program.pid());
        CHECK(told.detached_sec >= before);
        CHECK(told.detached_sec <= after);
    }
}

TEST_CASE("who attached or detached last is told, in whatever order the daemon hears of it") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program one(daemon.socket()), other(daemon.socket());
    (void)one.use();
    (void)other.use();
    for (int i = 0; i < 20; i++) {
        Program& first = i % 2 ? one : other;
        Program& second = i % 2 ? other : one;
        REQUIRE(first.attach(id) == "0");
        REQUIRE(second.attach(id) == "0");
        REQUIRE(first.detach() == "0");
        REQUIRE(second.detach() == "0");
        CHECK(status(asking, id).last_pid == second.pid());
        REQUIRE(first.attach(id) == "0");
        REQUIRE(first.detach() == "0");
        REQUIRE(second.attach(id) == "0");
        CHECK(status(asking, id).last_pid == second.pid());
        REQUIRE(second.detach() == "0");
    }
}

TEST_CASE("a removed segment is gone with the shmdt of the last, whichever comes first") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    Program program(daemon.socket());
    for (int i = 0; i < 20; i++) {
        const std::string id = make(asking);
        (void)program.use();
        REQUIRE(program.attach(id) == "0");
        if (i % 2 == 0) {
            remove(asking, id);
            CHECK((status(asking, id).mode & 01000) != 0);
            REQUIRE(program.detach() == "0");
        } else {
            REQUIRE(program.detach() == "0");
            remove(asking, id);
        }
        CHECK(errno_of_stat(asking, id) == EINVAL);
        CHECK(program.attach(id) == "EINVAL");
        CHECK(asking.call(system_v::Info{}).value().segments == 0);
    }
}

TEST_CASE("a program that is killed after a shmdt has detached once, and then") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    for (int i = 0; i < 5; i++) {
        Program one(daemon.socket()), other(daemon.socket());
        (void)one.use();
        (void)other.use();
        REQUIRE(one.attach(id) == "0");
        REQUIRE(other.attach(id) == "0");
        REQUIRE(one.detach() == "0");
        REQUIRE(other.detach() == "0");
        REQUIRE(other.attach(id) == "0");
        one.kill();
        CHECK(status(asking, id).attachments == 1);
        CHECK(status(asking, id).last_pid == other.pid());
        other.kill();
        CHECK(status(asking, id).attachments == 0);
    }
}

TEST_CASE("a child detaches what it has inherited, and the parent what it has") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program program(daemon.socket());
    (void)program.use();
    REQUIRE(program.attach(id) == "0");
    REQUIRE(program.attach_more(id, 3) == "0");
    for (int i = 0; i < 3; i++) {
        REQUIRE(program.detach_more() == "0");
        REQUIRE(program.attach_more(id, 3) == "0");
        const std::string child = program.fork();
        CHECK(status(asking, id).attachments == 8);
        REQUIRE(program.detach() == "0");
        CHECK(status(asking, id).attachments == 7);
        CHECK(std::to_string(status(asking, id).last_pid) == child);
        (void)program.use();
        REQUIRE(program.detach_more() == "0");
        CHECK(status(asking, id).attachments == 4);
        program.exit();
        CHECK(status(asking, id).attachments == 4);
    }
    REQUIRE(program.detach_more() == "0");
    REQUIRE(program.detach() == "0");
    CHECK(status(asking, id).attachments == 0);
}

TEST_CASE("more may be detached in a row than a queue has places, by more programs than are looked at in one go") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program one(daemon.socket()), other(daemon.socket());
    (void)one.use();
    (void)other.use();
    for (int i = 0; i < 3; i++) {
        REQUIRE(one.attach_more(id, 200) == "0");
        REQUIRE(other.attach_more(id, 50) == "0");
        CHECK(status(asking, id).attachments == 250);
        REQUIRE(other.detach_more() == "0");
        CHECK(status(asking, id).attachments == 200);
        REQUIRE(one.detach_more() == "0");
        CHECK(status(asking, id).attachments == 0);
    }
}

TEST_CASE("who watches hears of each shmdt") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program program(daemon.socket());
    (void)program.use();
    RawClient watcher(daemon.socket());
    watcher.send(Watch{"sysv:"}, {.more = true});
    auto next = [&] { return watcher.receive_reply<Watch>().value().event; };
    REQUIRE(next() == Event::present);
    REQUIRE(next() == Event::ready);
    for (int i = 0; i < 5; i++) {
        REQUIRE(program.attach(id) == "0");
        REQUIRE(program.detach() == "0");
        CHECK(next() == Event::attached);
        CHECK(next() == Event::detached);
    }
}

TEST_CASE("what a daemon that is killed has not seen of a shmdt, the next one is told") {
    ServiceManager manager;
    manager.start();
    Program program(manager.socket());
    std::string id;
    {
        RawClient asking(manager.socket());
        id = make(asking);
        (void)program.use();
        REQUIRE(program.attach_more(id, 2) == "0");
        REQUIRE(program.attach(id) == "0");
        REQUIRE(program.detach() == "0");
        manager.kill();
        manager.start();
    }
    RawClient asking(manager.socket());
    // Its next call finds out that there is another daemon.
    (void)program.use();
    CHECK(status(asking, id).attachments == 2);
    REQUIRE(program.detach_more() == "0");
    CHECK(status(asking, id).attachments == 0);
}

TEST_CASE("however many are attached, who asks is told of each that ends or begins") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    RawQueue one(daemon.socket()), other(daemon.socket());
    const std::string id = make(asking);
    constexpr int count = 100;
    std::uint32_t last = 0;
    for (int i = 0; i < count; i++) {
        last = *one.client.call(system_v::Attach{std::stoi(id), 0, std::nullopt, std::nullopt}).value().attachment;
    }
    auto prepared = other.prepare(id, other.segment(id));
    REQUIRE(prepared);
    one.put(last);
    CHECK(status(asking, id).attachments == count - 1);
    other.put(*prepared);
    CHECK(status(asking, id).attachments == count);
    other.put(*prepared);
    CHECK(status(asking, id).attachments == count - 1);
    CHECK(status(one.client, id).attachments == count - 1);
}

TEST_CASE("what lives for its attachments is looked up as those that have not ended leave it") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    RawQueue queue(daemon.socket());
    for (int i = 0; i < 2; i++) {
        Create brief{"sysv:0x00000ff3", 4096};
        brief.lifetime = Lifetime::attached;
        const auto attachment = queue.client.call(brief).value().attachment;
        const auto id = asking.call(system_v::Get{system_v_key, 0, 0}).value().id;
        queue.put(attachment);
        const bool refused = i == 0 ? asking.call(system_v::Get{system_v_key, 0, 0}).is_error()
                                    : asking.call(system_v::Attach{id, 0, std::nullopt, std::nullopt}).is_error();
        CHECK(refused);
    }
}
