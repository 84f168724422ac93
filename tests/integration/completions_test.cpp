// What bash, zsh and fish make of half a command line, with a real daemon that holds real keys.
#include <algorithm>
#include <csignal>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "shmdctl_runner.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

namespace fs = std::filesystem;

struct Shell {
    const char* name;
    const char* completions;  // in client/cli/completions
};

constexpr Shell shells[] = {{"bash", "shmdctl.bash"}, {"zsh", "_shmdctl"}, {"fish", "shmdctl.fish"}};

class Completing {
  public:
    explicit Completing(const Shell& shell) : shell_(shell) {}

    [[nodiscard]] static bool is_installed(const Shell& shell) {
        bool here = fs::exists(std::string("/usr/bin/") + shell.name);
        if (shell.name == std::string_view("bash")) here = fs::exists("/usr/share/bash-completion/bash_completion");
        if (!here) MESSAGE("SKIPPED: " << shell.name << " or its completions are not installed");
        return here;
    }

    // In an environment of its own: nobody's settings count. Sorted.
    Arguments operator()(const std::string& line, const std::string& socket) const {
        Arguments environment{"SHMD_SOCKET=" + socket, "SHMD_CONTROL_SOCKET=", "TERM=xterm"};
        environment.push_back("PATH=" + fs::path(SHMDCTL_PATH).parent_path().string() + ":/usr/bin:/bin");
        for (const char* variable : {"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"}) {
            environment.push_back(std::string(variable) + "=" + home_.path().string());
        }
        std::string directory = SHMD_SOURCE_DIR;
        auto run = [&] {
            return run_command({directory + "/tests/integration/completions/" + shell_.name,
                                directory + "/client/cli/completions/" + shell_.completions, line, home_.path()},
                               environment);
        };
        CommandResult result = run();
        if (shell_.name == std::string_view("zsh")) {
            // On a busy machine zsh now and then gives a completion up for the keys that wait behind it: what it says
            // twice is its answer.
            for (int attempt = 0; attempt < 8; attempt++) {
                CommandResult again = run();
                bool same = again.out == result.out;
                result = std::move(again);
                if (same) break;
            }
        }
        // What a failed check does not show.
        std::cout << shell_.name << ", " << line << ": " << std::quoted(result.out) << std::endl;
        CHECK(result.err == "");
        Arguments found;
        std::istringstream lines(result.out);
        for (std::string each; std::getline(lines, each);) found.push_back(each);
        std::ranges::sort(found);
        return found;
    }

  private:
    const Shell& shell_;
    TemporaryDirectory home_;
};

void check_words(const Completing& complete, const std::string& socket) {
    CHECK(complete("shmdctl cre", socket) == Arguments{"create"});
    CHECK(complete("shmdctl re", socket) == Arguments{"read", "reload", "renew", "resize"});
    CHECK(complete("shmdctl create app/new --reser", socket) == Arguments{"--reserve"});
    CHECK(complete("shmdctl create app/new --reserve ", socket) == Arguments{"allocate", "lazy", "populate"});
    CHECK(complete("shmdctl create app/new --reserve=po", socket) == Arguments{"--reserve=populate"});
    CHECK(complete("shmdctl lifetime app/one --evictable ", socket) == Arguments{"no", "yes"});
    CHECK(complete("shmdctl log-level e", socket) == Arguments{"error"});
    CHECK(complete("shmdctl --js", socket) == Arguments{"--json"});
    CHECK(complete("shmdctl chown roo", socket) == Arguments{"root"});
    CHECK(complete("shmdctl acl app/one --add u:root:", socket) == Arguments{"u:root:r", "u:root:rw"});
}

}  // namespace

TEST_CASE("shells complete commands, options and values, with a daemon and without") {
    Shmdctl shmdctl;
    for (const Shell& shell : shells) {
        if (!Completing::is_installed(shell)) continue;
        INFO(shell.name);
        Completing complete(shell);
        check_words(complete, shmdctl.daemon().socket());
        check_words(complete, "/nowhere/io.shmd.Segments");
        CHECK(complete("shmdctl rm ", "/nowhere/io.shmd.Segments").empty());
    }
}

TEST_CASE("shells complete the keys and labels of live segments") {
    Shmdctl shmdctl;
    for (const char* key : {"app/one", "app/two", "0xff3", "mail=a@b+c", "mail=a@bx", "-1"}) {
        shmdctl.must({"create", "--size", "1", "--", key});
    }
    shmdctl.must({"label", "app/one", "team=billing", "kind=x"});
    shmdctl.must({"rm", "app/two"});
    shmdctl.must({"create", "app/three", "--size", "1"});
    for (const Shell& shell : shells) {
        if (!Completing::is_installed(shell)) continue;
        INFO(shell.name);
        Completing complete(shell);
        const std::string& socket = shmdctl.daemon().socket();
        CHECK(complete("shmdctl stat app/", socket) == Arguments{"app/one", "app/three"});
        CHECK(complete("shmdctl rm app/one app/t", socket) == Arguments{"app/three"});
        CHECK(complete("shmdctl stat sysv:", socket) == Arguments{"sysv:0x00000ff3", "sysv:0xffffffff"});
        CHECK(complete("shmdctl stat mail=", socket) == Arguments{"mail=a@b+c", "mail=a@bx"});
        CHECK(complete("shmdctl stat mail=a@b", socket) == Arguments{"mail=a@b+c", "mail=a@bx"});
        CHECK(complete("shmdctl ls ma", socket) == Arguments{"mail=a@b+c", "mail=a@bx"});
        CHECK(complete("shmdctl chmod 0644 app/o", socket) == Arguments{"app/one"});
        CHECK(complete("shmdctl label app/one ", socket) == Arguments{"kind=", "team="});
        CHECK(complete("shmdctl label app/one --remove t", socket) == Arguments{"team"});
        CHECK(complete("shmdctl stat nothing", socket).empty());
        // What the command line names counts, not what the environment does.
        CHECK(complete("shmdctl --socket " + socket + " stat app/o", "/nowhere") == Arguments{"app/one"});
    }
}

TEST_CASE("shells complete names of files where files are meant") {
    Shmdctl shmdctl;
    TemporaryDirectory directory;
    std::string file = directory.path() / "input";
    std::string beginning = file.substr(0, file.size() - 2);
    UniqueFd made(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    for (const Shell& shell : shells) {
        if (!Completing::is_installed(shell)) continue;
        INFO(shell.name);
        CHECK(Completing(shell)("shmdctl write app/one " + beginning, shmdctl.daemon().socket()) == Arguments{file});
        CHECK(Completing(shell)("shmdctl --socket " + beginning, shmdctl.daemon().socket()) == Arguments{file});
    }
}

TEST_CASE("completing gives up on a daemon that does not answer, and says nothing") {
    Shmdctl shmdctl;
    ::kill(shmdctl.daemon().pid(), SIGSTOP);
    Arguments environment{"SHMD_SOCKET=" + shmdctl.daemon().socket()};
    CommandResult result = run_command({SHMDCTL_PATH, "__complete", "rm", ""}, environment);
    ::kill(shmdctl.daemon().pid(), SIGCONT);
    CHECK(result.status == ok);
    CHECK(result.out == "");
    CHECK(result.err == "");
}

TEST_CASE("every value that is offered is accepted") {
    Shmdctl shmdctl;
    const Arguments lines[] = {
        {"create", "k", "--any", "--fallback", "--size", "1", "--reserve"},
        {"create", "k", "--any", "--fallback", "--size", "1", "--lifetime"},
        {"create", "k", "--any", "--fallback", "--size", "1", "--huge-pages"},
        {"lifetime", "k", "--evictable"},
        {"lifetime", "k"},
        {"log-level"},
    };
    for (const Arguments& line : lines) {
        Arguments command{SHMDCTL_PATH, "__complete"};
        command.insert(command.end(), line.begin(), line.end());
        command.emplace_back();
        std::istringstream values(run_command(command).out);
        int count = 0;
        for (std::string value; std::getline(values, value); count++) {
            Arguments answer = line;
            answer.push_back(value);
            INFO(line.front() << " ... " << line.back() << " " << value);
            CHECK(shmdctl(answer).status != wrong_usage);
        }
        CHECK(count > 1);
    }
}
