// Memory that the daemon makes ahead: for what is asked for again, within its limit, given back when memory is short,
// and gone with the daemon.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <shmd/shmd.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "daemon_fixture.hpp"
#include "service_manager.hpp"

using shmd::test::Daemon;
using shmd::test::DaemonOptions;

namespace {

constexpr std::int64_t size = 32 << 20;

DaemonOptions with_limit(const std::string& ready_bytes) {
    DaemonOptions options;
    options.config = R"({"readyBytes": ")" + ready_bytes + R"("})";
    if (ready_bytes == "0") options.config = R"({"readyBytes": 0})";
    return options;
}

nlohmann::json status(const std::string& control_socket) {
    return nlohmann::json::parse(shmd::Client::control(control_socket).call("io.shmd.Control.GetStatus"));
}

struct Unsealed {
    std::set<ino_t> inodes;
    std::int64_t bytes = 0;  // that they have
};

// The memory without seals that a process has open: nobody was granted it yet.
Unsealed unsealed(pid_t process) {
    namespace fs = std::filesystem;
    Unsealed all;
    for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(process) + "/fd")) {
        std::error_code gone;
        if (!fs::read_symlink(fd.path(), gone).string().starts_with("/memfd:shmd")) continue;
        shmd::UniqueFd file(::open(fd.path().c_str(), O_RDONLY | O_CLOEXEC));
        struct stat found {};
        if (!file || ::fcntl(file.get(), F_GET_SEALS) != 0 || ::fstat(file.get(), &found) != 0 || found.st_size == 0)
            continue;
        if (all.inodes.insert(found.st_ino).second) all.bytes += std::int64_t{found.st_blocks} * 512;
    }
    return all;
}

// Of the memory that is mapped there.
ino_t inode_at(const void* address) {
    std::ifstream maps("/proc/self/maps");
    std::string line, part;
    while (std::getline(maps, line)) {
        std::istringstream fields(line);
        ino_t inode = 0;
        fields >> part >> part >> part >> part >> inode;
        if (std::stoull(line, nullptr, 16) == reinterpret_cast<std::uintptr_t>(address)) return inode;
    }
    shmd::test::fail("nothing is mapped there");
}

// Until so much is made ahead.
void await_ready(const std::string& control_socket, std::int64_t bytes) {
    auto deadline = std::chrono::steady_clock::now() + 2 * shmd::test::patience;
    while (status(control_socket)["readyBytes"] != bytes) {
        if (std::chrono::steady_clock::now() > deadline) shmd::test::fail(status(control_socket).dump());
    }
}

bool is_zero(const shmd::Segment& segment) {
    return std::all_of(segment.bytes().begin(), segment.bytes().end(),
                       [](std::byte each) { return each == std::byte{0}; });
}

void fill(shmd::Segment& segment) {
    std::memset(segment.data(), 0xff, segment.size());
}

}  // namespace

TEST_CASE(
    "what was asked for is made ahead once more, and the next segment is made of it: zeros that nobody ever had") {
    Daemon daemon(with_limit("1G"));
    shmd::Client client(daemon.socket());
    CHECK(status(daemon.control_socket())["readyBytes"] == 0);
    std::set<ino_t> handed_out;
    for (int round = 0; round < 4; round++) {
        CAPTURE(round);
        Unsealed before = unsealed(daemon.pid());
        auto segment =
            client.create("key", size, {.reserve = round % 2 == 0 ? shmd::Reserve::allocate : shmd::Reserve::populate});
        ino_t inode = inode_at(segment.data());
        CHECK(handed_out.insert(inode).second);
        if (round > 0) CHECK(before.inodes.contains(inode));
        CHECK(is_zero(segment));
        fill(segment);
        CHECK(status(daemon.control_socket())["bytes"] == size);
        client.delete_segment("key");
        await_ready(daemon.control_socket(), size);
        CHECK(unsealed(daemon.pid()).bytes >= size);
    }
}

TEST_CASE(
    "a segment that is larger than what is ready is made of it and more, a smaller one and a lazy one of something "
    "else") {
    Daemon daemon(with_limit("1G"));
    shmd::Client client(daemon.socket());
    { auto first = client.create("first", size); }
    await_ready(daemon.control_socket(), size);
    Unsealed ready = unsealed(daemon.pid());
    auto lazy = client.create("lazy", size, {.reserve = shmd::Reserve::lazy});
    auto smaller = client.create("smaller", size - 1);
    CHECK_FALSE(ready.inodes.contains(inode_at(lazy.data())));
    CHECK_FALSE(ready.inodes.contains(inode_at(smaller.data())));
    auto larger = client.create("larger", size + size / 2 + 1, {.capacity_bytes = 2 * size});
    CHECK(ready.inodes.contains(inode_at(larger.data())));
    CHECK(larger.size() == size + size / 2 + 1);
    CHECK(larger.info().capacity_bytes == 2 * size);
    CHECK(is_zero(larger));
    fill(larger);
    larger.resize(2 * size);
    CHECK(larger.bytes()[2 * size - 1] == std::byte{0});
}

TEST_CASE("so many are made ahead as were asked for at once, and never more than the limit") {
    Daemon daemon(with_limit("100M"));
    shmd::Client client(daemon.socket());
    for (int i = 0; i < 2; i++) (void)client.create("two/" + std::to_string(i), size);
    await_ready(daemon.control_socket(), 2 * size);
    // There is no room for all of these besides: the latest count.
    (void)client.create("large", 2 * size);
    await_ready(daemon.control_socket(), 3 * size);
    (void)client.create("too-large", 4 * size);
    for (int i = 0; i < 6; i++) (void)client.create("six/" + std::to_string(i), size / 2);
    std::int64_t most = 0;
    auto deadline = std::chrono::steady_clock::now() + 2 * shmd::test::patience;
    while (unsealed(daemon.pid()).inodes.size() != 6) {
        most = std::max(most, unsealed(daemon.pid()).bytes);
        REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
    await_ready(daemon.control_socket(), 3 * size);
    CHECK(most <= 100 << 20);
}

TEST_CASE("with a limit of 0 nothing is made ahead, and what was is given back") {
    Daemon daemon(with_limit("1G"));
    shmd::Client client(daemon.socket());
    (void)client.create("first", size);
    await_ready(daemon.control_socket(), size);
    std::ofstream(daemon.directory() / "config.json") << R"({"readyBytes": 0})" << std::flush;
    (void)shmd::Client::control(daemon.control_socket()).call("io.shmd.Control.Reload");
    await_ready(daemon.control_socket(), 0);
    Daemon other(with_limit("1G"));
    (void)client.create("second", size);
    (void)shmd::Client(other.socket()).create("key", size);
    await_ready(other.control_socket(), size);
    CHECK(unsealed(daemon.pid()).inodes.empty());
}

// The daemon looks at /proc/meminfo. In a mount namespace of this process's own, that is another file.
TEST_CASE("what is made ahead is given back when the machine's memory runs short") {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        MESSAGE("skipped: no mount namespace to be had here");
        return;
    }
    shmd::test::TemporaryDirectory directory;
    const std::string meminfo = directory.path() / "meminfo";
    auto tell = [&](const std::string& available_kib) {
        std::ofstream(meminfo) << "MemAvailable: " << available_kib << " kB\nSwapFree: 0 kB\n" << std::flush;
    };
    tell("900000000");
    REQUIRE(::mount(meminfo.c_str(), "/proc/meminfo", nullptr, MS_BIND, nullptr) == 0);
    {
        Daemon daemon(with_limit("1G"));
        shmd::Client client(daemon.socket());
        (void)client.create("first", size);
        await_ready(daemon.control_socket(), size);
        tell("200000");
        await_ready(daemon.control_socket(), 0);
        while (unsealed(daemon.pid()).bytes > 0) continue;
        // A Create gives it back before it is refused, without waiting for anybody to look.
        tell("900000000");
        (void)client.create("second", size);
        await_ready(daemon.control_socket(), size);
        tell("200000");
        (void)client.create("third", 8 << 20);
        CHECK(status(daemon.control_socket())["readyBytes"] == 0);
        tell("900000000");
    }
    REQUIRE(::umount("/proc/meminfo") == 0);
}

// ---- Beyond the daemon's process ----

TEST_CASE("what is made ahead ends with the daemon, killed or not, and segments made of it do not") {
    shmd::test::ServiceManager manager;
    manager.start();
    for (bool killed : {true, false}) {
        CAPTURE(killed);
        shmd::Client client(manager.socket());
        (void)client.create("first", size);
        await_ready(manager.control_socket(), size);
        Unsealed ready = unsealed(manager.pid());
        auto segment = client.create("made", size);
        CHECK(ready.inodes.contains(inode_at(segment.data())));
        fill(segment);
        await_ready(manager.control_socket(), 2 * size);
        // This process is the manager, too.
        CHECK(unsealed(::getpid()).bytes == 2 * size);
        if (killed) {
            manager.kill();
        } else {
            manager.stop();
            CHECK(unsealed(::getpid()).bytes == 0);
        }
        manager.start();
        CHECK(status(manager.control_socket())["readyBytes"] == 0);
        auto again = shmd::Client(manager.socket()).open_read("made");
        CHECK(std::all_of(again.bytes().begin(), again.bytes().end(),
                          [](std::byte each) { return each == std::byte{0xff}; }));
        auto deadline = std::chrono::steady_clock::now() + shmd::test::patience;
        while (unsealed(::getpid()).bytes > 0 || unsealed(manager.pid()).bytes > 0) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
        }
        shmd::Client other(manager.socket());
        other.delete_segment("first");
        other.delete_segment("made");
    }
}
