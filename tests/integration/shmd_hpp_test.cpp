// <shmd/shmd.hpp> against the real daemon: ownership, types and exceptions. What the calls mean is libshmd_test's.
#include <doctest/doctest.h>
#include <shmd/shmd.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "daemon_fixture.hpp"

using shmd::test::Daemon;
using namespace std::chrono_literals;

namespace {

struct Counters {
    std::atomic<std::uint64_t> started;
    std::uint32_t last;
};

struct TooLarge {
    std::array<std::byte, 4097> bytes;
};

static_assert(std::is_same_v<decltype(std::declval<shmd::Segment>().bytes()), std::span<std::byte>>);
static_assert(std::is_same_v<decltype(std::declval<shmd::ReadOnlySegment>().bytes()), std::span<const std::byte>>);
static_assert(std::is_same_v<decltype(std::declval<shmd::Segment>().as<int>()), int&>);
static_assert(std::is_same_v<decltype(std::declval<shmd::ReadOnlySegment>().as<int>()), const int&>);
static_assert(std::is_same_v<decltype(std::declval<shmd::ReadOnlySegment>().span_of<int>()), std::span<const int>>);
static_assert(shmd::Shareable<Counters> && shmd::Shareable<TooLarge>);
static_assert(!shmd::Shareable<std::string> && !shmd::Shareable<int&> && !shmd::Shareable<std::vector<int>>);
static_assert(!std::is_copy_constructible_v<shmd::Segment> && std::is_nothrow_move_constructible_v<shmd::Segment>);
static_assert(!std::is_copy_constructible_v<shmd::Client> && std::is_nothrow_move_constructible_v<shmd::Client>);
static_assert(!std::is_convertible_v<shmd::ReadOnlySegment, shmd::Segment>);
static_assert(std::is_nothrow_copy_constructible_v<shmd::Error>);

template <typename F>
shmd::Error error_of(F function) {
    try {
        function();
    } catch (const shmd::Error& error) {
        return error;
    }
    shmd::test::fail("nothing was thrown");
}

}  // namespace

TEST_CASE("a struct in shared memory is the same for both clients") {
    Daemon daemon;
    shmd::Client writer(daemon.socket()), reader(daemon.socket());
    auto written = writer.create("app/counters", 4096, {.mode = 0640, .labels = {{"app", "test"}}});
    CHECK(written.created());
    written.as<Counters>().started += 7;
    auto read = reader.open_read("app/counters");
    CHECK(read.as<Counters>().started == 7);
    CHECK(read.size() == 4096);
    CHECK(read.attachment() != written.attachment());
    reader.open_write("app/counters").as<Counters>().last = 5;
    CHECK(written.as<Counters>().last == 5);
    CHECK_THROWS_AS((void)read.as<TooLarge>(), std::out_of_range);

    auto numbers = written.span_of<std::uint64_t>();
    CHECK(numbers.size() == 512);
    numbers[511] = 9;
    CHECK(read.span_of<std::uint64_t>()[511] == 9);
    CHECK(written.bytes().size() == 4096);
    CHECK(static_cast<const void*>(written.bytes().data()) == written.data());
}

TEST_CASE("a segment's grant ends with its owner, and moves with it") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto first = client.create("key", 10);
    {
        auto second = client.open_write("key");
        CHECK(client.describe("key").attachments == 2);
        std::byte* data = second.data();
        shmd::Segment moved = std::move(second);
        CHECK(moved.data() == data);
        CHECK_FALSE(second.is_open());
        CHECK(client.describe("key").attachments == 2);
        first = std::move(moved);
        CHECK(client.describe("key").attachments == 1);
    }
    first.close();
    CHECK_FALSE(first.is_open());
    CHECK(client.describe("key").attachments == 0);

    shmd::Segment adopted(client.open_write("key").release());
    CHECK(client.describe("key").attachments == 1);
    shmd::Client other = std::move(client);
    CHECK(other.describe("key").attachments == 1);
}

TEST_CASE("an error tells the errno value, the Varlink error and what was tried") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    shmd::Error error = error_of([&] { (void)client.open_read("missing"); });
    CHECK(error.code() == std::errc::no_such_file_or_directory);
    CHECK(error.name() == "io.shmd.Segments.NoSuchSegment");
    CHECK(error.parameters() == R"({"key":"missing"})");
    CHECK(std::string_view(error.what()).starts_with("cannot open segment 'missing' for reading: no segment has"));
    shmd::Error copy = error;
    CHECK(copy.name() == error.name());

    CHECK(error_of([&] { (void)shmd::Client(daemon.socket() + ".not"); }).code() == std::errc::connection_refused);
    CHECK(error_of([&] { (void)client.open_read(std::string_view("a\0b", 3)); }).code() == std::errc::invalid_argument);
    CHECK(error_of([&] { (void)client.open_read(nullptr); }).code() == std::errc::invalid_argument);
    CHECK(error_of([&] { (void)client.create("zero", 0); }).name() == "org.varlink.service.InvalidParameter");
    CHECK(error_of([&] { client.delete_segment("missing"); }).code() == std::errc::no_such_file_or_directory);
    CHECK(error_of([&] { client.delete_segment(shmd::Id{1}); }).code() == std::errc::no_such_file_or_directory);
}

TEST_CASE("a key is a text or an integer, and an id is neither") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto segment = client.create(0xff3, 10);
    CHECK(segment.info().key == "sysv:0x00000ff3");
    CHECK(client.describe("sysv:0x00000ff3").id == segment.info().id);
    CHECK(client.describe(std::string("sysv:0x00000ff3")).id == segment.info().id);
    CHECK(client.describe(std::string_view("sysv:0x00000ff3 ").substr(0, 15)).id == segment.info().id);
    CHECK(client.describe(shmd::Id{segment.info().id}).key == "sysv:0x00000ff3");
    CHECK(client.open_read(shmd::Id{segment.info().id}).size() == 10);
    CHECK(client.open_write(shmd::Id{segment.info().id}).size() == 10);
    CHECK(client.create(0xffffffffU, 10).info().key == "sysv:0xffffffff");
    CHECK(client.create(nullptr, 10).info().key.has_value());
    client.delete_segment(0xff3);
    client.delete_segment(-1);
    CHECK(client.list().size() == 1);
}

TEST_CASE("an info is a value, and JSON") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto first = client.create("list/1", 10, {.labels = {{"name", "value"}}});
    client.create("list/2", 20, {.reserve = shmd::Reserve::lazy});
    client.create("other", 30);
    std::vector<shmd::Info> infos = client.list("list/");
    REQUIRE(infos.size() == 2);
    CHECK(infos[0].key == "list/1");
    CHECK(infos[0].size_bytes == 10);
    CHECK(infos[0].mode == 0600);
    CHECK(infos[0].state == shmd::State::live);
    CHECK(infos[0].attachments == 1);
    CHECK(infos[0].labels == shmd::Labels{{"name", "value"}});
    CHECK(infos[0].attached >= infos[0].created);
    CHECK_FALSE(infos[0].expires);
    CHECK(infos[1].detached);
    CHECK(std::chrono::abs(std::chrono::system_clock::now() - infos[0].created) < 24h);
    CHECK(client.list("none").empty());

    shmd_info* plain = nullptr;
    char* json = nullptr;
    REQUIRE(shmd_list(client.get(), "list/", &plain) == 0);
    REQUIRE(shmd_info_list_json(plain, &json) == 0);
    CHECK(to_json(infos) == json);
    std::free(json);
    REQUIRE(shmd_info_json(plain, &json) == 0);
    CHECK(to_json(infos[0]) == json);
    std::free(json);
    shmd_info_free(plain);
    CHECK(to_json(std::vector<shmd::Info>{}) == "[]");
}

TEST_CASE("create opens what is there when it may, also for reading") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto made = client.create("key", 100, {.create_mode = shmd::CreateMode::any});
    auto found = client.create<shmd::Access::read>("key", 1, {.create_mode = shmd::CreateMode::any});
    static_assert(std::is_same_v<decltype(found), shmd::ReadOnlySegment>);
    CHECK(made.created());
    CHECK_FALSE(found.created());
    CHECK(found.size() == 100);
    client.create("passing", 1, {.lifetime = shmd::Lifetime::attached}).close();
    CHECK(client.list("passing").empty());
}

TEST_CASE("publish makes a staged segment visible") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto staged = client.create("key", 10, {.staged = true});
    CHECK(staged.info().state == shmd::State::staged);
    CHECK(client.list().empty());
    staged.publish();
    CHECK(staged.info().key == "key");
    auto next = client.create(nullptr, 20, {.staged = true});
    CHECK(error_of([&] { next.publish("key"); }).code() == std::errc::file_exists);
    next.publish("key", true);
    CHECK(client.describe("key").size_bytes == 20);
}

TEST_CASE("a segment's life is chosen at create and changed later") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    const std::vector<shmd::AclEntry> acl{{shmd::AclEntry::Kind::group, 7, shmd::Access::write}};
    auto segment = client.create("key", 10,
                                 {.lifetime = shmd::Lifetime::lease, .labels = {{"a", "1"}, {"b", "2"}}, .lease = 1h,
                                  .evictable = true, .acl = acl});
    CHECK(segment.info().lease == 1h);
    CHECK(segment.info().acl == acl);
    CHECK(segment.info().evictable);
    CHECK(client.renew("key").expires >= segment.info().expires);
    shmd::Info changed = client.set_attributes(
        "key", {.mode = 0644, .lifetime = shmd::Lifetime::persistent, .evictable = false, .labels = {{"a", "3"}},
                .remove_labels = {"b"}, .acl = std::vector<shmd::AclEntry>{}});
    CHECK(changed.mode == 0644);
    CHECK(changed.lifetime == shmd::Lifetime::persistent);
    CHECK_FALSE(changed.lease);
    CHECK_FALSE(changed.evictable);
    CHECK(changed.labels == shmd::Labels{{"a", "3"}});
    CHECK(changed.acl.empty());
    CHECK(client.set_attributes(shmd::Id{changed.id}, {}).mode == 0644);
    CHECK(error_of([&] { client.renew("key"); }).name() == "io.shmd.Segments.NoLease");
}

TEST_CASE("a sealed segment is handed over for reading") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto writer = client.create("key", sizeof(int));
    writer.as<int>() = 42;
    {
        auto other = client.open_write("key");
        CHECK(error_of([&] { (void)std::move(writer).seal(); }).code() == std::errc::device_or_resource_busy);
        REQUIRE(writer.is_open());
        writer.as<int>()++;
    }
    shmd::ReadOnlySegment sealed = std::move(writer).seal();
    CHECK(sealed.as<int>() == 43);
    CHECK(sealed.info().sealed);
    CHECK(client.open_sealed("key").as<int>() == 43);
    CHECK(client.seal("key").sealed);
    client.create("never", 10, {.sealable = false}).close();
    CHECK(error_of([&] { client.seal("never"); }).name() == "io.shmd.Segments.NotSealable");
}

TEST_CASE("a watch gives events with the segment as it was") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto there = client.create("w/there", 10);
    shmd::Watch watch = client.watch("w/");
    shmd::Event present = watch.next();
    CHECK(present.kind == shmd::EventKind::present);
    CHECK(present.segment->key == "w/there");
    CHECK_FALSE(watch.next().segment);
    CHECK_FALSE(watch.next(0s));
    client.delete_segment("w/there");
    auto deleted = watch.next(1h);
    REQUIRE(deleted);
    CHECK(to_string(deleted->kind) == "deleted");
    CHECK(deleted->segment->state == shmd::State::deleted);
    CHECK(watch.fd() >= 0);
    daemon.kill();
    CHECK(error_of([&] { (void)watch.next(); }).code() == std::errc::connection_reset);
}

TEST_CASE("a wait takes any duration") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    for (auto wait : {0us, 1us, -5us}) {
        CHECK(error_of([&] { (void)client.open_read("late", wait); }).code() == std::errc::no_such_file_or_directory);
    }
    CHECK(error_of([&] { (void)client.open_write("late", std::chrono::duration<double>(1e-6)); }).name() ==
          "io.shmd.Segments.NoSuchSegment");
    std::thread creator([&] { shmd::Client(daemon.socket()).create("late", 10); });
    CHECK(client.open_read("late", std::chrono::hours::max()).size() == 10);
    creator.join();
    CHECK(client.open_write("late", 1s).size() == 10);
}

TEST_CASE("the control socket answers calls by name") {
    Daemon daemon;
    shmd::Client control = shmd::Client::control(daemon.control_socket());
    CHECK(control.socket_path() == daemon.control_socket());
    CHECK(control.call("io.shmd.Control.GetStatus").find("\"segments\":0,") != std::string::npos);
    CHECK(error_of([&] { (void)control.call("io.shmd.Control.Nothing"); }).name() ==
          "org.varlink.service.MethodNotFound");
    CHECK(shmd::version() == SHMD_VERSION);
}

TEST_CASE("locks are held by objects, and tell of a dead owner") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    struct Pair {
        long first, second;
    };
    shmd::Segment segment = client.create("locked", sizeof(Pair));
    shmd::Segment other = client.open_write("locked");
    shmd::ReadOnlySegment reader = client.open_read("locked");
    {
        shmd::MutexLock lock = segment.lock();
        CHECK_FALSE(lock.owner_died());
        CHECK_FALSE(other.try_lock());
        CHECK_FALSE(other.lock_for(1ms));
        shmd::MutexLock moved = std::move(lock);
        CHECK_FALSE(other.try_lock());
        moved.unlock();
        CHECK(other.try_lock());
    }
    CHECK(other.try_lock());
    {
        auto one = segment.read_lock();
        auto two = other.read_lock_for(1h);
        CHECK(two);
        CHECK_FALSE(other.write_lock_for(1ms));
    }
    { auto writer = segment.write_lock(); }
    {
        auto section = segment.write_section();
        segment.as<Pair>() = {1, 1};
    }
    CHECK(reader.snapshot<Pair>().second == 1);
    CHECK(reader.read_consistent([&] { return reader.as<Pair>().first + reader.as<Pair>().second; }) == 2);
    {
        auto section = segment.write_section();
        CHECK(error_of([&] { (void)reader.snapshot<Pair>(1ms); }).code() == std::errc::timed_out);
    }
    CHECK(reader.version() == 0);
    CHECK_FALSE(reader.wait_for(0, 1ms));
    CHECK(segment.notify() == 1);
    CHECK(reader.wait(0) == 1);
    CHECK(reader.notification_fd() >= 0);
    {
        shmd::Segment dying = client.open_write("locked");
        CHECK(shmd_lock(dying.get(), 0) == 0);
    }
    auto after = segment.lock_for(1h);
    REQUIRE(after);
    CHECK(after->owner_died());
    after->make_consistent();
    after->unlock();
    CHECK_FALSE(segment.lock().owner_died());
}
