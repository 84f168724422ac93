// Stands in for the daemon, in the daemon's own sandbox: tries what must not work there, and what must. The results are
// in its state directory when systemd hears that it is ready.
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

namespace {

std::ofstream results;

// A call in the manner of the kernel's: below 0 and errno when refused.
using Try = std::function<long()>;

void report(bool good, const std::string& sentence, int error) {
    results << (good ? "ok - " : "not ok - ") << sentence;
    if (!good) results << " (" << (error ? std::strerror(error) : "it worked") << ")";
    results << "\n";
}

void forbidden(const std::string& what, const Try& call) {
    errno = 0;
    bool refused = call() < 0;
    int error = errno;
    // A call that this kernel does not have tells nothing.
    report(refused && error != ENOSYS, "the sandbox forbids: " + what, refused ? error : 0);
}

void allowed(const std::string& what, const Try& call) {
    errno = 0;
    bool worked = call() >= 0;
    report(worked, "the sandbox allows: " + what, errno);
}

long open_for_writing(const std::string& path) {
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) ::close(fd);
    return fd;
}

long read_some(const std::string& path) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    char byte;
    long length = ::read(fd, &byte, 1);
    ::close(fd);
    return length;
}

// In a child, as exec does not return. 127 stands for a refusal, and so does a death.
long exec_in_child(const std::function<void()>& exec) {
    pid_t child = ::fork();
    if (child < 0) return 0;  // no answer: shows as a failure of the test
    if (child == 0) {
        exec();
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    errno = EACCES;
    return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? 0 : -1;
}

long exec(const char* program, const char* argument = nullptr) {
    return exec_in_child([&] { ::execl(program, program, argument, static_cast<char*>(nullptr)); });
}

// A copy of a program at a place that can be written.
bool copy_program(int to) {
    std::ifstream program("/usr/bin/true", std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(program), {}};
    return !bytes.empty() && ::write(to, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
}

long exec_from_state(const std::string& state) {
    std::string path = state + "/program";
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    if (!copy_program(fd)) return 0;
    ::close(fd);
    return exec(path.c_str());
}

long connect_to(const char* path) {
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    int error = errno;
    ::close(fd);
    errno = error;
    return result;
}

long map(int protection) {
    void* mapped = ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? -1 : 0;
}

long make_executable() {
    void* mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? 0 : ::mprotect(mapped, 4096, PROT_READ | PROT_EXEC);
}

long count_interfaces() {
    int count = 0;
    std::ifstream devices("/proc/self/net/dev");
    for (std::string line; std::getline(devices, line);) count += line.find(':') != std::string::npos;
    return count;
}

#ifdef __x86_64__
// Ends with 127 when it is refused, is killed, or succeeds.
void call_32_bit_getpid() {
    long result = 20;
    asm volatile("int $0x80" : "+a"(result) : : "memory");
    ::_exit(result > 0 ? 0 : 127);
}
#endif

void try_files(const std::string& state) {
    // "open" is a directory in which everybody may write, if only by its mode.
    for (const char* path : {"/open/file", "/run/open/file", "/run/shmd/file", "/var/open/file", "/etc/open/file",
                             "/usr/open/file", "/home/open/file", "/opt/open/file", "/tmp/file", "/var/tmp/file",
                             "/dev/file", "/dev/shm/file", "/dev/mqueue/file", "/bed/file", "/proc/sys/kernel/hostname",
                             "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/fs/cgroup/cgroup.procs",
                             "/proc/sysrq-trigger"}) {
        forbidden(std::string("writing ") + path, [=] { return open_for_writing(path); });
    }
    for (const char* path : {"/home/open", "/root", "/run/user", "/tmp", "/var/tmp", "/boot", "/srv", "/run/dbus", "/dev/shm",
                             "/usr/lib/modules"}) {
        forbidden(std::string("listing ") + path, [=] { return ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    }
    for (const char* path : {"/dev/open", "/dev/kmsg", "/proc/kmsg", "/proc/kcore", "/proc/1/comm", "/proc/kallsyms"}) {
        forbidden(std::string("reading ") + path, [=] { return read_some(path); });
    }
    forbidden("talking to D-Bus", [] { return connect_to("/run/dbus/system_bus_socket"); });
    forbidden("making devices", [&] { return ::mknod((state + "/null").c_str(), S_IFCHR | 0600, makedev(1, 3)); });
    forbidden("making set-user-id files", [&] { return ::mknod((state + "/suid").c_str(), S_IFREG | 04700, 0); });
    forbidden("giving files away", [&] { return ::chown(state.c_str(), 0, 0); });
    allowed("writing the state directory", [&] { return open_for_writing(state + "/file"); });
    for (const char* path : {"/etc/passwd", "/proc/meminfo", "/proc/self/cgroup", "/proc/self/stat",
                             "/sys/devices/system/node/has_memory", "/sys/kernel/mm/transparent_hugepage/shmem_enabled"}) {
        if (::access(path, F_OK) == 0) {
            allowed(std::string("reading ") + path, [=] { return read_some(path); });
        } else if (errno != ENOENT) {
            report(false, std::string("the sandbox allows: reading ") + path, errno);
        }
    }
    allowed("seeing what huge pages there are", [] { return ::access("/sys/kernel/mm/hugepages", R_OK | X_OK); });
}

void try_execution(const std::string& state) {
    forbidden("running a program", [] { return exec("/usr/bin/true"); });
    forbidden("running a shell", [] { return exec("/bin/sh", "-c"); });
    forbidden("running a program through the loader",
              [] { return exec("/lib64/ld-linux-x86-64.so.2", "/usr/bin/true"); });
    forbidden("running a program that it wrote", [&] { return exec_from_state(state); });
    forbidden("memory to write and execute", [] { return map(PROT_READ | PROT_WRITE | PROT_EXEC); });
    forbidden("executing what was written", make_executable);
}

void try_network() {
    for (int family : {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG}) {
        forbidden("sockets of family " + std::to_string(family), [=] { return ::socket(family, SOCK_RAW, 0); });
        forbidden("stream sockets of family " + std::to_string(family),
                  [=] { return ::socket(family, SOCK_STREAM, 0); });
    }
    report(count_interfaces() == 1, "the sandbox has the loopback interface alone", 0);
    allowed("Unix sockets", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0); });
}

void try_kernel() {
    forbidden("user namespaces", [] { return ::unshare(CLONE_NEWUSER); });
    forbidden("mount namespaces", [] { return ::unshare(CLONE_NEWNS); });
    forbidden("mounts", [] { return ::mount("none", "/run", "tmpfs", 0, nullptr); });
    forbidden("another personality", [] { return ::personality(PER_LINUX32); });
    forbidden("another root", [] { return ::chroot("/run"); });
    forbidden("other users", [] { return ::setuid(0); });
    forbidden("other groups", [] { return ::setgid(0); });
    forbidden("real-time scheduling", [] {
        sched_param parameter{};
        parameter.sched_priority = 1;
        return ::sched_setscheduler(0, SCHED_FIFO, &parameter);
    });
    forbidden("setting the clock", [] {
        timeval now{};
        return ::settimeofday(&now, nullptr);
    });
    forbidden("setting the host name", [] { return ::sethostname("x", 1); });
    forbidden("kernel modules", [] { return ::syscall(SYS_init_module, "", 0, ""); });
    forbidden("the kernel's log", [] { return ::syscall(SYS_syslog, 3, nullptr, 0); });
    forbidden("keyrings", [] { return ::syscall(SYS_keyctl, 0, -3, 1); });
    forbidden("BPF", [] { return ::syscall(SYS_bpf, 0, nullptr, 0); });
    forbidden("io_uring", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr); });
    forbidden("performance events", [] { return ::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0); });
    forbidden("debugging", [] { return ::syscall(SYS_ptrace, 0, 0, nullptr, nullptr); });  // PTRACE_TRACEME
#ifdef __x86_64__
    forbidden("system calls of 32 bits", [] { return exec_in_child(call_32_bit_getpid); });
#endif
    forbidden("System V shared memory", [] { return ::shmget(IPC_PRIVATE, 4096, 0600); });
    forbidden("locking memory", [] { return ::syscall(SYS_mlockall, 1); });
    forbidden("swap", [] { return ::syscall(SYS_swapoff, "/swap"); });
    forbidden("a reboot", [] { return ::syscall(SYS_reboot, 0, 0, 0, nullptr); });
}

void try_daemon_work() {
    int memory = ::memfd_create("probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    allowed("memory", [=] { return memory; });
    allowed("its mode", [=] { return ::fchmod(memory, 0600); });
    allowed("its reservation", [=] { return ::fallocate(memory, 0, 0, 1 << 20); });
    allowed("giving some of it back",
            [=] { return ::fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096); });
    allowed("opening it anew", [=] {
        return ::open(("/proc/self/fd/" + std::to_string(memory)).c_str(), O_RDWR | O_CLOEXEC);
    });
    int reader = ::open(("/proc/self/fd/" + std::to_string(memory)).c_str(), O_RDONLY | O_CLOEXEC);
    allowed("a lease on it", [=] { return ::fcntl(reader, F_SETLEASE, F_RDLCK) == 0 || errno == EAGAIN ? 0 : -1; });
    allowed("its seals", [=] { return ::fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW); });
    void* mapped = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    allowed("its mapping", [=] { return mapped == MAP_FAILED ? -1 : 0; });
    allowed("transparent huge pages", [=] {
        return ::madvise(mapped, 1 << 20, MADV_HUGEPAGE) == 0 || errno == EINVAL ? 0 : -1;  // not in this kernel
    });
    allowed("populating it", [=] { return ::madvise(mapped, 1 << 20, MADV_POPULATE_WRITE); });
    allowed("binding it to a node", [=] {
        unsigned long node = 1;
        long bound = ::syscall(SYS_mbind, mapped, 1 << 20, MPOL_BIND, &node, 65, 0);
        return bound == 0 || errno == ENOSYS ? 0 : -1;  // a kernel without NUMA
    });
    allowed("low priority", [] { return ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10); });
    allowed("watching a process", [] { return ::syscall(SYS_pidfd_open, ::getpid(), 0); });
    allowed("timers", [] { return ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC); });
    allowed("events", [] { return ::eventfd(0, EFD_CLOEXEC); });
    allowed("pipes", [] {
        int ends[2];
        return ::pipe(ends);
    });
}

}  // namespace

int main() {
    const char* state = std::getenv("RUNTIME_DIRECTORY");
    if (!state) return 1;
    ::umask(0077);
    results.open(std::string(state) + "/probe");
    try_files(state);
    try_execution(state);
    try_network();
    try_kernel();
    try_daemon_work();
    results << "end\n" << std::flush;
    ::sd_notify(0, "READY=1");
    for (;;) ::pause();
}
