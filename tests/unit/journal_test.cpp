// The journal: what is read is what was written, whatever moment it was interrupted at.
#include "journal.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "process.hpp"
#include "records.hpp"

using namespace shmd;
using shmd::test::TemporaryDirectory;

namespace {

using Records = std::vector<std::pair<RecordType, std::string>>;

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

Records read(const std::string& directory) {
    Records records;
    (void)Journal::read(directory, [&](RecordType type, std::string_view payload) { records.emplace_back(type, payload); });
    return records;
}

SegmentRecord full_segment() {
    SegmentRecord segment;
    segment.id = 28'182'249'269'329;
    segment.slot = 4711;
    segment.key = "app/table";
    segment.staged_key = "app/table";
    segment.acl = {1, 2, 3, 4, 0640, {{AclEntry::Kind::group, 5, Access::write}, {AclEntry::Kind::user, 6, Access::read}}};
    segment.creator = {99, 12'345'678};
    segment.lifetime = Lifetime::lease;
    segment.lease_usec = 3600'000'000;
    segment.lease_end = 7200'000'000;
    segment.evictable = true;
    segment.last_used = 17;
    segment.created_usec = 1'790'000'000'000'000;
    segment.attached_usec = 1'790'000'000'000'001;
    segment.detached_usec = 1'790'000'000'000'002;
    segment.changed_usec = 1'790'000'000'000'003;
    segment.labels = {{"team", "billing"}, {"empty", ""}};
    segment.size_bytes = 100;
    segment.capacity_bytes = 1 << 20;
    segment.reserve = Reserve::populate;
    segment.huge_pages = HugePages::transparent;
    segment.numa_nodes = {0, 1};
    segment.account_uid = 1;
    segment.charged_bytes = 1 << 20;
    return segment;
}

SegmentRecord staged_segment() {
    SegmentRecord segment;
    segment.id = full_segment().id + 1;
    segment.slot = 1;
    segment.state = State::staged;
    segment.size_bytes = segment.capacity_bytes = 4096;
    return segment;
}

AttachmentRecord attachment() {
    return {4'000'000'000, full_segment().id, Access::write, {100, 7}, 8, 9, 1'790'000'000'000'004, 10};
}

SegmentRecord system_v_segment() {
    SegmentRecord segment = staged_segment();
    segment.state = State::live;
    segment.key = "sysv:0x00000ff3";
    segment.system_v_index = 32767;
    segment.memory_locked = true;
    segment.last_pid = 4242;
    return segment;
}

// Every kind of record, as this version writes it.
void write_sample(Journal& journal) {
    write_next_id(journal, full_segment().id - 10);
    write(journal, full_segment());
    write(journal, staged_segment());
    write(journal, attachment());
    AttachmentRecord ended = attachment();
    ended.id = 7;
    ended.since_usec -= 2;
    write(journal, ended);
    write_detached(journal, 7, 1'790'000'000'000'005, 18);
    write_renewed(journal, full_segment().id, 7200'000'001);
    SegmentRecord gone = staged_segment();
    gone.id += 1;
    write(journal, gone);
    write_deleted(journal, gone.id, 19);
    write_gone(journal, gone.id);
    SegmentRecord deleted = staged_segment();
    deleted.id += 2;
    deleted.state = State::live;
    deleted.key = "deleted";
    write(journal, deleted);
    write_deleted(journal, deleted.id, 20);
}

void check_sample(const JournalImage& image) {
    SegmentRecord full = full_segment();
    full.lease_end = 7200'000'001;
    full.attached_usec = attachment().since_usec - 2;
    full.detached_usec = 1'790'000'000'000'005;
    full.last_used = 18;
    full.last_pid = attachment().holder.pid;
    SegmentRecord deleted = staged_segment();
    deleted.id += 2;
    deleted.state = State::deleted;
    deleted.changed_usec = 20;
    REQUIRE(image.segments.size() == 3);
    CHECK(image.segments.at(full.id) == full);
    CHECK(image.segments.at(staged_segment().id) == staged_segment());
    CHECK(image.segments.at(deleted.id) == deleted);
    REQUIRE(image.attachments.size() == 1);
    CHECK(image.attachments.at(attachment().id) == attachment());
    CHECK(image.next_id == deleted.id + 1);
}

}  // namespace

TEST_CASE("what was appended is read again, in order, and a new journal takes the old one's place") {
    TemporaryDirectory place;
    const std::string directory = place.path();
    CHECK_FALSE(Journal::read(directory, {}).existed);
    Records expected;
    {
        Journal journal(directory, [](Journal& fresh) { fresh.append(1, "snapshot"); });
        expected.emplace_back(1, "snapshot");
        for (int i = 0; i < 100; i++) {
            std::string payload(static_cast<std::size_t>(i), static_cast<char>(i));
            REQUIRE(journal.reserve(Journal::size_of(payload.size())));
            journal.append(static_cast<RecordType>(i), payload);
            expected.emplace_back(i, payload);
        }
        CHECK(read(directory) == expected);
    }
    CHECK(read(directory) == expected);
    Journal again(directory, [](Journal&) {});
    CHECK(read(directory).empty());
}

TEST_CASE("what makes a segment a System V one is written and read again") {
    TemporaryDirectory place;
    {
        Journal journal(place.path(), [](Journal&) {});
        REQUIRE(journal.reserve(record::most_segment_bytes));
        write(journal, system_v_segment());
    }
    CHECK(JournalImage::read(place.path()).segments.at(system_v_segment().id) == system_v_segment());
}

TEST_CASE("a group is there whole or not at all") {
    TemporaryDirectory place;
    Journal journal(place.path(), [](Journal&) {});
    REQUIRE(journal.reserve(1000));
    journal.append(1, "before");
    journal.begin();
    journal.append(2, "one");
    CHECK(read(place.path()).size() == 1);
    {
        JournalGroup nested(&journal);
        journal.append(3, "two");
    }
    CHECK(read(place.path()).size() == 1);
    journal.commit();
    CHECK(read(place.path()).size() == 3);
}

TEST_CASE("a journal that is cut off anywhere gives what was whole before") {
    TemporaryDirectory place, cut;
    Journal journal(place.path(), [](Journal&) {});
    REQUIRE(journal.reserve(1000));
    for (const char* text : {"one", "twenty-two", "three"}) journal.append(1, text);
    const std::string all = bytes_of(place.path() / "journal");
    for (std::size_t length = 32; length <= journal.used(); length++) {
        std::ofstream(cut.path() / "journal", std::ios::binary | std::ios::trunc) << all.substr(0, length);
        // A head of 16 bytes, the text, and what is missing to a multiple of eight, which nothing depends on.
        std::size_t whole = (length >= 32 + 16 + 3) + (length >= 32 + 24 + 16 + 10) + (length >= 32 + 24 + 32 + 16 + 5);
        CHECK(read(cut.path()).size() == whole);
    }
}

TEST_CASE("a full journal is written anew with what there is, and keeps what was promised") {
    TemporaryDirectory place;
    std::size_t snapshots = 0;
    Journal journal(place.path(), [&](Journal& fresh) {
        snapshots++;
        fresh.append(1, "state");
    });
    const std::size_t record = Journal::size_of(1000);
    REQUIRE(journal.reserve(5000 * record));
    journal.promise(5000 * record);
    while (snapshots < 4) {
        REQUIRE(journal.reserve(record));
        journal.append(2, std::string(1000, 'x'));
    }
    CHECK(journal.capacity() - journal.used() >= 5000 * record);
    for (int i = 0; i < 5000; i++) {
        journal.fulfil(record);
        journal.append(3, std::string(1000, 'y'));
    }
    CHECK(journal.used() <= journal.capacity());
    CHECK(read(place.path()).front().second == "state");
}

TEST_CASE("what damage hits is passed over, also when it looks like a record of another journal") {
    TemporaryDirectory one, other;
    Journal journal(one.path(), [](Journal&) {}), foreign(other.path(), [](Journal&) {});
    REQUIRE((journal.reserve(1000) && foreign.reserve(1000)));
    foreign.append(9, "foreign");
    const std::string forged = bytes_of(other.path() / "journal").substr(32, 24);
    journal.append(1, "first");
    journal.append(2, forged);  // as a label may hold it
    journal.append(3, "last");
    std::string bytes = bytes_of(one.path() / "journal");
    bytes[32 + 24] = static_cast<char>(bytes[32 + 24] ^ 1);
    std::ofstream(one.path() / "journal", std::ios::binary | std::ios::trunc) << bytes;
    CHECK(read(one.path()) == Records{{1, "first"}, {3, "last"}});
}

TEST_CASE("segments and attachments are read as they were written") {
    TemporaryDirectory place;
    Journal journal(place.path(), write_sample);
    check_sample(JournalImage::read(place.path()));
    // How the fixtures of this directory are made: SHMD_WRITE_JOURNAL=FILE journal_test, once for each released format.
    if (const char* path = std::getenv("SHMD_WRITE_JOURNAL")) {
        std::ofstream(path, std::ios::binary) << bytes_of(place.path() / "journal").substr(0, journal.used());
    }
}

TEST_CASE("a journal of every released format is read") {
    for (const char* format : {"1"}) {
        CAPTURE(format);
        check_sample(JournalImage::read(std::string(SHMD_JOURNALS) + "/" + format));
    }
}

TEST_CASE("what a newer version wrote is refused when it matters, and passed over when it does not") {
    TemporaryDirectory place;
    Journal journal(place.path(), [](Journal& fresh) {
        write_sample(fresh);
        fresh.append(1000, "something that may be left out");
    });
    check_sample(JournalImage::read(place.path()));
    AttachmentRecord strange = attachment();
    strange.access = static_cast<Access>(2);
    SegmentRecord state = staged_segment(), lifetime = staged_segment();
    state.state = static_cast<State>(3);
    lifetime.lifetime = static_cast<Lifetime>(-1);
    for (int i = 0; i < 3; i++) {
        TemporaryDirectory other;
        Journal newer(other.path(), [&](Journal& fresh) {
            if (i == 0) write(fresh, strange);
            if (i == 1) write(fresh, state);
            if (i == 2) write(fresh, lifetime);
        });
        CHECK_THROWS_WITH_AS((void)JournalImage::read(other.path()), doctest::Contains("has a value"), std::runtime_error);
    }
    REQUIRE(journal.reserve(1000));
    journal.append(1000 | critical_record, "something that may not");
    CHECK_THROWS_WITH_AS((void)JournalImage::read(place.path()), doctest::Contains("install the version that wrote it"),
                         std::runtime_error);
}

TEST_CASE("a value that this version does not know is refused like a field that it does not know") {
    auto refused = [](const auto& record) {
        TemporaryDirectory place;
        Journal journal(place.path(), [&](Journal& fresh) { write(fresh, record); });
        CHECK_THROWS_WITH_AS((void)JournalImage::read(place.path()), doctest::Contains("install the version that wrote it"),
                             std::runtime_error);
    };
    auto changed = [](auto record, const auto& change) {
        change(record);
        return record;
    };
    for (int number : {-1, 7}) {
        CAPTURE(number);
        refused(changed(full_segment(), [=](auto& segment) { segment.state = static_cast<State>(number); }));
        refused(changed(full_segment(), [=](auto& segment) { segment.lifetime = static_cast<Lifetime>(number); }));
        refused(changed(full_segment(), [=](auto& segment) { segment.reserve = static_cast<Reserve>(number); }));
        refused(changed(full_segment(), [=](auto& segment) { segment.huge_pages = static_cast<HugePages>(number); }));
        refused(changed(full_segment(), [=](auto& segment) {
            segment.acl.entries[0].access = static_cast<Access>(number);
        }));
        refused(changed(full_segment(), [=](auto& segment) {
            segment.acl.entries[0].kind = static_cast<AclEntry::Kind>(number);
        }));
        refused(changed(attachment(), [=](auto& each) { each.access = static_cast<Access>(number); }));
    }
}

TEST_CASE("damage to the salt costs nothing") {
    TemporaryDirectory place;
    Journal journal(place.path(), [](Journal& fresh) { fresh.append(1, "first"); });
    const std::string good = bytes_of(place.path() / "journal");
    for (std::size_t at = 16; at < 32; at++) {
        CAPTURE(at);
        std::string bytes = good;
        bytes[at] = static_cast<char>(bytes[at] ^ 4);
        std::ofstream(place.path() / "journal", std::ios::binary | std::ios::trunc) << bytes;
        CHECK(read(place.path()) == Records{{1, "first"}});
    }
}

TEST_CASE("zeros over a record's beginning hide neither what is behind it nor that it is missing") {
    TemporaryDirectory place;
    Journal journal(place.path(), [](Journal& fresh) { fresh.append(1, "snapshot"); });
    REQUIRE(journal.reserve(1000));
    std::vector<std::size_t> begins{32};
    for (RecordType type = 2; type < 5; type++) {
        begins.push_back(journal.used());
        JournalGroup group(&journal);
        journal.append(type, "first of its group");
        journal.append(type, "second of its group");
    }
    const std::string good = bytes_of(place.path() / "journal");
    const Records all = read(place.path());
    REQUIRE(all.size() == 7);
    const std::size_t record = Journal::size_of(18);
    for (std::size_t hit = 0; hit < begins.size(); hit++) {
        for (std::size_t length : {std::size_t{8}, record}) {
            CAPTURE(hit);
            CAPTURE(length);
            std::string bytes = good;
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(begins[hit]), hit == 0 ? 8 : length, '\0');
            std::ofstream(place.path() / "journal", std::ios::binary | std::ios::trunc) << bytes;
            Records expected = all, found;
            expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(hit == 0 ? 0 : 2 * hit - 1));
            const auto told = Journal::read(place.path(), [&](RecordType type, std::string_view payload) {
                found.emplace_back(type, payload);
            });
            CHECK(found == expected);
            CHECK(told.damaged_bytes >= 8);
        }
    }
}

TEST_CASE("what was under way at the end is no damage, and what is cut off is") {
    TemporaryDirectory place, cut;
    Journal journal(place.path(), [](Journal& fresh) { fresh.append(1, "snapshot"); });
    REQUIRE(journal.reserve(1000));
    journal.append(2, "last");
    const std::size_t end = journal.used();
    journal.begin();
    journal.append(3, "one");
    journal.append(4, "two");
    auto damaged_in = [](const std::string& directory) {
        return Journal::read(directory, [](RecordType, std::string_view) {}).damaged_bytes;
    };
    CHECK(damaged_in(place.path()) == 0);
    CHECK(read(place.path()).size() == 2);
    const std::string bytes = bytes_of(place.path() / "journal");
    std::ofstream(cut.path() / "journal", std::ios::binary | std::ios::trunc) << bytes.substr(0, end - 24);
    CHECK(damaged_in(cut.path()) == 24);
    journal.commit();
}

TEST_CASE("whatever damage hits, all other records are read") {
    TemporaryDirectory place;
    constexpr std::size_t head = 32, records = 40;
    std::vector<std::size_t> begins;
    std::string good;
    {
        Journal journal(place.path(), [](Journal&) {});
        for (std::size_t i = 0; i < records; i++) {
            std::string payload(7 * i % 90, static_cast<char>(i));
            REQUIRE(journal.reserve(Journal::size_of(payload.size())));
            begins.push_back(journal.used());
            journal.append(static_cast<RecordType>(i), payload);
        }
        begins.push_back(journal.used());
        good = bytes_of(place.path() / "journal").substr(0, journal.used() + 256);
    }
    std::mt19937 random(1);
    auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
    for (int round = 0; round < 1'000; round++) {
        CAPTURE(round);
        std::string bytes = good;
        const std::size_t hits = 1 + below(4);
        for (std::size_t hit = 0; hit < hits; hit++) {
            const std::size_t at = head + below(begins.back() - head);
            const std::size_t length = std::min(1 + below(100), bytes.size() - at);
            const std::size_t kind = below(3);
            if (kind == 0) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
            if (kind == 1) std::generate_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), length, [&] { return static_cast<char>(1 + below(255)); });
            if (kind == 2) std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), length, '\0');
        }
        std::ofstream(place.path() / "journal", std::ios::binary | std::ios::trunc) << bytes;
        std::set<RecordType> found;
        for (const auto& [type, payload] : read(place.path())) found.insert(type);
        std::size_t missing = 0;
        for (std::size_t i = 0; i < records; i++) {
            const std::size_t length = begins[i + 1] - begins[i];
            const bool whole = bytes.compare(begins[i], length, good, begins[i], length) == 0;
            missing += whole && !found.contains(static_cast<RecordType>(i));
        }
        CHECK(missing == 0);
    }
}
