// Counts system calls, by ptrace(2): what no clock and no load can change.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace shmd::test {

/// How often each was made, by name; "syscall N" for those without one here.
using Syscalls = std::map<std::string, int>;

/// Runs this in a child and counts what it does between its two calls of `mark`. Nothing when this machine forbids tracing.
[[nodiscard]] std::optional<Syscalls> count_in_child(const std::function<void(const std::function<void()>& mark)>& work);

/// Of a process whose first thread is the one that others wait for.
struct SyscallsOfThreads {
    Syscalls first, others;
};

/// Counts what all threads of another process do while `work` runs here, in a thread of its own. It must be a child of this one.
[[nodiscard]] std::optional<SyscallsOfThreads> count_in_process(pid_t pid, const std::function<void()>& work);

}  // namespace shmd::test
