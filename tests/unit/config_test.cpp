#include "config.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include "machine.hpp"

using namespace shmd;

namespace {

constexpr std::int64_t memory = std::int64_t{8} << 30;

// A file in the temporary directory, gone at the end.
class File {
  public:
    explicit File(const std::string& text) {
        int fd = ::mkstemp(path_.data());
        REQUIRE(fd >= 0);
        ::close(fd);
        std::ofstream(path_) << text;
    }
    ~File() { ::unlink(path_.c_str()); }
    const std::string& path() const { return path_; }

  private:
    std::string path_ = "/tmp/shmd-config-test-XXXXXX";
};

Config read(const std::string& text) {
    File file(text);
    return read_config(file.path(), default_config(memory, 100'000));
}

std::string complaint(const std::string& text) {
    File file(text);
    try {
        (void)read_config(file.path(), default_config(memory, 100'000));
    } catch (const std::runtime_error& error) {
        std::string what = error.what();
        REQUIRE(what.starts_with(file.path()));
        return what.substr(file.path().size());
    }
    return "";
}

std::int64_t amount(const Amounts& amounts, Resource resource) {
    return amounts[static_cast<std::size_t>(resource)];
}

}  // namespace

TEST_CASE("an empty object changes nothing, and the defaults follow the machine") {
    Config config = read("{}");
    CHECK_FALSE(config.socket);
    CHECK(config.log_level == "info");
    CHECK(amount(config.limits.total, Resource::bytes) == memory / 2);
    CHECK(amount(config.limits.total, Resource::segments) == 55'000);
    CHECK(amount(config.limits.per_uid, Resource::bytes) == memory / 4);
}

TEST_CASE("every option is read, with comments around it") {
    Config config = read(R"({
        // where
        "socket": "/run/a", "controlSocket": "/run/b", "controlGroup": "wheel",
        "logLevel": "debug", /* how much */ "hugePages": false, "readyBytes": "64M", "messageTimeoutSec": 5,
        "limits": {"bytes": "3G", "segments": 7, "attachments": 8, "connections": 9,
                   "perUid": {"bytes": 4096, "segments": 1, "attachments": 2, "connections": 3}}
    })");
    CHECK(config.socket == "/run/a");
    CHECK(config.control_socket == "/run/b");
    CHECK(config.control_group == "wheel");
    CHECK(config.log_level == "debug");
    CHECK_FALSE(config.huge_pages);
    CHECK(config.ready_bytes == 64 << 20);
    CHECK(read(R"({"readyBytes": 0})").ready_bytes == 0);
    CHECK(config.message_timeout == std::chrono::seconds(5));
    CHECK(amount(config.limits.total, Resource::bytes) == std::int64_t{3} << 30);
    CHECK(amount(config.limits.total, Resource::segments) == 7);
    CHECK(amount(config.limits.total, Resource::attachments) == 8);
    CHECK(amount(config.limits.total, Resource::connections) == 9);
    CHECK(amount(config.limits.per_uid, Resource::bytes) == 4096);
    CHECK(amount(config.limits.per_uid, Resource::segments) == 1);
    CHECK(amount(config.limits.per_uid, Resource::attachments) == 2);
    CHECK(amount(config.limits.per_uid, Resource::connections) == 3);
}

TEST_CASE("a mistake is refused with its place and what would be right") {
    CHECK(complaint("{\n  \"logLevel\": \"info\",\n  oops\n}").starts_with(":3: not valid JSON"));
    CHECK(complaint(R"({"colour": 1})").starts_with(":1: colour: there is no such option; options here: controlGroup"));
    CHECK(complaint(R"({"limits": {"perUid": {"byte": 1}}})").starts_with(":1: limits.perUid.byte: there is no such"));
    CHECK(complaint(R"({"logLevel": "loud"})").starts_with(":1: logLevel: must be trace"));
    CHECK(complaint(R"({"limits": {"segments": 0}})") == ":1: limits.segments: must be a whole number from 1");
    CHECK(complaint(R"({"limits": {"bytes": "3X"}})").starts_with(":1: limits.bytes: must be a size"));
    CHECK(complaint(R"({"limits": 1})") == ":1: limits: must be an object");
    CHECK(complaint(R"({"limits": {"perUid": []}})") == ":1: limits.perUid: must be an object");
    CHECK(complaint(R"({"messageTimeoutSec": 1.5})").starts_with(":1: messageTimeoutSec: must be a whole number"));
    CHECK(complaint(R"({"readyBytes": -1})").starts_with(":1: readyBytes: must be a size from 0"));
    CHECK(complaint(R"({"hugePages": "yes"})") == ":1: hugePages: must be true or false");
    CHECK(complaint(R"([])").starts_with(": the file: must be an object"));
    CHECK(complaint(R"({"socket": ""})") == ":1: socket: must be a path");
    // The line is that of the member, whatever stands around it.
    CHECK(complaint("{\n\n  \"limits\": {\n    \"bytes\": 5,\n    // why\n    \"segments\":\n 0\n  }\n}") ==
          ":6: limits.segments: must be a whole number from 1");
    CHECK(complaint("{\"policy\": {\"reserved\": [\n{\"prefix\": \"a\"},\n{\"prefix\": \"b\",\n \"mode\": 5}]}}")
              .starts_with(":4: policy.reserved[1].mode: must be an octal mode"));
    CHECK(complaint("{\"policy\": {\"reserved\": [\n\n{}]}}") == ":3: policy.reserved[0].prefix: is missing");
}

TEST_CASE("a file that is not there is named") {
    CHECK_THROWS_WITH_AS((void)read_config("/nonexistent/shmd.conf", Config{}),
                         "/nonexistent/shmd.conf: No such file or directory", std::runtime_error);
}

TEST_CASE("the machine has memory, and the descriptor limit can be raised to what is already there") {
    CHECK(memory_limit() > 0);
    CHECK(raise_descriptor_limit(16) == 16);
}
