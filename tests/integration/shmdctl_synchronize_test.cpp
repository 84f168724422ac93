// shmdctl lock, notify, and wait for a notification.
#include <signal.h>

#include "process.hpp"
#include "shmdctl_runner.hpp"

using namespace shmd::test;

namespace {

struct WithSegment {
    Shmdctl shmdctl;
    WithSegment() { (void)shmdctl.must({"create", "k", "--size", "4K"}); }
};

std::string read_line(int fd) {
    std::string text;
    for (char c = 0; ::read(fd, &c, 1) == 1 && c != '\n';) text += c;
    return text;
}

// A command under the lock that says so, and goes on until its input ends.
struct Holder {
    Pipe in, out;
    OwnedProcess process;

    Holder(const Shmdctl& shmdctl, Arguments options) {
        Arguments all{"lock", "k"};
        all.insert(all.end(), options.begin(), options.end());
        all.insert(all.end(), {"--", "sh", "-c", "echo held; exec cat"});
        SpawnOptions with;
        with.environment = plain_environment;
        with.in = in.out.get();
        with.out = out.in.get();
        process = spawn(shmdctl.command(all), with);
        out.in.reset();
        in.out.reset();
        REQUIRE(read_line(out.out.get()) == "held");
    }
    // Waits for all that has the pipe, the command among them.
    void await_end_of_command() const { REQUIRE(read_line(out.out.get()) == ""); }
};

}  // namespace

TEST_CASE_FIXTURE(WithSegment, "lock gives the command's status, and its own where there is none") {
    CHECK(shmdctl({"lock", "k", "--", "sh", "-c", "exit 7"}).status == 7);
    CHECK(shmdctl({"lock", "k", "--", "sh", "-c", "kill -9 $$"}).status == 128 + SIGKILL);
    CHECK(shmdctl.must({"lock", "k", "echo", "plain"}) == "plain\n");
    CHECK(shmdctl.must({"lock", "k", "--", "echo", "--", "-x"}) == "-- -x\n");
    CHECK(shmdctl({"lock", "k"}).status == wrong_usage);
    CHECK(shmdctl({"lock", "k", "--read", "--write", "--", "true"}).status == wrong_usage);
    CHECK(shmdctl({"lock", "none", "--", "true"}).status == refused);
    CHECK(shmdctl({"lock", "k", "--", "/no/such"}).status == 127);
    CHECK(shmdctl({"lock", "k", "--", "/etc/passwd"}).status == 126);
}

TEST_CASE_FIXTURE(WithSegment, "keys and programs may be called as commands are") {
    for (const char* key : {"lock", "exec"}) {
        (void)shmdctl.must({"create", key, "--size", "3"});
        CHECK(shmdctl({"write", key, "--", "-"}, "abc").status == ok);
        CHECK(shmdctl.must({"read", "--", key}) == "abc");
        CHECK(shmdctl.must({"lock", key, "--", "echo", "exec", "lock"}) == "exec lock\n");
    }
}

TEST_CASE_FIXTURE(WithSegment, "lock excludes others as long as the command runs") {
    struct Case {
        Arguments held;
        Arguments kept_out, let_in;
    };
    const Case cases[] = {{{}, {}, {"--write"}}, {{"--read"}, {"--write"}, {"--read"}}, {{"--write"}, {"--read"}, {}}};
    for (const Case& each : cases) {
        Holder holder(shmdctl, each.held);
        auto attempt = [&](Arguments options) {
            Arguments all{"lock", "k", "--timeout", "0"};
            all.insert(all.end(), options.begin(), options.end());
            all.insert(all.end(), {"--", "true"});
            return shmdctl(all);
        };
        CommandResult out = attempt(each.kept_out);
        CHECK(out.status == refused);
        CHECK(contains(out.err, "shmdctl: k: it is locked"));
        CHECK(attempt(each.let_in).status == ok);
        holder.in.in.reset();
        CHECK(holder.process.wait() == ok);
        CHECK(attempt(each.kept_out).status == ok);
    }
}

TEST_CASE_FIXTURE(WithSegment, "who comes after one that was killed is told, until a command has repaired") {
    {
        Holder killed(shmdctl, {});
        killed.process.signal(SIGKILL);
        CHECK(killed.process.wait() == 128 + SIGKILL);
        killed.await_end_of_command();  // it does not go on without its lock
    }
    const Arguments tell{"--", "sh", "-c", "echo $SHMD_OWNER_DIED"};
    auto lock = [&](Arguments options, const Arguments& command) {
        options.insert(options.begin(), {"lock", "k", "--timeout", "60s"});
        options.insert(options.end(), command.begin(), command.end());
        return shmdctl(options);
    };
    CommandResult told = lock({}, tell);
    CHECK(told.out == "1\n");
    CHECK(contains(told.err, "the lock's previous holder died"));
    CHECK(lock({"--repair"}, {"--", "false"}).status == 1);
    CommandResult repairs = lock({"--repair"}, tell);
    CHECK(repairs.out == "1\n");
    CHECK(repairs.err == "");
    CHECK(lock({}, tell).out == "0\n");
}

TEST_CASE_FIXTURE(WithSegment, "SIGTERM ends the command, and the lock is given back in order") {
    Holder holder(shmdctl, {});
    holder.process.signal(SIGTERM);
    CHECK(holder.process.wait() == 128 + SIGTERM);
    CHECK(shmdctl.must({"lock", "k", "--", "sh", "-c", "echo $SHMD_OWNER_DIED"}) == "0\n");
}

TEST_CASE_FIXTURE(WithSegment, "notify and wait tell the version") {
    CHECK(shmdctl.must({"notify", "k"}) == "1\n");
    CHECK(shmdctl.json({"notify", "k"})["version"] == 2);
    CHECK(shmdctl.must({"wait", "k", "--after", "1"}) == "2\n");
    CHECK(shmdctl.json({"wait", "k", "--after", "0"})["version"] == 2);
    CommandResult late = shmdctl({"wait", "k", "--notified", "--timeout", "0"});
    CHECK(late.status == refused);
    CHECK(contains(late.err, "nobody has notified in this time"));
    CHECK(shmdctl({"wait", "k", "--after", "-1"}).status == wrong_usage);
    CHECK(shmdctl.must({"wait", "k"}) == "");
    CHECK(shmdctl({"notify", "none"}).status == refused);
    CHECK(shmdctl({"wait", "none", "--notified", "--timeout", "0"}).status == refused);

    Pipe out;
    SpawnOptions with;
    with.environment = plain_environment;
    with.out = out.in.get();
    OwnedProcess waiter = spawn(shmdctl.command({"wait", "k", "--after", "2"}), with);
    CHECK(shmdctl.must({"notify", "k"}) == "3\n");
    CHECK(waiter.wait() == ok);
    CHECK(read_line(out.out.get()) == "3");
}
