// The functions of shmd.h against the real daemon: what each gives. How they fail is libshmd_refusal_test's.
#include <doctest/doctest.h>
#include <shmd/shmd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "libshmd_handles.hpp"

using namespace shmd::test;

namespace {

std::string last_name() {
    return shmd_last_error()->name;
}

std::string last_message() {
    return shmd_last_error()->message;
}

}  // namespace

TEST_CASE("what one client writes another one reads") {
    Daemon daemon;
    Client writer(daemon), reader(daemon);
    Segment written = writer.create("app/greeting", 5000);
    CHECK(shmd_created(written.get()));
    CHECK(shmd_size(written.get()) == 5000);
    CHECK(shmd_segment_access(written.get()) == SHMD_WRITE);
    CHECK(reinterpret_cast<std::uintptr_t>(written.data()) % 4096 == 0);
    for (std::size_t i = 0; i < 5000; i++) REQUIRE(written.data()[i] == 0);
    std::strcpy(written.data(), "hello");
    written.data()[4999] = '!';

    Segment read = reader.open("app/greeting", SHMD_READ);
    CHECK_FALSE(shmd_created(read.get()));
    CHECK(shmd_segment_access(read.get()) == SHMD_READ);
    CHECK(std::string(read.data()) == "hello");
    CHECK(read.data()[4999] == '!');
    CHECK(shmd_attachment(read.get()) != 0);
    CHECK(shmd_attachment(read.get()) != shmd_attachment(written.get()));
}

TEST_CASE("a write to a segment that was opened for reading is a segmentation fault") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 100);
    ChildProcess child([&](Turns&) {
        std::signal(SIGSEGV, SIG_DFL);
        rlimit no_core{};
        ::setrlimit(RLIMIT_CORE, &no_core);
        Segment read = Client(daemon).open("key", SHMD_READ);
        *const_cast<volatile char*>(read.data()) = 'x';
        return 0;
    });
    CHECK(child.wait() == 128 + SIGSEGV);
}

TEST_CASE("an info says what was asked for at creation, in C and in JSON") {
    Daemon daemon;
    Client client(daemon);
    const std::array<shmd_label, 2> labels{shmd_label{"app", "test \xc3\xa4"}, {"b", ""}};
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.mode = 0640;
    options.labels = labels.data();
    options.label_count = labels.size();
    Segment segment = client.create("key", 123, &options);
    const shmd_info* info = shmd_segment_info(segment.get());
    CHECK(info->next == nullptr);
    CHECK(std::string(info->key) == "key");
    CHECK(info->size_bytes == 123);
    CHECK(info->mode == 0640);
    CHECK(info->owner_uid == ::geteuid());
    CHECK(info->owner_gid == ::getegid());
    CHECK(info->creator_uid == ::geteuid());
    CHECK(info->creator_gid == ::getegid());
    CHECK(info->creator_pid == ::getpid());
    CHECK(info->state == SHMD_LIVE);
    CHECK_FALSE(info->sealed);
    CHECK(info->attachments == 1);
    CHECK(info->created_usec > 0);
    CHECK(info->attached_usec >= info->created_usec);
    CHECK(info->detached_usec == -1);
    CHECK(info->expires_usec == -1);
    REQUIRE(info->label_count == 2);
    CHECK(std::string(info->labels[0].name) == "app");
    CHECK(std::string(info->labels[0].value) == "test \xc3\xa4");
    CHECK(std::string(info->labels[1].name) == "b");

    char* json = nullptr;
    REQUIRE(shmd_info_json(info, &json) == 0);
    CHECK(std::string_view(json).starts_with("{\n  \"id\": " + std::to_string(info->id) + ",\n  \"key\": \"key\",\n"));
    CHECK(std::string_view(json).find("\"detachedUsec\": null") != std::string_view::npos);
    CHECK(std::string_view(json).find("\"app\": \"test \xc3\xa4\"") != std::string_view::npos);
    std::free(json);
    REQUIRE(shmd_info_list_json(nullptr, &json) == 0);
    CHECK(std::string(json) == "[]");
    std::free(json);
}

TEST_CASE("a key is made up when none is given, another one each time") {
    Daemon daemon;
    Client client(daemon);
    Segment first = client.create(nullptr, 1), second = client.create(nullptr, 1);
    std::string key = shmd_segment_info(first.get())->key;
    CHECK(key != shmd_segment_info(second.get())->key);
    client.open(key.c_str(), SHMD_READ);
}

TEST_CASE("create with `any` opens what is there, of its own size") {
    Daemon daemon;
    Client client(daemon);
    shmd_create_options any = SHMD_CREATE_OPTIONS_INIT;
    any.create_mode = SHMD_CREATE_ANY;
    Segment made = client.create("key", 100, &any);
    CHECK(shmd_created(made.get()));
    any.access = SHMD_READ;
    Segment found = client.create("key", 10, &any);
    CHECK_FALSE(shmd_created(found.get()));
    CHECK(shmd_size(found.get()) == 100);
    CHECK(shmd_segment_access(found.get()) == SHMD_READ);

    shmd_segment* none = nullptr;
    CHECK(shmd_create(client.get(), "key", 101, &any, &none) == -ERANGE);
    CHECK(last_name() == "io.shmd.Segments.SizeMismatch");
    CHECK(last_message() == "cannot create segment 'key' of 101 bytes: the existing segment has only 100 bytes");
}

TEST_CASE("every way to reserve gives memory that holds what is written") {
    Daemon daemon;
    Client client(daemon);
    for (shmd_reserve reserve : {SHMD_RESERVE_ALLOCATE, SHMD_RESERVE_POPULATE, SHMD_RESERVE_LAZY}) {
        shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
        options.reserve = reserve;
        Segment segment = client.create(nullptr, 1 << 20, &options);
        std::memset(segment.data(), 'x', 1 << 20);
        CHECK(segment.data()[(1 << 20) - 1] == 'x');
    }
}

TEST_CASE("closing a segment ends its grant: the next call of the same client sees it ended") {
    Daemon daemon;
    Snapshot before = settled(daemon);
    {
        Client client(daemon);
        Segment kept = client.create("key", 10);
        for (int i = 0; i < 1000; i++) {
            Segment opened = client.open("key", SHMD_READ);
            REQUIRE(client.attachments("key") == 2);
            opened.close();
            REQUIRE(client.attachments("key") == 1);
        }
        CHECK(shmd_delete(client.get(), "key") == 0);
    }
    expect_return_to(daemon, before);
}

TEST_CASE("a segment outlives its client, and its grant ends with it") {
    Daemon daemon;
    Client other(daemon);
    Client client(daemon);
    Segment segment = client.create("key", 10);
    client.disconnect();
    segment.data()[9] = 'x';
    CHECK(other.attachments("key") == 1);
    segment.close();
    settled(daemon, 1);
    CHECK(other.attachments("key") == 0);
    CHECK(other.open("key", SHMD_READ).data()[9] == 'x');
}

TEST_CASE("a deleted segment loses its key at once and keeps its memory") {
    Daemon daemon;
    Client client(daemon);
    Segment old = client.create("key", 10);
    std::int64_t id = shmd_segment_info(old.get())->id;
    old.data()[0] = 'o';
    REQUIRE(shmd_delete(client.get(), "key") == 0);
    Segment fresh = client.create("key", 20);
    CHECK(fresh.data()[0] == 0);
    CHECK(old.data()[0] == 'o');

    shmd_segment* by_id = nullptr;
    REQUIRE(shmd_open_id(client.get(), id, SHMD_READ, &by_id) == 0);
    CHECK(*static_cast<char*>(shmd_data(by_id)) == 'o');
    shmd_close(by_id);
    shmd_info* info = nullptr;
    REQUIRE(shmd_describe_id(client.get(), id, &info) == 0);
    CHECK(info->state == SHMD_DELETED);
    CHECK(info->key == nullptr);
    shmd_info_free(info);
    CHECK(shmd_delete_id(client.get(), shmd_segment_info(fresh.get())->id) == 0);
    CHECK(shmd_describe(client.get(), "key", &info) == -ENOENT);
}

TEST_CASE("a list holds the segments with this beginning, in the order of their creation") {
    Daemon daemon;
    Client client(daemon);
    CHECK(client.keys(nullptr).empty());
    for (const char* key : {"b/2", "a", "b/1", "b"}) client.create(key, 1);
    CHECK(client.keys(nullptr) == std::vector<std::string>{"b/2", "a", "b/1", "b"});
    CHECK(client.keys("b/") == std::vector<std::string>{"b/2", "b/1"});
    CHECK(client.keys("c").empty());
    shmd_info* none = nullptr;
    CHECK(shmd_list(client.get(), "/", &none) == -EINVAL);
    for (int i = 0; i < 2000; i++) client.create(("many/" + std::to_string(i)).c_str(), 1);
    CHECK(client.keys("many/").size() == 2000);
}

TEST_CASE("a staged segment is invisible until it is published") {
    Daemon daemon;
    Client client(daemon), other(daemon);
    shmd_create_options staged = SHMD_CREATE_OPTIONS_INIT;
    staged.staged = 1;
    Segment segment = client.create("key", 10, &staged);
    const shmd_info* before = shmd_segment_info(segment.get());
    CHECK(before->state == SHMD_STAGED);
    CHECK(other.keys(nullptr).empty());
    segment.data()[0] = 'x';
    REQUIRE(shmd_publish(segment.get(), nullptr, 0) == 0);
    CHECK(shmd_segment_info(segment.get())->state == SHMD_LIVE);
    CHECK(std::string(shmd_segment_info(segment.get())->key) == "key");
    CHECK(before->state == SHMD_STAGED);  // still valid memory
    Segment read = other.open("key", SHMD_READ);
    CHECK(read.data()[0] == 'x');

    Segment next = client.create(nullptr, 20, &staged);
    CHECK(shmd_publish(next.get(), "key", 0) == -EEXIST);
    CHECK(last_message().starts_with("cannot publish the segment: the key 'key' is taken"));
    CHECK(shmd_publish(next.get(), "key\xff", 0) == -EINVAL);
    REQUIRE(shmd_publish(next.get(), "key", 1) == 0);
    CHECK(shmd_size(other.open("key", SHMD_READ).get()) == 20);
    CHECK(read.data()[0] == 'x');

    client.create("dropped", 10, &staged).close();
    CHECK(shmd_publish(segment.get(), nullptr, 0) == -EINVAL);
}

TEST_CASE("a segment that lasts while attached goes with its last grant") {
    Daemon daemon;
    Client client(daemon);
    shmd_create_options attached = SHMD_CREATE_OPTIONS_INIT;
    attached.lifetime = SHMD_LIFETIME_ATTACHED;
    Segment first = client.create("key", 10, &attached);
    Segment second = client.open("key", SHMD_READ);
    first.close();
    CHECK(client.keys(nullptr).size() == 1);
    second.close();
    CHECK(client.keys(nullptr).empty());
}

TEST_CASE("an integer key is the same segment as its text") {
    Daemon daemon;
    Client client(daemon);
    std::array<char, SHMD_KEY_SIZE> key{};
    shmd_sysv_key(0xff3, key.data());
    CHECK(std::string(key.data()) == "sysv:0x00000ff3");
    shmd_sysv_key(-1, key.data());
    CHECK(std::string(key.data()) == "sysv:0xffffffff");
    client.create(key.data(), 1);
    client.open("sysv:0xffffffff", SHMD_READ);
}

TEST_CASE("any method can be called by name, on both sockets") {
    Daemon daemon;
    Client client(daemon);
    client.create("key", 77);
    char* reply = nullptr;
    REQUIRE(shmd_call(client.get(), "io.shmd.Segments.Describe", R"({"key": "key"})", &reply) == 0);
    CHECK(std::string(reply).find(R"("sizeBytes":77)") != std::string::npos);
    std::free(reply);
    CHECK(shmd_call(client.get(), "io.shmd.Segments.Nothing", nullptr, &reply) == -ENOTSUP);
    CHECK(last_name() == "org.varlink.service.MethodNotFound");
    CHECK(shmd_call(client.get(), "io.shmd.Nothing.Nothing", nullptr, &reply) == -ENOTSUP);
    CHECK(shmd_call(client.get(), "io.shmd.Segments.List", nullptr, &reply) == -EINVAL);
    CHECK(last_name() == "org.varlink.service.ExpectedMore");

    shmd_client* control = nullptr;
    REQUIRE(shmd_connect_control(daemon.control_socket().c_str(), &control) == 0);
    REQUIRE(shmd_call(control, "io.shmd.Control.GetStatus", "{}", &reply) == 0);
    CHECK(std::string(reply).find(R"("segments":1,)") != std::string::npos);
    std::free(reply);
    shmd_disconnect(control);
}

TEST_CASE("without a path the environment says where the daemon is") {
    Daemon daemon;
    ::setenv("SHMD_SOCKET", daemon.socket().c_str(), 1);
    shmd_client* client = nullptr;
    REQUIRE(shmd_connect(nullptr, &client) == 0);
    CHECK(shmd_socket_path(client) == daemon.socket());
    shmd_disconnect(client);
    REQUIRE(shmd_connect_control(nullptr, &client) == 0);
    CHECK(shmd_socket_path(client) == daemon.control_socket());
    shmd_disconnect(client);
    ::unsetenv("SHMD_SOCKET");
}
