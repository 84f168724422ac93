// What a program may do around System V calls: one case by name. Prints "ok" when all was as it must be, else what was not.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

namespace {

#define MUST(condition)                                                                                        \
    do {                                                                                                       \
        if (!(condition)) {                                                                                    \
            int error = errno;                                                                                 \
            std::printf("line %d: not %s (%s)\n", __LINE__, #condition, std::strerror(error));                 \
            std::fflush(stdout);                                                                               \
            std::_Exit(1);                                                                                     \
        }                                                                                                      \
    } while (false)

int make() {
    int id = ::shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
    MUST(id >= 0);
    return id;
}

char* attach(int id) {
    auto* data = static_cast<char*>(::shmat(id, nullptr, 0));
    MUST(data != reinterpret_cast<char*>(-1));
    return data;
}

long attached(int id) {
    shmid_ds status{};
    MUST(::shmctl(id, IPC_STAT, &status) == 0);
    return static_cast<long>(status.shm_nattch);
}

void end(pid_t child, int expected = 0) {
    int status = 0;
    MUST(::waitpid(child, &status, 0) == child);
    MUST(WIFEXITED(status) ? WEXITSTATUS(status) == expected : WTERMSIG(status) == expected - 128);
}

void no_thread() {
    int id = make();
    char* data = attach(id);
    MUST(::shmdt(data) == 0);
    std::filesystem::directory_iterator tasks("/proc/self/task");
    MUST(std::distance(begin(tasks), {}) == 1);
    MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
}

// ---- Signals ----

int stormed = -1;
std::atomic<int> handled{0}, wrong{0};

void handle(int) {
    int error = errno;
    void* data = ::shmat(stormed, nullptr, 0);
    if (data == reinterpret_cast<void*>(-1) || *static_cast<char*>(data) != 7 || ::shmdt(data) != 0) wrong++;
    if (::shmget(0x53, 1, 0) != stormed) wrong++;
    handled++;
    errno = error;
}

void signals() {
    stormed = ::shmget(0x53, 4096, IPC_CREAT | 0600);
    char* always = attach(stormed);
    *always = 7;
    struct sigaction action {};
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    MUST(::sigaction(SIGALRM, &action, nullptr) == 0);
    itimerval storm{{0, 300}, {0, 300}};
    MUST(::setitimer(ITIMER_REAL, &storm, nullptr) == 0);
    for (int i = 0; i < 3000 || handled < 300; i++) {
        char* data = attach(stormed);
        MUST(*data == 7);
        std::free(std::malloc(static_cast<std::size_t>(i % 5000)));
        MUST(::shmdt(data) == 0);
        if (i % 50 == 0) {
            pid_t child = ::fork();
            if (child == 0) ::_exit(*always == 7 ? 0 : 1);
            int status = -1;
            while (::waitpid(child, &status, 0) < 0) MUST(errno == EINTR);
            MUST(status == 0);
        }
    }
    storm = {};
    MUST(::setitimer(ITIMER_REAL, &storm, nullptr) == 0);
    MUST(wrong == 0);
    MUST(attached(stormed) == 1);
    MUST(::shmctl(stormed, IPC_RMID, nullptr) == 0);
}

// ---- Threads and processes ----

void threads() {
    int id = make();
    std::atomic<bool> go_on{true};
    std::vector<std::thread> all;
    for (int t = 0; t < 12; t++) {
        all.emplace_back([&, t] {
            for (int i = 0; i < 200 || (t < 4 && go_on); i++) {
                char* data = attach(id);
                data[t] = static_cast<char>(i);
                MUST(data[t] == static_cast<char>(i));
                MUST(::shmdt(data) == 0);
            }
        });
    }
    for (int i = 0; i < 60; i++) {
        pid_t child = ::fork();
        if (child == 0) {
            char* data = attach(id);
            ::_exit(::shmdt(data));
        }
        end(child);
    }
    go_on = false;
    for (std::thread& each : all) each.join();
    MUST(attached(id) == 0);
    MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
}

void forks() {
    int id = make();
    char* data = attach(id);
    int ends[2], back[2];
    MUST(::pipe(ends) == 0 && ::pipe(back) == 0);
    char byte = 0;
    pid_t child = ::fork();
    if (child == 0) {
        MUST(attached(id) == 2);
        pid_t grandchild = ::fork();
        if (grandchild == 0) {
            ::close(ends[1]);
            MUST(::write(back[1], "1", 1) == 1);
            MUST(::read(ends[0], &byte, 1) == 1);
            data[1] = 5;
            MUST(::shmdt(data) == 0);
            MUST(::write(back[1], "2", 1) == 1);
            ::_exit(::read(ends[0], &byte, 1) == 1 ? 0 : 1);
        }
        MUST(::read(back[0], &byte, 1) == 1);
        MUST(attached(id) == 3);
        ::_exit(0);  // before its own child
    }
    end(child);
    MUST(attached(id) == 2);
    MUST(::write(ends[1], "1", 1) == 1);
    MUST(::read(back[0], &byte, 1) == 1);
    MUST(data[1] == 5 && attached(id) == 1);
    MUST(::write(ends[1], "2", 1) == 1);

    child = ::fork();
    if (child == 0) {
        (void)::pause();
        ::_exit(0);
    }
    MUST(attached(id) == 2);
    ::kill(child, SIGKILL);
    end(child, 128 + SIGKILL);
    MUST(attached(id) == 1);

    char program[] = "/bin/true";
    char* arguments[] = {program, nullptr};
    MUST(::posix_spawn(&child, program, nullptr, nullptr, arguments, environ) == 0);
    end(child);
    child = ::vfork();
    if (child == 0) ::_exit(0);
    end(child);
    MUST(attached(id) == 1 && data[1] == 5);
    MUST(::shmdt(data) == 0 && attached(id) == 0);
    MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
}

// More than the daemon ends at a time.
void many() {
    for (int i = 0; i < 30; i++) {
        int id = make();
        pid_t child = ::fork();
        if (child == 0) {
            for (int k = 0; k < 1500; k++) (void)attach(id);
            ::_exit(0);
        }
        end(child);
        MUST(attached(id) == 0);
        MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
    }
}

// exec ends attachments, and the process that goes on may attach again.
void exec_first() {
    int id = make();
    (void)attach(id);
    MUST(attached(id) == 1);
    ::execl("/proc/self/exe", "system_v_probe", "exec_then", std::to_string(id).c_str(), nullptr);
    MUST(false);
}

void exec_then(int id) {
    MUST(attached(id) == 0);
    char* data = attach(id);
    MUST(attached(id) == 1 && ::shmdt(data) == 0);
    MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
}

// ---- Descriptors ----

void closes_all() {
    int id = make();
    char* data = attach(id);
    data[0] = 9;
    MUST(::syscall(SYS_close_range, 3U, ~0U, 0U) == 0);
    std::vector<int> files;
    for (int i = 0; i < 700; i++) {
        files.push_back(::open(std::filesystem::temp_directory_path().c_str(), O_TMPFILE | O_RDWR, 0600));
        MUST(files.back() >= 0);
    }
    MUST(::shmget(IPC_PRIVATE, 1, 0600) >= 0);
    char* again = attach(id);
    MUST(again[0] == 9);
    pid_t child = ::fork();
    if (child == 0) ::_exit(data[0] == 9 && ::shmdt(again) == 0 ? 0 : 1);
    end(child);
    MUST(::shmdt(again) == 0 && ::shmdt(data) == 0);
    for (int file : files) {
        struct stat status {};
        MUST(::fstat(file, &status) == 0 && status.st_size == 0 && S_ISREG(status.st_mode));
        MUST(::lseek(file, 0, SEEK_CUR) == 0);
    }
    MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
}

void no_descriptor_left() {
    int id = make();
    rlimit limit{64, 64};
    MUST(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    std::vector<int> files;
    for (int file = ::dup(0); file >= 0; file = ::dup(0)) files.push_back(file);
    MUST(errno == EMFILE);
    // Without a descriptor, it fails and does no harm.
    void* data = ::shmat(id, nullptr, 0);
    if (data != reinterpret_cast<void*>(-1)) MUST(::shmdt(data) == 0);
    MUST(data != reinterpret_cast<void*>(-1) || errno == EMFILE);
    for (int file : files) MUST(::fcntl(file, F_GETFD) == 0 && ::close(file) == 0);
    MUST(attached(id) == 0);
    MUST(::shmdt(attach(id)) == 0);
    MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
}

// ---- The daemon ----

void nobody() {
    for (int i = 0; i < 3; i++) {
        MUST(::shmget(1, 1, IPC_CREAT) == -1 && errno == ENOSYS);
        MUST(::shmat(1, nullptr, 0) == reinterpret_cast<void*>(-1) && errno == ENOSYS);
        MUST(::shmctl(1, IPC_RMID, nullptr) == -1 && errno == ENOSYS);
    }
    MUST(::shmdt(nullptr) == -1);
}

void by_kernel() {
    int id = make();
    shmid_ds status{};
    MUST(::syscall(SYS_shmctl, id, IPC_STAT, &status) == 0);
    char* data = attach(id);
    MUST(attached(id) == 1 && ::shmdt(data) == 0);
    MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
}

void daemon_dies(pid_t daemon) {
    int id = make();
    char* data = attach(id);
    data[5] = 3;
    int ended = static_cast<int>(::syscall(SYS_pidfd_open, daemon, 0));
    MUST(ended >= 0 && ::kill(daemon, SIGKILL) == 0);
    pollfd wait{ended, POLLIN, 0};
    MUST(::poll(&wait, 1, -1) == 1);
    MUST(::shmget(1, 1, IPC_CREAT) == -1 && (errno == ENOSYS || errno == EIO));
    MUST(::shmat(id, nullptr, 0) == reinterpret_cast<void*>(-1) && errno == ENOSYS);
    MUST(data[5] == 3);
    pid_t child = ::fork();
    if (child == 0) ::_exit(data[5] == 3 ? 0 : 1);
    end(child);
    MUST(::shmdt(data) == 0 && ::shmdt(data) == -1 && errno == EINVAL);
}

void daemon_restarts() {
    int id = make();
    char* data = attach(id);
    std::strcpy(data, "before");
    char* second = attach(id);
    std::puts("attached");
    std::fflush(stdout);
    MUST(std::getchar() == '\n');
    MUST(std::strcmp(data, "before") == 0);
    MUST(attached(id) == 2);
    char* third = attach(id);
    MUST(std::strcmp(third, "before") == 0 && attached(id) == 3);
    MUST(::shmdt(data) == 0 && ::shmdt(second) == 0 && ::shmdt(third) == 0 && attached(id) == 0);
    MUST(::shmctl(id, IPC_RMID, nullptr) == 0);
}

// Makes the calls that it reads, a line each, and tells what each gave: a number, or the name of an error.
std::vector<void*> more;

// So many, and the end of these.
long attach_more(int id, int count) {
    for (int i = 0; i < count; i++) {
        void* attached = ::shmat(id, nullptr, 0);
        if (attached == reinterpret_cast<void*>(-1)) return -1;
        more.push_back(attached);
    }
    return 0;
}

long detach_more() {
    long result = 0;
    for (void* each : more) {
        if (::shmdt(each) != 0) result = -1;
    }
    more.clear();
    return result;
}

void on_demand() {
    // Each line is for one process: what is read ahead would be lost with a child.
    std::setvbuf(stdin, nullptr, _IONBF, 0);
    auto tell = [](long result) { result >= 0 ? std::printf("%ld\n", result) : std::printf("%s\n", ::strerrorname_np(errno)); };
    char* data = nullptr;
    char what[8];
    long first = 0;
    int flags = 0;
    while (std::scanf("%7s %ld %i", what, &first, &flags) == 3) {
        const std::string call = what;
        if (call == "get") tell(::shmget(static_cast<key_t>(first), 0, flags));
        if (call == "dt") tell(::shmdt(data));
        if (call == "ask") {
            shmid_ds status;
            tell(::shmctl(static_cast<int>(first), IPC_STAT, &status) == 0 ? static_cast<long>(status.shm_nattch) : -1);
        }
        if (call == "more") tell(attach_more(static_cast<int>(first), flags));
        if (call == "less") tell(detach_more());
        if (call == "fork") {
            pid_t child = ::fork();
            if (child != 0) ::waitpid(child, nullptr, 0);
            tell(child != 0 ? 0 : ::getpid());
        }
        if (call == "exit") std::_Exit(0);
        if (call == "first") std::printf("%d\n", data[first]);
        if (call == "at") {
            void* attached = ::shmat(static_cast<int>(first), nullptr, flags);
            bool done = attached != reinterpret_cast<void*>(-1);
            if (done) data = static_cast<char*>(attached);
            tell(done ? 0 : -1);
        }
        std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    const std::string name = argv[1];
    const int argument = argc > 2 ? std::atoi(argv[2]) : 0;
    if (name == "no_thread") no_thread();
    else if (name == "signals") signals();
    else if (name == "threads") threads();
    else if (name == "forks") forks();
    else if (name == "many") many();
    else if (name == "exec") exec_first();
    else if (name == "exec_then") exec_then(argument);
    else if (name == "closes_all") closes_all();
    else if (name == "no_descriptor_left") no_descriptor_left();
    else if (name == "nobody") nobody();
    else if (name == "by_kernel") by_kernel();
    else if (name == "daemon_dies") daemon_dies(argument);
    else if (name == "daemon_restarts") daemon_restarts();
    else if (name == "on_demand") return on_demand(), 0;
    else return 2;
    std::puts("ok");
    return 0;
}
