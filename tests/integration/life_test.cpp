// The whole life of a segment against the real daemon: lifetimes, leases, eviction, seals, attributes, watching, and the
// administrator's hand.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "limits.hpp"
#include "mapping.hpp"
#include "process.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr std::uint32_t alice = 2001, bob = 2002, bobs_group = 3002;

Create create(const std::string& key, std::int64_t size = 4096) {
    Create call;
    call.key = key;
    call.size_bytes = size;
    return call;
}

Target named(const std::string& key) {
    return {key, std::nullopt};
}

bool exists(RawClient& client, const std::string& key) {
    return !client.call(Describe{named(key)}).is_error();
}

// The next event of a watch.
WatchReply next_event(RawClient& watcher) {
    return watcher.receive_reply<Watch>().value();
}

// The next one of this kind; those before are passed over.
WatchReply await_event(RawClient& watcher, Event event) {
    for (;;) {
        WatchReply reply = next_event(watcher);
        if (reply.event == event) return reply;
    }
}

RawClient watch(const Daemon& daemon, const std::string& prefix) {
    RawClient watcher(daemon.socket());
    watcher.send(Watch{prefix}, {.more = true});
    return watcher;
}

}  // namespace

TEST_CASE("a lease that nobody renews runs out, and the segment stays for those attached") {
    Daemon daemon;
    RawClient watcher = watch(daemon, "");
    RawClient client(daemon.socket());
    Create call = create("leased");
    call.lifetime = Lifetime::lease;
    call.lease_usec = limits::least_lease_usec;
    auto made = client.call(call);
    CHECK(made.value().segment.expires_usec.value() > made.value().segment.created_usec);
    auto expired = await_event(watcher, Event::expired);
    CHECK(expired.segment->key == "leased");
    CHECK(expired.segment->attachments == 1);
    CHECK_FALSE(exists(client, "leased"));
    auto left = client.call(Describe{{std::nullopt, made.value().segment.id}});
    CHECK(left.value().segment->state == State::deleted);
    CHECK(client.call(Renew{{std::nullopt, made.value().segment.id}}).known_error().code == ErrorCode::no_lease);
}

TEST_CASE("renewing moves the end of a lease, and so does a longer one") {
    Daemon daemon;
    RawClient client(daemon.socket());
    Create call = create("leased");
    call.lifetime = Lifetime::lease;
    call.lease_usec = 3600'000'000;
    auto first = client.call(call).value().segment.expires_usec.value();
    CHECK(client.call(Renew{named("leased")}).value().segment->expires_usec.value() >= first);
    SetAttributes longer{named("leased")};
    longer.lifetime = Lifetime::lease;
    longer.lease_usec = 7200'000'000;
    CHECK(client.call(longer).value().segment->expires_usec.value() >= first + 3600'000'000);
}

TEST_CASE("a wall clock that is set expires no lease and saves none" * doctest::skip(sanitized)) {
    TemporaryDirectory directory;
    std::string shift = directory.path() / "shift";
    Daemon daemon({.environment = {"LD_PRELOAD=" SHIFTED_CLOCK_PATH, "SHMD_TEST_SHIFT=" + shift}});
    RawClient watcher = watch(daemon, "");
    RawClient client(daemon.socket());
    Create call = create("long");
    call.lifetime = Lifetime::lease;
    call.lease_usec = 3600'000'000;
    std::int64_t created = client.call(call).value().segment.created_usec;
    call.key = "short";
    call.lease_usec = limits::least_lease_usec;
    REQUIRE_FALSE(client.call(call).is_error());
    std::ofstream(shift).put('x');
    constexpr std::int64_t year_usec = std::int64_t{365} * 24 * 3600 * 1'000'000;
    CHECK(client.call(Describe{named("long")}).value().segment->expires_usec.value() > created + 9 * year_usec);
    CHECK(await_event(watcher, Event::expired).segment->key == "short");
    CHECK(exists(client, "long"));
    CHECK_FALSE(client.call(Renew{named("long")}).is_error());
}

TEST_CASE("a segment of lifetime creator goes with the process, not with its connection") {
    Daemon daemon;
    RawClient watcher = watch(daemon, "");
    ChildProcess creator([&](Turns& turns) {
        {
            RawClient client(daemon.socket());
            Create call = create("mine");
            call.lifetime = Lifetime::creator;
            if (client.call(call).is_error()) return 1;
        }
        turns.signal();
        turns.wait();
        return 0;
    });
    creator.wait_for_byte();
    await_event(watcher, Event::detached);
    RawClient client(daemon.socket());
    CHECK(exists(client, "mine"));
    creator.kill();
    CHECK(await_event(watcher, Event::expired).segment->key == "mine");
    CHECK_FALSE(exists(client, "mine"));
}

TEST_CASE("what is evictable makes room when a limit is met, the longest unused first, and never what is attached") {
    Daemon daemon({.config = R"({"limits": {"bytes": "64K"}})"});
    RawClient client(daemon.socket());
    auto evictable = [&](const std::string& key, bool keep) {
        Create call = create(key, 16 << 10);
        call.evictable = true;
        auto made = client.call(call);
        if (!keep) REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
    };
    evictable("attached", true);
    evictable("old", false);
    evictable("new", false);
    CHECK_FALSE(client.call(create("wanted", 32 << 10)).is_error());
    CHECK(exists(client, "attached"));
    CHECK_FALSE(exists(client, "old"));
    CHECK(exists(client, "new"));
    // What cannot help is not dropped.
    CHECK(client.call(create("too much", 64 << 10)).is_error());
    CHECK(client.call(create("too-much", 64 << 10)).known_error() == Error::quota_exceeded("bytes", 64 << 10));
    CHECK(exists(client, "new"));
}

TEST_CASE("sealing fails with the names of the writers as long as one has it mapped, and holds for ever then") {
    Daemon daemon;
    RawClient client(daemon.socket());
    auto made = client.call(create("sealed"));
    {
        Mapping memory(made.fds.at(0).get(), 4096, Access::write);
        std::strcpy(memory.data(), "final");
        Error busy = client.call(Seal{named("sealed")}).known_error();
        CHECK(busy.code == ErrorCode::segment_busy);
        REQUIRE(busy.holders.size() == 1);
        CHECK(busy.holders[0].pid == ::getpid());
        CHECK(busy.holders[0].attachment == made.value().attachment);
    }
    // Unmapped, but it could map it again.
    CHECK(client.call(Seal{named("sealed")}).known_error().holders.size() == 1);
    REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
    CHECK(client.call(Seal{named("sealed")}).value().segment->sealed);
    // The kernel's seal: the writer's descriptor is of no use any more.
    CHECK(::mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, made.fds.at(0).get(), 0) == MAP_FAILED);
    Open open{named("sealed"), Access::read};
    open.sealed = true;
    auto opened = client.call(open);
    CHECK(std::string(Mapping(opened.fds.at(0).get(), 4096, Access::read).data()) == "final");
}

TEST_CASE("memory that is only named by a descriptor is freed") {
    for (std::int64_t size : {std::int64_t{4096}, std::int64_t{4} << 20}) {
        Daemon daemon;
        RawClient client(daemon.socket());
        auto made = client.call(create("named", size));
        std::string path = "/proc/self/fd/" + std::to_string(made.fds.at(0).get());
        UniqueFd name(::open(path.c_str(), O_PATH | O_CLOEXEC));
        REQUIRE(name);
        made.fds.clear();
        REQUIRE_FALSE(client.call(Delete{named("named")}).is_error());
        REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
        struct stat status {};
        do {
            REQUIRE(::fstat(name.get(), &status) == 0);
            (void)settled(daemon, 1);
        } while (status.st_blocks != 0);  // else the test's own time limit ends this
    }
}

TEST_CASE("a writer cannot seal what was created not to be sealed") {
    Daemon daemon;
    RawClient client(daemon.socket());
    Create call = create("open");
    call.sealable = false;
    auto made = client.call(call);
    CHECK(::fcntl(made.fds.at(0).get(), F_ADD_SEALS, F_SEAL_WRITE) == -1);
    CHECK(client.call(Seal{named("open")}).known_error().code == ErrorCode::not_sealable);
    // A seal that a writer added itself is seen.
    auto other = client.call(create("own"));
    REQUIRE(::fcntl(other.fds.at(0).get(), F_ADD_SEALS, F_SEAL_WRITE) == 0);
    CHECK(client.call(Describe{named("own")}).value().segment->sealed);
}

TEST_CASE("what a writer has closed to further writers is granted to none, and can be sealed whole") {
    Daemon daemon;
    RawClient client(daemon.socket());
    Create call = create("closed", 4096);
    call.capacity_bytes = 8192;
    auto made = client.call(call);
    constexpr int seal_future_write = 0x10;  // F_SEAL_FUTURE_WRITE
    REQUIRE(::fcntl(made.fds.at(0).get(), F_ADD_SEALS, seal_future_write) == 0);
    CHECK(client.call(Open{named("closed"), Access::write}).known_error().code == ErrorCode::segment_sealed);
    CHECK(client.call(Resize{named("closed"), 8192}).known_error().code == ErrorCode::segment_sealed);
    call.create_mode = CreateMode::any;
    CHECK(client.call(call).known_error().code == ErrorCode::segment_sealed);
    Open sealed{named("closed"), Access::read};
    sealed.sealed = true;
    CHECK(client.call(sealed).known_error().code == ErrorCode::not_sealed);
    made.fds.clear();
    REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
    CHECK(client.call(Seal{named("closed")}).value().segment->sealed);
    CHECK_FALSE(client.call(sealed).is_error());
}

TEST_CASE("a watch tells what is there, then what happens, in order, and nothing that its user may not see") {
    Daemon daemon;
    RawClient client(daemon.socket());
    REQUIRE_FALSE(client.call(create("w/there")).is_error());
    REQUIRE_FALSE(client.call(create("other")).is_error());
    RawClient watcher = watch(daemon, "w/");
    auto present = next_event(watcher);
    CHECK(present.event == Event::present);
    CHECK(present.segment->key == "w/there");
    CHECK(next_event(watcher).event == Event::ready);

    Create staged = create("w/new");
    staged.staged = true;
    auto made = client.call(staged);
    REQUIRE_FALSE(client.call(Publish{made.value().attachment}).is_error());
    Create next = create("w/new");
    next.staged = true;
    auto table = client.call(next);
    REQUIRE_FALSE(client.call(Publish{table.value().attachment, std::nullopt, true}).is_error());
    made.fds.clear();
    table.fds.clear();
    REQUIRE_FALSE(client.call(Detach{table.value().attachment}).is_error());
    REQUIRE_FALSE(client.call(Seal{named("w/new")}).is_error());
    SetAttributes change{named("w/new")};
    change.mode = 0644;
    REQUIRE_FALSE(client.call(change).is_error());
    REQUIRE_FALSE(client.call(Open{named("w/new"), Access::read}).is_error());
    REQUIRE_FALSE(client.call(Delete{named("w/new")}).is_error());
    for (Event event : {Event::published, Event::replaced, Event::published, Event::detached, Event::sealed,
                        Event::changed, Event::attached, Event::deleted}) {
        WatchReply told = next_event(watcher);
        CHECK(told.event == event);
        CHECK(told.segment->key == "w/new");
    }
}

TEST_CASE("a watcher that does not read is told that it lost events, then what there is, and costs no memory" *
          doctest::skip(sanitized)) {
    Daemon daemon;
    RawClient client(daemon.socket());
    REQUIRE_FALSE(client.call(create("busy")).is_error());
    RawClient watcher = watch(daemon, "");
    CHECK(next_event(watcher).event == Event::present);
    CHECK(next_event(watcher).event == Event::ready);
    SetAttributes change{named("busy")};
    std::int64_t before = daemon.rss_kib();
    for (int i = 0; i < 20'000; i++) {
        change.mode = i % 2 == 0 ? 0600 : 0644;
        REQUIRE_FALSE(client.call(change).is_error());
    }
    CHECK(daemon.rss_kib() - before < 8192);
    await_event(watcher, Event::lost);
    CHECK(next_event(watcher).event == Event::present);
    CHECK(next_event(watcher).event == Event::ready);
}

TEST_CASE("attributes and entries let others in and out" * doctest::skip(!is_root())) {
    Daemon daemon;
    auto opens = [&](std::uint32_t uid, std::uint32_t gid, Access access) {
        return run_as(uid, gid, {}, [&] { return !RawClient(daemon.socket()).call(Open{named("a"), access}).is_error(); }) == 0;
    };
    auto changes = [&](std::uint32_t uid, const SetAttributes& change) {
        return run_as(uid, uid, {}, [&] { return !RawClient(daemon.socket()).call(change).is_error(); }) == 0;
    };
    CHECK(run_as(alice, alice, {}, [&] { return !RawClient(daemon.socket()).call(create("a")).is_error(); }) == 0);
    CHECK_FALSE(opens(bob, bob, Access::read));
    SetAttributes change{named("a")};
    change.acl = {{AclEntry::Kind::user, bob, Access::read}, {AclEntry::Kind::group, bobs_group, Access::write}};
    CHECK_FALSE(changes(bob, change));
    CHECK(changes(alice, change));
    CHECK(opens(bob, bob, Access::read));
    CHECK_FALSE(opens(bob, bob, Access::write));
    CHECK(opens(bob, bobs_group, Access::write));
    // The creator stays one who may change it, as with System V.
    SetAttributes give{named("a")};
    give.owner_uid = bob;
    give.acl = std::vector<AclEntry>{};
    CHECK(changes(alice, give));
    CHECK(opens(bob, bob, Access::write));
    give.owner_uid = alice;
    CHECK(changes(bob, give));
    CHECK_FALSE(opens(bob, bob, Access::read));
    CHECK_FALSE(changes(bob, give));
}

TEST_CASE("nobody takes keys in another user's space or below a reserved prefix" * doctest::skip(!is_root())) {
    Daemon daemon({.config = R"({"policy": {"defaultMode": "0640", "reserved": [
        {"prefix": "db/", "users": [2001], "groups": [3002], "mode": "0660"}]}})"});
    auto creates = [&](std::uint32_t uid, std::uint32_t gid, const std::string& key) {
        return run_as(uid, gid, {}, [&] {
                   RawClient client(daemon.socket());
                   bool made = !client.call(create(key)).is_error();
                   Create staged = create("free/" + std::to_string(uid));
                   staged.staged = true;
                   auto attachment = client.call(staged).value().attachment;
                   bool published = !client.call(Publish{attachment, key + ".p"}).is_error();
                   return made && published ? 0 : made || published ? 2 : 1;
               });
    };
    CHECK(creates(alice, alice, "user/2001/a") == 0);
    CHECK(creates(bob, bob, "user/2001/b") == 1);
    CHECK(creates(alice, alice, "user/02001/a") == 1);
    CHECK(creates(alice, alice, "user/a") == 1);
    CHECK(creates(alice, alice, "db/a") == 0);
    CHECK(creates(bob, bob, "db/b") == 1);
    CHECK(creates(bob, bobs_group, "db/c") == 0);
    CHECK(creates(bob, bob, "anything") == 0);
    RawClient root(daemon.socket());
    CHECK_FALSE(root.call(create("user/2001/root")).is_error());
    CHECK(root.call(Describe{named("db/a")}).value().segment->mode == 0660);
    CHECK(root.call(Describe{named("anything")}).value().segment->mode == 0640);
}

TEST_CASE("a new configuration is taken whole or not at all, by call and by SIGHUP") {
    Daemon daemon({.config = R"({"limits": {"segments": 1}})"});
    std::string file = daemon.directory() / "config.json";
    REQUIRE(std::ifstream(file).good());
    RawClient client(daemon.socket()), control(daemon.control_socket());
    REQUIRE_FALSE(client.call(create("one")).is_error());
    CHECK(client.call(create("two")).known_error() == Error::quota_exceeded("segments", 1));
    std::ofstream(file) << R"({"limits": {"segments": 2, "bites": 1}})";
    Error refused = control.call(Reload{}).known_error();
    CHECK(refused.code == ErrorCode::invalid_configuration);
    CHECK(refused.text->find("bites") != std::string::npos);
    CHECK(client.call(create("two")).is_error());
    std::ofstream(file) << R"({"limits": {"segments": 2}})";
    CHECK_FALSE(control.call(Reload{}).is_error());
    CHECK_FALSE(client.call(create("two")).is_error());
    std::ofstream(file) << R"({"limits": {"segments": 3}})";
    ::kill(daemon.pid(), SIGHUP);
    wait_until(daemon, "the new limit", [](const Snapshot& now) { return now.status.segments_limit == 3; });
}

TEST_CASE("the administrator sees who has what, deletes, disconnects, evicts and drains; nobody else does") {
    Daemon daemon;
    RawClient control(daemon.control_socket()), client(daemon.socket());
    ChildProcess holder([&](Turns& turns) {
        RawClient mine(daemon.socket());
        Create call = create("held");
        call.evictable = true;
        if (mine.call(call).is_error()) return 1;
        turns.signal();
        mine.expect_eof();
        turns.signal();
        turns.wait();
        return 0;
    });
    holder.wait_for_byte();
    auto seen = control.call(GetSegment{named("held")}).value().segment.value();
    REQUIRE(seen.attachments.size() == 1);
    CHECK(seen.attachments[0].pid == holder.pid());
    CHECK(seen.attachments[0].access == Access::write);
    CHECK_FALSE(seen.attachments[0].command.empty());
    control.send(ListSegments{}, {.more = true});
    CHECK(control.receive_reply<ListSegments>().value().segment->key == "held");

    CHECK(control.call(Evict{}).value() == Evicted{0, 0});
    CHECK(control.call(Disconnect{holder.pid()}).value().connections == 1);
    holder.wait_for_byte();
    wait_until(daemon, "no attachments", [](const Snapshot& now) { return now.status.attachments == 0; });
    CHECK(control.call(Disconnect{holder.pid()}).known_error().code == ErrorCode::no_such_process);
    CHECK(control.call(Evict{}).value() == Evicted{1, 4096});

    REQUIRE_FALSE(client.call(create("a")).is_error());
    CHECK_FALSE(control.call(Drain{true}).is_error());
    CHECK(control.call(GetStatus{}).value().draining);
    CHECK(client.call(create("b")).known_error().code == ErrorCode::draining);
    CHECK_FALSE(client.call(Open{named("a"), Access::read}).is_error());
    CHECK_FALSE(control.call(Drain{false}).is_error());
    CHECK_FALSE(client.call(create("b")).is_error());
    CHECK_FALSE(control.call(ForceDelete{named("a")}).is_error());
    CHECK_FALSE(exists(client, "a"));
    CHECK(client.call(Drain{true}).known_error().code == ErrorCode::interface_not_found);
    holder.send_byte();
    CHECK(holder.wait() == 0);
}
