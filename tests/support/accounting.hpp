// What the daemon holds, so that tests can say that all of it came back. The daemon learns of a closed socket or a dead
// process a moment later; these helpers ask it again and again until it has, each question waiting for its answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "daemon_fixture.hpp"
#include "messages.hpp"

namespace shmd::test {

/// Taken over a control connection of its own, which is counted: `status.connections` is at least 1.
struct Snapshot {
    Status status;
    std::size_t fd_count = 0;
};

/// Asks until `done` is true of the answer. FAILs after `patience`, naming what was waited for.
Snapshot wait_until(const Daemon& daemon, const std::string& what, const std::function<bool(const Snapshot&)>& done);

/// The state once exactly this many connections are left besides the one that asks.
Snapshot settled(const Daemon& daemon, std::int64_t other_connections = 0);

/// Waits until segments, bytes, attachments, connections and descriptors are what they were.
void expect_return_to(const Daemon& daemon, const Snapshot& before);

}  // namespace shmd::test
