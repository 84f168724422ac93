#include "syscall_counter.hpp"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <set>
#include <thread>

#include "process.hpp"

namespace shmd::test {
namespace {

constexpr long mark_number = 100'000;  // no system call has it

std::string name_of(std::uint64_t number) {
    static const std::map<std::uint64_t, std::string> names{
        {SYS_read, "read"},           {SYS_write, "write"},
        {SYS_close, "close"},         {SYS_mmap, "mmap"},
        {SYS_munmap, "munmap"},       {SYS_madvise, "madvise"},
        {SYS_sendmsg, "sendmsg"},     {SYS_recvmsg, "recvmsg"},
        {SYS_sendto, "sendto"},
        {SYS_openat, "openat"},       {SYS_fcntl, "fcntl"},
        {SYS_ftruncate, "ftruncate"}, {SYS_fallocate, "fallocate"},
        {SYS_fchmod, "fchmod"},       {SYS_memfd_create, "memfd_create"},
        {SYS_futex, "futex"},         {SYS_ioctl, "ioctl"},
        {SYS_ppoll, "ppoll"},         {SYS_epoll_pwait, "epoll_wait"},
        {SYS_epoll_ctl, "epoll_ctl"}, {SYS_timerfd_settime, "timerfd_settime"},
        {SYS_getpid, "getpid"},       {SYS_geteuid, "geteuid"},
        {SYS_getegid, "getegid"},     {SYS_fstat, "fstat"},
        {SYS_lseek, "lseek"},
        {SYS_newfstatat, "fstat"},    {SYS_clock_gettime, "clock_gettime"},
#ifdef SYS_epoll_wait
        {SYS_epoll_wait, "epoll_wait"},
#endif
#ifdef SYS_poll
        {SYS_poll, "poll"},
#endif
    };
    auto found = names.find(number);
    return found == names.end() ? "syscall " + std::to_string(number) : found->second;
}

constexpr auto options = PTRACE_O_TRACESYSGOOD;

// The call that a thread is about to make, when that is why it has stopped.
std::optional<std::uint64_t> entered(pid_t thread, int status) {
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80)) return std::nullopt;
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return std::nullopt;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return std::nullopt;
    return info.entry.nr;
}

// A signal for the thread itself, which it must get.
int passed_on(int status) {
    bool plain = WIFSTOPPED(status) && (status >> 16) == 0 && WSTOPSIG(status) != (SIGTRAP | 0x80);
    return plain && WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP ? WSTOPSIG(status) : 0;
}

}  // namespace

std::optional<Syscalls> count_in_child(const std::function<void(const std::function<void()>& mark)>& work) {
    pid_t pid = ::fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(77);
        ::raise(SIGSTOP);
        try {
            work([] { (void)::syscall(mark_number); });
        } catch (...) {
            ::_exit(1);
        }
        ::_exit(0);
    }
    OwnedProcess child(pid);
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid) fail("waitpid");
    if (WIFEXITED(status)) return std::nullopt;
    if (::ptrace(PTRACE_SETOPTIONS, pid, nullptr, options | PTRACE_O_EXITKILL) != 0) return std::nullopt;
    Syscalls counts;
    int marks = 0;
    for (int signal = 0;; signal = passed_on(status)) {
        ::ptrace(PTRACE_SYSCALL, pid, nullptr, signal);
        // No wait of the owner's may come in between.
        if (::waitpid(pid, &status, 0) != pid) fail("waitpid");
        if (WIFEXITED(status) || WIFSIGNALED(status)) break;
        auto number = entered(pid, status);
        if (!number) continue;
        if (*number == mark_number) {
            marks++;
        } else if (marks == 1) {
            counts[name_of(*number)]++;
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || marks != 2) fail("the child that is counted failed");
    return counts;
}

std::optional<SyscallsOfThreads> count_in_process(pid_t pid, const std::function<void()>& work) {
    std::set<pid_t> threads;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
        pid_t thread = static_cast<pid_t>(std::stol(entry.path().filename()));
        if (::ptrace(PTRACE_SEIZE, thread, nullptr, options) != 0) return std::nullopt;
        threads.insert(thread);
    }
    SyscallsOfThreads counts;
    // Stops each thread and says what is to become of it then.
    auto stop_all = [&](auto then) {
        for (pid_t thread : threads) {
            ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
            // It may have been about to stop for another reason, which will do.
            int status = 0;
            if (::waitpid(thread, &status, __WALL) != thread) fail("a traced thread has ended");
            then(thread, passed_on(status));
        }
    };
    stop_all([](pid_t thread, int signal) { ::ptrace(PTRACE_SYSCALL, thread, nullptr, signal); });
    std::atomic<bool> done = false;
    std::exception_ptr failure;
    std::thread worker([&] {
        try {
            work();
        } catch (...) {
            failure = std::current_exception();
        }
        done = true;
    });
    while (!done) {
        for (pid_t thread : threads) {
            int status = 0;
            if (::waitpid(thread, &status, WNOHANG | __WALL) != thread) continue;
            if (auto number = entered(thread, status)) (thread == pid ? counts.first : counts.others)[name_of(*number)]++;
            ::ptrace(PTRACE_SYSCALL, thread, nullptr, passed_on(status));
        }
    }
    worker.join();
    stop_all([](pid_t thread, int signal) { ::ptrace(PTRACE_DETACH, thread, nullptr, signal); });
    if (failure) std::rethrow_exception(failure);
    return counts;
}

}  // namespace shmd::test
