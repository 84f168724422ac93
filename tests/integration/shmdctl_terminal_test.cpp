// What shmdctl does differently in front of a terminal.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "shmdctl_runner.hpp"

using namespace shmd::test;
using shmd::UniqueFd;

namespace {

const std::string erased = "\r\x1b[K";

// A terminal, and the screen side of it.
class Terminal {
  public:
    explicit Terminal(unsigned short columns = 80) {
        winsize size{24, columns, 0, 0};
        int master = -1, slave = -1;
        REQUIRE(::openpty(&master, &slave, nullptr, nullptr, &size) == 0);
        screen_.reset(master);
        line_.reset(slave);
        ::fcntl(master, F_SETFD, FD_CLOEXEC);
        ::fcntl(slave, F_SETFD, FD_CLOEXEC);
    }

    [[nodiscard]] int fd() const { return line_.get(); }

    /// Waits until the text has come, and returns all that came so far. FAILs when it does not come.
    std::string read_until(std::string_view text) {
        while (!contains(seen_, text)) {
            if (!read_some()) fail("the terminal was closed after: " + seen_);
        }
        return seen_;
    }

    /// Everything up to the last program's end. The terminal is of no use afterwards.
    std::string read_to_end() {
        line_.reset();
        while (read_some()) {
        }
        return seen_;
    }

  private:
    bool read_some() {
        pollfd ready{screen_.get(), POLLIN, 0};
        constexpr auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(patience);
        if (::poll(&ready, 1, static_cast<int>(limit.count())) != 1) fail("nothing came in time after: " + seen_);
        std::array<char, 4096> buffer;
        ssize_t count = ::read(screen_.get(), buffer.data(), buffer.size());
        if (count > 0) seen_.append(buffer.data(), static_cast<std::size_t>(count));
        return count > 0;  // EIO: no program has it open any more
    }

    UniqueFd screen_, line_;
    std::string seen_;
};

OwnedProcess start(const Shmdctl& shmdctl, const Arguments& arguments, int in, int out, int err) {
    SpawnOptions options;
    options.environment = plain_environment;
    options.in = in;
    options.out = out;
    options.err = err;
    return spawn(shmdctl.command(arguments), options);
}

// What a command shows on a terminal. Lines end with \r\n there.
std::string shown(const Shmdctl& shmdctl, const Arguments& arguments, unsigned short columns = 80) {
    Terminal terminal(columns);
    OwnedProcess process = start(shmdctl, arguments, -1, terminal.fd(), terminal.fd());
    CHECK(process.wait() == ok);
    std::string text = terminal.read_to_end();
    std::erase(text, '\r');
    return text;
}

}  // namespace

TEST_CASE("ls says on a terminal that there is nothing to show") {
    Shmdctl shmdctl;
    CHECK(shown(shmdctl, {"ls"}).starts_with("shmdctl: no segments"));
    CHECK(shown(shmdctl, {"ls", "app/"}).starts_with("shmdctl: no segments whose key begins with \"app/\""));
    CHECK(shown(shmdctl, {"--json", "ls"}) == "[]\n");
}

TEST_CASE("ls gives a key too long for the terminal a line of its own") {
    Shmdctl shmdctl;
    std::string longest = "long/" + std::string(250, 'k');
    shmdctl.must({"create", longest, "--size", "1"});
    shmdctl.must({"create", "short", "--size", "2K"});
    std::vector<std::string> narrow = lines(shown(shmdctl, {"ls"}));
    REQUIRE(narrow.size() == 4);
    CHECK(narrow[0].starts_with("KEY    SIZE  MODE"));
    CHECK(narrow[1] == longest);
    CHECK(narrow[2].starts_with("          1  0600"));
    CHECK(narrow[3].starts_with("short  2.0K  0600"));
    // As everywhere when it fits, and when nobody looks.
    std::vector<std::string> wide = lines(shown(shmdctl, {"ls"}, 400));
    CHECK(wide.size() == 3);
    CHECK(wide == lines(shmdctl.must({"ls"})));
}

TEST_CASE("labels cannot command a terminal") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "1", "--label", "a\x1b]0;owned\x07=\x1b[2J"});
    for (const Arguments& arguments : {Arguments{"stat", "k"}, {"--json", "stat", "k"}, {"--json", "ls"}}) {
        std::string text = shown(shmdctl, arguments);
        CHECK_FALSE(contains(text, "\x1b"));
        CHECK_FALSE(contains(text, "\x07"));
    }
}

TEST_CASE("a write that takes longer than a second shows a bar on the terminal and erases it at the end") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "1M"});
    Terminal terminal;
    Pipe in;
    auto begin = std::chrono::steady_clock::now();
    OwnedProcess writer = start(shmdctl, {"write", "k"}, in.out.get(), -1, terminal.fd());
    in.out.reset();
    REQUIRE(::write(in.in.get(), "hello", 5) == 5);
    terminal.read_until(erased + "5, ");
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::seconds(1));
    REQUIRE(::write(in.in.get(), "world", 5) == 5);
    terminal.read_until(erased + "10, ");
    in.in.reset();
    CHECK(writer.wait() == ok);
    CHECK(terminal.read_to_end().ends_with(erased));
    CHECK(shmdctl.must({"read", "k", "--length", "10"}) == "helloworld");
}

TEST_CASE("the bar of a slow read knows how far it is") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "4M"});
    Terminal terminal;
    Pipe out;
    OwnedProcess reader = start(shmdctl, {"read", "k"}, -1, out.in.get(), terminal.fd());
    out.in.reset();
    terminal.read_until("%");
    std::string bar = terminal.read_until("/s");
    CHECK(contains(bar, "% [ "));
    CHECK(contains(bar, " of 4.0M, "));
    std::array<char, 1 << 16> buffer;
    std::size_t received = 0;
    for (ssize_t count = 0; (count = ::read(out.out.get(), buffer.data(), buffer.size())) > 0;) {
        received += static_cast<std::size_t>(count);
    }
    CHECK(received == std::size_t{4} << 20);
    CHECK(reader.wait() == ok);
    CHECK(terminal.read_to_end().ends_with(erased));
}

TEST_CASE("a bar makes room for the message that follows it") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "3"});
    Terminal terminal;
    Pipe in;
    OwnedProcess writer = start(shmdctl, {"write", "k"}, in.out.get(), -1, terminal.fd());
    in.out.reset();
    REQUIRE(::write(in.in.get(), "x", 1) == 1);
    terminal.read_until(erased + "1, ");
    REQUIRE(::write(in.in.get(), "xxx", 3) == 3);
    in.in.reset();
    CHECK(writer.wait() == refused);
    CHECK(contains(terminal.read_to_end(), erased + "shmdctl: k: the input is too long"));
}

TEST_CASE("no bar appears where nobody looks, or where it would disturb") {
    Shmdctl shmdctl;
    shmdctl.must({"create", "k", "--size", "1M"});
    Terminal watched, typing, dumb;
    Pipe in, err, other;
    // Three that wait as long as a fourth one, started last, takes to show its bar.
    OwnedProcess redirected = start(shmdctl, {"write", "k"}, in.out.get(), -1, err.in.get());
    OwnedProcess typed = start(shmdctl, {"write", "k"}, typing.fd(), -1, typing.fd());
    SpawnOptions options;
    options.environment = {"SHMD_SOCKET=", "TERM=dumb"};
    options.in = in.out.get();
    options.err = dumb.fd();
    OwnedProcess simple = spawn(shmdctl.command({"write", "k"}), options);
    OwnedProcess slow = start(shmdctl, {"write", "k"}, other.out.get(), -1, watched.fd());
    watched.read_until(erased + "0, ");

    for (UniqueFd* end : {&in.in, &in.out, &other.in, &err.in}) end->reset();
    CHECK(redirected.wait() == ok);
    CHECK(simple.wait() == ok);
    CHECK(slow.wait() == ok);
    typed.kill_and_reap();
    char byte = 0;
    CHECK(::read(err.out.get(), &byte, 1) == 0);
    CHECK(typing.read_to_end() == "");
    CHECK(dumb.read_to_end() == "");
}
