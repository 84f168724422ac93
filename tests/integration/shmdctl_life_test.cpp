// The commands of shmdctl for the life of a segment and for administrators: what they do, print and refuse.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <utility>

#include "shmdctl_runner.hpp"
#include "varlink_client.hpp"

using namespace shmd::test;
using nlohmann::json;

namespace {

constexpr uid_t alice = 61001;

DaemonOptions with_config(std::string config) {
    DaemonOptions options;
    options.config = std::move(config);
    return options;
}

// It is refused, and says this on standard error.
void check_refused(const CommandResult& result, int status, std::string_view words) {
    INFO(result.err);
    CHECK(result.status == status);
    CHECK(contains(result.err, words));
}

// A shmdctl that goes on, and the lines that it prints.
class Running {
  public:
    explicit Running(const Arguments& command) {
        Pipe pipe;
        pid_ = ::fork();
        if (pid_ == 0) {
            std::vector<char*> arguments;
            for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
            arguments.push_back(nullptr);
            ::dup2(pipe.in.get(), STDOUT_FILENO);
            ::execv(arguments[0], arguments.data());
            ::_exit(99);
        }
        out_ = std::move(pipe.out);
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        if (pid_ > 0) ::kill(pid_, SIGKILL);
        wait();
    }

    [[nodiscard]] pid_t pid() const { return pid_; }

    // The next line; FAILs at the end.
    std::string line() {
        std::string text;
        for (char c = 0; c != '\n';) {
            if (::read(out_.get(), &c, 1) != 1) fail("it ended");
            text += c;
        }
        text.pop_back();
        return text;
    }
    int wait() {
        int status = 0;
        if (pid_ <= 0 || ::waitpid(std::exchange(pid_, 0), &status, 0) <= 0) return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

  private:
    pid_t pid_ = 0;
    shmd::UniqueFd out_;
};

}  // namespace

TEST_CASE("create takes all that decides a segment's life, and stat shows it") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "4K", "--capacity", "1M", "--lease", "90m", "--evictable", "--unsealable",
                  "--acl", "u:root:rw", "--acl", "group:4242:r", "--numa-nodes", "0", "--huge-pages", "none"});
    json segment = shmdctl.json({"stat", "k"});
    CHECK(segment["lifetime"] == "lease");
    CHECK(segment["leaseUsec"] == 5'400'000'000);
    CHECK(segment["evictable"] == true);
    CHECK(segment["capacityBytes"] == 1 << 20);
    CHECK(segment["numaNodes"] == json{0});
    CHECK(segment["acl"] == json{{{"uid", 0}, {"access", "write"}}, {{"gid", 4242}, {"access", "read"}}});
    std::string view = shmdctl.must({"stat", "k"});
    for (const char* text : {"a lease of 1h 30m", "1048576 bytes (1.0M)", "u:root:rw", "g:4242:r", "NUMA nodes     0"}) {
        CHECK_MESSAGE(contains(view, text), text);
    }
    check_refused(shmdctl({"seal", "k"}), refused, "nobody can seal it (NotSealable)");
    check_refused(shmdctl({"create", "x", "--size", "2K", "--capacity", "1K"}), refused, "smaller than the size");
    check_refused(shmdctl({"create", "x", "--size", "1", "--lease", "500ms"}), wrong_usage, "at least a second");
    check_refused(shmdctl({"create", "x", "--size", "1", "--lease", "soon"}), wrong_usage, "write it as 30s");
    check_refused(shmdctl({"create", "x", "--size", "1", "--acl", "root:rw"}), wrong_usage, "write it as u:NAME:r");
    check_refused(shmdctl({"create", "x", "--size", "1", "--acl", "u:no-such-user:r"}), wrong_usage, "nor a uid");
    check_refused(shmdctl({"create", "x", "--size", "1", "--numa-nodes", "0,"}), wrong_usage, "a list of nodes");
    check_refused(shmdctl({"create", "x", "--size", "1", "--numa-nodes", "1000"}), refused, "NUMA nodes");
}

TEST_CASE("publish puts a file or a pipe under the key in one step, and replaces what was there") {
    Shmdctl shmdctl;
    TemporaryDirectory directory;
    std::string file = directory.path() / "file";
    std::ofstream(file) << "first";
    shmdctl.must({"publish", "table", file, "--mode", "0644", "--label", "version=1"});
    CHECK(shmdctl.must({"read", "table"}) == "first");
    json before = shmdctl.json({"stat", "table"});
    CHECK(before["mode"] == 0644);
    CHECK(before["labels"] == json{{"version", "1"}});

    shmdctl.must({"publish", "table", "--seal"}, "second one");
    CHECK(shmdctl.must({"read", "table"}) == "second one");
    json after = shmdctl.json({"stat", "table"});
    CHECK(after["id"] != before["id"]);
    CHECK(after["sealed"] == true);
    check_refused(shmdctl({"write", "table"}, "x"), refused, "it is sealed");
    check_refused(shmdctl({"publish", "table", "--no-replace"}, "x"), refused, "SegmentExists");
    CHECK(shmdctl.must({"read", "table"}) == "second one");
    check_refused(shmdctl({"publish", "table"}, ""), refused, "the input is empty");
    check_refused(shmdctl({"publish", "table", directory.path() / "none"}), refused, "No such file");
    CHECK(shmdctl.json({"ls"}).size() == 1);
}

TEST_CASE("a segment is changed by the commands that people know") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "a", "--size", "10"});
    shmdctl.must({"create", "b", "--size", "10"});
    shmdctl.must({"chmod", "0640", "a", "b"});
    CHECK(shmdctl.json({"stat", "b"})["mode"] == 0640);
    CommandResult partly = shmdctl({"chmod", "0600", "none", "a"});
    check_refused(partly, refused, "none: there is no segment");
    CHECK(shmdctl.json({"stat", "a"})["mode"] == 0600);
    check_refused(shmdctl({"chmod", "999", "a"}), wrong_usage, "is not a mode");

    shmdctl.must({"label", "a", "x=1", "y=2"});
    shmdctl.must({"label", "a", "y=3", "--remove", "x"});
    CHECK(shmdctl.json({"stat", "a"})["labels"] == json{{"y", "3"}});
    check_refused(shmdctl({"label", "a"}), wrong_usage, "nothing to change");

    CHECK(shmdctl.must({"acl", "a"}) == "");
    shmdctl.must({"acl", "a", "--add", "u:4711:r", "--add", "g:4712:rw"});
    shmdctl.must({"acl", "a", "--add", "u:4711:rw", "--remove", "g:4712"});
    CHECK(shmdctl.must({"acl", "a"}) == "u:4711:rw\n");
    CHECK(shmdctl.json({"acl", "a", "--clear"})["acl"] == nullptr);

    shmdctl.must({"lifetime", "a", "--lease", "2h", "--evictable", "yes"});
    json leased = shmdctl.json({"stat", "a"});
    CHECK(leased["leaseUsec"] == 7'200'000'000);
    CHECK(leased["evictable"] == true);
    CHECK(shmdctl.json({"renew", "a"})[0]["expiresUsec"] >= leased["expiresUsec"]);
    shmdctl.must({"lifetime", "a", "persistent"});
    check_refused(shmdctl({"renew", "a"}), refused, "it has no lease");
    check_refused(shmdctl({"lifetime", "a"}), wrong_usage, "nothing to change");

    check_refused(shmdctl({"resize", "a", "11"}), refused, "capacity of 10 bytes");
    shmdctl.must({"create", "c", "--size", "10", "--capacity", "1M"});
    CHECK(shmdctl.json({"resize", "c", "512K"})["sizeBytes"] == 512 << 10);
    shmdctl.must({"resize", "c", "5"});
    shmdctl.must({"seal", "c"});
    check_refused(shmdctl({"resize", "c", "6"}), refused, "it is sealed");
}

TEST_CASE("chown gives a segment away, and others may not" * doctest::skip(!is_root())) {
    Shmdctl shmdctl;
    shmdctl.must({"create", "a", "--size", "10"});
    check_refused(shmdctl.as(alice, {"chmod", "0666", "a"}), refused, "only its owner, its creator and root may");
    shmdctl.must({"chown", std::to_string(alice) + ":4242", "a"});
    json segment = shmdctl.json({"stat", "a"});
    CHECK(segment["ownerUid"] == alice);
    CHECK(segment["ownerGid"] == 4242);
    CHECK(shmdctl.as(alice, {"chmod", "0666", "a"}).status == ok);
    shmdctl.must({"chown", ":0", "a"});
    CHECK(shmdctl.json({"stat", "a"})["ownerUid"] == alice);
    check_refused(shmdctl({"chown", "", "a"}), wrong_usage, "write it as USER");
}

TEST_CASE("watch prints a line an event, as text or as JSON") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "w/there", "--size", "4K"});
    Running text(shmdctl.command({"watch", "w/"}));
    Running lines(shmdctl.command({"--json", "watch", "w/"}));
    CHECK(contains(text.line(), " present    w/there  4.0K"));
    CHECK(json::parse(lines.line())["event"] == "present");
    json ready = json::parse(lines.line());
    CHECK(ready["event"] == "ready");
    CHECK(ready["segment"] == nullptr);
    shmdctl.must({"create", "beside", "--size", "1"});
    shmdctl.must({"rm", "w/there"});
    CHECK(contains(text.line(), " deleted    w/there"));
    json deleted = json::parse(lines.line());
    CHECK(deleted["event"] == "deleted");
    CHECK(deleted["segment"]["key"] == "w/there");
    shmdctl.daemon().kill();
    CHECK(text.wait() == no_daemon);
}

TEST_CASE("wait returns when the key is there, or in time") {
    Shmdctl shmdctl;
    check_refused(shmdctl({"wait", "late", "--timeout", "1ms"}), refused, "late: it has not come in this time");
    Running waiting(shmdctl.command({"--json", "wait", "late"}));
    shmdctl.must({"create", "late", "--size", "7"});
    CHECK(waiting.line() == "{");
    CHECK(waiting.wait() == ok);
    CHECK(shmdctl.must({"wait", "late", "--timeout", "1h"}) == "");
}

TEST_CASE("who tells which processes have a segment open, and kill ends their connections") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "4K"});
    CHECK(shmdctl.must({"who", "k"}) == "");
    Pipe input;
    Arguments command = shmdctl.command({"write", "k"});
    pid_t writer = ::fork();
    if (writer == 0) {
        ::dup2(input.out.get(), STDIN_FILENO);
        ::execl(command[0].c_str(), command[0].c_str(), "--socket", shmdctl.daemon().socket().c_str(), "write", "k", nullptr);
        ::_exit(99);
    }
    json holders = json::array();
    while (holders.empty()) holders = shmdctl.json({"who", "k"});
    CHECK(holders[0]["pid"] == writer);
    CHECK(holders[0]["command"] == "shmdctl");
    CHECK(holders[0]["access"] == "write");
    std::string view = shmdctl.must({"who", "k"});
    CHECK(contains(view, "COMMAND"));
    CHECK(contains(view, std::to_string(writer)));
    check_refused(shmdctl({"seal", "k"}), refused, "open for writing in process " + std::to_string(writer));

    shmdctl.must({"kill", std::to_string(writer)});
    while (!shmdctl.json({"who", "k"}).empty()) continue;
    // A connection ends a moment after what it held.
    while (shmdctl({"kill", std::to_string(writer)}).status == 0) continue;
    check_refused(shmdctl({"kill", std::to_string(writer)}), refused, "it has no connection");
    check_refused(shmdctl({"kill", "0"}), wrong_usage, "is not a number from 1");
    input.in.reset();
    int status = 0;
    ::waitpid(writer, &status, 0);
    CHECK(status == 0);  // what it has mapped stays mapped
}

TEST_CASE("who stays short where thousands have a segment open, and says so") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "4K"});
    shmd::test::RawClient client(shmdctl.daemon().socket());
    shmd::OpenMany batch{std::vector<shmd::Target>(250, shmd::Target{"k", std::nullopt}), shmd::Access::read};
    for (int i = 0; i < 6; i++) REQUIRE(client.call(batch).fds.size() == 250);
    auto who = shmdctl({"who", "k"});
    CHECK(who.status == ok);
    CHECK(contains(who.err, "k: 500 more are left out"));
    CHECK(lines(who.out).size() == 1001);
    CHECK(contains(shmdctl.must({"ls", "--all"}), "  1500  "));
}

TEST_CASE("an administrator sees and deletes everything, and has the daemon drop, drain, log and reload") {
    Shmdctl shmdctl(with_config("{}"));
    shmdctl.must({"create", "k", "--size", "4K", "--evictable", "--mode", "0000"});
    CHECK(contains(shmdctl.must({"ls", "--all"}), "STATE"));
    json all = shmdctl.json({"ls", "--all", "k"});
    REQUIRE(all.size() == 1);
    CHECK(all[0]["key"] == "k");
    CHECK(shmdctl.json({"ls", "--all", "none"}).empty());
    CHECK(shmdctl.must({"evict", "--bytes", "1"}) == "1 segment, 4.0K\n");
    CHECK(shmdctl.json({"evict"})["segments"] == 0);
    shmdctl.must({"create", "k", "--size", "1"});
    shmdctl.must({"rm", "--force", "k"});
    check_refused(shmdctl({"rm", "--force", "k"}), refused, "k: there is no segment");

    shmdctl.must({"drain"});
    CHECK(contains(shmdctl.must({"status"}), "draining     yes"));
    check_refused(shmdctl({"create", "k", "--size", "1"}), refused, "being drained");
    shmdctl.must({"drain", "--off"});
    shmdctl.must({"create", "k", "--size", "1"});

    shmdctl.must({"log-level", "debug"});
    check_refused(shmdctl({"log-level", "loud"}), wrong_usage, "one of trace, debug");
    shmdctl.must({"reload"});
}

TEST_CASE("what other tools call these commands is suggested") {
    Shmdctl shmdctl;
    check_refused(shmdctl({"lsof", "k"}), wrong_usage, "did you mean \"who\"?");
    check_refused(shmdctl({"truncate", "k"}), wrong_usage, "did you mean \"resize\"?");
    check_refused(shmdctl({"chmd", "0600", "k"}), wrong_usage, "did you mean \"chmod\"?");
}
