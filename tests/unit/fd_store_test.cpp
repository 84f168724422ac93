// The fd store: what the service manager did not get does not pass for kept. The functions of libsystemd are replaced by
// ones that fail when they are told to.
#include "fd_store.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <cerrno>
#include <future>
#include <mutex>
#include <string>
#include <vector>

using namespace shmd;

namespace {

struct Manager {
    std::mutex mutex;
    int failures = 0;  // of the next messages
    std::vector<std::string> heard;

    int take(const char* state) {
        std::lock_guard lock(mutex);
        if (failures > 0) {
            failures--;
            return -EMFILE;
        }
        heard.emplace_back(state);
        return 1;
    }
};

Manager manager;

void run_at_once(const std::function<void()>& function) {
    function();
}

UniqueFd some_fd() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

extern "C" {

int sd_notify(int, const char* state) {
    return manager.take(state);
}

int sd_pid_notify_with_fds(pid_t, int, const char* state, const int*, unsigned) {
    return manager.take(state);
}

int sd_notify_barrier(int, std::uint64_t) {
    return 1;
}

}  // extern "C"

TEST_CASE("what cannot be sent to the manager is sent again, and not done before") {
    for (int failures = 0; failures < 3; failures++) {
        CAPTURE(failures);
        manager.heard.clear();
        manager.failures = failures;
        FdStore store(10, run_at_once);
        std::promise<std::vector<std::string>> heard;
        auto slot = store.take_slot();
        store.add(slot.value(), some_fd(), FdStore::Haste::now, [&] {
            std::lock_guard lock(manager.mutex);
            heard.set_value(manager.heard);
        });
        CHECK(heard.get_future().get() ==
              std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=0", "FDSTORE=1\nFDPOLL=0\nFDNAME=0"});
    }
}

TEST_CASE("nobody waits for a store that is closed") {
    FdStore store(10, run_at_once);
    store.close();
    bool done = false;
    store.add(store.take_slot().value(), some_fd(), FdStore::Haste::now, [&done] { done = true; });
    CHECK(done);
}

TEST_CASE("closing ends the attempts to reach the manager") {
    manager.failures = 1'000'000;
    FdStore store(10, run_at_once);
    std::promise<void> done;
    store.add(store.take_slot().value(), some_fd(), FdStore::Haste::now, [&] { done.set_value(); });
    store.close();
    done.get_future().get();
}
