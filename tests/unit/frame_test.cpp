// Messages and descriptors over real sockets, the kernel's gluing and splitting included.
#include "frame.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <vector>

using namespace shmd;
using namespace std::string_literals;

namespace doctest {
template <>
struct StringMaker<IoStatus> {
    static String convert(IoStatus status) {
        constexpr std::array names{"done", "would_block", "closed", "too_large", "failed"};
        return names[static_cast<std::size_t>(status)];
    }
};
}  // namespace doctest

namespace {

struct Pair {
    UniqueFd ours, theirs;

    Pair() {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        ours.reset(ends[0]);
        theirs.reset(ends[1]);
    }

    void send(std::string_view bytes, std::span<const int> fds = {}) const {
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * limits::message_fds)]{};
        iovec data{const_cast<char*>(bytes.data()), bytes.size()};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        if (!fds.empty()) {
            message.msg_control = control;
            message.msg_controllen = CMSG_SPACE(fds.size_bytes());
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(fds.size_bytes());
            std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
        }
        REQUIRE(::sendmsg(theirs.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    }
};

UniqueFd memory_file() {
    UniqueFd fd(::memfd_create("frame_test", MFD_CLOEXEC));
    REQUIRE(fd);
    return fd;
}

ino_t inode(int fd) {
    struct stat status {};
    REQUIRE(::fstat(fd, &status) == 0);
    return status.st_ino;
}

std::size_t open_fds() {
    std::filesystem::directory_iterator entries("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

// Reads until the peer's bytes are used up; every message on the way.
std::vector<std::string> read_all(FrameReader& reader, int socket) {
    std::vector<std::string> messages;
    while (reader.read_from(socket, MSG_DONTWAIT) == IoStatus::done) {
        while (auto message = reader.next()) messages.emplace_back(*message);
    }
    return messages;
}

// A pipe whose reader sees the end of file exactly when nobody has the writing end any more.
struct Tracer {
    UniqueFd reading, writing;

    Tracer() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        reading.reset(ends[0]);
        writing.reset(ends[1]);
    }
    [[nodiscard]] bool all_closed() const {
        char byte = 0;
        return ::read(reading.get(), &byte, 1) == 0;
    }
};

}  // namespace

TEST_CASE("a message comes without the NUL that ends it") {
    Pair pair;
    FrameReader reader(0);
    pair.send("hello\0"s);
    CHECK(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "hello");
    CHECK(reader.next() == std::nullopt);
    CHECK_FALSE(reader.has_buffered());
}

TEST_CASE("an empty message is a message") {
    Pair pair;
    FrameReader reader(0);
    pair.send("\0\0x\0"s);
    CHECK(read_all(reader, pair.ours.get()) == std::vector{""s, ""s, "x"s});
}

TEST_CASE("messages sent together come one by one") {
    Pair pair;
    FrameReader reader(0);
    pair.send("one\0two\0thr"s);
    REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "one");
    CHECK(reader.has_buffered());
    CHECK(reader.next() == "two");
    CHECK(reader.next() == std::nullopt);
    CHECK(reader.has_buffered());
    pair.send("ee\0"s);
    REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "three");
    CHECK_FALSE(reader.has_buffered());
}

TEST_CASE("two messages split anywhere come whole") {
    std::string both = "first\0second\0"s;
    for (std::size_t cut = 1; cut < both.size(); cut++) {
        CAPTURE(cut);
        Pair pair;
        FrameReader reader(0);
        std::vector<std::string> messages;
        for (const std::string& part : {both.substr(0, cut), both.substr(cut)}) {
            pair.send(part);
            for (const std::string& message : read_all(reader, pair.ours.get())) messages.push_back(message);
        }
        CHECK(messages == std::vector{"first"s, "second"s});
    }
}

TEST_CASE("a message that comes byte by byte comes whole") {
    Pair pair;
    FrameReader reader(0);
    for (char byte : "slow"s) {
        pair.send({&byte, 1});
        REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
        CHECK(reader.next() == std::nullopt);
    }
    pair.send("\0"s);
    REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "slow");
}

TEST_CASE("a message exactly at the limit passes and one byte more does not") {
    constexpr std::size_t limit = 100;
    auto outcome = [](std::size_t size, std::string_view before) {
        Pair pair;
        FrameReader reader(0, limit);
        pair.send(std::string(before) + std::string(size, 'x') + '\0');
        IoStatus status{};
        std::optional<std::string> last;
        while ((status = reader.read_from(pair.ours.get(), MSG_DONTWAIT)) == IoStatus::done) {
            while (auto message = reader.next()) last = std::string(*message);
        }
        bool whole = last == std::string(size, 'x');
        CHECK(whole == (status == IoStatus::would_block));
        return status;
    };
    CHECK(outcome(limit - 1, "") == IoStatus::would_block);
    CHECK(outcome(limit, "") == IoStatus::would_block);
    CHECK(outcome(limit + 1, "") == IoStatus::too_large);
    CHECK(outcome(limit, "before\0"s) == IoStatus::would_block);
    CHECK(outcome(limit + 1, "before\0"s) == IoStatus::too_large);
    CHECK(outcome(10 * limit, "") == IoStatus::too_large);
}

TEST_CASE("the limit counts one message, not what waits together") {
    Pair pair;
    FrameReader reader(0, 100);
    std::vector<std::string> expected(50, std::string(60, 'y'));
    for (const std::string& message : expected) pair.send(message + '\0');
    CHECK(read_all(reader, pair.ours.get()) == expected);
}

TEST_CASE("a message over the limit is noticed before it ends") {
    Pair pair;
    FrameReader reader(0, 100);
    pair.send(std::string(100, 'x'));
    CHECK(reader.read_from(pair.ours.get(), MSG_DONTWAIT) == IoStatus::done);
    pair.send("x");
    CHECK(reader.read_from(pair.ours.get(), MSG_DONTWAIT) == IoStatus::too_large);
}

TEST_CASE("a whole message before one over the limit is still given") {
    Pair pair;
    FrameReader reader(0, 100);
    pair.send("good\0"s + std::string(200, 'x'));
    CHECK(reader.read_from(pair.ours.get(), MSG_DONTWAIT) == IoStatus::done);
    CHECK(reader.next() == "good");
    CHECK(reader.next() == std::nullopt);
    CHECK(reader.read_from(pair.ours.get(), MSG_DONTWAIT) == IoStatus::too_large);
}

TEST_CASE("the limit of the protocol is 1 MiB") {
    for (std::size_t size : {limits::message_bytes, limits::message_bytes + 1}) {
        Pair pair;
        FrameReader reader(0);
        FrameWriter writer;
        writer.start({std::string(size, 'm')});
        std::optional<std::size_t> received;
        IoStatus status = IoStatus::done;
        while (!received && status != IoStatus::too_large) {
            REQUIRE(writer.write_to(pair.theirs.get(), MSG_DONTWAIT) <= IoStatus::would_block);
            status = reader.read_from(pair.ours.get(), MSG_DONTWAIT);
            if (auto message = reader.next()) received = message->size();
        }
        CHECK((status == IoStatus::too_large) == (size > limits::message_bytes));
        CHECK(received.has_value() == (size <= limits::message_bytes));
    }
    CHECK(limits::message_bytes == 1048576);
}

TEST_CASE("the memory of a large message is given back once it is used") {
    Pair pair;
    FrameReader reader(0);
    pair.send(std::string(100'000, 'x') + '\0');
    std::size_t largest = 0;
    while (reader.read_from(pair.ours.get(), MSG_DONTWAIT) == IoStatus::done) {
        largest = std::max(largest, reader.capacity());
        if (auto message = reader.next()) CHECK(message->size() == 100'000);
    }
    CHECK(reader.next() == std::nullopt);
    CHECK(largest >= 100'000);
    CHECK(reader.capacity() < 100);
}

TEST_CASE("nothing to read is would_block") {
    Pair pair;
    FrameReader reader(0);
    CHECK(reader.read_from(pair.ours.get(), MSG_DONTWAIT) == IoStatus::would_block);
    CHECK(reader.capacity() < 100);
}

TEST_CASE("a peer that closes is closed, and half a message is lost") {
    Pair pair;
    FrameReader reader(0);
    pair.send("whole\0half"s);
    pair.theirs.reset();
    REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "whole");
    CHECK(reader.next() == std::nullopt);
    CHECK(reader.read_from(pair.ours.get(), 0) == IoStatus::closed);
    CHECK(reader.next() == std::nullopt);
}

TEST_CASE("a peer that closes without reading what we sent is closed, not failed") {
    Pair pair;
    FrameReader reader(0);
    REQUIRE(::send(pair.ours.get(), "x", 1, MSG_NOSIGNAL) == 1);
    pair.theirs.reset();  // recvmsg(2) gives ECONNRESET now
    CHECK(reader.read_from(pair.ours.get(), 0) == IoStatus::closed);
}

TEST_CASE("a read that fails says why") {
    FrameReader reader(0);
    Tracer no_socket;
    CHECK(reader.read_from(no_socket.reading.get(), 0) == IoStatus::failed);
    CHECK(errno == ENOTSOCK);
}

TEST_CASE("descriptors come with their message and are closed on exec") {
    Pair pair;
    FrameReader reader(4);
    UniqueFd file = memory_file();
    int sent[] = {file.get()};
    pair.send("with\0"s, sent);
    REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "with");
    REQUIRE(reader.fd_count() == 1);
    UniqueFd received = reader.take_fd();
    CHECK(received.get() != file.get());
    CHECK(inode(received.get()) == inode(file.get()));
    CHECK((::fcntl(received.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(reader.fd_count() == 0);
    CHECK_FALSE(reader.take_fd());
}

TEST_CASE("a message carries as many descriptors as the kernel allows") {
    Pair pair;
    FrameReader reader(limits::message_fds);
    UniqueFd file = memory_file();
    std::vector<int> sent(limits::message_fds, file.get());
    pair.send("many\0"s, sent);
    REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.fd_count() == 253);
    CHECK(reader.next() == "many");
}

TEST_CASE("the kernel glues a message without descriptors to a later one with them; the order is kept") {
    Pair pair;
    FrameReader reader(4);
    UniqueFd first = memory_file(), second = memory_file();
    int with_second[] = {first.get()}, with_fourth[] = {second.get()};
    pair.send("1\0"s);
    pair.send("2\0"s, with_second);
    pair.send("3\0"s);
    pair.send("4\0"s, with_fourth);

    // One read gives both messages, and the descriptor is there before the message that it belongs to.
    REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "1");
    CHECK(reader.fd_count() == 1);
    CHECK(reader.next() == "2");
    CHECK(reader.next() == std::nullopt);
    // The next read is glued as well. Who takes by declaration takes the right ones even now.
    REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "3");
    CHECK(reader.fd_count() == 2);
    CHECK(inode(reader.take_fd().get()) == inode(first.get()));
    CHECK(reader.next() == "4");
    CHECK(inode(reader.take_fd().get()) == inode(second.get()));
}

TEST_CASE("descriptors beyond what a reader holds are closed at once") {
    Pair pair;
    FrameReader reader(2);
    UniqueFd file = memory_file();
    Tracer third;
    std::size_t before = open_fds();
    int sent[] = {file.get(), file.get(), third.writing.get()};
    pair.send("three\0"s, sent);
    third.writing.reset();
    CHECK_FALSE(third.all_closed());  // in flight
    CHECK(reader.read_from(pair.ours.get(), 0) == IoStatus::too_large);
    CHECK(third.all_closed());
    CHECK(reader.fd_count() == 2);
    CHECK(open_fds() == before - 1 + 2);
}

TEST_CASE("descriptors that pile up over many messages meet the same limit") {
    Pair pair;
    FrameReader reader(2);
    UniqueFd file = memory_file();
    int sent[] = {file.get()};
    for (int i = 0; i < 3; i++) pair.send("m\0"s, sent);
    CHECK(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(reader.read_from(pair.ours.get(), 0) == IoStatus::too_large);
}

TEST_CASE("descriptors that do not fit into this process are lost, and the reader knows") {
    Pair pair;
    UniqueFd file = memory_file();
    int sent[] = {file.get(), file.get()};
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    for (unsigned room : {2U, 1U, 0U}) {
        CAPTURE(room);
        FrameReader reader(4);
        pair.send("message\0"s, sent);
        // The lowest descriptor that is free is the first that the limit can forbid.
        rlimit tight{static_cast<rlim_t>(UniqueFd(::dup(file.get())).get()) + room, old.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
        IoStatus status = reader.read_from(pair.ours.get(), 0);
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
        CHECK(status == IoStatus::done);
        CHECK(reader.next() == "message");
        CHECK(reader.fd_count() == room);
        CHECK(reader.lost_descriptors() == (room < 2));
    }
}

TEST_CASE("a reader that takes no descriptors never gets one, and the message goes through") {
    Pair pair;
    FrameReader reader(0);
    Tracer tracer;
    int sent[] = {tracer.writing.get()};
    pair.send("text\0"s, sent);
    tracer.writing.reset();
    std::size_t before = open_fds();
    CHECK_FALSE(tracer.all_closed());
    CHECK(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
    CHECK(tracer.all_closed());
    CHECK(open_fds() == before);
    CHECK(reader.fd_count() == 0);
    CHECK_FALSE(reader.lost_descriptors());
    CHECK(reader.next() == "text");
}

TEST_CASE("a reader closes the descriptors that nobody took") {
    Pair pair;
    Tracer tracer;
    {
        FrameReader reader(1);
        int sent[] = {tracer.writing.get()};
        pair.send("x\0"s, sent);
        tracer.writing.reset();
        REQUIRE(reader.read_from(pair.ours.get(), 0) == IoStatus::done);
        CHECK_FALSE(tracer.all_closed());
    }
    CHECK(tracer.all_closed());
}

TEST_CASE("a written message ends with a NUL and the writer is idle again") {
    Pair pair;
    FrameWriter writer;
    CHECK(writer.idle());
    writer.start({"out"});
    CHECK_FALSE(writer.idle());
    CHECK(writer.write_to(pair.ours.get(), 0) == IoStatus::done);
    CHECK(writer.idle());
    char buffer[16];
    REQUIRE(::recv(pair.theirs.get(), buffer, sizeof buffer, 0) == 4);
    CHECK(std::string(buffer, 4) == "out\0"s);
}

TEST_CASE("a large message through a small buffer goes in parts, its descriptor once and with the first") {
    Pair pair;
    int small = 1;  // the kernel makes this its minimum
    REQUIRE(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    UniqueFd file = memory_file();
    ino_t sent = inode(file.get());
    std::string text;
    for (int i = 0; text.size() < 500'000; i++) text += std::to_string(i);

    FrameWriter writer;
    FrameReader reader(4);
    Frame frame{text};
    frame.fds.push_back(std::move(file));
    writer.start(std::move(frame));
    int blocked = 0;
    bool descriptor_came_first = false;
    std::optional<std::string> received;
    while (!received) {
        IoStatus status = writer.write_to(pair.ours.get(), MSG_DONTWAIT);
        REQUIRE((status == IoStatus::done || status == IoStatus::would_block));
        blocked += status == IoStatus::would_block ? 1 : 0;
        REQUIRE(reader.read_from(pair.theirs.get(), MSG_DONTWAIT) == IoStatus::done);
        if (blocked == 1) descriptor_came_first = reader.fd_count() == 1;
        if (auto message = reader.next()) received = std::string(*message);
    }
    CHECK(blocked > 1);
    CHECK(descriptor_came_first);
    CHECK((*received == text));
    REQUIRE(reader.fd_count() == 1);
    CHECK(inode(reader.take_fd().get()) == sent);
    CHECK(writer.idle());
}

TEST_CASE("sent descriptors are closed at the sender's end") {
    Pair pair;
    Tracer tracer;
    FrameWriter writer;
    Frame frame{"x"};
    frame.fds.push_back(std::move(tracer.writing));
    writer.start(std::move(frame));
    REQUIRE(writer.write_to(pair.ours.get(), 0) == IoStatus::done);
    CHECK_FALSE(tracer.all_closed());
    FrameReader(0).read_from(pair.theirs.get(), 0);
    CHECK(tracer.all_closed());
}

TEST_CASE("dropped descriptors stay behind and the message goes without") {
    Pair pair;
    Tracer tracer;
    FrameWriter writer;
    Frame frame{"bare"};
    frame.fds.push_back(std::move(tracer.writing));
    writer.start(std::move(frame));
    writer.drop_fds();
    CHECK(tracer.all_closed());
    CHECK(writer.write_to(pair.ours.get(), 0) == IoStatus::done);
    FrameReader reader(4);
    REQUIRE(reader.read_from(pair.theirs.get(), 0) == IoStatus::done);
    CHECK(reader.next() == "bare");
    CHECK(reader.fd_count() == 0);
}

TEST_CASE("writing to a peer that has closed is closed, without a signal") {
    Pair pair;
    pair.theirs.reset();
    FrameWriter writer;
    writer.start({"to nobody"});
    CHECK(writer.write_to(pair.ours.get(), 0) == IoStatus::closed);
    CHECK_FALSE(writer.idle());
}
