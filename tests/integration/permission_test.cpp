// Who may do what, with real users. These tests need root to become them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr uid_t alice = 61001, bob = 61002;
constexpr gid_t alice_group = 62001, bob_group = 62002, shared_group = 62003;

Create create(std::string key, int mode) {
    Create call;
    call.key = std::move(key);
    call.size_bytes = 100;
    call.mode = mode;
    return call;
}

// What Open answers to this user: "read", "write" (both are granted), "nothing" or the error's name.
std::string granted(const Daemon& daemon, const std::string& key, const User& user) {
    int status = run_as(user.uid, user.gid, user.groups, [&] {
        RawClient client(daemon.socket());
        auto read = client.call(Open{{key, std::nullopt}, Access::read});
        auto write = client.call(Open{{key, std::nullopt}, Access::write});
        for (const auto* reply : {&read, &write}) {
            if (reply->is_error() && reply->known_error() != Error::permission_denied()) return 3;
        }
        return write.is_error() ? (read.is_error() ? 0 : 1) : (read.is_error() ? 4 : 2);
    });
    return std::vector<std::string>{"nothing", "read", "write", "another error", "write without read"}.at(status);
}

// alice creates the segment and leaves.
void create_as_alice(const Daemon& daemon, const std::string& key, int mode) {
    REQUIRE(run_as(alice, alice_group, {},
                   [&] { return !RawClient(daemon.socket()).call(create(key, mode)).is_error(); }) == 0);
}

}  // namespace

TEST_SUITE_BEGIN("permission");

TEST_CASE("owner, group and others are judged by their own bits" * doctest::skip(!is_root())) {
    Daemon daemon;
    const User owner{alice, alice_group}, member{bob, alice_group}, supplementary{bob, bob_group, {7, alice_group}};
    const User stranger{bob, bob_group, {7, 8}}, root{0, 0};
    struct Row {
        int mode;
        const char *owner, *group, *others;
    };
    for (const Row& row : {Row{0600, "write", "nothing", "nothing"}, Row{0644, "write", "read", "read"},
                           Row{0460, "read", "write", "nothing"}, Row{0006, "nothing", "nothing", "write"},
                           Row{0222, "nothing", "nothing", "nothing"}, Row{0000, "nothing", "nothing", "nothing"}}) {
        CAPTURE(row.mode);
        std::string key = "mode" + std::to_string(row.mode);
        create_as_alice(daemon, key, row.mode);
        CHECK(granted(daemon, key, owner) == row.owner);
        CHECK(granted(daemon, key, member) == row.group);
        CHECK(granted(daemon, key, supplementary) == row.group);
        CHECK(granted(daemon, key, stranger) == row.others);
        CHECK(granted(daemon, key, root) == "write");
    }
}

TEST_CASE("the creator is granted what it asked for, whatever mode it gives") {
    Daemon daemon;
    RawClient client(daemon.socket());
    CHECK(client.call(create("closed", 0)).fds.size() == 1);
    Create reading = create("reading", 0600);
    reading.access = Access::read;
    auto made = client.call(reading);
    CHECK((::fcntl(made.fds.at(0).get(), F_GETFL) & O_ACCMODE) == O_RDONLY);
}

TEST_CASE("a grant for reading cannot be turned into one for writing" * doctest::skip(!is_root())) {
    Daemon daemon;
    create_as_alice(daemon, "table", 0644);
    // bob, and alice herself: the memory belongs to the daemon's user, not to the segment's owner.
    for (uid_t uid : {bob, alice}) {
        int status = run_as(uid, bob_group, {}, [&] {
            RawClient client(daemon.socket());
            auto opened = client.call(Open{{"table", std::nullopt}, Access::read});
            int fd = opened.fds.at(0).get();
            if (::mmap(nullptr, 100, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) return 1;
            std::string path = "/proc/self/fd/" + std::to_string(fd);
            if (::open(path.c_str(), O_RDWR) >= 0) return 2;
            if (errno != EACCES) return 3;
            if (::fchmod(fd, 0666) == 0) return 4;
            if (::ftruncate(fd, 0) == 0) return 5;
            void* address = ::mmap(nullptr, 100, PROT_READ, MAP_SHARED, fd, 0);
            if (address == MAP_FAILED) return 6;
            if (::mprotect(address, 100, PROT_READ | PROT_WRITE) == 0) return 7;
            return 0;
        });
        CHECK(status == 0);
    }
}

TEST_CASE("the size a client was told stays: nobody can cut memory off, not even a writer") {
    Daemon daemon;
    RawClient client(daemon.socket());
    auto made = client.call(create("a", 0600));
    CHECK(::ftruncate(made.fds.at(0).get(), 0) == -1);
    CHECK(errno == EPERM);
    CHECK(::ftruncate(made.fds.at(0).get(), 1 << 20) == -1);
}

TEST_CASE("only owner, creator and root may delete, whatever the mode" * doctest::skip(!is_root())) {
    Daemon daemon;
    create_as_alice(daemon, "a", 0666);
    auto remove = [&] {
        RawClient client(daemon.socket());
        auto reply = client.call(Delete{{"a", std::nullopt}});
        return reply.is_error() ? (reply.known_error() == Error::permission_denied() ? 1 : 2) : 0;
    };
    CHECK(run_as(bob, alice_group, {}, remove) == 1);
    CHECK(run_as(alice, bob_group, {}, remove) == 0);
    create_as_alice(daemon, "a", 0600);
    CHECK(run_as(0, 0, {}, remove) == 0);
}

TEST_CASE("a description is for those who may read, owner and root; List leaves the others out" *
          doctest::skip(!is_root())) {
    Daemon daemon;
    create_as_alice(daemon, "closed", 0);
    create_as_alice(daemon, "open", 0644);
    auto listed_and_described = [&](std::size_t expected) {
        return [&daemon, expected] {
            RawClient client(daemon.socket());
            bool described = !client.call(Describe{{"closed", std::nullopt}}).is_error();
            return client.list().size() == expected && described == (expected == 2);
        };
    };
    CHECK(run_as(alice, alice_group, {}, listed_and_described(2)) == 0);
    CHECK(run_as(0, 0, {}, listed_and_described(2)) == 0);
    CHECK(run_as(bob, bob_group, {}, listed_and_described(1)) == 0);
}

TEST_CASE("nobody detaches or publishes another connection's attachment, or takes another user's key over" *
          doctest::skip(!is_root())) {
    Daemon daemon;
    RawClient root(daemon.socket());
    auto made = root.call(create("roots", 0666));
    Create staged;
    staged.size_bytes = 1;
    staged.staged = true;
    auto stage = root.call(staged);
    CHECK(run_as(bob, bob_group, {}, [&] {
              RawClient client(daemon.socket());
              if (client.call(Detach{made.value().attachment}).known_error() != Error::permission_denied()) return 1;
              Publish theirs{stage.value().attachment, "theirs"};
              if (client.call(theirs).known_error() != Error::permission_denied()) return 2;
              auto mine = client.call(staged);
              Publish over{mine.value().attachment, "roots", true};
              if (client.call(over).known_error() != Error::permission_denied()) return 3;
              Publish free{mine.value().attachment, "bobs", true};
              return client.call(free).is_error() ? 4 : 0;
          }) == 0);
    RawClient again(daemon.socket());
    CHECK(again.call(Detach{made.value().attachment}).known_error() == Error::permission_denied());
    CHECK_FALSE(root.call(Detach{made.value().attachment}).is_error());
}

TEST_CASE("the control socket is closed to other users, and serves nothing of the other interface" *
          doctest::skip(!is_root())) {
    Daemon daemon;
    struct stat status {};
    REQUIRE(::stat(daemon.control_socket().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0660);
    REQUIRE(::stat(daemon.socket().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0666);
    CHECK(run_as(bob, bob_group, {}, [&] { return ::access(daemon.control_socket().c_str(), W_OK) != 0; }) == 0);

    RawClient control(daemon.control_socket()), segments(daemon.socket());
    CHECK(control.call(List{}).known_error() == Error{ErrorCode::interface_not_found, "io.shmd.Segments"});
    CHECK(segments.call(GetStatus{}).known_error() == Error{ErrorCode::interface_not_found, "io.shmd.Control"});
    CHECK(segments.call(GetInterfaceDescription{"io.shmd.Control"}).known_error().code ==
          ErrorCode::interface_not_found);
    CHECK_FALSE(control.call(GetStatus{}).is_error());
}

TEST_CASE("a message cannot say who it is from" * doctest::skip(!is_root())) {
    Daemon daemon;
    CHECK(run_as(alice, alice_group, {}, [&] {
              RawClient client(daemon.socket());
              auto made = client.call(create("mine", 0600));
              const Segment& segment = made.value().segment;
              if (segment.owner_uid != alice || segment.owner_gid != alice_group || segment.creator_uid != alice ||
                  segment.creator_pid != ::getpid()) {
                  return 1;
              }
              client.send_text(R"({"method":"io.shmd.Segments.Create","parameters":{"sizeBytes":1,"ownerUid":0}})");
              return client.receive_reply<Create>().known_error() == Error::invalid_parameter("ownerUid") ? 0 : 2;
          }) == 0);
}

TEST_CASE("everything works when the daemon is a user without privileges" * doctest::skip(!is_root())) {
    DaemonOptions options;
    options.user = User{alice, alice_group};
    Daemon daemon(options);
    CHECK(run_as(bob, bob_group, {}, [&] {
              RawClient client(daemon.socket());
              auto made = client.call(create("a", 0644));
              if (made.value().segment.owner_uid != bob) return 1;
              auto opened = client.call(Open{{"a", std::nullopt}, Access::read});
              std::string path = "/proc/self/fd/" + std::to_string(opened.fds.at(0).get());
              return ::open(path.c_str(), O_RDWR) >= 0 ? 2 : 0;
          }) == 0);
    CHECK(settled(daemon).status.attachments == 0);
}

TEST_SUITE_END();
