// Clients that send what they should not, or do not read what they should. After each the daemon serves the next client
// as before and holds nothing more.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "limits.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr std::string_view get_info = R"({"method":"org.varlink.service.GetInfo"})";

bool serves(const Daemon& daemon) {
    RawClient client(daemon.socket());
    Create call;
    call.size_bytes = 10;
    auto made = client.call(call);
    return made.fds.size() == 1 && !client.call(Delete{{made.value().segment.key, std::nullopt}}).is_error();
}

// A message that is padded with a harmless blank to exactly this many bytes.
std::string padded(std::size_t bytes) {
    std::string message(get_info);
    message.append(bytes - message.size(), ' ');
    return message;
}

struct Unharmed {
    Daemon daemon;
    Snapshot before = settled(daemon);
    ~Unharmed() {
        CHECK(serves(daemon));
        expect_return_to(daemon, before);
    }
};

// Fills the socket with calls that are never read, as far as it takes them without waiting.
std::size_t stuff(RawClient& client, const CallBody& call) {
    std::string message = encode_call(call) + '\0';
    std::size_t sent = 0;
    // The daemon takes calls only while it can answer them: the socket is full when it has stopped to.
    pollfd ready{client.socket(), POLLOUT, 0};
    while (::poll(&ready, 1, 500) == 1 && sent < 200'000) {
        ssize_t count = ::send(client.socket(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count != static_cast<ssize_t>(message.size())) {
            // A part of a message: the rest must follow, or all after it is garbage.
            for (std::size_t at = count > 0 ? static_cast<std::size_t>(count) : message.size(); at < message.size();) {
                if (::poll(&ready, 1, 500) != 1) return sent;
                ssize_t more = ::send(client.socket(), message.data() + at, message.size() - at, MSG_DONTWAIT);
                if (more > 0) at += static_cast<std::size_t>(more);
            }
        }
        sent++;
    }
    return sent;
}

}  // namespace

TEST_CASE_FIXTURE(Unharmed, "a message of exactly the limit is served, one byte more closes the connection") {
    RawClient fits(daemon.socket());
    fits.send_text(padded(limits::message_bytes));
    CHECK_FALSE(fits.receive_reply<GetInfo>().is_error());
    RawClient over(daemon.socket());
    (void)over.try_send_bytes(padded(limits::message_bytes + 1) + '\0');
    over.expect_eof();
}

TEST_CASE_FIXTURE(Unharmed, "endless bytes without a NUL close the connection at the limit") {
    RawClient client(daemon.socket());
    std::string blanks(1 << 16, ' ');
    while (client.try_send_bytes(blanks)) {
    }
    client.expect_eof();
}

TEST_CASE_FIXTURE(Unharmed, "what is no call closes the connection without a reply") {
    const std::string deep(10'000, '[');
    const std::vector<std::string> messages{
        "",
        "\n",
        "garbage",
        "{",
        "[]",
        "null",
        "42",
        deep,
        deep + std::string(10'000, ']'),
        R"({"method":"org.varlink.service.GetInfo","parameters":{"x":)" + deep + std::string(10'000, ']') + "}}",
        R"({"parameters":{}})",
        R"({"method":1})",
        R"({"method":"org.varlink.service.GetInfo","oneway":1})",
        R"({"method":"org.varlink.service.GetInfo","more":null})",
        R"({"method":"org.varlink.service.GetInfo","oneway":true,"more":true})",
        R"({"method":"org.varlink.service.GetInfo","parameters":[]})",
        R"({"method":"org.varlink.service.GetInfo","surprise":1})",
        "{\"method\":\"org.varlink.service.GetInfo\xff\"}",
        "{\"method\":\"\xc3\x28\"}",
        "{\"method\":\"\xed\xa0\x80\"}",
        R"({"method":"org.varlink.service.GetInfo"} trailing)",
        R"({"method":"org.varlink.service.GetInfo","parameters":{"x":1e999}})",
    };
    for (const std::string& message : messages) {
        CAPTURE(message.substr(0, 80));
        RawClient client(daemon.socket());
        (void)client.try_send_bytes(message + '\0' + std::string(get_info) + '\0');
        client.expect_eof();
    }
}

TEST_CASE_FIXTURE(Unharmed, "what came before a bad message is answered") {
    RawClient client(daemon.socket());
    client.send_bytes(std::string(get_info) + '\0' + std::string(get_info) + '\0' + "bad" + '\0' +
                      std::string(get_info) + '\0');
    CHECK_FALSE(client.receive_reply<GetInfo>().is_error());
    CHECK_FALSE(client.receive_reply<GetInfo>().is_error());
    client.expect_eof();
}

TEST_CASE_FIXTURE(Unharmed, "messages may arrive byte by byte") {
    RawClient client(daemon.socket());
    for (char c : std::string(get_info) + '\0') client.send_bytes(std::string_view(&c, 1));
    CHECK_FALSE(client.receive_reply<GetInfo>().is_error());
}

TEST_CASE_FIXTURE(Unharmed, "wrong parameters are named") {
    RawClient client(daemon.socket());
    auto refused = [&](const std::string& method, const std::string& parameters) {
        client.send_text(R"({"method":"io.shmd.Segments.)" + method + R"(","parameters":)" + parameters + "}");
        return client.receive_reply<Delete>().known_error();
    };
    auto invalid = [](const char* name) { return Error::invalid_parameter(name); };
    for (const char* size : {"0", "-1", "-9223372036854775808", "9007199254740992", "18446744073709551615",
                             "99999999999999999999", "1.0", "\"1\"", "null", "[]"}) {
        CAPTURE(size);
        CHECK(refused("Create", R"({"key":"a","sizeBytes":)" + std::string(size) + "}") == invalid("sizeBytes"));
    }
    CHECK(refused("Create", R"({"sizeBytes":1,"mode":512})") == invalid("mode"));
    CHECK(refused("Create", R"({"sizeBytes":1,"mode":-1})") == invalid("mode"));
    CHECK(refused("Create", R"({"sizeBytes":1,"reserve":"some"})") == invalid("reserve"));
    CHECK(refused("Create", R"({"sizeBytes":1,"lifetime":"long"})") == invalid("lifetime"));
    CHECK(refused("Create", R"({"sizeBytes":1,"labels":{"a":1}})") == invalid("labels"));
    CHECK(refused("Create", R"({"sizeBytes":1,"staged":true,"createMode":"any"})") == invalid("createMode"));
    CHECK(refused("Create", R"({"sizeBytes":1,"key":"/a"})") == Error::invalid_key("/a"));
    CHECK(refused("Create", R"({"sizeBytes":1,"key":""})") == Error::invalid_key(""));
    CHECK(refused("Create", R"({"sizeBytes":1,"key":"a\u0000b"})") == Error::invalid_key(std::string("a\0b", 3)));
    CHECK(refused("Create", R"({"sizeBytes":1,"key":")" + std::string(256, 'k') + "\"}").code ==
          ErrorCode::invalid_key);
    CHECK(refused("Open", R"({"access":"read"})") == invalid("key"));
    CHECK(refused("Open", R"({"key":"a","id":1,"access":"read"})") == invalid("id"));
    CHECK(refused("Open", R"({"key":"a"})") == invalid("access"));
    CHECK(refused("Open", R"({"key":"a","access":"read","waitUsec":-1})") == invalid("waitUsec"));
    CHECK(refused("Open", R"({"id":1,"access":"read","waitUsec":1})") == invalid("waitUsec"));
    CHECK(refused("Open", R"({"id":987654321,"access":"read"})") == Error::no_such_segment(std::nullopt, 987654321));
    CHECK(refused("Describe", R"({"id":-5})") == Error::no_such_segment(std::nullopt, -5));
    CHECK(refused("Detach", R"({"attachment":0})") == invalid("attachment"));
    CHECK(refused("Detach", R"({"attachment":4294967296})") == invalid("attachment"));
    CHECK(refused("Detach", R"({"attachment":77})") == invalid("attachment"));
    CHECK(refused("Publish", R"({"attachment":77,"key":"a"})") == invalid("attachment"));
    CHECK(refused("Delete", R"({"key":"a","force":true})") == invalid("force"));
    CHECK(refused("Destroy", "{}") == Error{ErrorCode::method_not_found, "io.shmd.Segments.Destroy"});
}

TEST_CASE_FIXTURE(Unharmed, "descriptors that nobody asked for never arrive") {
    RawClient client(daemon.socket());
    REQUIRE_FALSE(client.call(GetInfo{}).is_error());
    std::size_t fds = daemon.fd_count();
    UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    // Newer kernels refuse them to the sender (SO_PASSRIGHTS), older ones drop them on the way.
    auto send_with_fd = [&](std::string_view text) {
        std::string bytes(text);
        iovec data{bytes.data(), bytes.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        int fd = null.get();
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
        bool sent = ::sendmsg(client.socket(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
        CHECK((sent || errno == EPERM));
        return sent;
    };
    for (int i = 0; i < 50; i++) {
        if (!send_with_fd(std::string(get_info) + '\0')) client.send_text(get_info);
        CHECK_FALSE(client.receive_reply<GetInfo>().is_error());
    }
    // Also with half a message.
    (void)send_with_fd("{");
    CHECK(serves(daemon));
    CHECK(settled(daemon, 1).fd_count <= fds + 1);
}

TEST_CASE("half a message and silence is given up in time, silence alone is not") {
    DaemonOptions options;
    options.config = R"({"messageTimeoutSec": 1})";
    Daemon daemon(options);
    Snapshot before = settled(daemon);
    {
        RawClient silent(daemon.socket()), half(daemon.socket());
        half.send_bytes(R"({"method":"org.varl)");
        half.expect_eof();
        CHECK_FALSE(silent.call(GetInfo{}).is_error());
    }
    CHECK(serves(daemon));
    expect_return_to(daemon, before);
}

TEST_CASE("a message that has come whole is not waited for: its call may take as long as it likes") {
    DaemonOptions options;
    options.config = R"({"messageTimeoutSec": 1})";
    Daemon daemon(options);
    RawClient waiter(daemon.socket()), half(daemon.socket());
    std::string call = encode_call(Open{{"never", std::nullopt}, Access::read, 4'000'000}) + '\0';
    waiter.send_bytes(call.substr(0, 20));
    REQUIRE(serves(daemon));  // the daemon has read the first part: it reads in the order of arrival
    waiter.send_bytes(call.substr(20));
    half.send_bytes("{");
    half.expect_eof();  // one that is stalled has been found since
    CHECK(waiter.receive_reply<Open>().known_error() == Error::no_such_segment("never", std::nullopt));
}

TEST_CASE("large messages that were answered are not held against a user" * doctest::skip(!is_root())) {
    Unharmed unharmed;
    CHECK(run_as(61001, 62001, {}, [&] {
              std::vector<RawClient> clients;
              for (int i = 0; i < 40; i++) {
                  clients.emplace_back(unharmed.daemon.socket());
                  clients.back().send_text(padded(limits::message_bytes));
                  if (clients.back().receive_reply<GetInfo>().is_error()) return 1;
              }
              return 0;
          }) == 0);
}

TEST_CASE_FIXTURE(Unharmed, "a client that ends its sending still gets every reply with its descriptor") {
    RawClient client(daemon.socket());
    Create call;
    call.key = "half-closed";
    call.size_bytes = 10;
    REQUIRE_FALSE(client.call(call).is_error());
    constexpr int opens = 100;
    for (int i = 0; i < opens; i++) client.send(Open{{"half-closed", std::nullopt}, Access::read});
    client.send(Delete{{"half-closed", std::nullopt}});
    client.shutdown(SHUT_WR);
    CHECK(serves(daemon));
    for (int i = 0; i < opens; i++) REQUIRE(client.receive_reply<Open>().fds.size() == 1);
    CHECK_FALSE(client.receive_reply<Delete>().is_error());
    client.expect_eof();
}

TEST_CASE("half messages of one user are bounded together") {
    Unharmed unharmed;
    std::vector<RawClient> clients;
    std::string half(limits::message_bytes / 2, ' ');
    bool refused = false;
    // Root is held to the total of 256 MiB.
    for (int i = 0; i < 800 && !refused; i++) {
        clients.emplace_back(unharmed.daemon.socket());
        refused = !clients.back().try_send_bytes(half);
        char byte = 0;
        refused = refused || ::recv(clients.back().socket(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    }
    CHECK(serves(unharmed.daemon));
    if (!sanitized) CHECK(unharmed.daemon.rss_kib() < 400 * 1024);
    clients.clear();
}

TEST_CASE_FIXTURE(Unharmed, "a client that never reads its replies stops only itself") {
    RawClient stuck(daemon.socket());
    CHECK(stuff(stuck, GetInterfaceDescription{"io.shmd.Segments"}) > 0);
    CHECK(serves(daemon));
    RawClient lister(daemon.socket());
    CHECK(serves(daemon));
}

TEST_CASE_FIXTURE(Unharmed, "a client that never reads its grants gets no more of them, and all when it reads") {
    RawClient client(daemon.socket());
    Create call;
    call.key = "granted";
    call.size_bytes = 10;
    REQUIRE_FALSE(client.call(call).is_error());
    std::size_t asked = stuff(client, Open{{"granted", std::nullopt}, Access::read});
    CHECK(asked > 50);
    CHECK(serves(daemon));
    {
        RawClient control(daemon.control_socket());
        CHECK(control.call(GetStatus{}).value().attachments < 100);
    }
    for (std::size_t i = 0; i < asked; i++) {
        auto opened = client.receive_reply<Open>();
        REQUIRE(opened.fds.size() == 1);
    }
    CHECK(client.undeclared_fds() == 0);
    CHECK_FALSE(client.call(Delete{{"granted", std::nullopt}}).is_error());
}

TEST_CASE("batches that are never read take no descriptors from others, even when their connections are closed" *
          doctest::skip(!is_root())) {
    DaemonOptions options;
    options.user = User{61009, 61009};
    options.nofile = 2048;
    for (bool closed : {false, true}) {
        CAPTURE(closed);
        Daemon daemon(options);
        Snapshot before = settled(daemon);
        RawClient owner(daemon.socket());
        Create call;
        call.key = "shared";
        call.size_bytes = 10;
        call.mode = 0666;
        REQUIRE_FALSE(owner.call(call).is_error());
        ChildProcess hoarder(User{61001, 61001}, [&](Turns& turns) {
            OpenMany batch{std::vector<Target>(limits::batch, Target{"shared", std::nullopt}), Access::read};
            std::vector<RawClient> clients;
            for (int i = 0; i < 40; i++) {
                RawClient& client = clients.emplace_back(daemon.socket());
                client.send(batch);
                closed ? client.send_text("no call") : client.send(batch);
            }
            turns.signal();
            turns.wait();
            // Every call is answered: those that were too many, with a refusal.
            int granted = 0;
            for (RawClient& client : clients) {
                for (int calls = closed ? 1 : 2; calls > 0; calls--) {
                    auto reply = client.receive_reply<OpenMany>();
                    if (reply.is_error() ? reply.known_error().text != "fileDescriptors" : reply.fds.size() != limits::batch) {
                        return 1;
                    }
                    granted += reply.is_error() ? 0 : 1;
                }
            }
            return granted > 1 ? 0 : 2;
        });
        hoarder.wait_for_byte();
        for (int i = 0; i < 20; i++) {
            RawClient other(daemon.socket());
            CHECK(other.call(Open{{"shared", std::nullopt}, Access::read}).fds.size() == 1);
        }
        CHECK(daemon.fd_count() < 200);
        hoarder.send_byte();
        CHECK(hoarder.wait() == 0);
        REQUIRE_FALSE(owner.call(Delete{{"shared", std::nullopt}}).is_error());
        owner.close();
        expect_return_to(daemon, before);
    }
}

TEST_CASE_FIXTURE(Unharmed, "random bytes and random pieces of messages do no harm") {
    const char* given = std::getenv("SHMD_TEST_SEED");
    unsigned seed = given ? static_cast<unsigned>(std::atoi(given)) : std::random_device()();
    std::cout << "seed " << seed << " (SHMD_TEST_SEED)\n";
    std::mt19937 random(seed);
    const std::vector<std::string> pieces{"{",
                                          "}",
                                          "\"",
                                          ":",
                                          ",",
                                          "[",
                                          "]",
                                          "null",
                                          "true",
                                          "1",
                                          "-1",
                                          "1e9",
                                          "\\u0000",
                                          "\"method\"",
                                          "\"parameters\"",
                                          "\"io.shmd.Segments.Create\"",
                                          "\"io.shmd.Segments.Open\"",
                                          "\"key\"",
                                          "\"sizeBytes\"",
                                          "\"more\"",
                                          std::string(1, '\0'),
                                          "\xff",
                                          std::string(get_info)};
    for (int round = 0; round < 300; round++) {
        RawClient client(daemon.socket());
        std::string bytes;
        for (auto i = random() % 60; i > 0; i--) {
            if (random() % 8 == 0) {
                bytes += static_cast<char>(random());
            } else {
                bytes += pieces[random() % pieces.size()];
            }
        }
        (void)client.try_send_bytes(bytes);
    }
}

TEST_CASE("connections that come and go leave nothing") {
    Unharmed unharmed;
    for (int i = 0; i < 2000; i++) RawClient client(unharmed.daemon.socket());
}
