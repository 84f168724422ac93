// A program with the drop-in, for tests that have it make one call after another.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "process.hpp"
#include "unique_fd.hpp"

namespace shmd::test {

/// The key that it looks up.
inline constexpr int system_v_key = 0xff3;

/// A program with the drop-in that makes the calls it is told to.
class Program {
  public:
    explicit Program(const std::string& socket, std::optional<User> user = std::nullopt) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
        mine_.reset(ends[0]);
        const UniqueFd its(ends[1]);
        SpawnOptions options;
        options.environment = {std::string("LD_PRELOAD=") + SHMD_SYSV_PATH, "SHMD_SOCKET=" + socket};
        options.in = options.out = its.get();
        options.user = std::move(user);
        process_ = spawn({SYSTEM_V_PROBE_PATH, "on_demand"}, options);
    }

    [[nodiscard]] pid_t pid() const { return process_.pid(); }
    /// Kills it and waits for its end.
    void kill() { process_.kill_and_reap(); }

    std::string get(int flags = 0) { return call("get", system_v_key, flags); }
    std::string attach(const std::string& id, int flags = 0) { return call("at", std::stol(id), flags); }
    std::string detach() { return call("dt", 0, 0); }
    /// The first byte of what it attached last.
    std::string first_byte() { return call("first", 0, 0); }

    /// How many have it attached, or an error: IPC_STAT.
    std::string ask(const std::string& id) { return call("ask", std::stol(id), 0); }

    /// So many more of the segment, and the end of these.
    std::string attach_more(const std::string& id, int count) { return call("more", std::stol(id), count); }
    std::string detach_more() { return call("less", 0, 0); }
    /// From here on its child is who makes the calls, until that exits. Its process id.
    std::string fork() { return call("fork", 0, 0); }
    void exit() { (void)call("exit", 0, 0); }

    /// So often that everything is remembered that ever is: its id. asks: each time before it attaches, as PHP's shmop does.
    std::string use(int flags = 0, int attach_flags = 0, bool asks = false) {
        // With some ends, and calls after them, it has a detach queue and the page of changes.
        constexpr int uses = 8;
        std::string id;
        for (int i = 0; i < uses; i++) {
            id = get(flags);
            if (asks) (void)ask(id);
            if (attach(id, attach_flags) != "0" || detach() != "0") fail("not attached: " + id);
        }
        return id;
    }

  private:
    std::string call(const char* what, long first, int flags) {
        std::string line = std::string(what) + " " + std::to_string(first) + " " + std::to_string(flags) + "\n";
        if (::write(mine_.get(), line.data(), line.size()) < 0) fail("the program has gone");
        std::string text;
        for (char byte = 0; ::read(mine_.get(), &byte, 1) == 1 && byte != '\n';) text += byte;
        return text;
    }

    UniqueFd mine_;
    OwnedProcess process_;
};

}  // namespace shmd::test
