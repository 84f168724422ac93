// A daemon that is killed, or stopped, and started again by its service manager: no segment and no byte is lost, and what
// lived for processes goes with them.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "limits.hpp"
#include "mapping.hpp"
#include "process.hpp"
#include "service_manager.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr std::size_t blanks = 64;  // that the daemon keeps at hand
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

Target with_id(std::int64_t id) {
    return {std::nullopt, id};
}

void write_text(const Received<Grant>& grant, const std::string& text) {
    Mapping memory(grant.fds.at(0).get(), 4096, Access::write);
    std::memcpy(memory.data(), text.c_str(), text.size() + 1);
}

std::string read_text(RawClient& client, const Target& target) {
    auto grant = client.call(Open{target, Access::read});
    return Mapping(grant.fds.at(0).get(), static_cast<std::size_t>(grant.value().segment.size_bytes), Access::read).data();
}

// What a restart may not change. Attaching does, and how long a lease lasts is known to the microsecond alone.
Segment lasting(Segment segment) {
    segment.attachments = 0;
    segment.attached_usec.reset();
    segment.detached_usec.reset();
    segment.expires_usec.reset();
    return segment;
}

Segment describe(RawClient& client, const Target& target) {
    return client.call(Describe{target}).value().segment.value();
}

bool exists(RawClient& client, const Target& target) {
    return !client.call(Describe{target}).is_error();
}

std::int64_t attachments_of(ServiceManager& manager, std::int64_t id) {
    RawClient control(manager.control_socket());
    return static_cast<std::int64_t>(control.call(GetSegment{with_id(id)}).value().segment->attachments.size());
}

// Waits, by the daemon's own word, until nobody is attached to it.
void await_no_attachments(ServiceManager& manager, std::int64_t id) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (attachments_of(manager, id) > 0) {
        if (std::chrono::steady_clock::now() > deadline) fail("somebody stays attached");
    }
}

// Waits until the store holds so many.
void await_stored(ServiceManager& manager, std::size_t wanted) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (manager.stored() != wanted) {
        if (std::chrono::steady_clock::now() > deadline) fail(std::to_string(manager.stored()) + " are stored");
    }
}

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Where the journal's records end.
std::size_t end_of(const std::string& journal) {
    return journal.find_last_not_of('\0') + 1;
}

}  // namespace

TEST_CASE("after SIGKILL and after SIGTERM every segment is there as it was, with every byte") {
    ServiceManager manager;
    manager.start();
    std::vector<Segment> before;
    std::vector<Usage> usage_before;
    {
        RawClient client(manager.socket());
        Create full = create("app/full");
        full.mode = 0640;
        full.lifetime = Lifetime::lease;
        full.lease_usec = 3600'000'000;
        full.evictable = true;
        full.labels = Labels{{"team", "billing"}, {"shape", ""}};
        full.acl = std::vector<AclEntry>{{AclEntry::Kind::group, bobs_group, Access::write}};
        full.capacity_bytes = 1 << 20;
        write_text(client.call(full), "all of it");
        write_text(client.call(create("app/plain", 1)), "p");
        write_text(client.call(create("app/sealed")), "for ever");
        RawClient other(manager.socket());
        SetAttributes changes{named("app/plain")};
        changes.owner_uid = alice;
        changes.owner_gid = 7;
        changes.mode = 0604;
        REQUIRE_FALSE(other.call(changes).is_error());
    }
    RawClient client(manager.socket());
    REQUIRE_FALSE(client.call(Seal{named("app/sealed")}).is_error());
    REQUIRE_FALSE(client.call(Resize{named("app/full"), 100'000}).is_error());
    before = client.list();
    REQUIRE(before.size() == 3);
    for (int round = 0; round < 4; round++) {
        CAPTURE(round);
        if (round % 2 == 0) {
            manager.kill();
        } else {
            CHECK(manager.stop() == 0);
        }
        manager.start();
        RawClient again(manager.socket());
        auto after = again.list();
        REQUIRE(after.size() == before.size());
        for (std::size_t i = 0; i < before.size(); i++) CHECK(lasting(after[i]) == lasting(before[i]));
        CHECK(read_text(again, named("app/full")) == "all of it");
        CHECK(read_text(again, named("app/plain")) == "p");
        CHECK(read_text(again, named("app/sealed")) == "for ever");
        RawClient control(manager.control_socket());
        auto usage = control.call(GetUsage{}).value().usage;
        CHECK(usage.at(0).segments == 3);
        CHECK(usage.at(0).bytes == (1 << 20) + 4096 + 4096);
        CHECK(control.call(GetStatus{}).value().survives_restart);
    }
}

TEST_CASE("a key is free, an id is not given again, and the key's next segment is another one") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    auto first = client.call(create("key")).value().segment.id;
    REQUIRE_FALSE(client.call(Delete{named("key")}).is_error());
    client.close();
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    CHECK_FALSE(exists(again, named("key")));
    auto second = again.call(create("key")).value().segment.id;
    CHECK(second > first);
    REQUIRE_FALSE(again.call(Delete{named("key")}).is_error());
    manager.kill();
    manager.start();
    RawClient third(manager.socket());
    CHECK(third.call(create("key")).value().segment.id > second);
}

TEST_CASE("a published segment keeps its key, the replaced one its readers") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    auto old = client.call(create("table"));
    write_text(old, "old");
    Create staged = create("table");
    staged.staged = true;
    auto fresh = client.call(staged);
    write_text(fresh, "new");
    REQUIRE_FALSE(client.call(Publish{fresh.value().attachment, std::nullopt, true}).is_error());
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    CHECK(read_text(again, named("table")) == "new");
    // This process still has the old one open.
    CHECK(describe(again, with_id(old.value().segment.id)).state == State::deleted);
    CHECK(read_text(again, with_id(old.value().segment.id)) == "old");
}

TEST_CASE("attachments last over a restart, are taken up by their process alone, and then end with its connection") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    auto made = client.call(create("key"));
    auto attachment = made.value().attachment;
    auto id = made.value().segment.id;
    manager.kill();
    manager.start();
    CHECK(attachments_of(manager, id) == 1);
    auto taken_by_another = [&] {
        RawClient thief(manager.socket());
        bool nothing = thief.call(Resume{{attachment}}).value().attachments.empty();
        return nothing && thief.call(Detach{attachment}).is_error();
    };
    CHECK(ChildProcess([&](Turns&) { return taken_by_another() ? 0 : 1; }).wait() == 0);
    if (is_root()) CHECK(run_as(bob, bobs_group, {}, taken_by_another) == 0);
    {
        RawClient again(manager.socket());
        std::vector<std::uint32_t> wanted{attachment, attachment + 1, 0, attachment};
        CHECK(again.call(Resume{wanted}).value().attachments == std::vector{attachment, attachment});
        CHECK(attachments_of(manager, id) == 1);
    }
    await_no_attachments(manager, id);
}

TEST_CASE("what a process held ends when it dies while there is no daemon, and when it dies later") {
    for (bool later : {false, true}) {
        CAPTURE(later);
        ServiceManager manager;
        manager.start();
        ChildProcess holder([&](Turns& turns) {
            RawClient client(manager.socket());
            Create staged = create("staged");
            staged.staged = true;
            Create attached = create("attached");
            attached.lifetime = Lifetime::attached;
            Create creators = create("creator");
            creators.lifetime = Lifetime::creator;
            for (const Create& call : {staged, attached, creators, create("persistent")}) {
                if (client.call(call).is_error()) return 1;
            }
            turns.signal();
            turns.wait();
            return 0;
        });
        holder.wait_for_byte();
        manager.kill();
        if (!later) holder.kill();
        manager.start();
        if (later) {
            RawClient client(manager.socket());
            CHECK(client.list().size() == 3);
            RawClient control(manager.control_socket());
            CHECK(control.call(GetStatus{}).value().segments == 4);  // the staged one is there too
            holder.kill();
        }
        RawClient control(manager.control_socket());
        auto deadline = std::chrono::steady_clock::now() + patience;
        while (control.call(GetStatus{}).value().segments != 1) REQUIRE(std::chrono::steady_clock::now() < deadline);
        RawClient client(manager.socket());
        CHECK(exists(client, named("persistent")));
        CHECK(describe(client, named("persistent")).attachments == 0);
        CHECK(describe(client, named("persistent")).detached_usec);
    }
}

TEST_CASE("who cannot be watched for want of descriptors keeps what it holds, until it is found dead" *
          doctest::skip(!is_root())) {
    // As a user that cannot raise the limit.
    ServiceManager manager({.user = User{65532, 65532}});
    manager.start();
    std::int64_t id = 0;
    {
        RawClient client(manager.socket());
        auto made = client.call(create("key")).value();
        id = made.segment.id;
        REQUIRE_FALSE(client.call(Detach{made.attachment}).is_error());
    }
    constexpr std::size_t processes = 60;
    std::vector<std::unique_ptr<ChildProcess>> holders;
    for (std::size_t i = 0; i < processes; i++) {
        holders.push_back(std::make_unique<ChildProcess>([&](Turns& turns) {
            RawClient client(manager.socket());
            if (client.call(Open{named("key"), Access::read}).is_error()) return 1;
            turns.signal();
            turns.wait();
            return 0;
        }));
        holders.back()->wait_for_byte();
    }
    manager.kill();
    // Room for what it needs itself and for some of the processes.
    manager.limit_descriptors(3 + 2 + manager.stored() + 70);
    manager.start();
    CHECK(manager.log().find("too few descriptors to watch process") != std::string::npos);
    CHECK(attachments_of(manager, id) == processes);
    holders.clear();
    await_no_attachments(manager, id);
    CHECK(manager.stop() == 0);
}

TEST_CASE("a staged segment is published by its creator on a new connection") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    Create staged = create("staged");
    staged.staged = true;
    auto made = client.call(staged);
    write_text(made, "ready");
    manager.restart();
    RawClient again(manager.socket());
    CHECK_FALSE(exists(again, with_id(made.value().segment.id)));
    REQUIRE(again.call(Resume{{made.value().attachment}}).value().attachments.size() == 1);
    REQUIRE_FALSE(again.call(Publish{made.value().attachment, std::nullopt, std::nullopt}).is_error());
    CHECK(read_text(again, named("staged")) == "ready");
}

TEST_CASE("a lease that ran out while there was no daemon is over, and a renewed one lasts") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    for (const char* key : {"short", "long"}) {
        Create leased = create(key);
        leased.lifetime = Lifetime::lease;
        leased.lease_usec = limits::least_lease_usec;
        auto made = client.call(leased);
        REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
    }
    SetAttributes longer{named("long")};
    longer.lifetime = Lifetime::lease;
    longer.lease_usec = 3600'000'000;
    REQUIRE_FALSE(client.call(longer).is_error());
    manager.kill();
    // A clock that nobody waits on: the lease is over when the time is.
    timespec begin{}, now{};
    ::clock_gettime(CLOCK_BOOTTIME, &begin);
    do {
        ::clock_gettime(CLOCK_BOOTTIME, &now);
    } while (now.tv_sec - begin.tv_sec < 2);
    manager.start();
    RawClient again(manager.socket());
    CHECK(exists(again, named("long")));
    CHECK_FALSE(exists(again, named("short")));
}

TEST_CASE("memory that is deleted and still mapped stays on its account over a restart") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    auto made = client.call(create("key", 1 << 20));
    auto memory = std::make_unique<Mapping>(made.fds.at(0).get(), 1 << 20, Access::write);
    REQUIRE_FALSE(client.call(Delete{named("key")}).is_error());
    REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
    made.fds.clear();
    manager.kill();
    manager.start();
    RawClient control(manager.control_socket());
    CHECK(control.call(GetStatus{}).value().bytes == 1 << 20);
    std::memset(memory->data(), 1, 1 << 20);  // still there
    memory.reset();
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (control.call(GetStatus{}).value().bytes != 0) REQUIRE(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE("the store holds what there is and nothing more") {
    ServiceManager manager;
    manager.start();
    ChildProcess client([&](Turns&) {
        RawClient own(manager.socket());
        std::vector<Create> calls;
        for (int i = 0; i < 200; i++) calls.push_back(create("many/" + std::to_string(i)));
        if (own.call(CreateMany{calls}).is_error()) return 1;
        for (int i = 0; i < 150; i++) {
            if (own.call(Delete{named("many/" + std::to_string(i))}).is_error()) return 1;
        }
        return 0;
    });
    CHECK(client.wait() == 0);
    for (int round = 0; round < 3; round++) {
        manager.kill();
        manager.start();
        RawClient again(manager.socket());
        CHECK(again.list().size() == 50);
    }
    // Blank ones for those to come are stored too; removing is done behind the answers.
    await_stored(manager, 50 + 64);
}

TEST_CASE("a place in the store that is used again has what was put there last, whenever the daemon is killed") {
    ServiceManager manager;
    manager.start();
    for (int round = 0; round < 20; round++) {
        std::string key = "kept/" + std::to_string(round);
        {
            RawClient client(manager.socket());
            auto kept = client.call(create(key));
            write_text(kept, key);
            kept.fds.clear();
            for (int i = 0; i < 100; i++) {
                auto made = client.call(create("brief"));
                write_text(made, "brief");
                made.fds.clear();
                client.send(Detach{made.value().attachment}, {.oneway = true});
                CHECK(!client.call(Delete{named("brief")}).is_error());
            }
        }
        manager.kill();
        manager.start();
        RawClient again(manager.socket());
        REQUIRE(again.list().size() == static_cast<std::size_t>(round + 1));
        for (int i = 0; i <= round; i++) {
            std::string each = "kept/" + std::to_string(i);
            CHECK(read_text(again, named(each)) == each);
        }
    }
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (manager.stored() != 20 + 64) {
        if (std::chrono::steady_clock::now() > deadline) fail(std::to_string(manager.stored()) + " are stored");
    }
}

TEST_CASE("creating waits for the service manager, and is answered when it has the memory") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket()), other(manager.socket());
    std::vector<Create> calls;
    for (int i = 0; i < 250; i++) calls.push_back(create("many/" + std::to_string(i)));
    manager.hold();
    client.send(CreateMany{calls});
    // Others are served meanwhile, and see nothing of it.
    CHECK(other.list().empty());
    char byte = 0;
    CHECK(::recv(client.socket(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == -1);
    manager.go_on();
    CHECK(client.receive_reply<CreateMany>().value().grants.size() == 250);
    CHECK(other.list().size() == 250);
}

TEST_CASE("a daemon that is killed while creating waits leaves nothing of it") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    std::vector<Create> calls;
    for (int i = 0; i < 250; i++) calls.push_back(create("many/" + std::to_string(i)));
    manager.hold();
    client.send(CreateMany{calls});
    RawClient other(manager.socket());
    (void)other.list();
    manager.kill();
    manager.go_on();
    manager.start();
    RawClient again(manager.socket());
    CHECK(again.list().empty());
    RawClient control(manager.control_socket());
    CHECK(control.call(GetStatus{}).value().bytes == 0);
}

TEST_CASE("what a killed daemon sent last comes to the store after the next one was started, and is mistaken for nothing") {
    ServiceManager manager;
    manager.start();
    {
        // More than there are blanks: the answer comes when the manager has these, and so all blanks ordered before.
        RawClient client(manager.socket());
        std::vector<Create> calls;
        for (int i = 0; i < 250; i++) calls.push_back(create("before/" + std::to_string(i)));
        REQUIRE_FALSE(client.call(CreateMany{calls}).is_error());
    }
    manager.hold();
    {
        // More are ordered for the store when half of those that were there are used up.
        RawClient client(manager.socket());
        for (int i = 0; i < 40; i++) REQUIRE_FALSE(client.call(create("first/" + std::to_string(i))).is_error());
    }
    manager.kill();
    manager.start([&] { manager.go_on(); });
    {
        RawClient client(manager.socket());
        CHECK(client.list("first/").size() == 40);
        for (int i = 0; i < 150; i++) write_text(client.call(create("second/" + std::to_string(i), 8192)), std::to_string(i));
    }
    manager.kill();
    manager.start();
    RawClient client(manager.socket());
    CHECK(client.list("second/").size() == 150);
    for (int i = 0; i < 150; i++) CHECK(read_text(client, named("second/" + std::to_string(i))) == std::to_string(i));
}

TEST_CASE("a full store is a limit on segments") {
    ServiceManager manager({.store = 100});
    manager.start();
    RawClient client(manager.socket());
    for (int i = 0; i < 36; i++) REQUIRE_FALSE(client.call(create("key/" + std::to_string(i))).is_error());
    CHECK(client.call(create("one-more")).known_error() == Error::quota_exceeded("segments", 36));
    REQUIRE_FALSE(client.call(Delete{named("key/0")}).is_error());
}

TEST_CASE("a store that was emptied takes its segments with it, and the log names them") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    REQUIRE_FALSE(client.call(create("gone")).is_error());
    manager.stop();
    manager.empty_store();
    manager.start();
    RawClient again(manager.socket());
    CHECK(again.list().empty());
    CHECK(manager.log().find("gone is lost") != std::string::npos);
    REQUIRE_FALSE(again.call(create("gone")).is_error());
}

TEST_CASE("without a store the daemon says that segments end with it") {
    ServiceManager manager({.store = 0});
    manager.start();
    CHECK(manager.log().find("segments end with this process") != std::string::npos);
    RawClient control(manager.control_socket());
    CHECK_FALSE(control.call(GetStatus{}).value().survives_restart);
}

TEST_CASE("garbage behind the journal's last record, and a torn record, cost nothing") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    REQUIRE_FALSE(client.call(create("one")).is_error());
    REQUIRE_FALSE(client.call(create("two")).is_error());
    for (const std::string& garbage : {std::string("garbage"), std::string(100, '\xff'), std::string("\1\0\0\0\0\0\0\x80", 8)}) {
        manager.kill();
        std::string journal = bytes_of(manager.journal());
        std::size_t end = (end_of(journal) + 7) / 8 * 8;
        write_bytes(manager.journal(), journal.replace(end, garbage.size(), garbage));
        manager.start();
        RawClient again(manager.socket());
        CHECK(again.list().size() == 2);
    }
}

TEST_CASE("a damaged record costs what it told, and nothing before or behind it") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    for (const char* key : {"first", "damaged-key", "last"}) REQUIRE_FALSE(client.call(create(key)).is_error());
    manager.kill();
    std::string journal = bytes_of(manager.journal());
    journal[journal.find("damaged-key")] = 'X';
    write_bytes(manager.journal(), journal);
    manager.start();
    RawClient again(manager.socket());
    std::vector<std::string> keys;
    for (const Segment& segment : again.list()) keys.push_back(segment.key.value());
    CHECK(keys == std::vector<std::string>{"first", "last"});
    CHECK(manager.log().find("are damaged and were passed over") != std::string::npos);
}

TEST_CASE("whatever damage hits costs no more than the segments whose records it hit, and the daemon starts and serves") {
    ServiceManager manager;
    manager.start();
    std::mt19937 random(1);
    auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
    constexpr std::size_t segments = 20;
    for (int round = 0; round < 40; round++) {
        CAPTURE(round);
        RawClient client(manager.socket());
        for (std::size_t i = 0; i < segments; i++) {
            Create call = create("key" + std::to_string(i));
            call.create_mode = CreateMode::any;
            auto grant = client.call(call);
            write_text(grant, *call.key);
            if (i % 2 == 0) REQUIRE_FALSE(client.call(Detach{grant.value().attachment}).is_error());
        }
        REQUIRE_FALSE(client.call(create("gone")).is_error());
        REQUIRE_FALSE(client.call(Delete{named("gone")}).is_error());
        manager.kill();
        std::string journal = bytes_of(manager.journal());
        const std::size_t hits = 1 + below(3);
        for (std::size_t i = 0; i < hits; i++) {
            std::size_t at = 32 + below(end_of(journal) - 32);
            journal[at] = static_cast<char>(journal[at] ^ (1 << below(8)));
        }
        write_bytes(manager.journal(), journal);
        manager.start();
        RawClient again(manager.socket());
        std::size_t found = 0;
        for (const Segment& segment : again.list("key")) {
            found++;
            CHECK(read_text(again, named(*segment.key)) == *segment.key);
        }
        CHECK(found + hits >= segments);
        // What damage brought back.
        if (exists(again, named("gone"))) REQUIRE_FALSE(again.call(Delete{named("gone")}).is_error());
    }
    CHECK(manager.stored() <= segments + 2 * blanks);
}

TEST_CASE("a journal of another format, or of none, is left alone and stops the daemon with a reason") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    write_text(client.call(create("key")), "safe");
    manager.stop();
    const std::string journal = bytes_of(manager.journal());
    for (auto [at, byte, reason] : {std::tuple(8, '\2', "has format 2"), std::tuple(0, 'X', "does not begin as one")}) {
        std::string other = journal;
        other[static_cast<std::size_t>(at)] = byte;
        write_bytes(manager.journal(), other);
        CHECK(manager.start_in_vain() == 1);
        CHECK(manager.log().find(reason) != std::string::npos);
        CHECK(bytes_of(manager.journal()) == other);
    }
    write_bytes(manager.journal(), journal);
    manager.start();
    RawClient again(manager.socket());
    CHECK(read_text(again, named("key")) == "safe");
}

TEST_CASE("the journal is private, and bounded however much happens") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    for (int i = 0; i < 10'000; i++) {
        auto made = client.call(create("key"));
        REQUIRE_FALSE(client.call(Detach{made.value().attachment}).is_error());
        REQUIRE_FALSE(client.call(Delete{named("key")}).is_error());
    }
    CHECK(std::filesystem::file_size(manager.journal()) < 3 << 20);
    CHECK(std::filesystem::status(manager.journal()).permissions() ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
    write_text(client.call(create("kept")), "kept");
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    CHECK(read_text(again, named("kept")) == "kept");
}

namespace {

// A small file system in this place, seen by this process and its children alone.
class SmallFileSystem {
  public:
    SmallFileSystem(std::filesystem::path place, const char* options) : place_(std::move(place)) {
        REQUIRE(::unshare(CLONE_NEWNS) == 0);
        REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
        REQUIRE(::mount("tmpfs", place_.c_str(), "tmpfs", 0, options) == 0);
    }
    ~SmallFileSystem() { ::umount2(place_.c_str(), MNT_DETACH); }
    SmallFileSystem(const SmallFileSystem&) = delete;
    SmallFileSystem& operator=(const SmallFileSystem&) = delete;

  private:
    std::filesystem::path place_;
};

}  // namespace

TEST_CASE("a full runtime directory refuses what begins, ends what ends, and loses nothing" * doctest::skip(!is_root())) {
    ServiceManager manager;
    SmallFileSystem small(manager.state_directory(), "size=2560k,mode=0700");
    manager.start();
    RawClient client(manager.socket());
    Create call = create("");
    call.labels = Labels{};
    for (int i = 0; i < 4; i++) (*call.labels)["label" + std::to_string(i)] = std::string(1000, 'x');
    int made = 0;
    std::vector<std::uint32_t> attachments;
    for (;; made++) {
        call.key = "key/" + std::to_string(made);
        auto reply = client.call(call);
        if (reply.is_error()) {
            CHECK(reply.known_error().code == ErrorCode::out_of_memory);
            break;
        }
        attachments.push_back(reply.value().attachment);
        write_text(reply, std::to_string(made));
    }
    CHECK(made > 100);
    SetAttributes change{named("key/1")};
    change.mode = 0644;
    CHECK(client.call(change).known_error().code == ErrorCode::out_of_memory);
    CHECK(client.call(Open{named("key/1"), Access::read}).known_error().code == ErrorCode::out_of_memory);
    // What ends something has its space.
    CHECK(client.list().size() == static_cast<std::size_t>(made));
    REQUIRE_FALSE(client.call(Detach{attachments.front()}).is_error());
    attachments.erase(attachments.begin());
    REQUIRE_FALSE(client.call(Delete{named("key/0")}).is_error());
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    CHECK(again.list().size() == static_cast<std::size_t>(made - 1));
    REQUIRE(again.call(Resume{attachments}).value().attachments == attachments);
    for (std::uint32_t attachment : attachments) REQUIRE_FALSE(again.call(Detach{attachment}).is_error());
    for (int i = 2; i < made; i++) REQUIRE_FALSE(again.call(Delete{named("key/" + std::to_string(i))}).is_error());
    // It does not try at every call to write the journal anew.
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (again.call(create("room-again")).is_error()) REQUIRE(std::chrono::steady_clock::now() < deadline);
    CHECK(read_text(again, named("key/1")) == "1");
}

TEST_CASE("a deleted segment that is still attached is resized, and stays so") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    Create call = create("key");
    call.capacity_bytes = 1 << 20;
    auto grant = client.call(call).value();
    REQUIRE_FALSE(client.call(Delete{named("key")}).is_error());
    REQUIRE_FALSE(client.call(Resize{with_id(grant.segment.id), 100'000}).is_error());
    manager.kill();
    manager.start();
    RawClient again(manager.socket());
    Segment after = describe(again, with_id(grant.segment.id));
    CHECK(after.size_bytes == 100'000);
    CHECK(after.state == State::deleted);
    CHECK(after.attachments == 1);
}

TEST_CASE("when a segment was last attached and detached lasts over every restart") {
    ServiceManager manager;
    manager.start();
    RawClient first(manager.socket()), second(manager.socket());
    auto id = first.call(create("key")).value().segment.id;
    auto later = second.call(Open{named("key"), Access::read}).value();
    REQUIRE_FALSE(second.call(Detach{later.attachment}).is_error());
    const Segment before = describe(first, with_id(id));
    REQUIRE(before.attachments == 1);
    for (int round = 0; round < 3; round++) {
        CAPTURE(round);
        manager.kill();
        manager.start();
        RawClient again(manager.socket());
        CHECK(describe(again, with_id(id)) == before);
    }
}

TEST_CASE("what a connection had ends with those that it had taken up, after every restart") {
    ServiceManager manager;
    manager.start();
    RawClient first(manager.socket());
    auto old = first.call(create("old")).value();
    manager.kill();
    manager.start();
    RawClient second(manager.socket());
    REQUIRE(second.call(Resume{{old.attachment}}).value().attachments.size() == 1);
    // As if this process had never read the answer.
    auto unknown = second.call(create("unknown")).value();
    manager.kill();
    manager.start();
    RawClient third(manager.socket());
    REQUIRE(third.call(Resume{{old.attachment}}).value().attachments.size() == 1);
    CHECK(attachments_of(manager, old.segment.id) == 1);
    CHECK(attachments_of(manager, unknown.segment.id) == 0);
}

TEST_CASE("a service manager that hears nothing delays neither calls, nor a reload, nor the end") {
    ServiceManager manager;
    manager.start();
    RawClient control(manager.control_socket()), client(manager.socket());
    while (manager.stored() < blanks) std::this_thread::yield();
    // When it is answered, nothing is under way to the manager.
    REQUIRE_FALSE(client.call(create("key")).is_error());
    manager.hold();
    {
        UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        manager.notify_socket().copy(address.sun_path, sizeof address.sun_path - 1);
        while (::sendto(socket.get(), "X=1", 3, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address),
                        sizeof address) == 3) {
        }
        REQUIRE(errno == EAGAIN);
    }
    CHECK_FALSE(control.call(Reload{}).is_error());
    CHECK(exists(client, named("key")));
    CHECK(manager.stop() == 0);
    manager.go_on();
}

TEST_CASE("a daemon that waits for its manager in a Create ends at once when it is told to") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    while (manager.stored() < blanks) std::this_thread::yield();
    REQUIRE_FALSE(client.call(create("key")).is_error());
    manager.hold();
    for (std::size_t i = 0; i < 2 * blanks; i++) client.send(create("key" + std::to_string(i)));
    // Until the ones that are at hand are used up, and one waits.
    for (std::size_t i = 0; i + 1 < blanks; i++) CHECK_FALSE(client.receive_reply<Create>().is_error());
    CHECK(manager.stop() == 0);
    manager.go_on();
    manager.start();
    RawClient again(manager.socket());
    CHECK(again.list().size() == blanks);
}

TEST_CASE("as a user of its own the daemon takes up everything likewise" * doctest::skip(!is_root())) {
    ServiceManager manager({.user = User{65532, 65532}});
    manager.start();
    CHECK(run_as(alice, alice, {}, [&] {
              RawClient client(manager.socket());
              Create call = create("alices");
              write_text(client.call(call), "hers");
              return true;
          }) == 0);
    manager.kill();
    manager.start();
    CHECK(run_as(alice, alice, {}, [&] {
              RawClient client(manager.socket());
              return read_text(client, named("alices")) == "hers";
          }) == 0);
    CHECK(run_as(bob, bob, {}, [&] {
              RawClient client(manager.socket());
              return client.call(Open{named("alices"), Access::read}).is_error();
          }) == 0);
}
