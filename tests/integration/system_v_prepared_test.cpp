// The drop-in need not call the daemon for a shmat(2) that follows a question, and nobody can tell: whoever asks is told what the kernel
// would tell.
#include <doctest/doctest.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <thread>

#include "daemon_fixture.hpp"
#include "libshmd_fake_daemon.hpp"
#include "mapping.hpp"
#include "service_manager.hpp"
#include "syscall_counter.hpp"
#include "system_v.hpp"
#include "system_v_asking.hpp"
#include "system_v_program.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

TEST_CASE("a shmat of which the daemon was asked just before sends nothing, and counts") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program program(daemon.socket());
    (void)use_and_ask(program);
    for (int i = 0; i < 50; i++) {
        CHECK(program.ask(id) == "0");
        CHECK(status(asking, id).attachments == 0);
        const time_t before = now_sec();
        auto calls = count_in_process(program.pid(), [&] { REQUIRE(program.attach(id) == "0"); });
        const time_t after = now_sec();
        if (calls) CHECK(calls->first["sendto"] == 0);
        const auto told = status(asking, id);
        CHECK(told.attachments == 1);
        CHECK(told.last_pid == program.pid());
        CHECK(told.attached_sec >= before);
        CHECK(told.attached_sec <= after);
        CHECK(program.ask(id) == "1");
        REQUIRE(program.attach_more(id, 2) == "0");
        CHECK(status(asking, id).attachments == 3);
        REQUIRE(program.detach() == "0");
        REQUIRE(program.detach_more() == "0");
        CHECK(status(asking, id).attachments == 0);
    }
}

TEST_CASE("what changes between the question and the shmat counts") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    RawClient administrator(daemon.control_socket());
    const Target by_key{"sysv:0x00000ff3", std::nullopt};
    Program program(daemon.socket());
    for (int i = 0; i < 4; i++) {
        const std::string id = make(asking);
        (void)use_and_ask(program);
        CHECK(program.ask(id) == "0");
        if (i == 0) remove(asking, id);
        if (i == 1) REQUIRE_FALSE(asking.call(Delete{by_key}).is_error());
        if (i == 2) REQUIRE_FALSE(administrator.call(ForceDelete{by_key}).is_error());
        if (i == 3) {
            Create staged{"sysv:0x00000ff3", 4096};
            staged.staged = true;
            const auto attachment = asking.call(staged).value().attachment;
            REQUIRE_FALSE(asking.call(Publish{attachment, std::nullopt, true}).is_error());
        }
        CHECK(program.attach(id) == "EINVAL");
        CHECK(errno_of_stat(asking, id) == EINVAL);
    }
}

TEST_CASE("a shmat is refused once it is forbidden, though the question was answered" * doctest::skip(!is_root())) {
    constexpr uid_t alice = 61001;
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program program(daemon.socket(), User{alice, alice, {}});
    (void)use_and_ask(program);
    CHECK(program.ask(id) == "0");
    REQUIRE_FALSE(asking.call(system_v::Set{std::stoi(id), 0, 0, 0644}).is_error());
    CHECK(program.attach(id) == "EACCES");
    CHECK(program.attach(id, SHM_RDONLY) == "0");
    CHECK(status(asking, id).attachments == 1);
}

TEST_CASE("who asks what is used is not told of what has not begun, nor is anybody refused for it") {
    const Daemon daemon({.config = R"({"limits": {"attachments": 1}})"});
    RawClient asking(daemon.socket());
    RawClient administrator(daemon.control_socket());
    const std::string id = make(asking);
    Program program(daemon.socket());
    (void)use_and_ask(program);
    for (int i = 0; i < 3; i++) {
        CHECK(program.ask(id) == "0");
        CHECK(administrator.call(GetStatus{}).value().attachments == 0);
        CHECK(program.ask(id) == "0");
        auto attached = asking.call(system_v::Attach{std::stoi(id), 0, std::nullopt, std::nullopt});
        REQUIRE_FALSE(attached.is_error());
        CHECK(program.attach(id) == "ENOMEM");
        REQUIRE_FALSE(asking.call(system_v::Detach{*attached.value().attachment}).is_error());
        REQUIRE(program.attach(id) == "0");
        REQUIRE(program.detach() == "0");
    }
}

TEST_CASE("what has begun without a call is inherited, and ends with who is killed") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    Program program(daemon.socket());
    (void)use_and_ask(program);
    REQUIRE(program.ask(id) == "0");
    REQUIRE(program.attach(id) == "0");
    const std::string child = program.fork();
    CHECK(status(asking, id).attachments == 2);
    REQUIRE(program.detach() == "0");
    CHECK(status(asking, id).attachments == 1);
    CHECK(std::to_string(status(asking, id).last_pid) == child);
    (void)use_and_ask(program);
    program.exit();
    CHECK(status(asking, id).attachments == 1);
    REQUIRE(program.detach() == "0");
    CHECK(program.ask(id) == "0");
    // A child has nothing prepared.
    (void)program.fork();
    REQUIRE(program.attach(id) == "0");
    CHECK(status(asking, id).attachments == 1);
    program.exit();
    CHECK(status(asking, id).attachments == 0);
    REQUIRE(program.attach(id) == "0");
    const pid_t killed = program.pid();
    program.kill();
    CHECK(status(asking, id).attachments == 0);
    CHECK(status(asking, id).last_pid == killed);
}

TEST_CASE("what a daemon that is killed has not seen to begin, the next one is told") {
    ServiceManager manager;
    manager.start();
    Program program(manager.socket());
    std::string id;
    {
        RawClient asking(manager.socket());
        id = make(asking);
        (void)use_and_ask(program);
        REQUIRE(program.ask(id) == "0");
        REQUIRE(program.attach(id) == "0");
        manager.kill();
        manager.start();
    }
    RawClient asking(manager.socket());
    CHECK(program.ask(id) == "1");
    CHECK(status(asking, id).attachments == 1);
    CHECK(status(asking, id).last_pid == program.pid());
    REQUIRE(program.detach() == "0");
    CHECK(status(asking, id).attachments == 0);
}

TEST_CASE("a daemon that does not know what may be prepared is not asked for it") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    const std::string id = make(asking);
    FakeDaemon old;
    bool was_asked = false;
    std::thread between([&] {
        RawClient server(daemon.socket()), client = old.accept();
        while (auto message = client.receive_unless_closed()) {
            const bool is_stat = message->text.find("SystemV.Stat") != std::string::npos;
            was_asked = was_asked || (is_stat && message->text.find("known") != std::string::npos);
            server.send_text(message->text);
            if (message->text.find("oneway") != std::string::npos) continue;
            auto reply = server.receive();
            constexpr std::string_view unknown = ",\"mayEndLate\":true";
            if (auto place = reply.text.find(unknown); place != std::string::npos) reply.text.erase(place, unknown.size());
            const int fd = reply.fds.empty() ? -1 : reply.fds.front().get();
            client.send_bytes(reply.text + '\0', {&fd, reply.fds.size()});
        }
    });
    {
        Program program(old.path());
        CHECK(use_and_ask(program) == id);
        CHECK(program.ask(id) == "0");
        CHECK(program.attach(id) == "0");
        CHECK(program.ask(id) == "1");
    }
    between.join();
    CHECK_FALSE(was_asked);
}

TEST_CASE("what was put in a queue before a change has begun, and nothing after it") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    RawQueue queue(daemon.socket());
    for (int i = 0; i < 3; i++) {
        const std::string id = make(asking);
        const std::int64_t segment = queue.segment(id);
        auto before = queue.prepare(id, segment);
        REQUIRE(before);
        queue.put(*before);
        remove(asking, id);
        CHECK(status(asking, id).attachments == 1);
        queue.put(*before);
        CHECK(errno_of_stat(asking, id) == EINVAL);

        const std::string next = make(asking);
        auto after = queue.prepare(next, queue.segment(next));
        REQUIRE(after);
        remove(asking, next);
        queue.put(*after);
        CHECK(errno_of_stat(asking, next) == EINVAL);
        queue.put(*after);
        CHECK(errno_of_stat(queue.client, next) == EINVAL);
    }
    // The queue is of use still.
    const std::string id = make(asking);
    auto attached = queue.client.call(system_v::Attach{std::stoi(id), 0, std::nullopt, std::nullopt}).value();
    CHECK(attached.may_end_late == true);
    queue.put(*attached.attachment);
    CHECK(status(asking, id).attachments == 0);
}

TEST_CASE("who never stops putting what begins no more into a queue holds nobody up") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    RawQueue queue(daemon.socket());
    const std::string id = make(asking);
    REQUIRE_FALSE(queue.client.call(system_v::Attach{std::stoi(id), 0, std::nullopt, std::nullopt}).is_error());
    auto prepared = queue.prepare(id, queue.segment(id));
    REQUIRE(prepared);
    REQUIRE_FALSE(asking.call(system_v::Set{std::stoi(id), 0, 0, 0666}).is_error());
    const auto putting = queue.keep_putting(*prepared);
    for (int i = 0; i < 300; i++) {
        CHECK(status(asking, id).attachments == 1);
        // More than the limit: looks for what has ended, as long as something has.
        Create large{"large", std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE) / 4 * 3};
        large.reserve = Reserve::lazy;
        CHECK(asking.call(large).is_error());
    }
}

TEST_CASE("only what would be granted is prepared, and for a short while") {
    const Daemon daemon;
    RawClient asking(daemon.socket());
    RawQueue queue(daemon.socket());
    const std::string id = make(asking);
    const std::int64_t segment = queue.segment(id);
    CHECK_FALSE(queue.prepare(id, segment + 1));
    CHECK_FALSE(asking.call(system_v::Stat{std::stoi(id), std::nullopt, std::nullopt, segment, 0}).value().prepared);
    // The next one takes its place.
    auto first = queue.prepare(id, segment), second = queue.prepare(id, segment, SHM_RDONLY);
    REQUIRE(first);
    REQUIRE(second);
    queue.put(*second);
    CHECK(status(asking, id).attachments == 1);
    // This one is no attachment: nothing is read any more.
    queue.put(*first);
    CHECK(status(asking, id).attachments == 1);
    queue.put(*second);
    CHECK(status(asking, id).attachments == 1);
    REQUIRE_FALSE(queue.client.call(system_v::Detach{*second}).is_error());
    CHECK_FALSE(queue.prepare(id, segment));

    // What is large, may be sealed, or lives for its attachments.
    RawQueue another(daemon.socket());
    auto check_made = [&](Create create, bool prepared, int flags = 0) {
        create.key = "sysv:0x00000ff4";
        auto made = asking.call(create).value();
        const auto get = another.client.call(system_v::Get{0xff4, 0, 0}).value().id;
        CHECK(another.prepare(std::to_string(get), made.segment.id, flags).has_value() == prepared);
        const Target by_key{"sysv:0x00000ff4", std::nullopt};
        REQUIRE_FALSE(asking.call(Delete{by_key}).is_error());
        REQUIRE_FALSE(asking.call(Detach{made.attachment}).is_error());
    };
    Create small{std::nullopt, 4096}, large{std::nullopt, (1 << 20) + 1}, brief{std::nullopt, 4096};
    brief.lifetime = Lifetime::attached;
    check_made(small, false);
    check_made(small, true, SHM_RDONLY);
    small.sealable = false;
    check_made(small, true);
    check_made(large, false, SHM_RDONLY);
    check_made(brief, false, SHM_RDONLY);
}
