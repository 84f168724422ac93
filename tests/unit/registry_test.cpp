#include "registry.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace shmd;

namespace {

std::unique_ptr<Entry> entry(std::optional<std::string> key, std::int64_t size = 10) {
    auto made = std::make_unique<Entry>();
    made->key = std::move(key);
    made->size_bytes = made->capacity_bytes = size;
    made->memory = std::make_shared<Memory>(Memory::create("test", size).value());
    return made;
}

// 64 KiB of everything for each.
Limits small_limits() {
    Limits limits;
    limits.total.fill(64 << 10);
    limits.per_uid.fill(64 << 10);
    return limits;
}

std::unique_ptr<Entry> staged_entry() {
    auto made = entry(std::nullopt);
    made->state = State::staged;
    return made;
}

}  // namespace

TEST_CASE("a segment is found by its key and its id") {
    Registry registry;
    Entry& added = registry.add(entry("a"));
    CHECK(registry.find("a") == &added);
    CHECK(registry.find(added.id) == &added);
    CHECK(registry.find("b") == nullptr);
    CHECK(registry.find(added.id + 1) == nullptr);
    CHECK(added.describe().key == "a");
    CHECK(added.describe().size_bytes == 10);
}

TEST_CASE("ids rise and are never given again") {
    Registry registry;
    std::int64_t first = registry.add(entry("a")).id;
    registry.remove(*registry.find("a"));
    std::int64_t second = registry.add(entry("a")).id;
    CHECK(second > first);
    CHECK(Registry().add(entry("a")).id > first);
}

TEST_CASE("removing frees the key at once and keeps the segment for those attached") {
    Registry registry;
    HeldAttachments holder({1}, 1);
    Entry& added = registry.add(entry("a"));
    std::int64_t id = added.id;
    std::uint32_t attachment = registry.attach(added, holder, Access::read, {});
    registry.remove(added);
    CHECK(registry.find("a") == nullptr);
    REQUIRE(registry.find(id) == &added);
    CHECK(added.describe().state == State::deleted);
    CHECK_FALSE(added.describe().key);
    CHECK(registry.add(entry("a")).id != id);
    registry.detach(holder, attachment);
    CHECK(registry.find(id) == nullptr);
}

TEST_CASE("attachments are counted and end together with their holder's end") {
    Registry registry;
    HeldAttachments one({1}, 1), other({2}, 2);
    Entry& added = registry.add(entry("a"));
    CHECK_FALSE(added.describe().attached_usec);
    std::uint32_t first = registry.attach(added, one, Access::read, {});
    std::uint32_t second = registry.attach(added, one, Access::read, {});
    std::uint32_t third = registry.attach(added, other, Access::read, {});
    CHECK(first != 0);
    CHECK(first != second);
    CHECK(added.describe().attachments == 3);
    CHECK(added.describe().attached_usec);
    CHECK_FALSE(added.describe().detached_usec);
    CHECK(registry.holds(one, second));
    CHECK_FALSE(registry.holds(other, second));
    CHECK(registry.find_attached(third) == &added);
    CHECK(registry.detach_all(one, 1));
    CHECK(added.describe().attachments == 2);
    CHECK_FALSE(registry.detach_all(one, 1));
    CHECK(added.describe().attachments == 1);
    CHECK(added.describe().detached_usec);
    CHECK_FALSE(registry.holds(one, first));
    CHECK(registry.find_attached(first) == nullptr);
    registry.detach_all(other);
}

TEST_CASE("a segment that lives while attached goes with the last attachment") {
    Registry registry;
    HeldAttachments one({1}, 1), other({2}, 2);
    auto made = entry("a");
    made->lifetime = Lifetime::attached;
    Entry& added = registry.add(std::move(made));
    registry.attach(added, one, Access::read, {});
    registry.attach(added, other, Access::read, {});
    registry.detach_all(one);
    CHECK(registry.find("a") == &added);
    registry.detach_all(other);
    CHECK(registry.find("a") == nullptr);
    CHECK(registry.size() == 0);
}

TEST_CASE("a staged segment belongs to the connection that made it and goes with its last attachment") {
    Registry registry;
    HeldAttachments creator({1}, 0), other({2}, 0);
    Entry& added = registry.add(staged_entry());
    CHECK_FALSE(added.is_staged_by(creator));
    auto first = registry.attach(added, creator, Access::write, {});
    auto second = registry.attach(added, creator, Access::read, {});
    CHECK(added.is_staged_by(creator));
    CHECK_FALSE(added.is_staged_by(other));
    registry.detach(creator, first);
    CHECK(registry.size() == 1);
    registry.detach(creator, second);
    CHECK(registry.size() == 0);
}

TEST_CASE("publishing gives a staged segment its key and a life of its own") {
    Registry registry;
    HeldAttachments creator({1}, 1);
    Entry& added = registry.add(staged_entry());
    registry.attach(added, creator, Access::read, {});
    registry.publish(added, "table");
    CHECK(registry.find("table") == &added);
    CHECK(added.describe().state == State::live);
    registry.detach_all(creator);
    CHECK(registry.find("table") == &added);
}

TEST_CASE("publishing over a key takes it from the segment that had it") {
    Registry registry;
    HeldAttachments reader({1}, 1), creator({2}, 2);
    Entry& old_table = registry.add(entry("table"));
    registry.attach(old_table, reader, Access::read, {});
    Entry& new_table = registry.add(staged_entry());
    registry.attach(new_table, creator, Access::read, {});
    registry.publish(new_table, "table");
    CHECK(registry.find("table") == &new_table);
    CHECK(old_table.describe().state == State::deleted);
    registry.detach_all(reader);
    CHECK(registry.size() == 1);
    // The key must not have been kept in the memory of the segment that is gone.
    CHECK(registry.find("table") == &new_table);
    registry.remove(new_table);
    CHECK(registry.find("table") == nullptr);
    registry.detach_all(creator);
}

TEST_CASE("a listing goes through the ids in order") {
    Registry registry;
    std::vector<std::int64_t> ids;
    for (const char* key : {"c", "a", "b"}) ids.push_back(registry.add(entry(key)).id);
    std::vector<std::int64_t> listed;
    for (Entry* at = registry.next_after(0); at; at = registry.next_after(at->id)) listed.push_back(at->id);
    CHECK(listed == ids);
}

TEST_CASE("listings go on behind what has been deleted, and several at once") {
    Registry registry;
    std::vector<std::int64_t> ids;
    for (char key : std::string("abcdefgh")) ids.push_back(registry.add(entry(std::string(1, key))).id);
    auto after = [&](std::int64_t id) {
        Entry* found = registry.next_after(id);
        return found ? found->id : 0;
    };
    CHECK(after(0) == ids[0]);
    CHECK(after(ids[0]) == ids[1]);
    registry.remove(*registry.find(ids[1]));
    CHECK(after(ids[1]) == ids[2]);
    CHECK(after(0) == ids[0]);  // another listing
    CHECK(after(ids[2]) == ids[3]);
    CHECK(after(ids[0]) == ids[2]);
    CHECK(after(ids[6]) == ids[7]);
    registry.remove(*registry.find(ids[7]));
    CHECK(after(ids[7]) == 0);
    CHECK(after(ids[6]) == 0);
    std::int64_t added = registry.add(entry("i")).id;
    CHECK(after(ids[7]) == added);
    CHECK(after(added) == 0);
}

TEST_CASE("a waiter is woken when its key appears, by creation or publication, and not after its ticket") {
    Registry registry;
    HeldAttachments creator({1}, 1);
    int woken = 0;
    {
        Registry::Ticket ticket(registry, "a", [&] { woken++; });
        registry.add(entry("b"));
        CHECK(woken == 0);
        Entry& staged = registry.add(staged_entry());
        registry.attach(staged, creator, Access::read, {});
        registry.publish(staged, "a");
        CHECK(woken == 1);
        registry.remove(staged);
        registry.add(entry("a"));
        CHECK(woken == 2);
    }
    registry.remove(*registry.find("a"));
    registry.add(entry("a"));
    CHECK(woken == 2);
    registry.detach_all(creator);
}

TEST_CASE("the memory of a segment that is gone is handed to the one who frees it") {
    std::vector<std::int64_t> released;
    Registry registry([&](Remains remains) { released.push_back(remains.memory->size()); });
    registry.add(entry("a", 4711));
    registry.remove(*registry.find("a"));
    CHECK(released == std::vector<std::int64_t>{4711});
}

TEST_CASE("charges come back when the segment and the attachment are gone") {
    Limits small;
    small.total.fill(100);
    small.per_uid.fill(100);
    Quota quota(small, 0);
    Registry registry;
    HeldAttachments holder({1}, 1);
    auto made = entry("a");
    made->segment_charge = quota.charge(1, Resource::segments, 1).value();
    made->bytes_charge = quota.charge(1, Resource::bytes, 10).value();
    Entry& added = registry.add(std::move(made));
    registry.attach(added, holder, Access::read, quota.charge(2, Resource::attachments, 1).value());
    registry.remove(added);
    CHECK(quota.total(Resource::bytes) == 10);
    CHECK_FALSE(registry.detach_all(holder, 1));
    CHECK(quota.usage().empty());
}

TEST_CASE("leases end in the order of their ends, and a renewed one later") {
    Registry registry;
    auto leased = [&](const char* key, std::int64_t usec) -> Entry& {
        auto made = entry(key);
        made->lifetime = Lifetime::lease;
        made->lease_usec = usec;
        return registry.add(std::move(made));
    };
    Entry& first = leased("first", 1'000'000);
    leased("second", 2'000'000);
    Entry& third = leased("third", 3'000'000);
    CHECK(registry.next_lease_end() == first.lease_end);
    CHECK_FALSE(registry.expire(first.lease_end - 1, 10));
    CHECK(registry.find("first"));

    registry.change(first, [](Entry& changed) { changed.lease_usec = 9'000'000; });
    registry.renew(first);
    CHECK_FALSE(registry.expire(third.lease_end, 10));
    CHECK(registry.find("first"));
    CHECK_FALSE(registry.find("second"));
    CHECK_FALSE(registry.find("third"));
    CHECK(registry.next_lease_end() == first.lease_end);
}

TEST_CASE("expiry goes on where it stopped") {
    Registry registry;
    for (const char* key : {"a", "b", "c"}) {
        auto made = entry(key);
        made->lifetime = Lifetime::lease;
        made->lease_usec = 1'000'000;
        registry.add(std::move(made));
    }
    CHECK(registry.expire(INT64_MAX, 2));
    CHECK(registry.size() == 1);
    CHECK_FALSE(registry.expire(INT64_MAX, 2));
    CHECK(registry.size() == 0);
    CHECK(registry.next_lease_end() == 0);
}

TEST_CASE("what is longest out of use is evicted first, never what is attached or not evictable") {
    Registry registry;
    HeldAttachments holder({1}, 1);
    Quota quota({{100, 1 << 20, 100}, {100, 1 << 20, 100}}, 0);
    auto evictable = [&](const char* key, std::uint32_t account) -> Entry& {
        auto made = entry(key);
        made->evictable = true;
        made->bytes_charge = quota.charge(account, Resource::bytes, 4096).value();
        return registry.add(std::move(made));
    };
    registry.add(entry("kept"));
    Entry& oldest = evictable("oldest", 1);
    Entry& used = evictable("used", 2);
    Entry& busy = evictable("busy", 2);
    registry.change(oldest, [](Entry& changed) { changed.last_used = 1; });
    registry.change(used, [](Entry& changed) { changed.last_used = 2; });
    std::uint32_t attachment = registry.attach(busy, holder, Access::read, {});
    CHECK(registry.evictable_bytes() == 8192);
    CHECK(registry.evictable_bytes(1) == 4096);
    CHECK(registry.evictable_bytes(3) == 0);

    CHECK(registry.evict(3) == 0);
    CHECK(registry.evict() == 4096);
    CHECK_FALSE(registry.find("oldest"));
    CHECK(registry.evict(2) == 4096);
    CHECK_FALSE(registry.find("used"));
    CHECK(registry.evict() == 0);
    registry.detach(holder, attachment);
    CHECK(registry.evict() == 4096);
    CHECK(registry.find("kept"));
    CHECK(registry.evictable_bytes() == 0);
}

TEST_CASE("a watcher hears of the keys that begin with its prefix, if it may describe them") {
    Quota quota(small_limits(), 0);
    Registry registry;
    int wakes = 0;
    Peer root{}, other{7, 7};
    Watcher all(registry.watchers(), quota, "", root, [&] { wakes++; });
    Watcher some(registry.watchers(), quota, "app/", root, [] {});
    Watcher denied(registry.watchers(), quota, "app/", other, [] {});
    Watcher unrelated(registry.watchers(), quota, "app/z", root, [] {});
    Watcher longer(registry.watchers(), quota, "app/ab", root, [] {});

    Entry& added = registry.add(entry("app/a"));
    CHECK(wakes == 1);
    registry.change(added, [](Entry& changed) { changed.acl.mode = 0600; });
    registry.remove(added);
    CHECK(wakes == 1);
    for (Watcher* watcher : {&all, &some}) {
        CHECK(watcher->take()->event == Event::created);
        CHECK(watcher->take()->event == Event::changed);
        auto last = watcher->take();
        REQUIRE(last);
        CHECK(last->event == Event::deleted);
        CHECK(last->segment->key == "app/a");
        CHECK(watcher->idle());
    }
    for (Watcher* watcher : {&denied, &unrelated, &longer}) CHECK(watcher->idle());
}

TEST_CASE("a watcher that does not keep up loses its events and is told so once") {
    Limits roomy;
    roomy.total.fill(1 << 30);
    Quota quota(roomy, 0);
    Registry registry;
    Peer root{};
    Watcher slow(registry.watchers(), quota, "", root, [] {});
    Entry& added = registry.add(entry("a"));
    for (std::size_t i = 0; i < Watcher::most_events; i++) registry.sealed(added);
    CHECK_FALSE(slow.take());
    CHECK(slow.take_lost());
    CHECK_FALSE(slow.take_lost());
    registry.sealed(added);
    CHECK(slow.take()->event == Event::sealed);
}

TEST_CASE("what waits in all watchers of a user is bounded in bytes") {
    Quota quota(small_limits(), 0);
    Registry registry;
    Peer user{7, 7};
    Entry& added = registry.add(entry("a"));
    registry.change(added, [](Entry& changed) {
        changed.acl.mode = 0666;
        changed.labels = {{"large", std::string(1000, 'x')}};
    });
    Watcher first(registry.watchers(), quota, "", user, [] {}), second(registry.watchers(), quota, "a", user, [] {});
    for (std::size_t i = 0; i < 100; i++) registry.sealed(added);
    bool first_lost = first.take_lost(), second_lost = second.take_lost();
    CHECK((first_lost || second_lost));
    CHECK(quota.total(Resource::watch_bytes) <= 64 << 10);
    while (first.take() || second.take()) continue;
    CHECK(quota.total(Resource::watch_bytes) == 0);
    registry.sealed(added);
    CHECK(first.take()->event == Event::sealed);
    CHECK(second.take()->event == Event::sealed);
}

TEST_CASE("an attachment ended when its client says, as far as that can be") {
    Registry registry;
    HeldAttachments holder({2}, 1);
    Entry& added = registry.add(entry("a"));
    constexpr std::uint32_t id = 7;
    constexpr std::int64_t since = 1000;
    auto end = [&](std::int64_t said, std::int64_t attached, std::int64_t detached) {
        registry.restore(added, holder, id, Access::read, since, {});
        added.attached_usec = attached;
        added.detached_usec = detached;
        added.last_pid = 1;
        registry.detach(holder, id, said);
    };
    end(1500, 1000, 1200);
    CHECK(added.detached_usec == 1500);
    CHECK(added.last_pid == 2);

    // Others have detached since, or attached.
    end(1500, 1000, 2000);
    CHECK(added.detached_usec == 2000);
    CHECK(added.last_pid == 1);
    end(1500, 2000, 1200);
    CHECK(added.detached_usec == 1500);
    CHECK(added.last_pid == 1);

    // Not said, before it began, or in the future: when it is heard of.
    for (std::int64_t said : {std::int64_t{0}, since - 1, INT64_MAX}) {
        end(said, 2000, 2000);
        CHECK(*added.detached_usec > 2000);
        CHECK(*added.detached_usec < INT64_MAX);
        CHECK(added.last_pid == 2);
    }
    // The clock was set back meanwhile.
    end(1500, INT64_MAX, INT64_MAX);
    CHECK(added.detached_usec == 1500);
    CHECK(added.last_pid == 2);
}

TEST_CASE("who may begin an attachment that somebody watches calls for it") {
    Registry registry;
    Entry& added = registry.add(entry("a"));
    HeldAttachments holder({1, 1}, 1), another({2, 1}, 1);
    registry.add_queue(holder, DetachQueue::create().value(), {});
    registry.add_queue(another, DetachQueue::create().value(), {});
    auto is_watched = [](const HeldAttachments& held) { return Registry::queue_of(held)->is_watched(); };
    Quota quota(small_limits(), 0);
    const Peer root{0, 0, 1, {}};
    Watcher watcher(registry.watchers(), quota, "a", root, [] {});
    CHECK_FALSE(is_watched(holder));
    (void)registry.prepare(added, holder, Access::read, {});
    CHECK(is_watched(holder));
    // Also when it is looked at who has something that is watched.
    registry.expect_watcher();
    registry.look_who_is_watched();
    CHECK(is_watched(holder));
    CHECK_FALSE(is_watched(another));
    registry.end_preparations();
    registry.look_who_is_watched();
    CHECK_FALSE(is_watched(holder));
    registry.detach_all(holder);
    registry.detach_all(another);
}
