// The programs of client/examples do what they say.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "process.hpp"

using namespace shmd::test;

TEST_CASE("a lookup table is replaced under its readers, and every old one is freed") {
    Daemon daemon;
    SpawnOptions environment;
    environment.environment = {"SHMD_SOCKET=" + daemon.socket()};
    std::vector<OwnedProcess> readers;
    for (int i = 0; i < 3; i++) readers.push_back(spawn({LOOKUP_TABLE_PATH, "follow", "table", "40"}, environment));
    CommandResult published = run_command({LOOKUP_TABLE_PATH, "publish", "table", "40"}, environment.environment);
    CHECK(published.err == "");
    CHECK(published.status == 0);
    for (OwnedProcess& reader : readers) CHECK(reader.wait() == 0);
    (void)wait_until(daemon, "one segment that nobody has", [](const Snapshot& rest) {
        return rest.status.segments == 1 && rest.status.attachments == 0;
    });
    CHECK(run_command({LOOKUP_TABLE_PATH}, environment.environment).status == 2);
}
