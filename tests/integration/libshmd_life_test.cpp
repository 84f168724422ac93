// What libshmd does with a segment's life, against the real daemon: lifetimes, leases, attributes, seals, and watches.
#include <doctest/doctest.h>
#include <poll.h>
#include <shmd/shmd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon_fixture.hpp"
#include "libshmd_handles.hpp"

using namespace shmd::test;

namespace {

constexpr uid_t alice = 61001, bob = 61002;

std::string last_name() {
    return shmd_last_error()->name;
}
std::string last_message() {
    return shmd_last_error()->message;
}

using InfoOwner = std::unique_ptr<shmd_info, decltype(&shmd_info_free)>;

// A call that takes a key and gives the segment.
template <typename Function, typename... Arguments>
InfoOwner info_of(Function function, Client& client, const char* key, Arguments... arguments) {
    shmd_info* info = nullptr;
    if (function(client.get(), key, arguments..., &info) != 0) fail(last_message());
    return {info, shmd_info_free};
}

class Watch {
  public:
    Watch(const Client& client, const char* prefix) {
        if (shmd_watch_open(client.get(), prefix, &watch_) != 0) fail(last_message());
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { shmd_watch_close(watch_); }

    [[nodiscard]] shmd_watch* get() const { return watch_; }

    // "created app/key"; waits for it.
    std::string next() {
        const shmd_event* event = nullptr;
        if (shmd_watch_next(watch_, -1, &event) != 0) fail(last_message());
        std::string text = shmd_event_name(event->kind);
        if (event->segment && event->segment->key) text += std::string(" ") + event->segment->key;
        return text;
    }
    // How it ends when nothing has come.
    int at_once() {
        const shmd_event* event = nullptr;
        return shmd_watch_next(watch_, 0, &event);
    }

  private:
    shmd_watch* watch_ = nullptr;
};

}  // namespace

TEST_CASE("options and attributes of a segment's life come back in its info") {
    Daemon daemon;
    Client client(daemon);
    shmd_acl_entry acl[] = {{SHMD_ACL_USER, alice, SHMD_WRITE}, {SHMD_ACL_GROUP, 7, SHMD_READ}};
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.lifetime = SHMD_LIFETIME_LEASE;
    options.lease_usec = 3600'000'000;
    options.evictable = 1;
    options.acl = acl;
    options.acl_count = 2;
    Segment segment = client.create("key", 10, &options);
    const shmd_info* info = shmd_segment_info(segment.get());
    CHECK(info->lifetime == SHMD_LIFETIME_LEASE);
    CHECK(info->lease_usec == 3600'000'000);
    CHECK(info->expires_usec > info->created_usec);
    CHECK(info->evictable == 1);
    REQUIRE(info->acl_count == 2);
    CHECK(info->acl[0].kind == SHMD_ACL_USER);
    CHECK(info->acl[0].id == alice);
    CHECK(info->acl[0].access == SHMD_WRITE);
    CHECK(info->acl[1].kind == SHMD_ACL_GROUP);
    CHECK(info_of(shmd_renew, client, "key")->expires_usec >= info->expires_usec);

    const char* unwanted[] = {"none"};
    shmd_label label{"name", "value"};
    shmd_attributes change = SHMD_ATTRIBUTES_INIT;
    change.set = SHMD_SET_MODE | SHMD_SET_OWNER_UID | SHMD_SET_LIFETIME | SHMD_SET_EVICTABLE | SHMD_SET_LABELS |
                 SHMD_REMOVE_LABELS | SHMD_SET_ACL;
    change.mode = 0640;
    change.owner_uid = ::getuid();
    change.lifetime = SHMD_LIFETIME_PERSISTENT;
    change.labels = &label;
    change.label_count = 1;
    change.remove_labels = unwanted;
    change.remove_label_count = 1;
    InfoOwner changed = info_of(shmd_set_attributes, client, "key", &change);
    CHECK(changed->mode == 0640);
    CHECK(changed->lifetime == SHMD_LIFETIME_PERSISTENT);
    CHECK(changed->lease_usec == -1);
    CHECK(changed->expires_usec == -1);
    CHECK(changed->evictable == 0);
    CHECK(changed->acl_count == 0);
    REQUIRE(changed->label_count == 1);
    CHECK(std::string(changed->labels[0].value) == "value");

    CHECK(shmd_renew(client.get(), "key", nullptr) == -EBADFD);
    CHECK(last_name() == "io.shmd.Segments.NoLease");
    CHECK(shmd_renew_id(client.get(), 1, nullptr) == -ENOENT);
    CHECK(shmd_set_attributes_id(client.get(), info->id, &change, nullptr) == 0);
    change.set = 0x80000000u;
    CHECK(shmd_set_attributes(client.get(), "key", &change, nullptr) == -EINVAL);
    change.set = SHMD_SET_MODE;
    change.mode = 01000;
    CHECK(shmd_set_attributes(client.get(), "key", &change, nullptr) == -EINVAL);
    change.struct_size = 4;
    CHECK(shmd_set_attributes(client.get(), "key", &change, nullptr) == -EINVAL);
    CHECK(shmd_set_attributes(client.get(), nullptr, &change, nullptr) == -EINVAL);
}

TEST_CASE("entries give others what the mode denies, and only the owner may change them" * doctest::skip(!is_root())) {
    Daemon daemon;
    Client client(daemon);
    shmd_acl_entry entry{SHMD_ACL_USER, alice, SHMD_READ};
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.acl = &entry;
    options.acl_count = 1;
    Segment segment = client.create("key", 10, &options);
    auto as = [&](uid_t uid, shmd_access access) {
        return run_as(uid, uid, {}, [&] {
            Client own(daemon);
            shmd_segment* opened = nullptr;
            int result = shmd_open(own.get(), "key", access, &opened);
            shmd_close(opened);
            shmd_attributes change = SHMD_ATTRIBUTES_INIT;
            change.set = SHMD_SET_MODE;
            if (shmd_set_attributes(own.get(), "key", &change, nullptr) != -EACCES) return 99;
            return -result;
        });
    };
    CHECK(as(alice, SHMD_READ) == 0);
    CHECK(as(alice, SHMD_WRITE) == EACCES);
    CHECK(as(bob, SHMD_READ) == EACCES);
}

TEST_CASE("a segment that this process writes is sealed in place, and stays writable when it cannot be") {
    Daemon daemon;
    Client client(daemon), other(daemon);
    Segment segment = client.create("key", 5000);
    std::strcpy(segment.data(), "final");
    char* before = segment.data();
    shmd_segment* none = nullptr;
    CHECK(shmd_open_sealed(client.get(), "key", &none) == -EBADFD);
    CHECK(last_name() == "io.shmd.Segments.NotSealed");
    CHECK(shmd_seal(other.get(), "key", nullptr) == -EBUSY);
    CHECK(last_name() == "io.shmd.Segments.SegmentBusy");
    CHECK(last_message().find(std::to_string(::getpid())) != std::string::npos);

    {
        Segment writer = other.open("key", SHMD_WRITE);
        CHECK(shmd_seal_segment(segment.get()) == -EBUSY);
        CHECK(shmd_segment_access(segment.get()) == SHMD_WRITE);
        CHECK(segment.data() == before);
        segment.data()[0] = 'F';
        CHECK(writer.data()[0] == 'F');
        CHECK(client.attachments("key") == 2);
    }
    CHECK(other.attachments("key") == 1);  // and so the daemon has heard of the end
    REQUIRE(shmd_seal_segment(segment.get()) == 0);
    CHECK(segment.data() == before);
    CHECK(std::string(segment.data()) == "Final");
    CHECK(shmd_segment_access(segment.get()) == SHMD_READ);
    CHECK(shmd_segment_info(segment.get())->sealed == 1);
    CHECK(client.attachments("key") == 1);
    CHECK(shmd_seal_segment(segment.get()) == 0);  // it is

    REQUIRE(shmd_open_sealed(other.get(), "key", &none) == 0);
    Segment opened(none);
    CHECK(std::string(opened.data()) == "Final");
    shmd_segment* refused = nullptr;
    CHECK(shmd_open(other.get(), "key", SHMD_WRITE, &refused) == -EROFS);
    CHECK(last_name() == "io.shmd.Segments.SegmentSealed");
    REQUIRE(shmd_open_sealed_id(other.get(), shmd_segment_info(opened.get())->id, &refused) == 0);
    shmd_close(refused);
}

TEST_CASE("what was created not to be sealed cannot be") {
    Daemon daemon;
    Client client(daemon);
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.sealable = 0;
    Segment segment = client.create("key", 10, &options);
    CHECK(shmd_seal_segment(segment.get()) == -EBADFD);
    CHECK(last_name() == "io.shmd.Segments.NotSealable");
    segment.data()[0] = 'x';
}

TEST_CASE("a child cannot seal its parent's segment, nor go on with its watch") {
    Daemon daemon;
    Client client(daemon);
    Segment segment = client.create("key", 10);
    Watch watch(client, nullptr);
    ChildProcess child([&](Turns&) {
        const shmd_event* event = nullptr;
        bool refused = shmd_seal_segment(segment.get()) == -EPERM && shmd_watch_next(watch.get(), -1, &event) == -EPERM;
        return refused ? 0 : 1;
    });
    CHECK(child.wait() == 0);
    CHECK(watch.next() == "present key");
    CHECK(watch.next() == "ready");
}

TEST_CASE("a watch tells what is there and what happens") {
    Daemon daemon;
    Client client(daemon);
    Segment there = client.create("w/there", 10);
    Segment beside = client.create("beside", 10);
    Watch watch(client, "w/");
    CHECK(watch.next() == "present w/there");
    CHECK(watch.next() == "ready");
    CHECK(watch.at_once() == -ETIMEDOUT);
    pollfd readable{shmd_watch_fd(watch.get()), POLLIN, 0};
    CHECK(::poll(&readable, 1, 0) == 0);

    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.staged = 1;
    Segment staged = client.create("w/there", 10, &options);
    REQUIRE(shmd_publish(staged.get(), nullptr, 1) == 0);
    CHECK(::poll(&readable, 1, -1) == 1);
    CHECK(watch.next() == "replaced w/there");
    CHECK(watch.next() == "published w/there");
    REQUIRE(shmd_delete(client.get(), "w/there") == 0);
    CHECK(watch.next() == "deleted w/there");
    CHECK(watch.at_once() == -ETIMEDOUT);
}

TEST_CASE("a watch is refused with the daemon's reason, and ends with the daemon") {
    DaemonOptions options;
    options.config = R"({"limits": {"watches": 1}})";
    Daemon daemon(options);
    Client client(daemon);
    shmd_watch* none = nullptr;
    CHECK(shmd_watch_open(client.get(), " ", &none) == -EINVAL);
    Watch watch(client, nullptr);
    CHECK(shmd_watch_open(client.get(), nullptr, &none) == -EDQUOT);
    CHECK(last_message().find("watches") != std::string::npos);
    CHECK(shmd_watch_open(nullptr, nullptr, &none) == -EINVAL);
    shmd_event_kind kind = SHMD_EVENT_LOST;
    CHECK(std::string(shmd_event_name(kind)) == "lost");
    const unsigned past_the_last = kind + 1U;
    std::memcpy(&kind, &past_the_last, sizeof kind);
    CHECK(shmd_event_name(kind) == nullptr);

    CHECK(watch.next() == "ready");
    daemon.kill();
    const shmd_event* event = nullptr;
    CHECK(shmd_watch_next(watch.get(), -1, &event) == -ECONNRESET);
    CHECK(shmd_watch_next(watch.get(), 0, &event) == -ECONNRESET);
    CHECK(shmd_watch_next(watch.get(), -2, &event) == -EINVAL);
}

TEST_CASE("calls that answer many times give an array") {
    Daemon daemon;
    Client client(daemon);
    Segment one = client.create("one", 10), two = client.create("two", 10);
    shmd_client* control = nullptr;
    REQUIRE(shmd_connect_control(daemon.control_socket().c_str(), &control) == 0);
    char* replies = nullptr;
    REQUIRE(shmd_call_many(control, "io.shmd.Control.ListSegments", nullptr, &replies) == 0);
    std::string text = replies;
    std::free(replies);
    CHECK(text.starts_with("[{"));
    CHECK(text.find(R"("key":"one")") != std::string::npos);
    CHECK(text.find(R"("key":"two")") != std::string::npos);
    CHECK(shmd_call_many(control, "io.shmd.Control.Nothing", nullptr, &replies) == -ENOTSUP);
    shmd_disconnect(control);
}
