// libshmd against a daemon that answers wrongly, or not at all: no answer crashes the program or leaks a descriptor,
// and each becomes the error that shmd.h promises. The answer is sent before the question, so that one thread plays
// both.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <shmd/shmd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "limits.hpp"
#include "messages.hpp"
#include "process.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

std::size_t open_descriptors() {
    std::filesystem::directory_iterator entries("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

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

UniqueFd memory(std::int64_t size, unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW) {
    UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(::ftruncate(fd.get(), size) == 0);
    REQUIRE(::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    return fd;
}

Grant grant(std::int64_t size, int index = 0) {
    Grant grant;
    grant.segment.id = 7;
    grant.segment.key = "key";
    grant.segment.size_bytes = size;
    grant.attachment = 9;
    grant.file_descriptor = index;
    return grant;
}

std::string message(const ReplyBody& reply) {
    return encode_reply(reply) + '\0';
}

void send(RawClient& peer, const ReplyBody& reply, const std::vector<int>& fds = {}) {
    peer.send_bytes(message(reply), fds);
}

std::string last_message() {
    return shmd_last_error()->message;
}
std::string last_name() {
    return shmd_last_error()->name;
}

void expect_call(RawClient& peer, std::string_view method, bool oneway = false) {
    auto decoded = decode_call(peer.receive().text, Endpoint::segments);
    REQUIRE(std::holds_alternative<Call>(decoded));
    auto& call = std::get<Call>(decoded);
    REQUIRE(call.body);
    CHECK(std::visit([](const auto& body) { return body.method; }, *call.body) == method);
    CHECK(call.flags.oneway == oneway);
}

}  // namespace

TEST_CASE("a true answer opens the segment, and closing it sends a Detach that wants no answer") {
    Pair pair;
    UniqueFd fd = memory(5000);
    send(pair.peer, grant(5000), {fd.get()});
    shmd_segment* segment = nullptr;
    REQUIRE(shmd_open(pair.client(), "key", SHMD_WRITE, &segment) == 0);
    CHECK(shmd_size(segment) == 5000);
    static_cast<char*>(shmd_data(segment))[4999] = 'x';
    char last = 0;
    CHECK(::pread(fd.get(), &last, 1, 4999) == 1);
    CHECK(last == 'x');
    shmd_close(segment);
    expect_call(pair.peer, "io.shmd.Segments.Open");
    expect_call(pair.peer, "io.shmd.Segments.Detach", true);
}

TEST_CASE("an answer that is no reply is EPROTO, and the connection is given up") {
    const std::vector<std::string> answers{
        "",
        "nonsense",
        "[]",
        "7",
        "{",
        "{}",
        R"({"parameters": []})",
        R"({"parameters": {"segment": {}}})",
        R"({"error": 7})",
        R"({"parameters": {}, "continues": "yes"})",
        "{\"parameters\": {\"\xff\": 1}}",
        R"({"parameters": )" + std::string(100, '[') + std::string(100, ']') + "}",
    };
    for (const std::string& answer : answers) {
        CAPTURE(answer);
        Pair pair;
        pair.peer.send_text(answer);
        CHECK(pair.open() == -EPROTO);
        CHECK(last_name().empty());
        CHECK(last_message().find("makes no sense") != std::string::npos);
        expect_call(pair.peer, "io.shmd.Segments.Open");
        pair.peer.expect_eof();
    }
}

TEST_CASE("after an answer without sense the next call makes a new connection") {
    Pair pair;
    pair.peer.send_text("nonsense");
    CHECK(pair.open() == -EPROTO);
    std::thread daemon([&pair] {
        RawClient peer = pair.daemon.accept();
        (void)peer.receive();
        peer.send_bytes(encode_error(Error::permission_denied()) + '\0');
        (void)peer.receive_unless_closed();
    });
    CHECK(pair.open() == -EACCES);
    shmd_disconnect(std::exchange(pair.test_client.client, nullptr));
    daemon.join();
}

TEST_CASE("a grant whose fields are out of range is EPROTO") {
    std::size_t descriptors = open_descriptors();
    {
        UniqueFd fd = memory(4096);
        const std::string good = encode_reply(grant(4096));
        auto with = [&good](std::string_view from, std::string_view to) {
            std::string text = good;
            REQUIRE(text.find(from) != std::string::npos);
            return text.replace(text.find(from), from.size(), to);
        };
        for (const std::string& answer : {
                 with(R"("attachment":9)", R"("attachment":0)"),
                 with(R"("attachment":9)", R"("attachment":4294967296)"),
                 with(R"("fileDescriptor":0)", R"("fileDescriptor":-1)"),
                 with(R"("fileDescriptor":0)", R"("fileDescriptor":2147483648)"),
                 with(R"("fileDescriptor":0)", R"("fileDescriptor":0.5)"),
                 with(R"("sizeBytes":4096)", R"("sizeBytes":0)"),
                 with(R"("sizeBytes":4096)", R"("sizeBytes":-4096)"),
                 with(R"("sizeBytes":4096)", R"("sizeBytes":18446744073709551615)"),
                 with(R"("state":"live")", R"("state":"sleepy")"),
             }) {
            CAPTURE(answer);
            Pair pair;
            pair.peer.send_bytes(answer + '\0', std::vector{fd.get()});
            CHECK(pair.open() == -EPROTO);
        }
    }
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE("a descriptor that was named but did not come is EPROTO") {
    UniqueFd fd = memory(4096);
    for (int index : {1, 2, 2147483647}) {
        CAPTURE(index);
        Pair pair;
        send(pair.peer, grant(4096, index), {fd.get()});
        CHECK(pair.open() == -EPROTO);
    }
    Pair pair;
    send(pair.peer, grant(4096));
    CHECK(pair.open() == -EPROTO);
    CHECK(last_message().find("did not come") != std::string::npos);
}

TEST_CASE("the descriptor that the answer names is the one that is mapped, and the others are closed") {
    std::size_t descriptors = open_descriptors();
    {
        Pair pair;
        UniqueFd other = memory(1), named = memory(4096);
        send(pair.peer, grant(4096, 1), {other.get(), named.get(), other.get()});
        CHECK(pair.open() == 0);
        send(pair.peer, grant(4096, 0), {named.get()});
        CHECK(pair.open() == 0);
    }
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE("an answer with more descriptors than any answer has is EPROTO, and all are closed") {
    std::size_t descriptors = open_descriptors();
    {
        Pair pair;
        UniqueFd fd = memory(4096);
        send(pair.peer, grant(4096), std::vector<int>(limits::message_fds, fd.get()));
        CHECK(pair.open() == -EPROTO);
    }
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE("descriptors that come with an error or without being named are closed") {
    std::size_t descriptors = open_descriptors();
    {
        Pair pair;
        UniqueFd fd = memory(4096);
        pair.peer.send_bytes(encode_error(Error::permission_denied()) + '\0', std::vector{fd.get()});
        CHECK(pair.open() == -EACCES);
        send(pair.peer, Empty{}, {fd.get()});
        CHECK(shmd_delete(pair.client(), "key") == 0);
    }
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE("memory that is not what the answer says is EPROTO: touching it could kill the program") {
    UniqueFd smaller = memory(4095), larger = memory(4097), may_shrink = memory(4096, F_SEAL_GROW);
    UniqueFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    UniqueFd device(::open("/dev/zero", O_RDWR | O_CLOEXEC));
    UniqueFd plain_file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    REQUIRE(plain_file);
    REQUIRE(::ftruncate(plain_file.get(), 4096) == 0);
    for (const UniqueFd* fd : {&smaller, &larger, &may_shrink, &directory, &device, &plain_file}) {
        Pair pair;
        send(pair.peer, grant(4096), {fd->get()});
        CHECK(pair.open() == -EPROTO);
    }
}

TEST_CASE("memory that cannot be mapped is given back, and a segment created for it is deleted") {
    Pair pair;
    UniqueFd writable = memory(4096);
    UniqueFd read_only(::open(("/proc/self/fd/" + std::to_string(writable.get())).c_str(), O_RDONLY | O_CLOEXEC));
    send(pair.peer, grant(4096), {read_only.get()});
    CHECK(pair.open(SHMD_WRITE) == -EACCES);
    CHECK(last_message().find("cannot be mapped") != std::string::npos);
    expect_call(pair.peer, "io.shmd.Segments.Open");
    expect_call(pair.peer, "io.shmd.Segments.Detach", true);

    constexpr std::int64_t address_space = std::int64_t{1} << 47;
    UniqueFd huge = memory(address_space);
    Grant created = grant(address_space);
    created.created = true;
    send(pair.peer, created, {huge.get()});
    shmd_segment* segment = nullptr;
    CHECK(shmd_create(pair.client(), "key", address_space, nullptr, &segment) == -ENOMEM);
    CHECK(segment == nullptr);
    expect_call(pair.peer, "io.shmd.Segments.Create");
    expect_call(pair.peer, "io.shmd.Segments.Delete", true);
    expect_call(pair.peer, "io.shmd.Segments.Detach", true);
}

TEST_CASE("a program at its limit of open files is told so, and keeps its connection") {
    Pair pair;
    UniqueFd fd = memory(4096);
    send(pair.peer, grant(4096), {fd.get()});
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    UniqueFd next(::dup(fd.get()));
    rlimit low = old;
    low.rlim_cur = static_cast<rlim_t>(next.get());
    next.reset();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    int result = pair.open();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(result == -EMFILE);
    expect_call(pair.peer, "io.shmd.Segments.Open");
    expect_call(pair.peer, "io.shmd.Segments.Detach", true);
    send(pair.peer, grant(4096), {fd.get()});
    CHECK(pair.open() == 0);
}

TEST_CASE("two answers to one call are EPROTO") {
    Pair pair;
    pair.peer.send_bytes(message(Empty{}) + message(Empty{}));
    CHECK(shmd_delete(pair.client(), "key") == -EPROTO);

    Pair other;
    other.peer.send_bytes(encode_reply(Empty{}, true) + '\0');
    CHECK(shmd_delete(other.client(), "key") == -EPROTO);
}

TEST_CASE("an answer without end is EPROTO once it is over the limit") {
    Pair pair;
    std::thread daemon([&pair] {
        while (pair.peer.try_send_bytes(std::string(1 << 16, ' '))) {
        }
    });
    CHECK(pair.open() == -EPROTO);
    daemon.join();
}

TEST_CASE("a list is read to its end, however it is cut, and an error in it is the call's error") {
    Pair pair;
    SegmentReply first{grant(1).segment}, second{grant(2).segment};
    pair.peer.send_bytes(encode_reply(first, true) + '\0' + encode_reply(second) + '\0');
    shmd_info* list = nullptr;
    REQUIRE(shmd_list(pair.client(), nullptr, &list) == 0);
    REQUIRE(list);
    CHECK(list->size_bytes == 1);
    REQUIRE(list->next);
    CHECK(list->next->size_bytes == 2);
    CHECK(list->next->next == nullptr);
    shmd_info_free(list);

    list = nullptr;
    pair.peer.send_bytes(encode_reply(first, true) + '\0' + encode_error(Error::permission_denied()) + '\0');
    CHECK(shmd_list(pair.client(), nullptr, &list) == -EACCES);
    CHECK(list == nullptr);

    pair.peer.send_bytes(encode_reply(first) + '\0' + encode_reply(second) + '\0');
    CHECK(shmd_list(pair.client(), nullptr, &list) == -EPROTO);
    CHECK(list == nullptr);
}

TEST_CASE("a daemon that describes nothing is EPROTO") {
    Pair pair;
    send(pair.peer, SegmentReply{});
    shmd_info* info = nullptr;
    CHECK(shmd_describe(pair.client(), "key", &info) == -EPROTO);
    CHECK(info == nullptr);
}

TEST_CASE("an error that this version does not know is EREMOTEIO, with its name and parameters") {
    Pair pair;
    pair.peer.send_text(R"({"error": "com.example.Tired", "parameters": {"since": [1, 2]}})");
    CHECK(pair.open() == -EREMOTEIO);
    CHECK(last_name() == "com.example.Tired");
    CHECK(std::string(shmd_last_error()->parameters) == R"({"since":[1,2]})");
    CHECK(shmd_last_error()->code == -EREMOTEIO);
    pair.peer.send_bytes(encode_error({ErrorCode::method_not_found, "io.shmd.Segments.Open"}) + '\0');
    CHECK(pair.open() == -ENOTSUP);
}

TEST_CASE("a daemon that goes away before it answers: what can do harm twice is ECONNRESET and not repeated") {
    Pair pair;
    pair.peer.shutdown(SHUT_WR);
    CHECK(shmd_delete(pair.client(), "key") == -ECONNRESET);
    CHECK(last_message().find("may or may not") != std::string::npos);
    expect_call(pair.peer, "io.shmd.Segments.Delete");
    CHECK_FALSE(pair.daemon.has_connection_waiting());

    Pair creating;
    creating.peer.shutdown(SHUT_WR);
    shmd_segment* segment = nullptr;
    CHECK(shmd_create(creating.client(), "key", 1, nullptr, &segment) == -ECONNRESET);
    CHECK_FALSE(creating.daemon.has_connection_waiting());

    // Without a key, `any` makes another segment each time.
    Pair unkeyed;
    unkeyed.peer.shutdown(SHUT_WR);
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.create_mode = SHMD_CREATE_ANY;
    CHECK(shmd_create(unkeyed.client(), nullptr, 1, &options, &segment) == -ECONNRESET);
    CHECK_FALSE(unkeyed.daemon.has_connection_waiting());
}

TEST_CASE("a daemon that goes away before it answers: what does no harm twice is asked again, once") {
    for (int answers : {0, 1}) {
        CAPTURE(answers);
        Pair pair;
        pair.peer.shutdown(SHUT_WR);
        std::thread daemon([&pair, answers] {
            RawClient second = pair.daemon.accept();
            (void)second.receive();
            if (answers == 0) return second.close();
            UniqueFd fd = memory(10);
            Grant found = grant(10);
            found.created = false;
            send(second, found, {fd.get()});
            (void)second.receive_unless_closed();
        });
        shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
        options.create_mode = SHMD_CREATE_ANY;
        shmd_segment* segment = nullptr;
        int result = shmd_create(pair.client(), "key", 10, &options, &segment);
        CHECK(result == (answers == 0 ? -ECONNRESET : 0));
        shmd_close(segment);
        daemon.join();
        CHECK_FALSE(pair.daemon.has_connection_waiting());
    }
}

TEST_CASE("a call that never reached a daemon is made again, whatever it is") {
    Pair pair;
    send(pair.peer, Empty{});
    CHECK(shmd_delete(pair.client(), "key") == 0);
    pair.peer.close();
    std::thread daemon([&pair] {
        RawClient second = pair.daemon.accept();
        expect_call(second, "io.shmd.Segments.Delete");
        send(second, Empty{});
        (void)second.receive_unless_closed();
    });
    CHECK(shmd_delete(pair.client(), "key") == 0);
    shmd_disconnect(std::exchange(pair.test_client.client, nullptr));
    daemon.join();
}

TEST_CASE("a connection that the daemon refuses says why, even when it was closed before the first call") {
    for (bool closed_before : {false, true}) {
        CAPTURE(closed_before);
        Pair pair;
        pair.peer.send_bytes(encode_error(Error::quota_exceeded("connections", 5)) + '\0');
        if (closed_before) pair.peer.close();
        CHECK(pair.open() == -EDQUOT);
        CHECK(last_name() == "io.shmd.Segments.QuotaExceeded");
        CHECK(std::string(shmd_last_error()->parameters) == R"({"resource":"connections","limit":5})");
        CHECK_FALSE(pair.daemon.has_connection_waiting());
    }
}

namespace {

// Answers the main connection that there is no such key, and hangs up on that many waits. Then the key is there.
void hang_up_on_waits(const FakeDaemon& daemon, int waits) {
    UniqueFd fd = memory(10);
    RawClient main = daemon.accept();
    for (; waits > 0 && main.receive_unless_closed(); waits--) {
        main.send_bytes(encode_error(Error::no_such_segment("key", std::nullopt)) + '\0');
        RawClient waiting = daemon.accept();
        expect_call(waiting, "io.shmd.Segments.Open");
    }
    if (main.receive_unless_closed()) send(main, grant(10), {fd.get()});
    while (main.receive_unless_closed()) {
    }
}

}  // namespace

TEST_CASE("a wait for a key goes on after the daemon's restart, but not for ever") {
    for (int waits : {1, 16, 17}) {
        CAPTURE(waits);
        FakeDaemon daemon;
        TestClient client(daemon);
        std::thread server([&] { hang_up_on_waits(daemon, waits); });
        shmd_segment* segment = nullptr;
        int result = shmd_open_wait(client.client, "key", SHMD_READ, -1, &segment);
        CHECK(result == (waits > 16 ? -ECONNRESET : 0));
        shmd_close(segment);
        shmd_disconnect(std::exchange(client.client, nullptr));
        server.join();
    }
}

TEST_CASE("a key that has come is held until it has been opened: it may go with its last grant") {
    FakeDaemon daemon;
    TestClient client(daemon);
    std::atomic<bool> held = false;
    std::thread server([&] {
        UniqueFd fd = memory(10);
        RawClient main = daemon.accept();
        (void)main.receive();
        main.send_bytes(encode_error(Error::no_such_segment("key", std::nullopt)) + '\0');
        RawClient waiting = daemon.accept();
        (void)waiting.receive();
        send(waiting, grant(10), {fd.get()});
        (void)main.receive();
        char byte = 0;
        held = ::recv(waiting.socket(), &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
        send(main, grant(10), {fd.get()});
        waiting.expect_eof();
        (void)main.receive_unless_closed();
    });
    shmd_segment* segment = nullptr;
    CHECK(shmd_open_wait(client.client, "key", SHMD_READ, -1, &segment) == 0);
    shmd_close(segment);
    server.join();
    CHECK(held);
}

namespace {

// Waits until a thread of this process is in this system call.
void await_system_call(pid_t thread, long number) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    std::string path = "/proc/self/task/" + std::to_string(thread) + "/syscall";
    for (std::string current; current != std::to_string(number); std::ifstream(path) >> current) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
}

}  // namespace

TEST_CASE("a child can call though another thread was connecting when it was made") {
    FakeDaemon daemon(0);
    TestClient client(daemon);
    daemon.accept().close();
    // Takes the only place in the queue, so that the thread's new connection has to wait.
    RawClient first_in_queue(daemon.path());
    auto asks_in_vain = [&] {
        shmd_info* info = nullptr;
        return shmd_describe(client.client, "key", &info) == -ENOENT;
    };
    std::atomic<pid_t> id = 0;
    std::atomic<bool> thread_answered = false;
    std::thread thread([&] {
        id = ::gettid();
        thread_answered = asks_in_vain();
    });
    while (id == 0) std::this_thread::yield();
    await_system_call(id, SYS_connect);
    ChildProcess child([&](Turns&) { return asks_in_vain() ? 0 : 1; });
    daemon.accept().close();
    std::vector<RawClient> peers;
    for (int i = 0; i < 2; i++) {
        peers.push_back(daemon.accept());
        (void)peers.back().receive();
        peers.back().send_bytes(encode_error(Error::no_such_segment("key", std::nullopt)) + '\0');
    }
    CHECK(child.wait() == 0);
    thread.join();
    CHECK(thread_answered);
}
