// How the functions of shmd.h fail, against the real daemon: the value, the Varlink error, and the words.
#include <doctest/doctest.h>
#include <shmd/shmd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "daemon_fixture.hpp"
#include "libshmd_handles.hpp"

using namespace shmd::test;

namespace {

constexpr uid_t alice = 61001;
constexpr gid_t alice_group = 62001;

std::string last_name() {
    return shmd_last_error()->name;
}
std::string last_message() {
    return shmd_last_error()->message;
}

// A value that is none of the enum's, as a C program may pass it.
template <typename E>
void set_raw(E& enumerator, unsigned value) {
    static_assert(sizeof enumerator == sizeof value);
    std::memcpy(&enumerator, &value, sizeof value);
}

DaemonOptions with_config(std::string config) {
    DaemonOptions options;
    options.config = std::move(config);
    return options;
}

}  // namespace

TEST_CASE("each refusal has its errno value, its Varlink name and words for people") {
    Daemon daemon(with_config(R"({"limits": {"segments": 2}})"));
    Client client(daemon);
    Segment segment = client.create("key", 10);
    shmd_segment* none = nullptr;
    shmd_info* info = nullptr;

    CHECK(shmd_open(client.get(), "missing", SHMD_WRITE, &none) == -ENOENT);
    CHECK(last_name() == "io.shmd.Segments.NoSuchSegment");
    CHECK(std::string(shmd_last_error()->parameters) == R"({"key":"missing"})");
    CHECK(last_message() == "cannot open segment 'missing' for writing: no segment has this key");
    CHECK(shmd_last_error()->code == -ENOENT);
    CHECK(shmd_open_id(client.get(), 1, SHMD_READ, &none) == -ENOENT);
    CHECK(last_message() == "cannot open segment 1 for reading: no segment has this id");
    CHECK(shmd_describe(client.get(), "missing", &info) == -ENOENT);
    CHECK(shmd_describe_id(client.get(), 1, &info) == -ENOENT);
    CHECK(shmd_delete(client.get(), "missing") == -ENOENT);
    CHECK(shmd_delete_id(client.get(), 1) == -ENOENT);

    CHECK(shmd_create(client.get(), "key", 10, nullptr, &none) == -EEXIST);
    CHECK(last_name() == "io.shmd.Segments.SegmentExists");
    CHECK(shmd_create(client.get(), "", 10, nullptr, &none) == -EINVAL);
    CHECK(last_name() == "io.shmd.Segments.InvalidKey");
    CHECK(shmd_open(client.get(), "bad\xff", SHMD_READ, &none) == -EINVAL);
    CHECK(last_name() == "io.shmd.Segments.InvalidKey");
    CHECK(shmd_create(client.get(), "zero", 0, nullptr, &none) == -EINVAL);
    CHECK(last_name() == "org.varlink.service.InvalidParameter");
    CHECK(std::string(shmd_last_error()->parameters) == R"({"parameter":"sizeBytes"})");

    Segment second = client.create(nullptr, 10);
    CHECK(shmd_create(client.get(), "third", 10, nullptr, &none) == -EDQUOT);
    CHECK(last_name() == "io.shmd.Segments.QuotaExceeded");
    CHECK(last_message().find("the limit of 2 on segments") != std::string::npos);
    CHECK(none == nullptr);
    CHECK(info == nullptr);
}

TEST_CASE("more memory than there is is ENOMEM") {
    Daemon daemon(with_config(R"({"limits": {"bytes": "8000T"}})"));
    Client client(daemon);
    shmd_segment* none = nullptr;
    CHECK(shmd_create(client.get(), nullptr, std::uint64_t{1} << 50, nullptr, &none) == -ENOMEM);
    CHECK(last_name() == "io.shmd.Segments.OutOfMemory");
}

TEST_CASE("arguments that are none are EINVAL without asking the daemon") {
    Daemon daemon;
    Client client(daemon);
    shmd_client* no_client = nullptr;
    shmd_segment* none = nullptr;
    shmd_info* info = nullptr;
    char* text = nullptr;
    CHECK(shmd_connect(daemon.socket().c_str(), nullptr) == -EINVAL);
    CHECK(shmd_connect("", &no_client) == -EINVAL);
    CHECK(shmd_open(nullptr, "key", SHMD_READ, &none) == -EINVAL);
    CHECK(shmd_open(client.get(), nullptr, SHMD_READ, &none) == -EINVAL);
    CHECK(shmd_open(client.get(), "key", SHMD_READ, nullptr) == -EINVAL);
    CHECK(shmd_open_wait(client.get(), "key", SHMD_READ, -2, &none) == -EINVAL);
    CHECK(shmd_publish(nullptr, "key", 0) == -EINVAL);
    CHECK(shmd_describe(client.get(), nullptr, &info) == -EINVAL);
    CHECK(shmd_list(client.get(), nullptr, nullptr) == -EINVAL);
    CHECK(shmd_info_json(nullptr, &text) == -EINVAL);
    CHECK(shmd_delete(client.get(), nullptr) == -EINVAL);
    CHECK(shmd_call(client.get(), nullptr, nullptr, &text) == -EINVAL);
    CHECK(shmd_call(client.get(), "a.B", "[]", &text) == -EINVAL);
    CHECK(shmd_create(client.get(), "key", (std::uint64_t{1} << 53), nullptr, &none) == -EINVAL);
    CHECK(shmd_create(client.get(), "key", UINT64_MAX, nullptr, &none) == -EINVAL);
    shmd_disconnect(nullptr);
    shmd_close(nullptr);
    shmd_info_free(nullptr);
}

TEST_CASE("options of another version: shorter ones get defaults, longer ones must be zero where they are unknown") {
    Daemon daemon;
    Client client(daemon);
    struct Later {
        shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
        std::uint64_t later = 0;
    } later;
    later.options.struct_size = sizeof later;
    client.create("longer", 1, &later.options);
    later.later = 1;
    shmd_segment* none = nullptr;
    CHECK(shmd_create(client.get(), "unknown", 1, &later.options, &none) == -EINVAL);
    shmd_create_options options{};
    CHECK(shmd_create(client.get(), "not begun with INIT", 1, &options, &none) == -EINVAL);

    auto refused = [&](auto change) {
        shmd_create_options changed = SHMD_CREATE_OPTIONS_INIT;
        change(changed);
        return shmd_create(client.get(), "refused", 1, &changed, &none) == -EINVAL;
    };
    const shmd_label no_value{"name", nullptr};
    CHECK(refused([](auto& o) { o.mode = 01000; }));
    CHECK(refused([](auto& o) { set_raw(o.create_mode, 2); }));
    CHECK(refused([](auto& o) { set_raw(o.access, 2); }));
    CHECK(refused([](auto& o) { set_raw(o.reserve, 3); }));
    CHECK(refused([](auto& o) { set_raw(o.lifetime, 4); }));
    CHECK(refused([](auto& o) { o.label_count = 1; }));
    CHECK(refused([&](auto& o) { o.labels = &no_value, o.label_count = 1; }));
}

TEST_CASE("a socket that nobody serves is ECONNREFUSED, and the message says where it was looked for") {
    TemporaryDirectory directory;
    std::string missing = directory.path() / "missing";
    shmd_client* client = nullptr;
    CHECK(shmd_connect(missing.c_str(), &client) == -ECONNREFUSED);
    CHECK(last_name().empty());
    CHECK(std::string(shmd_last_error()->parameters) == "{}");
    CHECK(last_message().find(missing) != std::string::npos);
    CHECK(last_message().find("start shmd") != std::string::npos);

    Daemon daemon;
    daemon.kill();
    CHECK(shmd_connect(daemon.socket().c_str(), &client) == -ECONNREFUSED);
    CHECK(shmd_connect((directory.path() / std::string(200, 'x')).c_str(), &client) == -ENAMETOOLONG);
    CHECK(client == nullptr);
}

TEST_CASE("the last error is each thread's own, and a call that succeeds leaves it") {
    Daemon daemon;
    Client client(daemon);
    shmd_segment* none = nullptr;
    CHECK(shmd_open(client.get(), "missing", SHMD_READ, &none) == -ENOENT);
    int other_code = 1;
    std::thread([&] { other_code = shmd_last_error()->code; }).join();
    CHECK(other_code == 0);
    client.create("key", 1);
    CHECK(shmd_last_error()->code == -ENOENT);
}

TEST_CASE("a call may fail at the very end of its thread") {
    Daemon daemon;
    static Client* client = nullptr;
    struct Late {
        ~Late() {
            shmd_segment* none = nullptr;
            if (shmd_open(client->get(), "missing", SHMD_READ, &none) != -ENOENT) ::_exit(1);
            if (shmd_last_error()->code != -ENOENT || !*shmd_last_error()->message) ::_exit(2);
        }
    };
    ChildProcess child([&](Turns&) -> int {
        client = new Client(daemon);
        std::thread([] {
            thread_local Late before_the_texts;
            (void)&before_the_texts;
            shmd_segment* none = nullptr;
            (void)shmd_open(client->get(), "missing", SHMD_READ, &none);
        }).join();
        return 0;
    });
    CHECK(child.wait() == 0);
}

TEST_CASE("other users are refused what the mode does not give them" * doctest::skip(!is_root())) {
    Daemon daemon;
    Client client(daemon);
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.mode = 0604;
    Segment segment = client.create("key", 10, &options);
    CHECK(run_as(alice, alice_group, {}, [&] {
              Client other(daemon);
              shmd_segment* opened = nullptr;
              if (shmd_open(other.get(), "key", SHMD_WRITE, &opened) != -EACCES) return 1;
              if (last_name() != "org.varlink.service.PermissionDenied") return 2;
              if (last_message().find("user 61001 is not allowed to") == std::string::npos) return 3;
              if (shmd_delete(other.get(), "key") != -EACCES) return 4;
              if (shmd_open(other.get(), "key", SHMD_READ, &opened) != 0) return 5;
              shmd_close(opened);
              return 0;
          }) == 0);
}

TEST_CASE("a user over the limit of connections is told so at the first call" * doctest::skip(!is_root())) {
    Daemon daemon(with_config(R"({"limits": {"perUid": {"connections": 2}}})"));
    CHECK(run_as(alice, alice_group, {}, [&] {
              Client first(daemon), second(daemon);
              Segment segment = first.create("key", 1);
              if (second.attachments("key") != 1) return 1;
              Client third(daemon);
              shmd_info* info = nullptr;
              if (shmd_describe(third.get(), "key", &info) != -EDQUOT) return 2;
              if (last_name() != "io.shmd.Segments.QuotaExceeded") return 3;
              if (last_message().find("2 on connections") == std::string::npos) return 4;
              return 0;
          }) == 0);
}
