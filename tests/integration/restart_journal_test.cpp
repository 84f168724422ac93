// The journal of a daemon that is killed and started again: damaged, of another version, or without space to grow.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "restarted_daemon.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr std::size_t blanks = 64;  // that the daemon keeps at hand

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
