#include "accounting.hpp"

#include <chrono>

#include "varlink_client.hpp"

namespace shmd::test {
namespace {

std::string describe(const Snapshot& snapshot) {
    const Status& status = snapshot.status;
    return std::to_string(status.segments) + " segments, " + std::to_string(status.bytes) + " bytes, " +
           std::to_string(status.attachments) + " attachments, " + std::to_string(status.connections) +
           " connections, " + std::to_string(snapshot.fd_count) + " descriptors";
}

bool same(const Snapshot& a, const Snapshot& b) {
    return a.status.segments == b.status.segments && a.status.bytes == b.status.bytes &&
           a.status.attachments == b.status.attachments && a.status.connections == b.status.connections &&
           a.fd_count == b.fd_count;
}

}  // namespace

Snapshot wait_until(const Daemon& daemon, const std::string& what, const std::function<bool(const Snapshot&)>& done) {
    RawClient control(daemon.control_socket());
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        Status status = control.call(GetStatus{}).value();
        Snapshot snapshot{std::move(status), daemon.fd_count()};
        if (done(snapshot)) return snapshot;
        if (std::chrono::steady_clock::now() > deadline) {
            fail("waited in vain for " + what + "; the daemon holds " + describe(snapshot));
        }
    }
}

Snapshot settled(const Daemon& daemon, std::int64_t other_connections) {
    return wait_until(daemon, std::to_string(other_connections) + " connections",
                      [=](const Snapshot& snapshot) { return snapshot.status.connections == other_connections + 1; });
}

void expect_return_to(const Daemon& daemon, const Snapshot& before) {
    wait_until(daemon, describe(before), [&before](const Snapshot& now) { return same(now, before); });
}

}  // namespace shmd::test
