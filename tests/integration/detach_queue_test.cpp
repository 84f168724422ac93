// The queue in which a client puts what it is done with, so that it need not wake the daemon: nobody may be told of an attachment
// that has ended, and whatever a client writes there is its own affair.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <shmd/shmd.h>
#include <shmd/sync.h>

#include <cstring>
#include <string>
#include <vector>

#include "daemon_fixture.hpp"
#include "detach_queue.h"
#include "libshmd_handles.hpp"
#include "mapping.hpp"
#include "varlink_client.hpp"

using namespace shmd::test;
using shmd::Access;

namespace {

/// A client whose connection has a queue from here on.
void warm_up(Client& client, const char* key) {
    for (int i = 0; i < 10; i++) client.open(key, SHMD_READ).close();
}

/// A client that writes into its queue what it likes.
class RawQueue {
  public:
    explicit RawQueue(const std::string& socket) : client(socket) {
        auto reply = client.call(shmd::OpenDetachQueue{});
        REQUIRE_FALSE(reply.is_error());
        fd = std::move(reply.fds.at(0));
        page_.emplace(fd.get(), SHMD_DETACH_QUEUE_BYTES, Access::write);
    }

    [[nodiscard]] shmd_detach_queue& page() { return *reinterpret_cast<shmd_detach_queue*>(page_->data()); }
    void put(std::uint32_t attachment) {
        page().attachments[page().put % SHMD_DETACH_QUEUE_PLACES] = attachment;
        __atomic_store_n(&page().put, page().put + 1, __ATOMIC_RELEASE);
    }
    std::uint32_t open(const char* key) {
        return client.call(shmd::Open{{key, std::nullopt}, Access::read}).value().attachment;
    }

    RawClient client;
    shmd::UniqueFd fd;

  private:
    std::optional<Mapping> page_;
};

std::int64_t attachments(RawClient& client, const char* key) {
    return client.call(shmd::Describe{{key, std::nullopt}}).value().segment->attachments;
}

}  // namespace

TEST_CASE("who asks is told of no attachment that its client has closed") {
    Daemon daemon;
    Client owner(daemon), reader(daemon);
    owner.create("key", 4096).close();
    warm_up(reader, "key");
    RawClient asking(daemon.socket());
    RawClient administrator(daemon.control_socket());
    for (int i = 0; i < 200; i++) {
        Segment one = reader.open("key", SHMD_READ), two = reader.open("key", SHMD_WRITE);
        CHECK(attachments(asking, "key") == 2);
        one.close();
        CHECK(attachments(asking, "key") == 1);
        two.close();
        CHECK(asking.list().at(0).attachments == 0);
        reader.open("key", SHMD_READ).close();
        CHECK(administrator.call(shmd::GetStatus{}).value().attachments == 0);
        reader.open("key", SHMD_READ).close();
        auto opened = asking.call(shmd::Open{{"key", std::nullopt}, Access::read}).value();
        CHECK(opened.segment.attachments == 1);
        REQUIRE_FALSE(asking.call(shmd::Detach{opened.attachment}).is_error());
    }
}

TEST_CASE("more may be closed than the queue has places, with nothing asked in between") {
    Daemon daemon;
    Client owner(daemon), reader(daemon);
    owner.create("key", 4096).close();
    warm_up(reader, "key");
    for (int round = 0; round < 3; round++) {
        std::vector<Segment> all;
        for (int i = 0; i < 3 * SHMD_DETACH_QUEUE_PLACES; i++) all.push_back(reader.open("key", SHMD_READ));
        CHECK(owner.attachments("key") == all.size());
        for (std::size_t left = all.size(); left > 0; left--) all[left - 1].close();
        CHECK(reader.attachments("key") == 0);
    }
}

TEST_CASE("what is deleted, and what lives only for its attachments, goes with them") {
    Daemon daemon;
    Client owner(daemon), reader(daemon);
    owner.create("key", 4096).close();
    warm_up(reader, "key");
    RawClient asking(daemon.socket());
    for (int i = 0; i < 50; i++) {
        Segment segment = reader.open("key", SHMD_READ);
        std::int64_t id = shmd_segment_info(segment.get())->id;
        REQUIRE(shmd_delete(owner.get(), "key") == 0);
        CHECK(asking.call(shmd::Describe{{std::nullopt, id}}).value().segment->state == shmd::State::deleted);
        segment.close();
        CHECK(asking.call(shmd::Describe{{std::nullopt, id}}).known_error().code == shmd::ErrorCode::no_such_segment);

        shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
        options.lifetime = SHMD_LIFETIME_ATTACHED;
        reader.create("brief", 100, &options).close();
        CHECK(asking.call(shmd::Describe{{"brief", std::nullopt}}).known_error().code == shmd::ErrorCode::no_such_segment);
        owner.create("key", 4096).close();
    }
}

TEST_CASE("the limit of attachments counts those that last") {
    Daemon daemon({.config = R"({"limits": {"attachments": 8}})"});
    Client owner(daemon), reader(daemon), another(daemon);
    owner.create("key", 4096).close();
    warm_up(reader, "key");
    warm_up(another, "key");
    for (int i = 0; i < 40; i++) {
        std::vector<Segment> some;
        for (int n = 0; n < 8; n++) some.push_back((i % 2 ? reader : another).open("key", SHMD_READ));
        shmd_segment* refused = nullptr;
        CHECK(shmd_open(owner.get(), "key", SHMD_READ, &refused) == -EDQUOT);
    }
}

TEST_CASE("who watches hears of ends without asking") {
    Daemon daemon;
    Client owner(daemon), reader(daemon);
    owner.create("watched/key", 4096).close();
    owner.create("other", 4096).close();
    warm_up(reader, "other");
    shmd_watch* watch = nullptr;
    REQUIRE(shmd_watch_open(owner.get(), "watched/", &watch) == 0);
    auto next = [&] {
        const shmd_event* event = nullptr;
        REQUIRE(shmd_watch_next(watch, -1, &event) == 0);
        return event->kind;
    };
    CHECK(next() == SHMD_EVENT_PRESENT);
    CHECK(next() == SHMD_EVENT_READY);
    // Also when it was found meanwhile that nothing of the reader's was watched.
    for (int i = 0; i < 300; i++) {
        reader.open("other", SHMD_READ).close();
        Segment segment = reader.open("watched/key", SHMD_READ);
        CHECK(next() == SHMD_EVENT_ATTACHED);
        segment.close();
        CHECK(next() == SHMD_EVENT_DETACHED);
    }
    shmd_watch_close(watch);
}

TEST_CASE("locks that are held at a close are given back at once") {
    Daemon daemon;
    Client owner(daemon), reader(daemon);
    Segment mine = owner.create("key", 4096);
    warm_up(reader, "key");
    for (int i = 0; i < 20; i++) {
        Segment other = reader.open("key", SHMD_WRITE);
        REQUIRE(shmd_lock(other.get(), 0) == 0);
        other.close();
        CHECK(shmd_lock(mine.get(), -1) == SHMD_OWNER_DIED);
        CHECK(shmd_make_consistent(mine.get()) == 0);
        CHECK(shmd_unlock(mine.get()) == 0);
    }
}

TEST_CASE("a queue ends the attachments of its own connection alone, and one that lies is not read again") {
    Daemon daemon;
    Client owner(daemon);
    Segment kept = owner.create("key", 4096);
    RawClient victim(daemon.socket());
    auto others = victim.call(shmd::Open{{"key", std::nullopt}, Access::read}).value().attachment;
    {
        RawQueue queue(daemon.socket());
        std::uint32_t mine = queue.open("key");
        CHECK(attachments(victim, "key") == 3);
        queue.put(mine);
        CHECK(attachments(victim, "key") == 2);
        std::uint32_t next = queue.open("key");
        queue.put(others);
        CHECK(attachments(queue.client, "key") == 3);
        queue.put(next);
        CHECK(attachments(queue.client, "key") == 3);
        REQUIRE_FALSE(queue.client.call(shmd::Detach{next}).is_error());
    }
    CHECK(attachments(victim, "key") == 2);
    for (std::uint32_t jump : {1U, 63U, 64U, 65U, 1000000U, 0x80000000U, 0xffffffffU}) {
        RawQueue queue(daemon.socket());
        (void)queue.open("key");
        std::memset(queue.page().attachments, 0xa5, sizeof queue.page().attachments);
        __atomic_store_n(&queue.page().put, jump, __ATOMIC_RELEASE);
        CHECK(attachments(queue.client, "key") == 3);
        CHECK(attachments(victim, "key") == 3);
    }
    RawQueue queue(daemon.socket());
    REQUIRE(::fallocate(queue.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SHMD_DETACH_QUEUE_BYTES) == 0);
    CHECK(attachments(queue.client, "key") == 2);
    CHECK(::ftruncate(queue.fd.get(), 0) != 0);
    CHECK(daemon.running());
}

TEST_CASE("a connection has one queue, which is on the account of who asked as long as somebody has its page") {
    Daemon daemon;
    Client owner(daemon);
    owner.create("key", 4096).close();
    RawClient administrator(daemon.control_socket());
    auto bytes = [&] { return administrator.call(shmd::GetStatus{}).value().bytes; };
    CHECK(bytes() == 4096);
    std::optional<RawQueue> queue(daemon.socket());
    std::uint32_t first = queue->open("key"), second = queue->open("key");
    queue->put(first);
    auto again = queue->client.call(shmd::OpenDetachQueue{});
    CHECK(bytes() == 2 * 4096);
    Mapping memory(again.fds.at(0).get(), SHMD_DETACH_QUEUE_BYTES, Access::write);
    auto& page = *reinterpret_cast<shmd_detach_queue*>(memory.data());
    CHECK(page.format == SHMD_DETACH_QUEUE_FORMAT);
    CHECK(page.put == 1);
    CHECK(__atomic_load_n(&page.taken, __ATOMIC_ACQUIRE) == 1);
    page.attachments[1] = second;
    __atomic_store_n(&page.put, 2, __ATOMIC_RELEASE);
    CHECK(attachments(queue->client, "key") == 0);
    queue.reset();
    CHECK(administrator.call(shmd::GetStatus{}).value().attachments == 0);
    CHECK(bytes() == 2 * 4096);
}

TEST_CASE("what a client puts in its queue while it publishes does it no good") {
    Daemon daemon;
    Client owner(daemon);
    owner.create("key", 4096).close();
    RawQueue publisher(daemon.socket());
    for (int i = 0; i < 20; i++) {
        shmd::Create staged{"key", 4096};
        staged.staged = true;
        std::uint32_t attachment = publisher.client.call(staged).value().attachment;
        (void)publisher.open("key");  // so that it is looked at when the key is taken over
        publisher.put(attachment);
        shmd::Publish publish{attachment, std::nullopt, true};
        CHECK(publisher.client.call(publish).known_error().code == shmd::ErrorCode::invalid_parameter);
        CHECK(daemon.running());
    }
}

TEST_CASE("a queue with a wrong number is read no more, and its client is told") {
    Daemon daemon;
    Client owner(daemon);
    owner.create("key", 4096).close();
    RawQueue queue(daemon.socket());
    std::uint32_t one = queue.open("key");
    std::uint32_t two = queue.open("key");
    queue.put(one);
    queue.put(one);
    // This one is behind it, and may be of another thread, which does not call.
    queue.put(two);
    CHECK(attachments(queue.client, "key") == 0);
    CHECK(__atomic_load_n(&queue.page().watched, __ATOMIC_ACQUIRE) == 1);
}

TEST_CASE("a refused watch changes nothing") {
    Daemon daemon;
    Client owner(daemon);
    owner.create("key", 4096).close();
    RawQueue queue(daemon.socket());
    RawClient other(daemon.socket());
    CHECK(other.call(shmd::Watch{}).is_error());
    CHECK(__atomic_load_n(&queue.page().watched, __ATOMIC_ACQUIRE) == 0);
}
