// Many segments in one trip, through <shmd/shmd.hpp>.
#include <doctest/doctest.h>
#include <shmd/shmd.hpp>
#include <sys/resource.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "daemon_fixture.hpp"
#include "limits.hpp"
#include "process.hpp"

using shmd::test::Daemon;
using shmd::test::DaemonOptions;

namespace {

template <typename F>
shmd::Error error_of(F function) {
    try {
        function();
    } catch (const shmd::Error& error) {
        return error;
    }
    shmd::test::fail("nothing was thrown");
}

std::string numbered(std::size_t i) {
    return "many/" + std::to_string(i);
}

std::vector<shmd::CreateRequest> requests(std::size_t count, std::uint64_t size = 100) {
    std::vector<shmd::CreateRequest> all;
    for (std::size_t i = 0; i < count; i++) all.push_back({numbered(i), size});
    return all;
}

rlim_t open_descriptors() {
    auto all = std::filesystem::directory_iterator("/proc/self/fd");
    return static_cast<rlim_t>(std::distance(begin(all), end(all)));
}

DaemonOptions with_config(std::string config) {
    DaemonOptions options;
    options.config = std::move(config);
    return options;
}

}  // namespace

TEST_CASE("250 segments are created in one trip and opened in one, each its own memory") {
    Daemon daemon;
    shmd::Client client(daemon.socket()), other(daemon.socket());
    std::vector<shmd::Segment> made = client.create_many(requests(shmd::limits::batch));
    REQUIRE(made.size() == shmd::limits::batch);
    for (std::size_t i = 0; i < made.size(); i++) made[i].as<std::size_t>() = i;
    CHECK(client.list().size() == shmd::limits::batch);

    std::vector<shmd::Key> keys;
    for (std::size_t i = 0; i < made.size(); i++) keys.emplace_back(numbered(made.size() - 1 - i));
    auto opened = other.open_many(keys);
    REQUIRE(opened.size() == keys.size());
    for (std::size_t i = 0; i < opened.size(); i++) {
        REQUIRE(opened[i].segment);
        CHECK(opened[i].segment->as<std::size_t>() == made.size() - 1 - i);
    }
    opened.clear();
    made.clear();
    (void)client.list("none");  // after this the daemon has heard of the client's ends
    for (const shmd::Info& info : other.list()) CHECK(info.attachments == 0);
}

TEST_CASE("more than a message holds are opened in several trips, and each has a result of its own") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    client.create_many(requests(10)).clear();
    std::vector<shmd::Key> keys;
    for (std::size_t i = 0; i < 600; i++) keys.emplace_back(numbered(i % 12));
    auto opened = client.open_many<shmd::Access::write>(keys);
    REQUIRE(opened.size() == 600);
    for (std::size_t i = 0; i < 600; i++) {
        CHECK(opened[i].segment.has_value() == (i % 12 < 10));
        if (!opened[i].segment) CHECK(opened[i].error == std::errc::no_such_file_or_directory);
    }
    opened.front().segment->as<int>() = 1;
    CHECK(client.open_many({}).empty());
    CHECK(error_of([&] { (void)client.create_many({}); }).code() == std::errc::invalid_argument);
    CHECK(error_of([&] { (void)client.create_many(requests(251)); }).code() == std::errc::invalid_argument);
}

TEST_CASE("many that are closed at once have ended before the next call, and other connections are told of theirs") {
    Daemon daemon;
    shmd::Client client(daemon.socket()), other(daemon.socket());
    std::vector<shmd::Key> keys;
    for (std::size_t i = 0; i < 600; i++) keys.emplace_back(numbered(i % 12));
    auto kept = client.create_many(requests(10));
    auto opened = client.open_many(keys);
    auto of_other = other.open_many(keys);
    CHECK(client.list().front().attachments > 100);
    // By turns of this client and of that one, and two in twelve are empty.
    std::vector<shmd::OpenResult<shmd::Access::read>> mixed;
    for (std::size_t i = 0; i < keys.size(); i++) {
        mixed.push_back(std::move(opened[i]));
        mixed.push_back(std::move(of_other[i]));
    }
    close_many(mixed);
    CHECK(mixed.empty());
    (void)other.list("none");
    for (const shmd::Info& info : client.list()) CHECK(info.attachments == 1);
    close_many(kept);
    CHECK(kept.empty());
    for (const shmd::Info& info : client.list()) CHECK(info.attachments == 0);
    close_many(kept);
    shmd_close_many(nullptr, 0);
}

TEST_CASE("many that are closed at once are unmapped before the daemon hears of it: what they wrote can be sealed") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto made = client.create_many(requests(50));
    close_many(made);
    for (std::size_t i = 0; i < 50; i++) CHECK_NOTHROW((void)client.open_write(numbered(i)).seal());
}

TEST_CASE("a child that closes many of its parent's only unmaps them there") {
    Daemon daemon;
    shmd::Client client(daemon.socket());
    auto made = client.create_many(requests(20));
    shmd::test::ChildProcess child([&](shmd::test::Turns&) {
        close_many(made);
        return 0;
    });
    CHECK(child.wait() == 0);
    for (std::size_t i = 0; i < made.size(); i++) made[i].as<std::size_t>() = i;
    for (const shmd::Info& info : client.list()) CHECK(info.attachments == 1);
}

TEST_CASE("when one cannot be created none is, and nothing stays charged") {
    Daemon daemon(with_config(R"({"limits": {"segments": 20, "bytes": "1M"}})"));
    shmd::Client client(daemon.socket());
    auto taken = client.create(numbered(5), 10);
    CHECK(error_of([&] { client.create_many(requests(10)); }).code() == std::errc::file_exists);
    CHECK(client.list().size() == 1);
    taken.close();
    client.delete_segment(numbered(5));
    auto too_many = error_of([&] { client.create_many(requests(21)); });
    CHECK(too_many.name() == "io.shmd.Segments.QuotaExceeded");
    CHECK(too_many.parameters().find("segments") != std::string::npos);
    CHECK(error_of([&] { client.create_many(requests(3, 512 << 10)); }).name() == "io.shmd.Segments.QuotaExceeded");
    CHECK(error_of([&] { client.create_many({{"a", 1}, {"/", 1}}); }).name() == "io.shmd.Segments.InvalidKey");
    CHECK(error_of([&] { client.create_many({{"a", 1}, {"a", 1}}); }).code() == std::errc::file_exists);
    CHECK(client.list().empty());
    CHECK(client.create_many(requests(20)).size() == 20);
}

TEST_CASE("large ones are reserved too, all or none") {
    Daemon daemon(with_config(R"({"limits": {"bytes": "64M"}})"));
    shmd::Client client(daemon.socket());
    auto made = client.create_many(requests(4, 8 << 20));
    REQUIRE(made.size() == 4);
    made[3].bytes().back() = std::byte{1};
    CHECK(error_of([&] { client.create_many({{"x", 8 << 20}, {"y", 32 << 20}}); }).name() ==
          "io.shmd.Segments.QuotaExceeded");
    CHECK(client.list().size() == 4);
}

TEST_CASE("a process without descriptors gets EMFILE for those that did not come, and the rest is given back") {
    Daemon daemon;
    shmd::Client client(daemon.socket()), other(daemon.socket());
    client.create_many(requests(50)).clear();
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    rlimit low{open_descriptors() + 10, old.rlim_max};
    std::vector<shmd::Key> keys;
    for (std::size_t i = 0; i < 50; i++) keys.emplace_back(numbered(i));
    std::vector<shmd::CreateRequest> too_many;
    for (int i = 0; i < 50; i++) too_many.push_back({"none/" + std::to_string(i), 1});
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    auto opened = client.open_many(keys);
    std::error_code refused;
    try {
        other.create_many(too_many);
    } catch (const shmd::Error& error) {
        refused = error.code();
    }
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
    std::size_t came = 0;
    for (auto& each : opened) {
        came += each.segment ? 1 : 0;
        if (!each.segment) CHECK(each.error == std::errc::too_many_files_open);
    }
    CHECK(came > 0);
    CHECK(came < 50);
    CHECK(refused == std::errc::too_many_files_open);
    std::uint64_t attachments = 0;
    for (const shmd::Info& info : client.list("many/")) attachments += info.attachments;
    CHECK(attachments == came);
    (void)other.describe(numbered(0));  // after this the daemon has heard of the deletions
    CHECK(other.list("none/").empty());
}
