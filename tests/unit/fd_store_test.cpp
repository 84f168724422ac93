// The fd store: what the service manager did not get does not pass for kept, and a manager that hears nothing keeps
// nobody from ending. The manager's socket is a real one; sending to it fails when a test says so.
#include "fd_store.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "process.hpp"

using namespace shmd;
using shmd::test::patience;
using shmd::test::TemporaryDirectory;

namespace {

std::atomic<int> failures = 0;  // of the next messages

// The manager's end of $NOTIFY_SOCKET.
class Manager {
  public:
    Manager() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        const std::string path = directory_.path() / "notify";
        address_.sun_family = AF_UNIX;
        path.copy(address_.sun_path, sizeof address_.sun_path - 1);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0);
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }

    struct Message {
        std::string text;
        UniqueFd fd{};
    };
    Message receive() {
        pollfd readable{socket_.get(), POLLIN, 0};
        auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
        REQUIRE(::poll(&readable, 1, static_cast<int>(milliseconds)) == 1);
        char text[256];
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        iovec bytes{text, sizeof text};
        msghdr message{};
        message.msg_iov = &bytes;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        ssize_t length = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
        REQUIRE(length >= 0);
        Message got{{text, static_cast<std::size_t>(length)}};
        if (const cmsghdr* head = CMSG_FIRSTHDR(&message)) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
            got.fd.reset(fd);
        }
        return got;
    }

    // Until nothing more goes in.
    void fill() {
        UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        while (::sendto(socket.get(), "X=1", 3, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address_),
                        sizeof address_) == 3) {
        }
        REQUIRE(errno == EAGAIN);
    }

  private:
    TemporaryDirectory directory_;
    sockaddr_un address_{};
    UniqueFd socket_;
};

void run_at_once(const std::function<void()>& function) {
    function();
}

UniqueFd some_fd() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

// What is done with a descriptor that is added.
class Added {
  public:
    explicit Added(FdStore& store) {
        store.add(store.take_slot().value(), some_fd(), FdStore::Haste::now, [this] { done_.set_value(); });
    }
    bool is_done() { return told_.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
    void await() { REQUIRE(told_.wait_for(patience) == std::future_status::ready); }

  private:
    std::promise<void> done_;
    std::future<void> told_ = done_.get_future();
};

}  // namespace

extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
    if (failures > 0) {
        failures--;
        errno = ETOOMANYREFS;
        return -1;
    }
    return ::syscall(SYS_sendmsg, socket, message, flags);
}

TEST_CASE("what cannot be sent to the manager is sent again, and not done before the manager has taken it in") {
    for (int failing = 0; failing < 3; failing++) {
        CAPTURE(failing);
        Manager manager;
        failures = failing;
        FdStore store(10, run_at_once);
        Added added(store);
        CHECK(manager.receive().text == "FDSTOREREMOVE=1\nFDNAME=0");
        auto kept = manager.receive();
        CHECK(kept.text == "FDSTORE=1\nFDPOLL=0\nFDNAME=0");
        CHECK(kept.fd);
        auto barrier = manager.receive();
        CHECK(barrier.text == "BARRIER=1");
        CHECK_FALSE(added.is_done());
        barrier.fd.reset();
        added.await();
    }
}

TEST_CASE("a manager that has no room for a message gets it when it has") {
    Manager manager;
    manager.fill();
    FdStore store(10, run_at_once);
    Added added(store);
    std::vector<std::string> heard;
    while (heard.empty() || heard.back() != "BARRIER=1") {
        CHECK_FALSE(added.is_done());
        auto message = manager.receive();
        if (message.text != "X=1") heard.push_back(message.text);
    }
    CHECK(heard == std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=0", "FDSTORE=1\nFDPOLL=0\nFDNAME=0", "BARRIER=1"});
    added.await();
}

TEST_CASE("nobody waits for a store that is closed") {
    FdStore store(10, run_at_once);
    store.close();
    Added added(store);
    CHECK(added.is_done());
}

TEST_CASE("closing ends the attempts to reach the manager") {
    Manager manager;
    failures = 1'000'000;
    FdStore store(10, run_at_once);
    Added added(store);
    store.close();
    added.await();
    failures = 0;
}

TEST_CASE("closing ends what waits for a manager that reads nothing") {
    Manager manager;
    manager.fill();
    FdStore store(10, run_at_once);
    Added added(store);
    store.close();
    added.await();
}

TEST_CASE("closing ends what waits for a manager that has read all and does not go on") {
    Manager manager;
    FdStore store(10, run_at_once);
    Added added(store);
    Manager::Message message;
    while (message.text != "BARRIER=1") message = manager.receive();
    store.close();
    added.await();
}

TEST_CASE("a store is offered where descriptors can be sent") {
    ::setenv("FDSTORE", "20", 1);
    for (const char* place : {"/run/notify", "@notify"}) {
        ::setenv("NOTIFY_SOCKET", place, 1);
        CHECK(FdStore::offered() == 20);
    }
    for (const char* place : {"", "vsock:2:1234"}) {
        ::setenv("NOTIFY_SOCKET", place, 1);
        CHECK(FdStore::offered() == 0);
    }
    ::unsetenv("NOTIFY_SOCKET");
    CHECK(FdStore::offered() == 0);
}
