// How the daemon starts and stops: options, configuration, socket files, systemd's sockets.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;
namespace fs = std::filesystem;

namespace {

const std::string program = SHMD_DAEMON_PATH;

UniqueFd bound_socket(const std::string& path, bool listening) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    if (listening) REQUIRE(::listen(fd.get(), 16) == 0);
    return fd;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("--help and --version answer and exit 0") {
    auto help = run_command({program, "--help"});
    CHECK(help.status == 0);
    for (const char* option : {"--socket", "--control-socket", "--config", "--log-level", "--version"}) {
        CHECK(contains(help.out, option));
    }
    auto version = run_command({program, "--version"});
    CHECK(version.status == 0);
    CHECK(version.out == "shmd " SHMD_VERSION "\n");
}

TEST_CASE("wrong options exit 2 and say what is wrong") {
    for (const char* option : {"--sokcet", "--log-level=loud", "stray"}) {
        auto result = run_command({program, option});
        CHECK(result.status == 2);
        CHECK(contains(result.err, option[0] == '-' && option[2] == 'l' ? "loud" : option));
    }
}

TEST_CASE("a broken configuration exits 1 and names file, line and reason") {
    TemporaryDirectory directory;
    std::string path = directory.path() / "shmd.conf";
    std::ofstream(path) << "{\n\"limits\": {\"bytes\": \"lots\"}\n}";
    auto result = run_command({program, "--config", path, "--socket", directory.path() / "s"});
    CHECK(result.status == 1);
    CHECK(contains(result.err, path + ":2: limits.bytes: must be a size"));
    std::ofstream(path) << "{\n\n]";
    result = run_command({program, "--config", path, "--socket", directory.path() / "s"});
    CHECK(contains(result.err, path + ":3: not valid JSON"));
    CHECK(run_command({program, "--config", directory.path() / "missing"}).status == 1);
    CHECK_FALSE(fs::exists(directory.path() / "s"));
}

TEST_CASE("SIGTERM and SIGINT end it with 0 and remove its sockets, also while clients are in the middle of calls") {
    for (int number : {SIGTERM, SIGINT}) {
        Daemon daemon;
        RawClient waiting(daemon.socket()), creating(daemon.socket()), idle(daemon.socket());
        waiting.send(Open{{"never", std::nullopt}, Access::read, limits::integer});
        Create large;
        large.size_bytes = 512 << 20;
        creating.send(large);
        REQUIRE_FALSE(idle.call(GetInfo{}).is_error());
        if (number == SIGINT) ::kill(daemon.pid(), SIGINT);
        CHECK(daemon.stop() == 0);
        CHECK_FALSE(fs::exists(daemon.socket()));
        CHECK_FALSE(fs::exists(daemon.control_socket()));
        idle.expect_eof();
    }
}

TEST_CASE("a second daemon on a live socket refuses and leaves it alone") {
    Daemon daemon;
    auto second = run_command({program, "--socket", daemon.socket(), "--control-socket", daemon.control_socket()});
    CHECK(second.status == 1);
    CHECK(contains(second.err, "cannot listen on " + daemon.socket() + ": another daemon is running there"));
    // Also when only the control socket is taken: then its own new socket goes again.
    std::string other = daemon.directory() / "other";
    second = run_command({program, "--socket", other, "--control-socket", daemon.control_socket()});
    CHECK(second.status == 1);
    CHECK_FALSE(fs::exists(other));
    RawClient client(daemon.socket());
    CHECK_FALSE(client.call(GetInfo{}).is_error());
}

TEST_CASE("a stale socket is replaced") {
    Daemon daemon;
    daemon.kill();
    REQUIRE(fs::exists(daemon.socket()));
    daemon.restart();
    RawClient client(daemon.socket());
    CHECK_FALSE(client.call(GetInfo{}).is_error());
}

TEST_CASE("what is not a socket is never unlinked") {
    TemporaryDirectory directory;
    std::string path = directory.path() / "precious";
    std::ofstream(path) << "data";
    auto result = run_command({program, "--socket", path});
    CHECK(result.status == 1);
    CHECK(contains(result.err, "a file that is not a socket is in the way"));
    CHECK(fs::file_size(path) == 4);
    fs::create_symlink(directory.path() / "nowhere", directory.path() / "link");
    CHECK(run_command({program, "--socket", directory.path() / "link"}).status == 1);
    CHECK(fs::is_symlink(directory.path() / "link"));
    result = run_command({program, "--socket", directory.path() / "no" / "such" / "directory"});
    CHECK(result.status == 1);
    result = run_command({program, "--socket", "/tmp/" + std::string(200, 'x')});
    CHECK(result.status == 1);
    CHECK(contains(result.err, "longer than 107 bytes"));
}

TEST_CASE("at its end it removes its own sockets alone") {
    Daemon daemon;
    fs::remove(daemon.socket());
    UniqueFd foreign = bound_socket(daemon.socket(), true);
    CHECK(daemon.stop() == 0);
    CHECK(fs::exists(daemon.socket()));
}

TEST_CASE("without arguments it serves this user from a directory that nobody else may enter") {
    TemporaryDirectory directory;
    OwnedProcess process = spawn({program}, {.environment = {"XDG_RUNTIME_DIR=" + directory.path().string()}});
    fs::path socket = directory.path() / "shmd" / "io.shmd.Segments";
    // The socket file appears before it listens: connecting is what shows that it is ready.
    pid_t pid = process.pid();
    CHECK(pid > 0);
    auto connected = [&] {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, socket.c_str());
        return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    };
    while (!connected()) REQUIRE(::waitpid(pid, nullptr, WNOHANG) == 0);
    struct stat status {};
    REQUIRE(::stat((directory.path() / "shmd").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0700);
    process.signal(SIGTERM);
    CHECK(process.wait() == 0);

    // A directory that another user may write is not to be trusted.
    ::chmod((directory.path() / "shmd").c_str(), 0777);
    auto refused = run_command({program}, {"XDG_RUNTIME_DIR=" + directory.path().string()});
    CHECK(refused.status == 1);
    CHECK(contains(refused.err, "a directory of this user that no other may write"));
}

TEST_CASE("it takes systemd's sockets by their names and leaves their files alone") {
    TemporaryDirectory directory;
    std::string segments_path = directory.path() / "s", control_path = directory.path() / "c";
    UniqueFd control = bound_socket(control_path, true);
    UniqueFd segments = bound_socket(segments_path, true);
    pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // As systemd does: the sockets from 3 on, and the environment that names them.
        int first = ::fcntl(control.get(), F_DUPFD, 10), second = ::fcntl(segments.get(), F_DUPFD, 10);
        ::dup2(first, 3);
        ::dup2(second, 4);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", "2", 1);
        ::setenv("LISTEN_FDNAMES", "io.shmd.Control:io.shmd.Segments", 1);
        ::execl(program.c_str(), program.c_str(), static_cast<char*>(nullptr));
        ::_exit(127);
    }
    OwnedProcess process(child);
    // The sockets listen already: the first call waits in them until the daemon is up.
    RawClient client(segments_path), admin(control_path);
    Create call;
    call.size_bytes = 10;
    CHECK(client.call(call).fds.size() == 1);
    CHECK(admin.call(GetStatus{}).value().segments == 1);
    process.signal(SIGTERM);
    CHECK(process.wait() == 0);
    CHECK(fs::exists(segments_path));
    CHECK(fs::exists(control_path));
}
