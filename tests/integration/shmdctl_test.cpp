// The commands of shmdctl when all goes well: what they do and what they print.
#include <fstream>

#include "shmdctl_runner.hpp"

using namespace shmd::test;
using nlohmann::json;

namespace {

std::string file_with(const TemporaryDirectory& directory, std::string_view text) {
    std::string path = directory.path() / "file";
    std::ofstream(path, std::ios::binary) << text;
    return path;
}

// The value of a line such as "size  10 bytes" of the human view.
std::string field(const std::string& view, const std::string& name) {
    for (const std::string& line : lines(view)) {
        if (line.starts_with(name + "  ")) return line.substr(line.find_first_not_of(' ', name.size()));
    }
    return "no line " + name;
}

}  // namespace

TEST_CASE("create says nothing, and the segment is there with the size and the mode that were asked for") {
    Shmdctl shmdctl;
    CHECK(shmdctl.must({"create", "app/cache", "--size", "4K", "--mode", "0640"}) == "");
    json segment = shmdctl.json({"stat", "app/cache"});
    CHECK(segment["key"] == "app/cache");
    CHECK(segment["sizeBytes"] == 4096);
    CHECK(segment["mode"] == 0640);
    CHECK(segment["state"] == "live");

    shmdctl.must({"create", "plain", "--size", "1"});
    CHECK(shmdctl.json({"stat", "plain"})["mode"] == 0600);
}

TEST_CASE("without --mode the daemon chooses, as its policy says") {
    Shmdctl shmdctl({.config = R"({"policy": {"defaultMode": "0640"}})"});
    shmdctl.must({"create", "created", "--size", "1"});
    CHECK(shmdctl.json({"stat", "created"})["mode"] == 0640);
    shmdctl.must({"publish", "published"}, "text");
    CHECK(shmdctl.json({"stat", "published"})["mode"] == 0640);
    shmdctl.must({"create", "named", "--size", "1", "--mode", "0600"});
    CHECK(shmdctl.json({"stat", "named"})["mode"] == 0600);
}

TEST_CASE("sizes count in 1024s") {
    Shmdctl shmdctl;
    for (auto [text, bytes] : std::vector<std::pair<std::string, int>>{{"7", 7}, {"3K", 3072}, {"2M", 2 << 20}}) {
        shmdctl.must({"create", "size-" + text, "--size", text});
        CHECK(shmdctl.json({"stat", "size-" + text})["sizeBytes"] == bytes);
    }
    shmdctl.must({"create", "size-1G", "--size", "1G", "--reserve", "lazy"});
    CHECK(shmdctl.json({"stat", "size-1G"})["sizeBytes"] == 1 << 30);
}

TEST_CASE("create --json prints the segment, with the field names of the interface") {
    Shmdctl shmdctl;
    json segment = shmdctl.json({"create", "k", "--size", "10", "--label", "a=b", "--label", "c=d=e"});
    CHECK(segment["key"] == "k");
    CHECK(segment["sizeBytes"] == 10);
    CHECK(segment["labels"] == json{{"a", "b"}, {"c", "d=e"}});
    for (const char* name :
         {"id", "mode", "ownerUid", "ownerGid", "creatorUid", "creatorGid", "creatorPid", "state", "sealed",
          "attachments", "createdUsec", "attachedUsec", "detachedUsec", "changedUsec", "expiresUsec", "evictable"}) {
        CHECK_MESSAGE(segment.contains(name), name);
    }
}

TEST_CASE("create --any takes the segment that is there") {
    Shmdctl shmdctl;
    json made = shmdctl.json({"create", "k", "--size", "100", "--any"});
    json found = shmdctl.json({"create", "k", "--size", "60", "--any"});
    CHECK(found["id"] == made["id"]);
    CHECK(found["sizeBytes"] == 100);
}

TEST_CASE("a segment of lifetime attached goes with the create that made it, which says so") {
    Shmdctl shmdctl;
    CommandResult created = shmdctl({"create", "brief", "--size", "1", "--lifetime", "attached"});
    CHECK(created.status == ok);
    CHECK(contains(created.err, "shmdctl: brief: made, but it goes with this command"));
    CHECK(shmdctl.must({"create", "lasting", "--size", "1", "--lifetime", "persistent"}) == "");
    CHECK(shmdctl({"stat", "lasting"}).status == ok);
}

TEST_CASE("memory is reserved as create is told") {
    Shmdctl shmdctl;
    for (const char* how : {"lazy", "allocate", "populate"}) {
        CHECK(shmdctl.must({"create", how, "--size", "64K", "--reserve", how}) == "");
    }
}

TEST_CASE("an integer for a key means the System V key of that number, in every command") {
    Shmdctl shmdctl;
    CHECK(shmdctl.json({"create", "0xff3", "--size", "5"})["key"] == "sysv:0x00000ff3");
    CHECK(shmdctl.json({"stat", "4083"})["key"] == "sysv:0x00000ff3");
    shmdctl.must({"write", "0XFF3"}, "hello");
    CHECK(shmdctl.must({"read", "sysv:0x00000ff3"}) == "hello");
    CHECK(shmdctl.json({"create", "-1", "--size", "5"})["key"] == "sysv:0xffffffff");
    shmdctl.must({"rm", "0xff3", "-1"});
    CHECK(shmdctl.json({"ls"}).empty());
}

TEST_CASE("write copies standard input or a file into the segment, and read copies it out") {
    Shmdctl shmdctl;
    TemporaryDirectory directory;
    shmdctl.must({"create", "k", "--size", "10"});
    CHECK(shmdctl.must({"write", "k"}, "hello") == "");
    CHECK(shmdctl.must({"read", "k"}) == std::string("hello\0\0\0\0\0", 10));
    CHECK(shmdctl.must({"write", "k", "-"}, "HE") == "");
    CHECK(shmdctl.must({"write", "k", "--offset", "5", file_with(directory, "12345")}) == "");
    CHECK(shmdctl.must({"read", "k"}) == "HEllo12345");
    // Nothing at the very end is in order too.
    CHECK(shmdctl.must({"write", "k", "--offset", "10"}) == "");
}

TEST_CASE("read takes an offset and a length") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "10"});
    shmdctl.must({"write", "k"}, "0123456789");
    CHECK(shmdctl.must({"read", "k", "--offset", "7"}) == "789");
    CHECK(shmdctl.must({"read", "k", "--length", "2"}) == "01");
    CHECK(shmdctl.must({"read", "k", "--offset", "3", "--length", "4"}) == "3456");
    CHECK(shmdctl.must({"read", "k", "--offset", "10"}) == "");
    CHECK(shmdctl.must({"read", "k", "--length", "0"}) == "");
}

TEST_CASE("ls lists the segments in the order of their keys, in columns that line up") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "zoo", "--size", "3M", "--mode", "0644"});
    shmdctl.must({"create", "app/a-rather-long-key", "--size", "10"});
    std::vector<std::string> all = lines(shmdctl.must({"ls"}));
    REQUIRE(all.size() == 3);
    CHECK(all[0].starts_with("KEY                    SIZE  MODE  OWNER"));
    CHECK(all[1].starts_with("app/a-rather-long-key    10  0600  "));
    CHECK(all[2].starts_with("zoo                    3.0M  0644  "));
    CHECK(all[0].find("CREATED") == all[1].find("20"));
    CHECK(all[0].size() < all[1].size());

    json segments = shmdctl.json({"ls"});
    REQUIRE(segments.size() == 2);
    CHECK(segments[0]["key"] == "app/a-rather-long-key");
    CHECK(segments[1]["key"] == "zoo");
}

TEST_CASE("ls takes the beginning of keys, and prints nothing or an empty array when there are none") {
    Shmdctl shmdctl;
    for (const char* key : {"app/a", "app/b", "other"}) shmdctl.must({"create", key, "--size", "1"});
    CHECK(lines(shmdctl.must({"ls", "app/"})).size() == 3);
    CHECK(shmdctl.json({"ls", "app/"}).size() == 2);
    CHECK(shmdctl.must({"ls", "nothing"}) == "");
    CHECK(shmdctl.must({"--json", "ls", "nothing"}) == "[]\n");
}

TEST_CASE("ls shows keys of any length whole") {
    Shmdctl shmdctl;
    std::string longest(255, 'k');
    shmdctl.must({"create", longest, "--size", "1"});
    shmdctl.must({"create", "short", "--size", "1"});
    std::vector<std::string> all = lines(shmdctl.must({"ls"}));
    REQUIRE(all.size() == 3);
    CHECK(all[1].starts_with(longest + "     1  0600"));
    CHECK(all[2].find("0600") == all[1].find("0600"));
}

TEST_CASE("stat shows every field with names and exact numbers") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "1536K", "--mode", "0640", "--label", "team=billing", "--label", "x="});
    std::string view = shmdctl.must({"stat", "k"});
    CHECK(field(view, "key") == "k");
    CHECK(field(view, "size") == "1572864 bytes (1.5M)");
    CHECK(field(view, "mode") == "0640 (rw-r-----)");
    CHECK(field(view, "state") == "live");
    CHECK(field(view, "sealed") == "no");
    CHECK(contains(field(view, "owner"), "(" + std::to_string(::geteuid()) + ")"));
    CHECK(field(view, "created").ends_with(" +0000"));
    CHECK(field(view, "expires") == "never");
    CHECK(field(view, "labels") == "team=billing");
    CHECK(contains(view, "\n               x=\n"));
    CHECK(lines(view).size() == 25);
}

TEST_CASE("users without a name are shown by number" * doctest::skip(!is_root())) {
    Shmdctl shmdctl;
    constexpr uid_t nameless = 61234;
    REQUIRE(shmdctl.as(nameless, {"create", "k", "--size", "1"}).status == ok);
    CHECK(field(shmdctl.must({"stat", "k"}), "owner") == "61234 (61234)");
    CHECK(contains(shmdctl.must({"ls"}), "0600  61234  61234  "));
}

TEST_CASE("what a terminal might obey is printed as escapes, and JSON stays the same document") {
    Shmdctl shmdctl;
    const std::string hostile = "\x1b[2J\r\n\\ \x7f \xc2\x9b \xe2\x80\xae caf\xc3\xa9";
    shmdctl.must({"create", "k", "--size", "1", "--label", "note=" + hostile});
    CHECK(field(shmdctl.must({"stat", "k"}), "labels") ==
          "note=\\x1b[2J\\r\\n\\\\ \\u007f \\u009b \\u202e caf\xc3\xa9");
    std::string document = shmdctl.must({"--json", "stat", "k"});
    CHECK(json::parse(document)["labels"]["note"] == hostile);
    for (const char* raw : {"\x1b", "\x7f", "\xc2\x9b", "\xe2\x80\xae"}) CHECK_FALSE(contains(document, raw));
}

TEST_CASE("rm deletes every segment that it is given") {
    Shmdctl shmdctl;
    for (const char* key : {"a", "b", "c"}) shmdctl.must({"create", key, "--size", "1"});
    CHECK(shmdctl.must({"rm", "a", "c"}) == "");
    json left = shmdctl.json({"ls"});
    REQUIRE(left.size() == 1);
    CHECK(left[0]["key"] == "b");
}

TEST_CASE("keys may be called like commands") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "ls", "--size", "1"});
    shmdctl.must({"create", "status", "--size", "1"});
    CHECK(shmdctl.json({"stat", "ls"})["key"] == "ls");
    shmdctl.must({"rm", "status", "ls"});
}

TEST_CASE("status and usage tell what the daemon and its users hold") {
    Shmdctl shmdctl({.config = R"({"limits": {"bytes": "64M", "segments": 40}})"});
    shmdctl.must({"create", "k", "--size", "2M"});
    std::string view = shmdctl.must({"status"});
    CHECK(field(view, "pid") == std::to_string(shmdctl.daemon().pid()));
    CHECK(field(view, "segments") == "1 of 40");
    CHECK(field(view, "memory") == "2.0M of 64.0M");
    CHECK(shmdctl.json({"status"})["segmentsLimit"] == 40);

    std::vector<std::string> users = lines(shmdctl.must({"usage"}));
    REQUIRE(users.size() == 2);
    CHECK(users[0].starts_with("USER"));
    CHECK(contains(users[1], "2.0M of "));
    auto usage = shmdctl.json({"usage"})["usage"][0];
    CHECK(usage["bytes"] == 2 << 20);
    if (usage["uid"] == 0) CHECK(usage["segmentsLimit"] == 40);
}

TEST_CASE("the control socket is the one beside the socket that was named") {
    Daemon daemon;
    CommandResult status = run_command({SHMDCTL_PATH, "--socket", daemon.socket(), "status"}, plain_environment);
    CHECK(status.err == "");
    CHECK(status.status == ok);
    Arguments environment = plain_environment;
    environment[0] = "SHMD_SOCKET=" + daemon.socket();
    CHECK(run_command({SHMDCTL_PATH, "status"}, environment).status == ok);
    CHECK(run_command({SHMDCTL_PATH, "ls"}, environment).status == ok);
}

TEST_CASE("options of all commands may stand before and behind the command") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "1"});
    CHECK(shmdctl.must({"ls", "--json"}) == shmdctl.must({"--json", "ls"}));
    CommandResult behind = run_command({SHMDCTL_PATH, "ls", "--socket", shmdctl.daemon().socket()}, plain_environment);
    CHECK(behind.status == ok);
}

TEST_CASE("every level has a help with examples, and there is a version") {
    Arguments commands{"create", "write", "read", "stat", "ls", "rm", "status", "usage"};
    CommandResult top = run_command({SHMDCTL_PATH, "--help"}, plain_environment);
    CHECK(top.status == ok);
    for (const std::string& command : commands) {
        CHECK(contains(top.out, "\n  " + command + " "));
        CommandResult help = run_command({SHMDCTL_PATH, command, "--help"}, plain_environment);
        CHECK(help.status == ok);
        CHECK(contains(help.out, "Usage: shmdctl " + command));
        CHECK(contains(help.out, "Examples:\n  "));
        for (const std::string& line : lines(help.out)) CHECK_MESSAGE(line.size() <= 80, line);
    }
    for (const std::string& line : lines(top.out)) CHECK_MESSAGE(line.size() <= 80, line);
    CHECK(run_command({SHMDCTL_PATH, "--version"}, plain_environment).out == "shmdctl " SHMD_VERSION "\n");
}
