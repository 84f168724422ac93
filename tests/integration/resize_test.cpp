// Resizing, through <shmd/shmd.hpp>: what holders see, and what is refused.
#include <doctest/doctest.h>
#include <shmd/shmd.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "daemon_fixture.hpp"

using shmd::test::Daemon;
using shmd::test::DaemonOptions;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t page = 4096;

template <typename F>
shmd::Error error_of(F function) {
    try {
        function();
    } catch (const shmd::Error& error) {
        return error;
    }
    shmd::test::fail("nothing was thrown");
}

// Bytes of the account of this user, as the daemon counts them.
std::int64_t charged(const Daemon& daemon) {
    std::string status = shmd::Client::control(daemon.control_socket()).call("io.shmd.Control.GetStatus");
    return nlohmann::json::parse(status)["bytes"];
}

// Bytes of all memory that the daemon has open, as the kernel counts them.
std::int64_t reserved(const Daemon& daemon) {
    namespace fs = std::filesystem;
    std::int64_t bytes = 0;
    std::set<ino_t> seen;  // a grant on its way is one more descriptor of the same memory
    for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(daemon.pid()) + "/fd")) {
        struct stat status {};
        std::error_code gone;
        const std::string name = fs::read_symlink(fd.path(), gone).string();
        // The page of changes is the daemon's own, and what has no bytes is no segment's yet.
        bool is_memory = name.starts_with("/memfd:") && !name.starts_with("/memfd:shmd:changes");
        bool counts = is_memory && ::stat(fd.path().c_str(), &status) == 0 && status.st_size > 0 && seen.insert(status.st_ino).second;
        if (counts) bytes += std::int64_t{status.st_blocks} * 512;
    }
    return bytes;
}

}  // namespace

TEST_CASE("a segment grows under its holders: same key, id, address and content, and zeros behind") {
    Daemon daemon;
    shmd::Client client(daemon.socket()), other(daemon.socket());
    auto writer = client.create("key", 10, {.capacity_bytes = 100 * page});
    auto reader = other.open_read("key");
    std::int64_t id = writer.info().id;
    std::memcpy(writer.data(), "0123456789", 10);
    const auto* before = reader.data();
    CHECK(writer.info().capacity_bytes == 100 * page);
    CHECK(charged(daemon) == 100 * page);

    shmd::Watch watch = other.watch("key");
    CHECK(watch.next().kind == shmd::EventKind::present);
    CHECK(watch.next().kind == shmd::EventKind::ready);
    writer.resize(50 * page + 1);
    CHECK(writer.size() == 50 * page + 1);
    shmd::Event resized = watch.next();
    CHECK(resized.kind == shmd::EventKind::resized);
    CHECK(resized.segment->size_bytes == 50 * page + 1);
    CHECK(reader.size() == 10);
    reader.remap();
    CHECK(reader.size() == 50 * page + 1);
    CHECK(reader.data() == before);
    CHECK(reader.info().id == id);
    CHECK(std::memcmp(reader.data(), "0123456789", 10) == 0);
    CHECK(reader.bytes().back() == std::byte{0});
    writer.bytes().back() = std::byte{'x'};
    CHECK(reader.bytes().back() == std::byte{'x'});
    CHECK(other.open_read("key").size() == 50 * page + 1);
    CHECK(charged(daemon) == 100 * page);

    shmd::Error beyond = error_of([&] { writer.resize(100 * page + 1); });
    CHECK(beyond.code() == std::errc::file_too_large);
    CHECK(beyond.name() == "io.shmd.Segments.CapacityExceeded");
    CHECK(writer.size() == 50 * page + 1);
    CHECK(client.resize("key", 100 * page).size_bytes == 100 * page);
    CHECK(client.resize(shmd::Id{id}, 100 * page).size_bytes == 100 * page);
}

TEST_CASE("without a capacity of its own a segment cannot grow") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto segment = client.create("key", 10);
    CHECK(segment.info().capacity_bytes == 10);
    CHECK(error_of([&] { segment.resize(11); }).code() == std::errc::file_too_large);
    CHECK(error_of([&] { segment.resize(0); }).code() == std::errc::invalid_argument);
    CHECK(error_of([&] { segment.resize(UINT64_MAX); }).code() == std::errc::invalid_argument);
}

TEST_CASE("a segment shrinks only while nobody else has it open, and what was cut off is zeros") {
    Daemon daemon;
    shmd::Client client(daemon.socket()), other(daemon.socket());
    auto segment = client.create("key", 20 * page, {.capacity_bytes = 20 * page});
    std::memset(segment.data(), 'x', segment.size());
    {
        auto reader = other.open_read("key");
        shmd::Error busy = error_of([&] { segment.resize(10); });
        CHECK(busy.code() == std::errc::device_or_resource_busy);
        CHECK(busy.parameters().find("\"pid\":" + std::to_string(::getpid())) != std::string::npos);
        CHECK(segment.size() == 20 * page);
        CHECK(reader.bytes().back() == std::byte{'x'});
    }
    (void)other.list();  // after this the daemon has heard of the end
    segment.resize(10);
    CHECK(segment.size() == 10);
    // Nothing faults, even for one who still looks where the segment was.
    CHECK(*(segment.data() + 10) == std::byte{0});
    CHECK(*(segment.data() + 20 * page - 1) == std::byte{0});
    segment.resize(20 * page);
    CHECK(segment.bytes()[9] == std::byte{'x'});
    CHECK(segment.bytes()[10] == std::byte{0});
}

TEST_CASE("large sizes are reserved and given back away from the event loop") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    constexpr std::int64_t large = 64 << 20;
    auto segment = client.create("key", 1, {.capacity_bytes = large});
    CHECK(reserved(daemon) == page);
    segment.resize(large);
    CHECK(reserved(daemon) == large);
    segment.resize(1);
    CHECK(reserved(daemon) == page);
}

TEST_CASE("what may not be written is not resized" * doctest::skip(!shmd::test::is_root())) {
    constexpr uid_t alice = 61001;
    Daemon daemon;
    shmd::Client client(daemon.socket());
    client.create("mine", 10, {.mode = 0644, .capacity_bytes = 100}).close();
    client.create("ours", 10, {.mode = 0666, .capacity_bytes = 100}).close();
    CHECK(shmd::test::run_as(alice, alice, {}, [&] {
        shmd::Client own(daemon.socket());
        if (error_of([&] { own.resize("mine", 20); }).code() != std::errc::permission_denied) return false;
        if (error_of([&] { own.resize("mine", 5); }).code() != std::errc::permission_denied) return false;
        return own.resize("ours", 20).size_bytes == 20;
    }) == 0);
}

TEST_CASE("staged, sealed and deleted segments, and children") {
    Daemon daemon;
    shmd::Client client(daemon.socket()), other(daemon.socket());
    auto staged = client.create("key", 10, {.staged = true, .capacity_bytes = 100});
    CHECK(error_of([&] { other.resize(shmd::Id{staged.info().id}, 20); }).name() == "io.shmd.Segments.NoSuchSegment");
    staged.resize(20);
    staged.publish();
    CHECK(other.describe("key").size_bytes == 20);

    shmd::test::ChildProcess child([&](shmd::test::Turns&) {
        bool refused = error_of([&] { staged.resize(30); }).code() == std::errc::operation_not_permitted;
        return refused && error_of([&] { staged.remap(); }).code() == std::errc::operation_not_permitted ? 0 : 1;
    });
    CHECK(child.wait() == 0);

    client.delete_segment("key");
    staged.resize(30);
    CHECK(staged.size() == 30);
    auto sealed = std::move(staged).seal();
    CHECK(error_of([&] { sealed.resize(40); }).name() == "io.shmd.Segments.SegmentSealed");
    sealed.remap();
    CHECK(sealed.size() == 30);
    daemon.kill();
    CHECK(error_of([&] { sealed.remap(); }).code() == std::errc::connection_refused);
    CHECK(sealed.size() == 30);
}
