// What every method answers on a segment that is staged, sealed, deleted, gone, or not the caller's: the table of
// PROTOCOL.md, read from there and held against the daemon.
#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "daemon_fixture.hpp"
#include "process.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr uid_t alice = 61001;

using Row = std::vector<std::string>;

std::string trimmed(std::string text) {
    std::erase(text, '`');
    text.erase(0, text.find_first_not_of(' '));
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

// The table below this heading, its head first.
std::vector<Row> read_table(const std::string& heading) {
    std::ifstream file(SHMD_PROTOCOL_MD);
    std::vector<Row> rows;
    std::string line;
    while (std::getline(file, line) && line != heading) continue;
    while (std::getline(file, line) && !line.starts_with("#")) {
        if (!line.starts_with("|") || line.starts_with("|--")) continue;
        Row& row = rows.emplace_back();
        std::istringstream cells(line.substr(1));
        for (std::string cell; std::getline(cells, cell, '|');) row.push_back(trimmed(cell));
    }
    return rows;
}

// A connection of alice, who is not privileged.
RawClient connect(const Daemon& daemon) {
    REQUIRE(::seteuid(alice) == 0);
    RawClient client(daemon.socket());
    REQUIRE(::seteuid(0) == 0);
    return client;
}

Create leased(std::optional<std::string> key) {
    Create call;
    call.key = std::move(key);
    call.size_bytes = 4096;
    call.capacity_bytes = 8192;
    call.lifetime = Lifetime::lease;
    call.lease_usec = 3600'000'000;
    return call;
}

// A segment in one of the states, as the caller knows it.
struct Case {
    std::int64_t id = 0;
    std::uint32_t attachment = 0;
};

struct Cases {
    Daemon daemon;
    RawClient caller = connect(daemon), another = connect(daemon), root{daemon.socket()};

    Case create(RawClient& client, const Create& call) {
        auto made = client.call(call);
        return {made.value().segment.id, made.value().attachment};
    }

    std::map<std::string, std::function<Case()>> states{
        {"staged, yours", [this] { return staged(caller); }},
        {"staged, another's", [this] { return staged(another); }},
        {"sealed",
         [this] {
             Case made = create(caller, leased("states/sealed"));
             Target target{std::nullopt, made.id};
             REQUIRE_FALSE(caller.call(Detach{made.attachment}).is_error());
             REQUIRE_FALSE(caller.call(Seal{target}).is_error());
             made.attachment = caller.call(Open{target, Access::read}).value().attachment;
             return made;
         }},
        {"deleted or expired, attached",
         [this] {
             Case made = create(caller, leased("states/deleted"));
             REQUIRE_FALSE(caller.call(Delete{{std::nullopt, made.id}}).is_error());
             return made;
         }},
        {"gone",
         [this] {
             Case made = create(caller, leased("states/gone"));
             REQUIRE_FALSE(caller.call(Delete{{std::nullopt, made.id}}).is_error());
             REQUIRE_FALSE(caller.call(Detach{made.attachment}).is_error());
             return made;
         }},
        {"not for you", [this] { return create(root, leased(std::nullopt)); }},
    };

    Case staged(RawClient& client) {
        Create call = leased("states/staged");
        call.staged = true;
        return create(client, call);
    }

    template <typename C>
    std::string ask(const C& call) {
        auto reply = caller.call(call);
        if (!reply.is_error()) return "done";
        return reply.error().name.substr(reply.error().name.rfind('.') + 1);
    }

    static Open open(const Case& on, Access access, bool sealed = false) {
        Open call{{std::nullopt, on.id}, access};
        if (sealed) call.sealed = true;
        return call;
    }

    std::map<std::string, std::function<std::string(const Case&)>> methods{
        {"Open to read", [this](const Case& on) { return ask(open(on, Access::read)); }},
        {"Open to write", [this](const Case& on) { return ask(open(on, Access::write)); }},
        {"Open with sealed", [this](const Case& on) { return ask(open(on, Access::read, true)); }},
        {"OpenMany to read",
         [this](const Case& on) {
             auto result = caller.call(OpenMany{{{std::nullopt, on.id}}, Access::read}).value().results.at(0);
             return result.grant ? "done" : result.error->name.substr(result.error->name.rfind('.') + 1);
         }},
        {"Describe", [this](const Case& on) { return ask(Describe{{std::nullopt, on.id}}); }},
        {"Delete", [this](const Case& on) { return ask(Delete{{std::nullopt, on.id}}); }},
        {"SetAttributes",
         [this](const Case& on) {
             SetAttributes call{{std::nullopt, on.id}};
             call.mode = 0640;
             return ask(call);
         }},
        {"Renew", [this](const Case& on) { return ask(Renew{{std::nullopt, on.id}}); }},
        {"Seal", [this](const Case& on) { return ask(Seal{{std::nullopt, on.id}}); }},
        {"Resize", [this](const Case& on) { return ask(Resize{{std::nullopt, on.id}, 8192}); }},
        {"Publish", [this](const Case& on) { return ask(Publish{on.attachment, "states/published"}); }},
        {"Detach", [this](const Case& on) { return ask(Detach{on.attachment}); }},
        {"OpenSyncArea", [this](const Case& on) { return ask(OpenSyncArea{on.attachment}); }},
        {"RecoverLocks", [this](const Case& on) { return ask(RecoverLocks{on.attachment}); }},
        {"List",
         [this](const Case& on) {
             bool told = false;
             for (const Segment& segment : caller.list()) told = told || segment.id == on.id;
             return told ? "told" : "not told";
         }},
    };
};

}  // namespace

TEST_CASE("every method answers in every state as the protocol says" * doctest::skip(!is_root())) {
    std::vector<Row> table = read_table("### What each method answers in each state");
    REQUIRE(table.size() > 1);
    const Row& head = table.front();
    {
        Cases all;
        CHECK(head.size() == all.states.size() + 1);
        CHECK(table.size() == all.methods.size() + 1);
    }
    for (std::size_t line = 1; line < table.size(); line++) {
        const Row& row = table[line];
        REQUIRE(row.size() == head.size());
        Cases cases;  // nothing is left over from the row before
        for (std::size_t column = 1; column < head.size(); column++) {
            CAPTURE(row[0]);
            CAPTURE(head[column]);
            Case on = cases.states.at(head[column])();
            CHECK(cases.methods.at(row[0])(on) == row[column]);
            // What is left of it must not be in the way of the next one; most are gone already.
            (void)cases.root.call(Delete{{std::nullopt, on.id}});
            (void)cases.caller.call(Delete{{std::nullopt, on.id}});
            (void)cases.another.call(Delete{{std::nullopt, on.id}});
        }
    }
}

TEST_CASE("by key there are only live segments, whoever asks" * doctest::skip(!is_root())) {
    Cases cases;
    auto is_there = [&](const std::string& key) { return cases.ask(Describe{{key, std::nullopt}}) == "done"; };
    Case staged = cases.staged(cases.caller);
    CHECK_FALSE(is_there("states/staged"));
    REQUIRE_FALSE(cases.caller.call(Publish{staged.attachment}).is_error());
    CHECK(is_there("states/staged"));
    cases.states.at("deleted or expired, attached")();
    CHECK_FALSE(is_there("states/deleted"));
}

TEST_CASE("a wait for a key outlasts segments that are deleted before it sees them" * doctest::skip(!is_root())) {
    Cases cases;
    Open wait{{"states/awaited", std::nullopt}, Access::read, 60'000'000};
    cases.caller.send(wait);
    // Both calls are there before the daemon looks: the segment is gone again when the wait is woken.
    Create fleeting = leased("states/awaited");
    for (int i = 0; i < 20; i++) {
        cases.another.send_bytes(encode_call(fleeting) + '\0' + encode_call(Delete{wait.target}) + '\0');
        REQUIRE_FALSE(cases.another.receive_reply<Create>().is_error());
        REQUIRE_FALSE(cases.another.receive_reply<Delete>().is_error());
    }
    // It may have been quick enough for one of them.
    Case lasting = cases.create(cases.another, fleeting);
    auto opened = cases.caller.receive_reply<Open>();
    CHECK(opened.fds.size() == 1);
    CHECK(opened.value().segment.id <= lasting.id);
}

TEST_CASE("a wait for a key ends with a refusal when what appears is not for the caller" * doctest::skip(!is_root())) {
    Cases cases;
    cases.caller.send(Open{{"states/secret", std::nullopt}, Access::read, 60'000'000});
    cases.create(cases.root, leased("states/secret"));
    CHECK(cases.caller.receive_reply<Open>().known_error().code == ErrorCode::permission_denied);
}
