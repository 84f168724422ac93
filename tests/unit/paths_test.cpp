// Where a client looks for the sockets, and whose directories it trusts.
#include "paths.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#include "process.hpp"

using namespace shmd;
using test::is_root;
using test::run_as;
using test::TemporaryDirectory;

namespace {

// Sets a variable, or unsets it with nothing; puts the old value back.
class Environment {
  public:
    Environment(const char* name, const std::optional<std::string>& value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old;
        set(value);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    ~Environment() { set(old_); }

  private:
    void set(const std::optional<std::string>& value) const {
        if (value) {
            ::setenv(name_, value->c_str(), 1);
        } else {
            ::unsetenv(name_);
        }
    }

    const char* name_;
    std::optional<std::string> old_;
};

// No variable of the caller's reaches the test.
struct CleanEnvironment {
    Environment no_socket{"SHMD_SOCKET", std::nullopt};
    Environment no_control_socket{"SHMD_CONTROL_SOCKET", std::nullopt};
    Environment no_runtime_directory{"XDG_RUNTIME_DIR", std::nullopt};
};

bool system_instance_runs() {
    return ::access("/run/shmd/io.shmd.Segments", F_OK) == 0 || ::access("/run/shmd/io.shmd.Control", F_OK) == 0;
}

void make_directory(const std::string& path, mode_t mode) {
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

}  // namespace

TEST_CASE("the system instance has fixed paths") {
    CHECK(system_socket(Endpoint::segments) == "/run/shmd/io.shmd.Segments");
    CHECK(system_socket(Endpoint::control) == "/run/shmd/io.shmd.Control");
}

TEST_CASE_FIXTURE(CleanEnvironment, "the user instance is below XDG_RUNTIME_DIR, and below /tmp without one") {
    std::string private_directory = "/tmp/shmd-" + std::to_string(::geteuid());
    CHECK(user_runtime_directory() == private_directory);
    CHECK(user_socket(Endpoint::segments) == private_directory + "/io.shmd.Segments");
    {
        Environment empty("XDG_RUNTIME_DIR", "");
        CHECK(user_runtime_directory() == private_directory);
    }
    Environment runtime_directory("XDG_RUNTIME_DIR", "/run/user/4242");
    CHECK(user_runtime_directory() == "/run/user/4242/shmd");
    CHECK(user_socket(Endpoint::segments) == "/run/user/4242/shmd/io.shmd.Segments");
    CHECK(user_socket(Endpoint::control) == "/run/user/4242/shmd/io.shmd.Control");
}

TEST_CASE("the control socket stands beside the Segments socket") {
    CHECK(control_socket_of("/a/io.shmd.Segments") == "/a/io.shmd.Control");
    CHECK(control_socket_of("/io.shmd.Segments") == "/io.shmd.Control");
    CHECK(control_socket_of("io.shmd.Segments") == "io.shmd.Control");
    CHECK(control_socket_of("/a/test.sock") == "/a/test.sock.control");
    CHECK(control_socket_of("/a/not-io.shmd.Segments") == "/a/not-io.shmd.Segments.control");
}

TEST_CASE_FIXTURE(CleanEnvironment, "SHMD_SOCKET names the socket and the control socket beside it") {
    Environment socket("SHMD_SOCKET", "/a/io.shmd.Segments");
    CHECK(find_socket(Endpoint::segments) == "/a/io.shmd.Segments");
    CHECK(find_socket(Endpoint::control) == "/a/io.shmd.Control");
}

TEST_CASE_FIXTURE(CleanEnvironment, "SHMD_CONTROL_SOCKET goes before SHMD_SOCKET for the control socket alone") {
    Environment socket("SHMD_SOCKET", "/a/io.shmd.Segments");
    Environment control("SHMD_CONTROL_SOCKET", "/b/control");
    CHECK(find_socket(Endpoint::segments) == "/a/io.shmd.Segments");
    CHECK(find_socket(Endpoint::control) == "/b/control");
}

TEST_CASE_FIXTURE(CleanEnvironment,
                  "without a system instance the user instance is found" * doctest::skip(system_instance_runs())) {
    TemporaryDirectory runtime_directory;
    Environment runtime("XDG_RUNTIME_DIR", runtime_directory.path().string());
    std::string directory = runtime_directory.path() / "shmd";

    SUBCASE("when its directory does not exist yet") {}
    SUBCASE("when its directory is private") {
        make_directory(directory, 0700);
    }
    SUBCASE("when others may read its directory") {
        make_directory(directory, 0755);
    }
    SUBCASE("whatever an empty SHMD_SOCKET says") {
        Environment empty("SHMD_SOCKET", "");
        CHECK(find_socket(Endpoint::segments) == directory + "/io.shmd.Segments");
    }
    CHECK(find_socket(Endpoint::segments) == directory + "/io.shmd.Segments");
    CHECK(find_socket(Endpoint::control) == directory + "/io.shmd.Control");
}

TEST_CASE_FIXTURE(CleanEnvironment, "a user instance that others could have put there is refused" *
                                        doctest::skip(system_instance_runs())) {
    TemporaryDirectory runtime_directory;
    Environment runtime("XDG_RUNTIME_DIR", runtime_directory.path().string());
    std::string directory = runtime_directory.path() / "shmd";

    SUBCASE("its directory is writable by its group") {
        make_directory(directory, 0770);
    }
    SUBCASE("its directory is writable by all") {
        make_directory(directory, 0777);
    }
    SUBCASE("its directory is a symbolic link") {
        std::string elsewhere = runtime_directory.path() / "elsewhere";
        make_directory(elsewhere, 0700);
        REQUIRE(::symlink(elsewhere.c_str(), directory.c_str()) == 0);
    }
    SUBCASE("its directory is a file") {
        std::ofstream{directory};
    }
    CHECK_FALSE(find_socket(Endpoint::segments));
    CHECK_FALSE(find_socket(Endpoint::control));
}

TEST_CASE_FIXTURE(CleanEnvironment, "a user instance in another user's directory is refused" *
                                        doctest::skip(system_instance_runs() || !is_root())) {
    TemporaryDirectory runtime_directory;
    Environment runtime("XDG_RUNTIME_DIR", runtime_directory.path().string());
    make_directory(runtime_directory.path() / "shmd", 0755);
    CHECK(run_as(12345, 12345, {}, [] { return !find_socket(Endpoint::segments); }) == 0);
}

TEST_CASE("a directory that is not there is not private") {
    TemporaryDirectory directory;
    CHECK(is_private_directory(directory.path()));
    CHECK_FALSE(is_private_directory(directory.path() / "missing"));
}
