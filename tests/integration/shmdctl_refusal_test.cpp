// What shmdctl says and how it ends when it cannot do what was asked for.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "shmdctl_runner.hpp"

using namespace shmd::test;
using shmd::UniqueFd;

namespace {

constexpr uid_t nobody = 65534;

void check_refused(const CommandResult& result, const std::string& message) {
    CHECK(result.status == refused);
    CHECK(result.err == "shmdctl: " + message + "\n");
    CHECK(result.out == "");
}

CommandResult run(const Arguments& arguments) {
    Arguments all = arguments;
    all.insert(all.begin(), SHMDCTL_PATH);
    return run_command(all, plain_environment);
}

// A service that takes calls and hangs up. Returns how the program ended.
CommandResult run_against_one_that_hangs_up(const std::string& path, const Arguments& arguments) {
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener.get(), 8) == 0);
    ChildProcess hangs_up([&listener](Turns&) -> int {
        for (;;) {
            UniqueFd call(::accept(listener.get(), nullptr, nullptr));
            char byte = 0;
            if (::recv(call.get(), &byte, 1, 0) < 0) return 1;
        }
    });
    Arguments all{SHMDCTL_PATH, "--socket", path};
    all.insert(all.end(), arguments.begin(), arguments.end());
    CommandResult result = run_command(all, plain_environment);
    hangs_up.kill();
    return result;
}

}  // namespace

TEST_CASE("a missing segment is told of by name in every command") {
    Shmdctl shmdctl;
    const std::string shown = "; \"shmdctl ls\" shows those there are (NoSuchSegment)";
    check_refused(shmdctl({"stat", "missing"}), "missing: there is no segment with this key" + shown);
    check_refused(shmdctl({"read", "missing"}), "missing: there is no segment with this key" + shown);
    check_refused(shmdctl({"rm", "missing"}), "missing: there is no segment with this key" + shown);
    check_refused(shmdctl({"stat", "0x10"}), "0x10: there is no segment with this key" + shown);
    check_refused(shmdctl({"write", "missing"}, "x"),
                  "missing: there is no segment with this key; make it with \"shmdctl create\" first (NoSuchSegment)");
}

TEST_CASE("a taken key and a segment that is too small are told apart") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "100"});
    check_refused(shmdctl({"create", "k", "--size", "100"}),
                  "k: there is a segment with this key already; take it as it is with --any, or delete it first "
                  "(SegmentExists)");
    check_refused(shmdctl({"create", "k", "--size", "1M", "--any"}),
                  "k: the segment with this key is smaller: 100 bytes; ask for no more than that, or delete it first "
                  "(SizeMismatch)");
}

TEST_CASE("an invalid key brings the grammar of keys") {
    Shmdctl shmdctl;
    const std::string grammar =
        ": this cannot be a key; keys are 1 to 255 of A-Z a-z 0-9 . _ : / @ + = - and begin with a letter or a digit "
        "(InvalidKey)";
    check_refused(shmdctl({"create", "two words", "--size", "1"}), "two words" + grammar);
    check_refused(shmdctl({"stat", "\x1b[31m\xff"}), "\\x1b[31m\\xff" + grammar);
    check_refused(shmdctl({"stat", ""}), "\"\"" + grammar);
    CommandResult prefix = shmdctl({"ls", "two words"});
    CHECK(prefix.status == refused);
    CHECK(contains(prefix.err, "shmdctl: two words: no key begins like this; "));
}

TEST_CASE("limits are named with their numbers") {
    Shmdctl shmdctl({.config = R"({"limits": {"bytes": "1M", "segments": 2}})"});
    check_refused(shmdctl({"create", "large", "--size", "2M"}),
                  "large: this would go over the limit of 1048576 bytes (1.0M); delete segments, or have the limit "
                  "raised (QuotaExceeded)");
    for (const char* key : {"a", "b"}) shmdctl.must({"create", key, "--size", "1"});
    check_refused(shmdctl({"create", "c", "--size", "1"}),
                  "c: this would go over the limit of 2 segments; delete segments, or have the limit raised "
                  "(QuotaExceeded)");
    check_refused(shmdctl({"create", "huge", "--size", "4096T"}),
                  "huge: this machine has not 4503599627370496 bytes (4096T) of memory to give; ask for less, or free "
                  "some (OutOfMemory)");
}

TEST_CASE("labels that are too long are told of with the rule") {
    Shmdctl shmdctl;
    CommandResult result = shmdctl({"create", "k", "--size", "1", "--label", "x=" + std::string(1025, 'y')});
    CHECK(result.status == refused);
    CHECK(contains(result.err, "shmdctl: k: the labels do not fit: at most 32 of them"));
    CHECK(contains(result.err, "(InvalidParameter)"));
}

TEST_CASE("another user is told who owns a segment, where that may be known" * doctest::skip(!is_root())) {
    Shmdctl shmdctl;
    shmdctl.must({"create", "closed", "--size", "5"});
    shmdctl.must({"create", "shown", "--size", "5", "--mode", "0644"});
    shmdctl.must({"write", "shown"}, "hello");
    const std::string hidden =
        " it: its owner and mode do not allow it; run this as its owner or as root "
        "(PermissionDenied)";
    check_refused(shmdctl.as(nobody, {"stat", "closed"}), "closed: user nobody may not look at" + hidden);
    check_refused(shmdctl.as(nobody, {"read", "closed"}), "closed: user nobody may not read" + hidden);
    check_refused(shmdctl.as(nobody, {"write", "closed"}, "x"), "closed: user nobody may not write" + hidden);
    check_refused(shmdctl.as(nobody, {"create", "closed", "--size", "1", "--any"}),
                  "closed: user nobody may not read" + hidden);
    CHECK(shmdctl.as(nobody, {"read", "shown"}).out == "hello");
    CHECK(shmdctl.as(nobody, {"create", "shown", "--size", "1", "--any"}).status == ok);
    check_refused(shmdctl.as(nobody, {"write", "shown"}, "x"),
                  "shown: user nobody may not write it: it belongs to user root and group root and has mode 0644 "
                  "(rw-r--r--) (PermissionDenied)");
    check_refused(shmdctl.as(nobody, {"rm", "shown"}),
                  "shown: user nobody may not delete it: only its owner root, its creator and root may "
                  "(PermissionDenied)");
    CHECK(shmdctl.must({"read", "shown"}) == "hello");

    CommandResult listed = shmdctl.as(nobody, {"--json", "ls"});
    CHECK(nlohmann::json::parse(listed.out).size() == 1);
}

TEST_CASE("users have their own segments and may administer those" * doctest::skip(!is_root())) {
    Shmdctl shmdctl;
    REQUIRE(shmdctl.as(nobody, {"create", "own", "--size", "5"}).status == ok);
    REQUIRE(shmdctl.as(nobody, {"write", "own"}, "hello").status == ok);
    CHECK(shmdctl.json({"stat", "own"})["ownerUid"] == nobody);
    CHECK(shmdctl.as(nobody, {"read", "own"}).out == "hello");
    CHECK(shmdctl.as(nobody, {"rm", "own"}).status == ok);
}

TEST_CASE("the control socket is closed to others, who are told for whom it is" * doctest::skip(!is_root())) {
    Shmdctl shmdctl;
    const std::string& path = shmdctl.daemon().control_socket();
    for (const char* command : {"status", "usage"}) {
        CommandResult result = shmdctl.as(nobody, {command});
        CHECK(result.status == refused);
        CHECK(result.err.starts_with("shmdctl: user nobody may not connect to " + path +
                                     ": it is for user root and group "));
    }
}

TEST_CASE("status on the wrong socket asks for the control socket") {
    Daemon daemon;
    CommandResult result = run({"--control-socket", daemon.socket(), "status"});
    check_refused(result,
                  "this is not the control socket of a daemon that can do this; name it with --control-socket "
                  "(InterfaceNotFound)");
}

TEST_CASE("rm goes on after a key that it cannot delete") {
    Shmdctl shmdctl;
    for (const char* key : {"a", "b"}) shmdctl.must({"create", key, "--size", "1"});
    CommandResult result = shmdctl({"rm", "a", "missing", "b", "two words"});
    CHECK(result.status == refused);
    std::vector<std::string> messages = lines(result.err);
    REQUIRE(messages.size() == 2);
    CHECK(messages[0].starts_with("shmdctl: missing: "));
    CHECK(messages[1].starts_with("shmdctl: two words: "));
    CHECK(shmdctl.must({"ls"}) == "");
}

TEST_CASE("rm deletes nothing that was not typed") {
    Shmdctl shmdctl;
    for (const char* key : {"a", "b"}) shmdctl.must({"create", key, "--size", "1"});
    CHECK(shmdctl({"rm", "[a,b]"}).status == wrong_usage);
    CHECK(shmdctl.json({"ls"}).size() == 2);
}

TEST_CASE("ranges beyond the segment are refused with its size") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "4K"});
    const std::string size = " the end of the segment, which has 4096 bytes (4.0K)";
    check_refused(shmdctl({"read", "k", "--offset", "4097"}), "k: --offset 4097 is beyond" + size);
    check_refused(shmdctl({"write", "k", "--offset", "1G"}), "k: --offset 1073741824 is beyond" + size);
    check_refused(shmdctl({"read", "k", "--length", "4097"}), "k: --length 4097 from offset 0 goes beyond" + size);
    check_refused(shmdctl({"read", "k", "--offset", "4095", "--length", "2"}),
                  "k: --length 2 from offset 4095 goes beyond" + size);
}

TEST_CASE("input that does not fit is never cut in silence") {
    Shmdctl shmdctl;
    TemporaryDirectory directory;
    std::string path = directory.path() / "file";
    std::ofstream(path) << "123456";
    shmdctl.must({"create", "k", "--size", "5"});
    // Known beforehand: nothing is written.
    check_refused(shmdctl({"write", "k", path}),
                  "k: " + path + " has 6 bytes, but from offset 0 on there is room for 5 bytes; nothing was written");
    CommandResult redirected = run_command(
        {"sh", "-c", "exec \"$0\" --socket \"$1\" write k <\"$2\"", SHMDCTL_PATH, shmdctl.daemon().socket(), path},
        plain_environment);
    CHECK(contains(redirected.err, "k: the input has 6 bytes"));
    CHECK(redirected.status == refused);
    CHECK(shmdctl.must({"read", "k"}) == std::string(5, '\0'));
    // Found out underway: what fits is written.
    check_refused(shmdctl({"write", "k", "--offset", "2"}, "abcd"),
                  "k: the input is too long: the segment is full after 3 bytes of it; those were written, the rest was "
                  "not");
    CHECK(shmdctl.must({"read", "k"}) == std::string("\0\0abc", 5));
    check_refused(shmdctl({"write", "k", "--offset", "5"}, "x"),
                  "k: the input is too long: the segment is full after 0 bytes of it; those were written, the rest was "
                  "not");
}

TEST_CASE("files that cannot be read are told of as such") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "5"});
    check_refused(shmdctl({"write", "k", "/nowhere"}), "/nowhere: No such file or directory");
    check_refused(shmdctl({"write", "k", ""}), "\"\": No such file or directory");
    check_refused(shmdctl({"write", "k", "/tmp"}), "/tmp: Is a directory");
}

TEST_CASE("output that nobody can take is an error") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "5"});
    auto to_full = [&](const std::string& arguments) {
        std::string script = "exec \"$0\" --socket \"$1\" " + arguments + " >/dev/full";
        return run_command({"sh", "-c", script, SHMDCTL_PATH, shmdctl.daemon().socket()}, plain_environment);
    };
    for (const char* command :
         {"ls", "stat k", "--json ls", "--json stat k", "status", "usage", "--help", "ls --help", "--version"}) {
        check_refused(to_full(command), "cannot write the output: No space left on device");
    }
    check_refused(to_full("read k"), "cannot write the output after 0 bytes: No space left on device");
}

TEST_CASE("wrong usage ends with status 2, says what is wrong and where help is") {
    struct {
        Arguments arguments;
        std::string message;
    } cases[] = {
        {{}, "a command is missing, such as create, ls or rm"},
        {{"lss"}, "there is no command \"lss\"; did you mean \"ls\"?"},
        {{"creat"}, "there is no command \"creat\"; did you mean \"create\"?"},
        {{"list"}, "there is no command \"list\"; did you mean \"ls\"?"},
        {{"delete"}, "there is no command \"delete\"; did you mean \"rm\"?"},
        {{"frobnicate"}, "there is no command \"frobnicate\""},
        {{"--jsn", "ls"}, "ls: there is no option \"--jsn\"; did you mean \"--json\"?"},
        {{"create", "k", "--sze", "1"}, "create: there is no option \"--sze\"; did you mean \"--size\"?"},
        {{"create", "k"}, "create: --size is required"},
        {{"create", "--size", "1"}, "create: KEY is required"},
        {{"create", "k", "--size"}, "create: --size needs a value"},
        {{"create", "k", "--size", "1X"}, "create: --size: \"1X\" is not a size; write it as 100, 4K, 16M, 2G or 1T"},
        {{"create", "k", "--size", "0"}, "create: --size: \"0\" is not a size; a segment has at least 1 byte"},
        {{"create", "k", "--size", "1", "--mode", "0888"},
         "create: --mode: \"0888\" is not a mode; write it as 0644, up to 0777"},
        {{"create", "k", "--size", "1", "--mode", "1777"},
         "create: --mode: \"1777\" is not a mode; write it as 0644, up to 0777"},
        {{"create", "k", "--size", "1", "--label", "x"}, "create: --label: \"x\" is not of the form NAME=VALUE"},
        {{"create", "k", "--size", "1", "--label", "=x"}, "create: --label: \"=x\" is not of the form NAME=VALUE"},
        {{"create", "k", "--size", "1", "--label", "x=1", "--label", "x=2"}, "create: --label: \"x\" is given twice"},
        {{"create", "k", "--size", "1", "--reserve", "some"},
         "create: --reserve: \"some\" is not one of lazy, allocate, populate"},
        {{"create", "k", "--size", "1", "--lifetime", "long"},
         "create: --lifetime: \"long\" is not one of persistent, attached"},
        {{"read", "k", "--offset", "-1"}, "read: --offset: \"-1\" is not a size; write it as 100, 4K, 16M, 2G or 1T"},
        {{"--socket", "", "rm", "k"}, "rm: --socket: the path is empty"},
        {{"--control-socket", "", "status"}, "status: --control-socket: the path is empty"},
        {{"stat"}, "stat: KEY is required"},
        {{"stat", "a", "b"}, "stat: \"b\" is one argument too many"},
        {{"create", "--", "k", "--size", "1"}, "create: \"--size\" is no option behind \"--\"; put it before that"},
        {{"rm"}, "rm: KEY is required"},
    };
    for (const auto& [arguments, message] : cases) {
        CommandResult result = run(arguments);
        CHECK_MESSAGE(result.status == wrong_usage, message);
        std::vector<std::string> said = lines(result.err);
        REQUIRE(said.size() == 2);
        CHECK(said[0] == "shmdctl: " + message);
        CHECK(said[1].starts_with("Try \"shmdctl "));
        CHECK(result.out == "");
    }
}

TEST_CASE("without a daemon the status is 3, and the message names the socket and how to start one") {
    TemporaryDirectory directory;
    std::string path = directory.path() / "socket";
    CommandResult named = run({"--socket", path, "ls"});
    CHECK(named.status == no_daemon);
    CHECK(named.err == "shmdctl: no daemon answers at " + path +
                           ": No such file or directory; start one there with "
                           "\"shmd --socket " +
                           path + "\"\n");
    CommandResult control = run({"--socket", path, "status"});
    CHECK(control.status == no_daemon);
    CHECK(contains(control.err, "no daemon answers at " + path + ".control: "));
    CommandResult named_control = run({"--control-socket", path, "usage"});
    CHECK(named_control.status == no_daemon);
    CHECK(contains(named_control.err, "\"shmd --control-socket " + path + "\""));

    Arguments environment = plain_environment;
    environment[0] = "SHMD_SOCKET=" + path;
    CommandResult from_environment = run_command({SHMDCTL_PATH, "stat", "k"}, environment);
    CHECK(from_environment.status == no_daemon);
    CHECK(contains(from_environment.err, "no daemon answers at " + path +
                                             ": No such file or directory; start one "
                                             "there, or mend $SHMD_SOCKET"));
}

TEST_CASE("without any instance both ways to start one are named" *
          doctest::skip(std::filesystem::exists("/run/shmd/io.shmd.Segments"))) {
    TemporaryDirectory directory;
    Arguments environment = plain_environment;
    environment.push_back("XDG_RUNTIME_DIR=" + directory.path().string());
    CommandResult result = run_command({SHMDCTL_PATH, "ls"}, environment);
    CHECK(result.status == no_daemon);
    CHECK(contains(result.err, "no daemon answers at " + directory.path().string() + "/shmd/io.shmd.Segments: "));
    CHECK(contains(result.err, "nor is there a system instance at /run/shmd/io.shmd.Segments"));
    CHECK(contains(result.err, "\"systemctl start shmd\", or run \"shmd\" for yourself"));
}

TEST_CASE("sockets that this user cannot or must not use are told of as such" * doctest::skip(!is_root())) {
    Shmdctl shmdctl;
    TemporaryDirectory directory;
    std::filesystem::create_directory(directory.path() / "shmd");
    std::filesystem::permissions(directory.path() / "shmd", std::filesystem::perms::all);
    Arguments environment = plain_environment;
    environment.push_back("XDG_RUNTIME_DIR=" + directory.path().string());
    if (!std::filesystem::exists("/run/shmd/io.shmd.Segments")) {
        CommandResult open_to_all = run_command({SHMDCTL_PATH, "ls"}, environment);
        CHECK(open_to_all.status == no_daemon);
        CHECK(contains(open_to_all.err, "/shmd is not a private directory of this user; "));
    }
    std::filesystem::permissions(shmdctl.daemon().directory(), std::filesystem::perms::owner_all);
    check_refused(shmdctl.as(nobody, {"ls"}),
                  "user nobody cannot reach " + shmdctl.daemon().socket() + ": a directory on the way is closed to it");
}

TEST_CASE("a dead daemon's socket is no daemon") {
    Shmdctl shmdctl;
    shmdctl.daemon().kill();
    for (const Arguments& arguments : {Arguments{"ls"}, {"stat", "k"}, {"rm", "k"}, {"create", "k", "--size", "1"}}) {
        CommandResult result = shmdctl(arguments);
        CHECK(result.status == no_daemon);
        CHECK(contains(result.err, "no daemon answers at " + shmdctl.daemon().socket() + ": Connection refused; "));
    }
}

TEST_CASE("a daemon that goes away underway is no daemon, and what became of the request is not claimed") {
    TemporaryDirectory directory;
    CommandResult result = run_against_one_that_hangs_up(directory.path() / "socket", {"rm", "k", "l"});
    CHECK(result.status == no_daemon);
    CHECK(result.err == "shmdctl: k: the daemon went away before it answered; whether this was done is not known\n");
}
