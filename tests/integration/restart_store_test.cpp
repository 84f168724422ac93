// The service manager's store of a daemon that is killed and started again, and a manager that is slow or hears nothing.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "restarted_daemon.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr std::size_t blanks = 64;  // that the daemon keeps at hand

// Waits until the store holds so many.
void await_stored(ServiceManager& manager, std::size_t wanted) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (manager.stored() != wanted) {
        if (std::chrono::steady_clock::now() > deadline) fail(std::to_string(manager.stored()) + " are stored");
    }
}

}  // namespace

TEST_CASE("the store holds what there is and nothing more") {
    ServiceManager manager;
    manager.start();
    ChildProcess client([&](Turns&) {
        RawClient own(manager.socket());
        std::vector<Create> calls;
        for (int i = 0; i < 200; i++) calls.push_back(create("many/" + std::to_string(i)));
        if (own.call(CreateMany{calls}).is_error()) return 1;
        for (int i = 0; i < 150; i++) {
            if (own.call(Delete{named("many/" + std::to_string(i))}).is_error()) return 1;
        }
        return 0;
    });
    CHECK(client.wait() == 0);
    for (int round = 0; round < 3; round++) {
        manager.kill();
        manager.start();
        RawClient again(manager.socket());
        CHECK(again.list().size() == 50);
    }
    // Blank ones for those to come are stored too; removing is done behind the answers.
    await_stored(manager, 50 + 64);
}

TEST_CASE("a place in the store that is used again has what was put there last, whenever the daemon is killed") {
    ServiceManager manager;
    manager.start();
    for (int round = 0; round < 20; round++) {
        std::string key = "kept/" + std::to_string(round);
        {
            RawClient client(manager.socket());
            auto kept = client.call(create(key));
            write_text(kept, key);
            kept.fds.clear();
            for (int i = 0; i < 100; i++) {
                auto made = client.call(create("brief"));
                write_text(made, "brief");
                made.fds.clear();
                client.send(Detach{made.value().attachment}, {.oneway = true});
                CHECK(!client.call(Delete{named("brief")}).is_error());
            }
        }
        manager.kill();
        manager.start();
        RawClient again(manager.socket());
        REQUIRE(again.list().size() == static_cast<std::size_t>(round + 1));
        for (int i = 0; i <= round; i++) {
            std::string each = "kept/" + std::to_string(i);
            CHECK(read_text(again, named(each)) == each);
        }
    }
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (manager.stored() != 20 + 64) {
        if (std::chrono::steady_clock::now() > deadline) fail(std::to_string(manager.stored()) + " are stored");
    }
}

TEST_CASE("creating waits for the service manager, and is answered when it has the memory") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket()), other(manager.socket());
    std::vector<Create> calls;
    for (int i = 0; i < 250; i++) calls.push_back(create("many/" + std::to_string(i)));
    manager.hold();
    client.send(CreateMany{calls});
    // Others are served meanwhile, and see nothing of it.
    CHECK(other.list().empty());
    char byte = 0;
    CHECK(::recv(client.socket(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == -1);
    manager.go_on();
    CHECK(client.receive_reply<CreateMany>().value().grants.size() == 250);
    CHECK(other.list().size() == 250);
}

TEST_CASE("a daemon that is killed while creating waits leaves nothing of it") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    std::vector<Create> calls;
    for (int i = 0; i < 250; i++) calls.push_back(create("many/" + std::to_string(i)));
    manager.hold();
    client.send(CreateMany{calls});
    RawClient other(manager.socket());
    (void)other.list();
    manager.kill();
    manager.go_on();
    manager.start();
    RawClient again(manager.socket());
    CHECK(again.list().empty());
    RawClient control(manager.control_socket());
    CHECK(control.call(GetStatus{}).value().bytes == 0);
}

TEST_CASE("what a killed daemon sent last comes to the store after the next one was started, and is mistaken for nothing") {
    ServiceManager manager;
    manager.start();
    {
        // More than there are blanks: the answer comes when the manager has these, and so all blanks ordered before.
        RawClient client(manager.socket());
        std::vector<Create> calls;
        for (int i = 0; i < 250; i++) calls.push_back(create("before/" + std::to_string(i)));
        REQUIRE_FALSE(client.call(CreateMany{calls}).is_error());
    }
    manager.hold();
    {
        // More are ordered for the store when half of those that were there are used up.
        RawClient client(manager.socket());
        for (int i = 0; i < 40; i++) REQUIRE_FALSE(client.call(create("first/" + std::to_string(i))).is_error());
    }
    manager.kill();
    manager.start([&] { manager.go_on(); });
    {
        RawClient client(manager.socket());
        CHECK(client.list("first/").size() == 40);
        for (int i = 0; i < 150; i++) write_text(client.call(create("second/" + std::to_string(i), 8192)), std::to_string(i));
    }
    manager.kill();
    manager.start();
    RawClient client(manager.socket());
    CHECK(client.list("second/").size() == 150);
    for (int i = 0; i < 150; i++) CHECK(read_text(client, named("second/" + std::to_string(i))) == std::to_string(i));
}

TEST_CASE("a full store is a limit on segments") {
    ServiceManager manager({.store = 100});
    manager.start();
    RawClient client(manager.socket());
    for (int i = 0; i < 36; i++) REQUIRE_FALSE(client.call(create("key/" + std::to_string(i))).is_error());
    CHECK(client.call(create("one-more")).known_error() == Error::quota_exceeded("segments", 36));
    REQUIRE_FALSE(client.call(Delete{named("key/0")}).is_error());
}

TEST_CASE("a store that was emptied takes its segments with it, and the log names them") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    REQUIRE_FALSE(client.call(create("gone")).is_error());
    manager.stop();
    manager.empty_store();
    manager.start();
    RawClient again(manager.socket());
    CHECK(again.list().empty());
    CHECK(manager.log().find("gone is lost") != std::string::npos);
    REQUIRE_FALSE(again.call(create("gone")).is_error());
}

TEST_CASE("without a store the daemon says that segments end with it") {
    ServiceManager manager({.store = 0});
    manager.start();
    CHECK(manager.log().find("segments end with this process") != std::string::npos);
    RawClient control(manager.control_socket());
    CHECK_FALSE(control.call(GetStatus{}).value().survives_restart);
}

TEST_CASE("a service manager that hears nothing delays neither calls, nor a reload, nor the end") {
    ServiceManager manager;
    manager.start();
    RawClient control(manager.control_socket()), client(manager.socket());
    while (manager.stored() < blanks) std::this_thread::yield();
    // When it is answered, nothing is under way to the manager.
    REQUIRE_FALSE(client.call(create("key")).is_error());
    manager.hold();
    {
        UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        manager.notify_socket().copy(address.sun_path, sizeof address.sun_path - 1);
        while (::sendto(socket.get(), "X=1", 3, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address),
                        sizeof address) == 3) {
        }
        REQUIRE(errno == EAGAIN);
    }
    CHECK_FALSE(control.call(Reload{}).is_error());
    CHECK(exists(client, named("key")));
    CHECK(manager.stop() == 0);
    manager.go_on();
}

TEST_CASE("a daemon that waits for its manager in a Create ends at once when it is told to") {
    ServiceManager manager;
    manager.start();
    RawClient client(manager.socket());
    while (manager.stored() < blanks) std::this_thread::yield();
    REQUIRE_FALSE(client.call(create("key")).is_error());
    manager.hold();
    for (std::size_t i = 0; i < 2 * blanks; i++) client.send(create("key" + std::to_string(i)));
    // Until the ones that are at hand are used up, and one waits.
    for (std::size_t i = 0; i + 1 < blanks; i++) CHECK_FALSE(client.receive_reply<Create>().is_error());
    CHECK(manager.stop() == 0);
    manager.go_on();
    manager.start();
    RawClient again(manager.socket());
    // The first one had none of those that are at hand when the daemon had not heard yet that they are stored.
    std::size_t there = again.list().size();
    CHECK(there >= blanks);
    CHECK(there <= blanks + 1);
}
