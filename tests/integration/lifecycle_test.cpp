// The main job, and what ends what: segments, attachments, processes, connections.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "key.hpp"
#include "limits.hpp"
#include "mapping.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

Create create(std::string key, std::int64_t size = 4096) {
    Create call;
    call.key = std::move(key);
    call.size_bytes = size;
    return call;
}

Create staged(std::optional<std::string> key = std::nullopt) {
    Create call;
    call.key = std::move(key);
    call.size_bytes = 4096;
    call.staged = true;
    return call;
}

Segment describe(RawClient& client, const std::string& key) {
    return *client.call(Describe{{key, std::nullopt}}).value().segment;
}

bool exists(RawClient& client, const std::string& key) {
    return !client.call(Describe{{key, std::nullopt}}).is_error();
}

}  // namespace

TEST_CASE("the seed's scenario: one process creates and writes, others find it by key and read") {
    Daemon daemon;
    RawClient creator(daemon.socket());
    Create call = create(sysv_key(0xff3), 100);
    call.mode = 0644;
    auto made = creator.call(call);
    REQUIRE(made.value().created == true);
    CHECK(made.value().segment.key == "sysv:0x00000ff3");
    CHECK(made.value().segment.size_bytes == 100);
    Mapping memory(made.fds.at(0).get(), 100, Access::write);
    std::strcpy(memory.data(), "my shared memory block");

    auto read_back = [&] {
        RawClient reader(daemon.socket());
        auto opened = reader.call(Open{{sysv_key(0xff3), std::nullopt}, Access::read});
        Mapping view(opened.fds.at(0).get(), opened.value().segment.size_bytes, Access::read);
        bool denied = reader.call(Open{{sysv_key(0xff3), std::nullopt}, Access::write}).is_error();
        return view.size() == 100 && std::string(view.data()) == "my shared memory block" && denied == !is_root();
    };
    CHECK(ChildProcess([&](Turns&) { return read_back() ? 0 : 1; }).wait() == 0);
    if (is_root()) CHECK(run_as(65534, 65534, {}, read_back) == 0);

    CHECK_FALSE(creator.call(Delete{{sysv_key(0xff3), std::nullopt}}).is_error());
    CHECK_FALSE(exists(creator, sysv_key(0xff3)));
    CHECK(std::string(memory.data()) == "my shared memory block");
}

TEST_CASE("what one process writes another sees at once, both ways, without the daemon") {
    Daemon daemon;
    RawClient client(daemon.socket());
    auto made = client.call(create("both"));
    Mapping memory(made.fds.at(0).get(), 4096, Access::write);
    ChildProcess child([&](Turns& turns) {
        RawClient other(daemon.socket());
        auto opened = other.call(Open{{"both", std::nullopt}, Access::write});
        Mapping mine(opened.fds.at(0).get(), 4096, Access::write);
        turns.signal();
        turns.wait();
        if (mine.data()[7] != 'p') return 1;
        mine.data()[8] = 'c';
        return 0;
    });
    child.wait_for_byte();
    daemon.kill();
    memory.data()[7] = 'p';
    child.send_byte();
    CHECK(child.wait() == 0);
    CHECK(memory.data()[8] == 'c');
}

TEST_CASE("a fresh key is made up when none is given, different each time") {
    Daemon daemon;
    RawClient client(daemon.socket());
    Create call;
    call.size_bytes = 1;
    std::string first = *client.call(call).value().segment.key;
    std::string second = *client.call(call).value().segment.key;
    CHECK(first != second);
    CHECK(first.size() >= 32);
    CHECK(is_valid_key(first));
    CHECK(exists(client, first));
}

TEST_CASE("an attachment ends with Detach") {
    Daemon daemon;
    RawClient client(daemon.socket());
    auto attachment = client.call(create("a")).value().attachment;
    CHECK(describe(client, "a").attachments == 1);
    CHECK_FALSE(client.call(Detach{attachment}).is_error());
    CHECK(describe(client, "a").attachments == 0);
    CHECK(describe(client, "a").detached_usec);
    CHECK(client.call(Detach{attachment}).known_error() == Error::invalid_parameter("attachment"));
}

TEST_CASE("an attachment ends with its connection") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    {
        RawClient keeper(daemon.socket());
        REQUIRE_FALSE(keeper.call(create("a")).is_error());
        REQUIRE_FALSE(keeper.call(Open{{"a", std::nullopt}, Access::read}).is_error());
        RawClient other(daemon.socket());
        CHECK(describe(other, "a").attachments == 2);
    }
    Snapshot after = settled(daemon);
    CHECK(after.status.attachments == 0);
    RawClient client(daemon.socket());
    CHECK(describe(client, "a").attachments == 0);
    REQUIRE_FALSE(client.call(Delete{{"a", std::nullopt}}).is_error());
    client.close();
    expect_return_to(daemon, before);
}

TEST_CASE("a forked child that keeps the socket does not keep its dead parent's attachments alive") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    UniqueFd reading(ends[0]), writing(ends[1]);
    ChildProcess parent([&](Turns& turns) {
        RawClient client(daemon.socket());
        Create call = create("a");
        call.lifetime = Lifetime::attached;
        if (client.call(call).is_error()) return 1;
        if (::fork() == 0) {
            // The grandchild holds the socket until the test closes the pipe.
            writing.reset();
            char byte = 0;
            (void)!::read(reading.get(), &byte, 1);
            ::_exit(0);
        }
        turns.signal();
        turns.wait();
        return 0;
    });
    parent.wait_for_byte();
    CHECK(settled(daemon, 1).status.attachments == 1);
    parent.kill();
    expect_return_to(daemon, before);
    writing.reset();
}

TEST_CASE("what a process asked for before it died is still done") {
    Daemon daemon;
    RawClient client(daemon.socket());
    REQUIRE_FALSE(client.call(create("a")).is_error());
    for (int round = 0; round < 20; round++) {
        std::string key = "gone" + std::to_string(round);
        REQUIRE_FALSE(client.call(create(key)).is_error());
        ChildProcess child([&](Turns&) {
            RawClient mine(daemon.socket());
            mine.send(Delete{{key, std::nullopt}}, {.oneway = true});
            ::_exit(0);
            return 0;
        });
        child.wait();
        (void)settled(daemon, 1);
        CHECK_FALSE(exists(client, key));
    }
}

TEST_CASE("a deleted segment stays with those attached, and can still be opened by its id") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    RawClient client(daemon.socket());
    auto made = client.call(create("a"));
    std::int64_t id = made.value().segment.id;
    Mapping memory(made.fds.at(0).get(), 4096, Access::write);
    std::strcpy(memory.data(), "kept");
    REQUIRE_FALSE(client.call(Delete{{"a", std::nullopt}}).is_error());
    auto described = client.call(Describe{{std::nullopt, id}});
    CHECK(described.value().segment->state == State::deleted);
    CHECK_FALSE(described.value().segment->key);
    auto opened = client.call(Open{{std::nullopt, id}, Access::read});
    CHECK(std::string(Mapping(opened.fds.at(0).get(), 4096, Access::read).data()) == "kept");
    // The key is free for another segment.
    CHECK(client.call(create("a")).value().segment.id != id);
    REQUIRE_FALSE(client.call(Delete{{"a", std::nullopt}}).is_error());
    client.close();
    // Nobody is attached, but the memory is not free: it stays on the account as long as somebody has it.
    Snapshot kept = wait_until(daemon, "no attachments", [](const Snapshot& now) { return now.status.attachments == 0; });
    CHECK(kept.status.bytes == before.status.bytes + 4096);
    CHECK(std::string(memory.data()) == "kept");
    made.fds.clear();
    opened.fds.clear();
    CHECK(settled(daemon).status.bytes == before.status.bytes + 4096);
    {
        Mapping last = std::move(memory);
    }
    expect_return_to(daemon, before);
}

TEST_CASE("Create with any opens what is there and says so") {
    Daemon daemon;
    RawClient client(daemon.socket());
    REQUIRE_FALSE(client.call(create("a", 100)).is_error());
    CHECK(client.call(create("a", 100)).known_error() == Error::segment_exists("a"));
    Create call = create("a", 50);
    call.create_mode = CreateMode::any;
    auto opened = client.call(call);
    CHECK(opened.value().created == false);
    CHECK(opened.value().segment.size_bytes == 100);
    CHECK(opened.fds.size() == 1);
    call.size_bytes = 101;
    CHECK(client.call(call).known_error() == Error::size_mismatch(100));
}

TEST_CASE("a staged segment is invisible until it is published, and then it is whole") {
    Daemon daemon;
    RawClient creator(daemon.socket()), other(daemon.socket());
    auto made = creator.call(staged());
    const Segment& segment = made.value().segment;
    CHECK(segment.state == State::staged);
    CHECK_FALSE(segment.key);
    CHECK(other.list().empty());
    CHECK(other.call(Open{{std::nullopt, segment.id}, Access::read}).known_error() ==
          Error::no_such_segment(std::nullopt, segment.id));
    CHECK(other.call(Describe{{std::nullopt, segment.id}}).is_error());
    CHECK(other.call(Delete{{std::nullopt, segment.id}}).is_error());
    CHECK_FALSE(creator.call(Describe{{std::nullopt, segment.id}}).is_error());
    std::strcpy(Mapping(made.fds.at(0).get(), 4096, Access::write).data(), "whole");
    auto published = creator.call(Publish{made.value().attachment, "table"});
    CHECK(published.value().segment->state == State::live);
    auto opened = other.call(Open{{"table", std::nullopt}, Access::read});
    CHECK(std::string(Mapping(opened.fds.at(0).get(), 4096, Access::read).data()) == "whole");
    CHECK(creator.call(Publish{made.value().attachment, "again"}).known_error() ==
          Error::invalid_parameter("attachment"));
}

TEST_CASE("a staged segment whose creator goes first leaves nothing") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    {
        RawClient creator(daemon.socket());
        REQUIRE_FALSE(creator.call(staged("later")).is_error());
        CHECK(settled(daemon, 1).status.segments == 1);
    }
    expect_return_to(daemon, before);
}

TEST_CASE("publishing takes a key over when asked to, and readers of the old segment keep it") {
    Daemon daemon;
    RawClient writer(daemon.socket()), reader(daemon.socket());
    auto old_table = writer.call(create("table"));
    std::strcpy(Mapping(old_table.fds.at(0).get(), 4096, Access::write).data(), "old");
    auto held = reader.call(Open{{"table", std::nullopt}, Access::read});
    Mapping view(held.fds.at(0).get(), 4096, Access::read);

    auto new_table = writer.call(staged("table"));
    CHECK(writer.call(Publish{new_table.value().attachment}).known_error() == Error::segment_exists("table"));
    CHECK_FALSE(writer.call(Publish{new_table.value().attachment, std::nullopt, true}).is_error());
    CHECK(std::string(view.data()) == "old");
    CHECK(describe(reader, "table").id == new_table.value().segment.id);
    CHECK(reader.call(Describe{{std::nullopt, held.value().segment.id}}).value().segment->state == State::deleted);
}

TEST_CASE("a waiting Open is answered when the key appears, and its connection's later calls after it") {
    Daemon daemon;
    RawClient waiter(daemon.socket()), creator(daemon.socket());
    waiter.send(Open{{"soon", std::nullopt}, Access::read, 50'000'000});
    waiter.send(Describe{{"soon", std::nullopt}});
    REQUIRE_FALSE(creator.call(create("other")).is_error());
    auto made = creator.call(staged());
    REQUIRE_FALSE(creator.call(Publish{made.value().attachment, "soon"}).is_error());
    auto opened = waiter.receive_reply<Open>();
    CHECK(opened.value().segment.id == made.value().segment.id);
    CHECK(opened.fds.size() == 1);
    CHECK(waiter.receive_reply<Describe>().value().segment->id == made.value().segment.id);
}

TEST_CASE("a waiting Open ends when the time is over, and one for a key that is there does not wait") {
    Daemon daemon;
    RawClient client(daemon.socket());
    CHECK(client.call(Open{{"never", std::nullopt}, Access::read, 1000}).known_error() ==
          Error::no_such_segment("never", std::nullopt));
    REQUIRE_FALSE(client.call(create("a")).is_error());
    CHECK_FALSE(client.call(Open{{"a", std::nullopt}, Access::read, limits::integer}).is_error());
}

TEST_CASE("a client that hangs up while it waits or while its memory is reserved leaves nothing") {
    // Of large memory that was asked for some more is made, which would stay.
    Daemon daemon({.config = R"({"readyBytes": 0})"});
    Snapshot before = settled(daemon);
    {
        RawClient waiter(daemon.socket());
        waiter.send(Open{{"never", std::nullopt}, Access::read, limits::integer});
        Create large = staged();
        large.size_bytes = 256 << 20;
        large.reserve = Reserve::populate;
        RawClient creator(daemon.socket());
        creator.send(large);
        RawClient dying(daemon.socket());
        ChildProcess child([&](Turns& turns) {
            RawClient mine(daemon.socket());
            mine.send(large);
            turns.signal();
            turns.wait();
            return 0;
        });
        child.wait_for_byte();
        child.kill();
    }
    expect_return_to(daemon, before);
}

TEST_CASE("large memory is all there when Create answers") {
    Daemon daemon;
    RawClient client(daemon.socket());
    for (Reserve reserve : {Reserve::allocate, Reserve::populate}) {
        Create call = create("large", (64 << 20) + 5);
        call.reserve = reserve;
        auto made = client.call(call);
        REQUIRE(made.fds.size() == 1);
        Mapping memory(made.fds[0].get(), made.value().segment.size_bytes, Access::write);
        CHECK(std::all_of(memory.bytes().begin(), memory.bytes().end(), [](char c) { return c == 0; }));
        REQUIRE_FALSE(client.call(Delete{{"large", std::nullopt}}).is_error());
    }
}

TEST_CASE("two clients that create one large segment at the same time get one segment") {
    Daemon daemon;
    RawClient one(daemon.socket()), two(daemon.socket()), three(daemon.socket());
    Create call = create("raced", 64 << 20);
    three.send(call);
    call.create_mode = CreateMode::any;
    one.send(call);
    two.send(call);
    auto first = one.receive_reply<Create>();
    auto second = two.receive_reply<Create>();
    auto third = three.receive_reply<Create>();
    CHECK(first.value().segment.id == second.value().segment.id);
    int created = *first.value().created + *second.value().created + !third.is_error();
    CHECK(created == 1);
    CHECK(settled(daemon, 3).status.segments == 1);
}

TEST_CASE("List gives one segment a reply, by prefix, in the order of creation") {
    Daemon daemon;
    RawClient client(daemon.socket());
    for (const char* key : {"b/2", "a/1", "b/1"}) REQUIRE_FALSE(client.call(create(key)).is_error());
    auto all = client.list();
    REQUIRE(all.size() == 3);
    CHECK(all[0].key == "b/2");
    auto some = client.list("b/");
    REQUIRE(some.size() == 2);
    CHECK(some[1].key == "b/1");
    CHECK(client.list("c").empty());
    client.send(List{});
    CHECK(client.receive_reply<List>().known_error().code == ErrorCode::expected_more);
}

TEST_CASE("a long List arrives whole while the client reads slowly and others are served") {
    Daemon daemon;
    RawClient client(daemon.socket()), slow(daemon.socket());
    constexpr int count = 3000;
    for (int i = 0; i < count; i++) REQUIRE_FALSE(client.call(create("k" + std::to_string(i), 1)).is_error());
    slow.send(List{}, {.more = true});
    // The first reply is there and the rest does not fit into the socket: the daemon waits for this client alone.
    REQUIRE_FALSE(slow.receive_reply<List>().is_error());
    CHECK(exists(client, "k0"));
    int received = 1;
    for (bool more = true; more; received++) {
        auto reply = slow.receive_reply<List>();
        REQUIRE(reply.value().segment);
        more = reply.reply.continues;
    }
    CHECK(received == count);
}

TEST_CASE("oneway calls are done and not answered") {
    Daemon daemon;
    RawClient client(daemon.socket());
    client.send(create("a"), {.oneway = true});
    client.send(create("a"), {.oneway = true});
    client.send(List{}, {.oneway = true});
    CHECK(describe(client, "a").key == "a");
}
