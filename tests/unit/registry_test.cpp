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
    made->memory = std::make_shared<Memory>(Memory::create("test", size).value());
    return made;
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
    Holder holder;
    Entry& added = registry.add(entry("a"));
    std::int64_t id = added.id;
    std::uint32_t attachment = registry.attach(added, holder, {});
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
    Holder one, other;
    Entry& added = registry.add(entry("a"));
    CHECK_FALSE(added.describe().attached_usec);
    std::uint32_t first = registry.attach(added, one, {});
    std::uint32_t second = registry.attach(added, one, {});
    std::uint32_t third = registry.attach(added, other, {});
    CHECK(first != 0);
    CHECK(first != second);
    CHECK(added.describe().attachments == 3);
    CHECK(added.describe().attached_usec);
    CHECK_FALSE(added.describe().detached_usec);
    CHECK(one.holds(second));
    CHECK_FALSE(other.holds(second));
    CHECK(registry.find_attached(third) == &added);
    registry.detach_all(one);
    CHECK(added.describe().attachments == 1);
    CHECK(added.describe().detached_usec);
    CHECK_FALSE(one.holds(first));
    CHECK(registry.find_attached(first) == nullptr);
    registry.detach_all(other);
}

TEST_CASE("a segment that lives while attached goes with the last attachment") {
    Registry registry;
    Holder one, other;
    auto made = entry("a");
    made->lifetime = Lifetime::attached;
    Entry& added = registry.add(std::move(made));
    registry.attach(added, one, {});
    registry.attach(added, other, {});
    registry.detach_all(one);
    CHECK(registry.find("a") == &added);
    registry.detach_all(other);
    CHECK(registry.find("a") == nullptr);
    CHECK(registry.size() == 0);
}

TEST_CASE("a staged segment goes with the attachment that stages it, whoever else is attached") {
    Registry registry;
    Holder creator, helper;
    Entry& added = registry.add(staged_entry());
    std::int64_t id = added.id;
    registry.attach(added, creator, {});
    registry.attach(added, helper, {});
    registry.detach_all(creator);
    REQUIRE(registry.find(id));
    CHECK(registry.find(id)->state == State::deleted);
    registry.detach_all(helper);
    CHECK(registry.size() == 0);
}

TEST_CASE("publishing gives a staged segment its key and a life of its own") {
    Registry registry;
    Holder creator;
    Entry& added = registry.add(staged_entry());
    registry.attach(added, creator, {});
    registry.publish(added, "table");
    CHECK(registry.find("table") == &added);
    CHECK(added.describe().state == State::live);
    registry.detach_all(creator);
    CHECK(registry.find("table") == &added);
}

TEST_CASE("publishing over a key takes it from the segment that had it") {
    Registry registry;
    Holder reader, creator;
    Entry& old_table = registry.add(entry("table"));
    registry.attach(old_table, reader, {});
    Entry& new_table = registry.add(staged_entry());
    registry.attach(new_table, creator, {});
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

TEST_CASE("a waiter is woken when its key appears, by creation or publication, and not after its ticket") {
    Registry registry;
    Holder creator;
    int woken = 0;
    {
        Registry::Ticket ticket(registry, "a", [&] { woken++; });
        registry.add(entry("b"));
        CHECK(woken == 0);
        Entry& staged = registry.add(staged_entry());
        registry.attach(staged, creator, {});
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
    Registry registry([&](std::shared_ptr<Memory> memory) { released.push_back(memory->size()); });
    registry.add(entry("a", 4711));
    registry.remove(*registry.find("a"));
    CHECK(released == std::vector<std::int64_t>{4711});
}

TEST_CASE("charges come back when the segment and the attachment are gone") {
    Limits limits;
    limits.total.fill(100);
    limits.per_uid.fill(100);
    Quota quota(limits, 0);
    Registry registry;
    Holder holder;
    auto made = entry("a");
    made->segment_charge = quota.charge(1, Resource::segments, 1).value();
    made->bytes_charge = quota.charge(1, Resource::bytes, 10).value();
    Entry& added = registry.add(std::move(made));
    registry.attach(added, holder, quota.charge(2, Resource::attachments, 1).value());
    registry.remove(added);
    CHECK(quota.total(Resource::bytes) == 10);
    registry.detach_all(holder);
    CHECK(quota.usage().empty());
}
