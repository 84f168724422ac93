// A daemon that the test plays, and libshmd connected to it. The answer may be sent before the question, so that one
// thread plays both.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <shmd/shmd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "messages.hpp"
#include "process.hpp"
#include "varlink_client.hpp"

namespace shmd::test {

// A socket that nobody serves but the test.
class FakeDaemon {
  public:
    explicit FakeDaemon(int backlog = 16)
        : path_(directory_.path() / "socket"), socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(socket_.get(), backlog) == 0);
    }

    [[nodiscard]] const std::string& path() const { return path_; }

    /// The next connection that a client has made.
    [[nodiscard]] RawClient accept() const {
        pollfd ready{socket_.get(), POLLIN, 0};
        REQUIRE(::poll(&ready, 1, std::chrono::milliseconds(patience).count()) == 1);
        UniqueFd peer(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        REQUIRE(peer);
        return RawClient(std::move(peer));
    }

    [[nodiscard]] bool has_connection_waiting() const {
        REQUIRE(::fcntl(socket_.get(), F_SETFL, O_NONBLOCK) == 0);
        UniqueFd peer(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        return static_cast<bool>(peer);
    }

  private:
    TemporaryDirectory directory_;
    std::string path_;
    UniqueFd socket_;
};

struct TestClient {
    explicit TestClient(const FakeDaemon& daemon) { REQUIRE(shmd_connect(daemon.path().c_str(), &client) == 0); }
    TestClient(const TestClient&) = delete;
    TestClient& operator=(const TestClient&) = delete;
    ~TestClient() { shmd_disconnect(client); }

    shmd_client* client = nullptr;
};

// One client, connected to a daemon that is the test.
struct Pair {
    FakeDaemon daemon;
    TestClient test_client{daemon};
    RawClient peer = daemon.accept();

    [[nodiscard]] shmd_client* client() const { return test_client.client; }
    int open(shmd_access access = SHMD_READ) const {
        shmd_segment* segment = nullptr;
        int result = shmd_open(client(), "key", access, &segment);
        CHECK((segment != nullptr) == (result == 0));
        shmd_close(segment);
        return result;
    }
};

inline UniqueFd memory(std::int64_t size, unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW) {
    UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(::ftruncate(fd.get(), size) == 0);
    REQUIRE(::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    return fd;
}

inline Grant grant(std::int64_t size, int index = 0) {
    Grant grant;
    grant.segment.id = 7;
    grant.segment.key = "key";
    grant.segment.size_bytes = grant.segment.capacity_bytes = size;
    grant.attachment = 9;
    grant.file_descriptor = index;
    return grant;
}

inline std::string message(const ReplyBody& reply) {
    return encode_reply(reply) + '\0';
}

inline void send(RawClient& peer, const ReplyBody& reply, const std::vector<int>& fds = {}) {
    peer.send_bytes(message(reply), fds);
}

inline void expect_call(RawClient& peer, std::string_view method, bool oneway = false) {
    auto decoded = decode_call(peer.receive().text, Endpoint::segments);
    REQUIRE(std::holds_alternative<Call>(decoded));
    auto& call = std::get<Call>(decoded);
    REQUIRE(call.body);
    CHECK(std::visit([](const auto& body) { return body.method; }, *call.body) == method);
    CHECK(call.flags.oneway == oneway);
}

}  // namespace shmd::test
