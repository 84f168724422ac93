// libshmd against a daemon that answers wrongly: no answer crashes the program or leaks a descriptor, and each becomes
// the error that shmd.h promises.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <shmd/shmd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "libshmd_fake_daemon.hpp"
#include "limits.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

std::size_t open_descriptors() {
    std::filesystem::directory_iterator entries("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

std::string last_message() {
    return shmd_last_error()->message;
}
std::string last_name() {
    return shmd_last_error()->name;
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
        const std::vector<int> most(limits::message_fds, fd.get());
        pair.peer.send_bytes(" ", most);
        send(pair.peer, grant(4096), most);
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
    pair.peer.send_text(R"({"error": "com.example.Tired", "parameters": {"since":[1,2]}})");
    CHECK(pair.open() == -EREMOTEIO);
    CHECK(last_name() == "com.example.Tired");
    CHECK(std::string(shmd_last_error()->parameters) == R"({"since":[1,2]})");
    CHECK(shmd_last_error()->code == -EREMOTEIO);
    pair.peer.send_bytes(encode_error({ErrorCode::method_not_found, "io.shmd.Segments.Open"}) + '\0');
    CHECK(pair.open() == -ENOTSUP);
}
