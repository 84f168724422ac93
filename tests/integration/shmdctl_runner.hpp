// Runs shmdctl against a daemon of its own.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "daemon_fixture.hpp"

namespace shmd::test {

using Arguments = std::vector<std::string>;

enum Status { ok = 0, refused = 1, wrong_usage = 2, no_daemon = 3 };

/// What decides where a daemon is looked for and how values are written, made the same everywhere.
inline const Arguments plain_environment{"SHMD_SOCKET=", "SHMD_CONTROL_SOCKET=", "TZ=UTC", "TERM=xterm"};

class Shmdctl {
  public:
    explicit Shmdctl(DaemonOptions options = {}) : daemon_(std::move(options)) {}

    [[nodiscard]] Daemon& daemon() { return daemon_; }

    /// The command line that runs it on this daemon.
    [[nodiscard]] Arguments command(const Arguments& arguments) const {
        Arguments all{SHMDCTL_PATH, "--socket", daemon_.socket(), "--control-socket", daemon_.control_socket()};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return all;
    }

    CommandResult operator()(const Arguments& arguments, std::string_view input = {}) const {
        return run_command(command(arguments), plain_environment, input);
    }

    /// Runs it, and REQUIREs that it succeeds and says nothing on standard error. What it printed.
    std::string must(const Arguments& arguments, std::string_view input = {}) const {
        CommandResult result = (*this)(arguments, input);
        INFO(arguments.front() << ": " << result.err);
        REQUIRE(result.status == ok);
        REQUIRE(result.err == "");
        return result.out;
    }

    nlohmann::json json(Arguments arguments) const {
        arguments.insert(arguments.begin(), "--json");
        return nlohmann::json::parse(must(arguments));
    }

    /// The same as another user, from where that user may run it. Needs root.
    CommandResult as(uid_t uid, const Arguments& arguments, std::string_view input = {}) const {
        namespace fs = std::filesystem;
        auto keep = fs::copy_options::skip_existing;
        fs::copy_file(SHMDCTL_PATH, programs_.path() / "shmdctl", keep);
        fs::copy_file(SHMDCTL_LIBRARY_PATH, programs_.path() / fs::path(SHMDCTL_LIBRARY_PATH).filename(), keep);
        Arguments all = command(arguments);
        all.front() = programs_.path() / "shmdctl";
        std::string id = std::to_string(uid);
        all.insert(all.begin(), {"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--"});
        Arguments environment = plain_environment;
        environment.push_back("LD_LIBRARY_PATH=" + programs_.path().string());
        return run_command(all, environment, input);
    }

  private:
    Daemon daemon_;
    TemporaryDirectory programs_;
};

/// A pipe, closed end by end.
struct Pipe {
    UniqueFd in, out;  // what is written to `in` is read from `out`
    Pipe() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        out.reset(ends[0]);
        in.reset(ends[1]);
    }
};

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != text.npos;
}

/// The lines of a text.
inline std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> all;
    for (std::size_t begin = 0; begin < text.size();) {
        std::size_t end = std::min(text.find('\n', begin), text.size());
        all.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return all;
}

}  // namespace shmd::test
