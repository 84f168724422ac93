// A daemon that is killed, or stopped, and started again by its service manager: no segment and no byte is lost, and what
// lived for processes goes with them.
#include <doctest/doctest.h>
#include <time.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "limits.hpp"
#include "restarted_daemon.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr std::uint32_t alice = 2001, bob = 2002, bobs_group = 3002;

// What a restart may not change. Attaching does, and how long a lease lasts is known to the microsecond alone.
Segment lasting(Segment segment) {
    segment.attachments = 0;
    segment.attached_usec.reset();
    segment.detached_usec.reset();
    segment.expires_usec.reset();
    return segment;
}

}  // namespace

TEST_CASE("after SIGKILL and after SIGTERM every segment is there as it was, with every byte") {
    ServiceManager manager;
    manager.start();
    std::vector<Segment> before;
    std::vector<Usage> usage_before;
    {
        RawClient client(manager.socket());
        Create full = create("app/full");
        full.mode = 0640;
        full.lifetime = Lifetime::lease;
        full.lease_usec = 3600'000'000;
        full.evictable = true;
        full.labels = Labels{{"team", "billing"}, {"shape", ""}};
        full.acl = std::vector<AclEntry>{{AclEntry::Kind::group, bobs_group, Access::write}};
        full.capacity_bytes = 1 << 20;
        write_text(client.call(full), "all of it");
        write_text(client.call(create("app/plain", 1)), "p");
        write_text(client.call(create("app/sealed")), "for ever");
        RawClient other(manager.socket());
        SetAttributes changes{named("app/plain")};
        changes.owner_uid = alice;
        changes.owner_gid = 7;
        changes.mode = 0604;
        REQUIRE_FALSE(other.call(changes).is_error());
    }
    RawClient client(manager.socket());
    REQUIRE_FALSE(client.call(Seal{named("app/sealed")}).is_error());
    REQUIRE_FALSE(client.call(Resize{named("app/full"), 100'000}).is_error());
    before = client.list();
    REQUIRE(before.size() == 3);
    for (int round = 0; round < 4; round++) {
        CAPTURE(round);
        if (round % 2 == 0) {
            manager.kill();
        } else {
            CHECK(manager.stop() == 0);
        }
        manager.start();
        RawClient again(manager.socket());
        auto after = again.list();
        REQUIRE(after.size() == before.size());
        for (std::size_t i = 0; i < before.size(); i++) CHECK(lasting(after[i]) == lasting(before[i]));
        CHECK(read_text(again, named("app/full")) == "all of it");
        CHECK(read_text(again, named("app/plain")) == "p");
        CHECK(read_text(again, named("app/sealed")) == "for ever");
        RawClient control(manager.control_socket());
        auto usage = control.call(GetUsage{}).value().usage;
        CHECK(usage.at(0).segments == 3);
        CHECK(usage.at(0).bytes == (1 << 20) + 4096 + 4096);
        CHECK(control.call(GetStatus{}).value().survives_restart);
    }
}

TEST_CASE("a key is free, an id is not given again, and the key's next segment is another one") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    auto first = client.call(create("key")).value().segment.id;
    REQUIRE_FALSE(client.call(Delete{named("key")}).is_error());
    client.close();
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    CHECK_FALSE(exists(again, named("key")));
    auto second = again.call(create("key")).value().segment.id;
    CHECK(second > first);
    REQUIRE_FALSE(again.call(Delete{named("key")}).is_error());
    manager.kill();
    manager.start();
    RawClient third(manager.socket());
    CHECK(third.call(create("key")).value().segment.id > second);
}

TEST_CASE("a published segment keeps its key, the replaced one its readers") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    auto old = client.call(create("table"));
    write_text(old, "old");
    Create staged = create("table");
    staged.staged = true;
    auto fresh = client.call(staged);
    write_text(fresh, "new");
    REQUIRE_FALSE(client.call(Publish{fresh.value().attachment, std::nullopt, true}).is_error());
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    CHECK(read_text(again, named("table")) == "new");
    // This process still has the old one open.
    CHECK(describe(again, with_id(old.value().segment.id)).state == State::deleted);
    CHECK(read_text(again, with_id(old.value().segment.id)) == "old");
}

TEST_CASE("attachments last over a restart, are taken up by their process alone, and then end with its connection") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    auto made = client.call(create("key"));
    auto attachment = made.value().attachment;
    auto id = made.value().segment.id;
    manager.kill();
    manager.start();
    CHECK(attachments_of(manager, id) == 1);
    auto taken_by_another = [&] {
        RawClient thief(manager.socket());
        bool nothing = thief.call(Resume{{attachment}}).value().attachments.empty();
        return nothing && thief.call(Detach{attachment}).is_error();
    };
    CHECK(ChildProcess([&](Turns&) { return taken_by_another() ? 0 : 1; }).wait() == 0);
    if (is_root()) CHECK(run_as(bob, bobs_group, {}, taken_by_another) == 0);
    {
        RawClient again(manager.socket());
        std::vector<std::uint32_t> wanted{attachment, attachment + 1, 0, attachment};
        CHECK(again.call(Resume{wanted}).value().attachments == std::vector{attachment, attachment});
        CHECK(attachments_of(manager, id) == 1);
    }
    await_no_attachments(manager, id);
}

TEST_CASE("what a process held ends when it dies while there is no daemon, and when it dies later") {
    for (bool later : {false, true}) {
        CAPTURE(later);
        ServiceManager manager;
        manager.start();
        ChildProcess holder([&](Turns& turns) {
            RawClient client(manager.socket());
            Create staged = create("staged");
            staged.staged = true;
            Create attached = create("attached");
            attached.lifetime = Lifetime::attached;
            Create creators = create("creator");
            creators.lifetime = Lifetime::creator;
            for (const Create& call : {staged, attached, creators, create("persistent")}) {
                if (client.call(call).is_error()) return 1;
            }
            turns.signal();
            turns.wait();
            return 0;
        });
        holder.wait_for_byte();
        manager.kill();
        if (!later) holder.kill();
        manager.start();
        if (later) {
            RawClient client(manager.socket());
            CHECK(client.list().size() == 3);
            RawClient control(manager.control_socket());
            CHECK(control.call(GetStatus{}).value().segments == 4);  // the staged one is there too
            holder.kill();
        }
        RawClient control(manager.control_socket());
        auto deadline = std::chrono::steady_clock::now() + patience;
        while (control.call(GetStatus{}).value().segments != 1) REQUIRE(std::chrono::steady_clock::now() < deadline);
        RawClient client(manager.socket());
        CHECK(exists(client, named("persistent")));
        CHECK(describe(client, named("persistent")).attachments == 0);
        CHECK(describe(client, named("persistent")).detached_usec);
    }
}

TEST_CASE("who cannot be watched for want of descriptors keeps what it holds, until it is found dead" *
          doctest::skip(!is_root())) {
    // As a user that cannot raise the limit.
    ServiceManager manager({.user = User{65532, 65532}});
    manager.start();
    std::int64_t id = 0;
    {
        RawClient client(manager.socket());
        auto made = client.call(create("key")).value();
        id = made.segment.id;
        REQUIRE_FALSE(client.call(Detach{made.attachment}).is_error());
    }
    constexpr std::size_t processes = 60;
    std::vector<std::unique_ptr<ChildProcess>> holders;
    for (std::size_t i = 0; i < processes; i++) {
        holders.push_back(std::make_unique<ChildProcess>([&](Turns& turns) {
            RawClient client(manager.socket());
            if (client.call(Open{named("key"), Access::read}).is_error()) return 1;
            turns.signal();
            turns.wait();
            return 0;
        }));
        holders.back()->wait_for_byte();
    }
    manager.kill();
    // Room for what it needs itself and for some of the processes.
    manager.limit_descriptors(3 + 2 + manager.stored() + 70);
    manager.start();
    CHECK(manager.log().find("too few descriptors to watch process") != std::string::npos);
    CHECK(attachments_of(manager, id) == processes);
    holders.clear();
    await_no_attachments(manager, id);
    CHECK(manager.stop() == 0);
}

TEST_CASE("a staged segment is published by its creator on a new connection") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    Create staged = create("staged");
    staged.staged = true;
    auto made = client.call(staged);
    write_text(made, "ready");
    manager.restart();
    RawClient again(manager.socket());
    CHECK_FALSE(exists(again, with_id(made.value().segment.id)));
    REQUIRE(again.call(Resume{{made.value().attachment}}).value().attachments.size() == 1);
    REQUIRE_FALSE(again.call(Publish{made.value().attachment, std::nullopt, std::nullopt}).is_error());
    CHECK(read_text(again, named("staged")) == "ready");
}

TEST_CASE("a lease that ran out while there was no daemon is over, and a renewed one lasts") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    for (const char* key : {"short", "long"}) {
        Create leased = create(key);
        leased.lifetime = Lifetime::lease;
        leased.lease_usec = limits::least_lease_usec;
        auto made = client.call(leased);
        REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
    }
    SetAttributes longer{named("long")};
    longer.lifetime = Lifetime::lease;
    longer.lease_usec = 3600'000'000;
    REQUIRE_FALSE(client.call(longer).is_error());
    manager.kill();
    // A clock that nobody waits on: the lease is over when the time is.
    timespec begin{}, now{};
    ::clock_gettime(CLOCK_BOOTTIME, &begin);
    do {
        ::clock_gettime(CLOCK_BOOTTIME, &now);
    } while (now.tv_sec - begin.tv_sec < 2);
    manager.start();
    RawClient again(manager.socket());
    CHECK(exists(again, named("long")));
    CHECK_FALSE(exists(again, named("short")));
}

TEST_CASE("memory that is deleted and still mapped stays on its account over a restart") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    auto made = client.call(create("key", 1 << 20));
    auto memory = std::make_unique<Mapping>(made.fds.at(0).get(), 1 << 20, Access::write);
    REQUIRE_FALSE(client.call(Delete{named("key")}).is_error());
    REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
    made.fds.clear();
    manager.kill();
    manager.start();
    RawClient control(manager.control_socket());
    CHECK(control.call(GetStatus{}).value().bytes == 1 << 20);
    std::memset(memory->data(), 1, 1 << 20);  // still there
    memory.reset();
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (control.call(GetStatus{}).value().bytes != 0) REQUIRE(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE("a deleted segment that is still attached is resized, and stays so") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    Create call = create("key");
    call.capacity_bytes = 1 << 20;
    auto grant = client.call(call).value();
    REQUIRE_FALSE(client.call(Delete{named("key")}).is_error());
    REQUIRE_FALSE(client.call(Resize{with_id(grant.segment.id), 100'000}).is_error());
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    Segment after = describe(again, with_id(grant.segment.id));
    CHECK(after.size_bytes == 100'000);
    CHECK(after.state == State::deleted);
    CHECK(after.attachments == 1);
}

TEST_CASE("when a segment was last attached and detached lasts over every restart") {
    ServiceManager manager;
    manager.start();
    RawClient first(manager.socket()), second(manager.socket());
    auto id = first.call(create("key")).value().segment.id;
    auto later = second.call(Open{named("key"), Access::read}).value();
    REQUIRE_FALSE(second.call(Detach{later.attachment}).is_error());
    const Segment before = describe(first, with_id(id));
    REQUIRE(before.attachments == 1);
    for (int round = 0; round < 3; round++) {
        CAPTURE(round);
        manager.kill();
        manager.start();
        RawClient again(manager.socket());
        CHECK(describe(again, with_id(id)) == before);
    }
}

TEST_CASE("what a connection had ends with those that it had taken up, after every restart") {
    ServiceManager manager;
    manager.start();
    RawClient first(manager.socket());
    auto old = first.call(create("old")).value();
    manager.kill();
    manager.start();
    RawClient second(manager.socket());
    REQUIRE(second.call(Resume{{old.attachment}}).value().attachments.size() == 1);
    // As if this process had never read the answer.
    auto unknown = second.call(create("unknown")).value();
    manager.kill();
    manager.start();
    RawClient third(manager.socket());
    REQUIRE(third.call(Resume{{old.attachment}}).value().attachments.size() == 1);
    CHECK(attachments_of(manager, old.segment.id) == 1);
    CHECK(attachments_of(manager, unknown.segment.id) == 0);
}

TEST_CASE("as a user of its own the daemon takes up everything likewise" * doctest::skip(!is_root())) {
    ServiceManager manager({.user = User{65532, 65532}});
    manager.start();
    CHECK(run_as(alice, alice, {}, [&] {
              RawClient client(manager.socket());
              Create call = create("alices");
              write_text(client.call(call), "hers");
              return true;
          }) == 0);
    manager.kill();
    manager.start();
    CHECK(run_as(alice, alice, {}, [&] {
              RawClient client(manager.socket());
              return read_text(client, named("alices")) == "hers";
          }) == 0);
    CHECK(run_as(bob, bob, {}, [&] {
              RawClient client(manager.socket());
              return client.call(Open{named("alices"), Access::read}).is_error();
          }) == 0);
}
