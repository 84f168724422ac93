// Random System V calls with every kind of argument, by several processes and users, one step at a time. Tells what happened
// without ids, pids and addresses, in words that must be the same on the kernel and on shmd.
//   system_v_steps kernel|shmd SEED STEPS
// "kernel" makes an IPC namespace first, so that indexes begin at 0 and nothing is left behind.
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

extern char** environ;

namespace {

constexpr int most_workers = 24;
constexpr long page = 4096;
constexpr std::uintptr_t arena = 0x200000000000;  // where nobody else maps
constexpr long arena_pages = 64;

enum class Do { get, attach, detach, control, write, sum, protect, fork, spawn, exec, exit, effective_user, effective_group, user };

struct Step {
    Do what{};
    long a = 0, b = 0, c = 0, d = 0, e = 0;
};

struct Result {
    long value = 0;
    int error = 0;
    shmid_ds status{};
};

[[noreturn]] void broken(const char* what) {
    std::fprintf(stderr, "system_v_steps: %s: %s\n", what, std::strerror(errno));
    std::_Exit(3);
}

// The coordinator's end and the worker's, which has the same number in every program.
int channels[most_workers][2];
constexpr int first_channel = 100;

// ---- Workers ----

struct Attachment {
    char* address;
    long bytes;
};
std::vector<Attachment> attached;
alignas(page) char foreign[8 * page];
int number;

enum Wish { anywhere, in_arena, unaligned, over_one, middle_of_one, before_one, over_foreign, lowest, low, high, highest, wishes };

// Nothing is put over what the worker needs to live.
std::uintptr_t address_of(long wish, long choice, bool replaces) {
    const Attachment* one = attached.empty() ? nullptr : &attached[static_cast<std::size_t>(choice) % attached.size()];
    auto at = one ? reinterpret_cast<std::uintptr_t>(one->address) : 0;
    std::uintptr_t place = arena + static_cast<std::uintptr_t>(choice % arena_pages * page);
    bool is_mine = at >= arena && at < arena + 2 * arena_pages * page;
    if (replaces && !is_mine && (wish == over_one || wish == middle_of_one)) return place;
    switch (wish) {
        case in_arena: return place;
        case unaligned: return place + 1 + static_cast<std::uintptr_t>(choice % (page - 1));
        case over_one: return at;
        case middle_of_one: return one && one->bytes > page ? at + page : at;
        case before_one: return is_mine ? at - page : place;
        case over_foreign: return reinterpret_cast<std::uintptr_t>(foreign) + static_cast<std::uintptr_t>(choice % 4 * page);
        // Root gets the first page from the kernel, and not from shmd.
        case lowest: return (::geteuid() == 0 ? page : 0) + 1 + static_cast<std::uintptr_t>(choice % (page - 1));
        case low: return page;
        case high: return 0x7ffffffff000 - static_cast<std::uintptr_t>(choice % 3 * page);
        case highest: return UINTPTR_MAX - page + 1 - static_cast<std::uintptr_t>(choice % 2 * page);
        default: return 0;
    }
}

Result result_of(long value) {
    return {value, value == -1 ? errno : 0, {}};
}

// The kernel counts what it splits and takes away then as attached and detached; shmd does not.
bool lies_over_a_part(std::uintptr_t wish, long size) {
    const std::uintptr_t begin = wish - wish % page;
    const std::uintptr_t end = begin + static_cast<std::uintptr_t>((size + page - 1) / page * page);
    return std::any_of(attached.begin(), attached.end(), [&](const Attachment& each) {
        auto from = reinterpret_cast<std::uintptr_t>(each.address), to = from + static_cast<std::uintptr_t>(each.bytes);
        return from < end && begin < to && (from < begin || to > end);
    });
}

// So often that all is used that spares calls of a daemon; and what PHP's shmop asks before it attaches.
void warm_up(const Step& step) {
    const long how = step.d % 4;
    const int times = how == 0 ? 0 : how == 1 ? 8 : 1;
    const int id = static_cast<int>(step.a), flags = static_cast<int>(step.c) & SHM_RDONLY;
    shmid_ds status;
    for (int i = 1; i < times; i++) {
        (void)::shmctl(id, IPC_STAT, &status);
        void* data = ::shmat(id, nullptr, flags);
        if (data != reinterpret_cast<void*>(-1)) (void)::shmdt(data);
    }
    if (times > 0) (void)::shmctl(id, IPC_STAT, &status);
}

Result attach(const Step& step) {
    const std::uintptr_t wish = address_of(step.b, step.d, (step.c & SHM_REMAP) != 0);
    if ((step.c & SHM_REMAP) != 0 && lies_over_a_part(wish, step.e)) return {-4, 0, {}};
    warm_up(step);
    void* data = ::shmat(static_cast<int>(step.a), reinterpret_cast<void*>(wish), static_cast<int>(step.c));
    if (data == reinterpret_cast<void*>(-1)) return result_of(-1);
    auto* begin = static_cast<char*>(data);
    const long bytes = (step.e + page - 1) / page * page;
    // What is left of what it was put over is still begun where it was; whole ones are gone.
    std::erase_if(attached, [&](const Attachment& each) {
        return each.address >= begin && each.address + each.bytes <= begin + bytes;
    });
    attached.push_back({begin, bytes});
    if (wish == 0) return {0, 0, {}};
    return {static_cast<long>(reinterpret_cast<std::uintptr_t>(data) - wish), 0, {}};
}

Result detach(const Step& step) {
    if (attached.empty() || step.b == 3) return result_of(::shmdt(reinterpret_cast<void*>(step.a)));
    const std::size_t which = static_cast<std::size_t>(step.a) % attached.size();
    char* address = attached[which].address;
    if (step.b == 1) address += 1;
    // Only where the neighbours are the same on both.
    auto place = reinterpret_cast<std::uintptr_t>(address);
    if (step.b == 2 && place >= arena && place < arena + 2 * arena_pages * page) address += page;
    Result result = result_of(::shmdt(address));
    if (result.value == 0) std::erase_if(attached, [&](const Attachment& each) { return each.address == address; });
    return result;
}

Result control(const Step& step) {
    Result result;
    static shmid_ds buffer;
    buffer = {};
    shmid_ds* where = &buffer;
    if (step.c == 1) where = nullptr;
    // In the first page, where no segment can be: a status has pids and times.
    if (step.c == 2) where = reinterpret_cast<shmid_ds*>(page / 2);
    if (step.c == 3) where = reinterpret_cast<shmid_ds*>(INTPTR_MIN);
    if (step.b == IPC_SET) {
        buffer.shm_perm.uid = static_cast<uid_t>(step.d % 9 == 0 ? -1 : step.d % 4 == 0 ? 0 : 1000 + step.d % 3);
        buffer.shm_perm.gid = static_cast<gid_t>(step.d % 13 == 0 ? -1 : 2000 + step.d % 3);
        buffer.shm_perm.mode = static_cast<decltype(buffer.shm_perm.mode)>(step.e);
    }
    result = result_of(::shmctl(static_cast<int>(step.a), static_cast<int>(step.b), where));
    result.status = buffer;
    return result;
}

// A page that is not there any more, or that may not be touched, tells so here and kills nobody.
bool can_read(const char* address) {
    int ends[2];
    if (::pipe(ends) != 0) broken("pipe");
    bool readable = ::write(ends[1], address, 1) == 1;
    ::close(ends[0]);
    ::close(ends[1]);
    return readable;
}

Result touch(const Step& step) {
    if (attached.empty()) return {-2, 0, {}};
    const Attachment& one = attached[static_cast<std::size_t>(step.a) % attached.size()];
    if (step.what == Do::protect) return result_of(::mprotect(one.address, static_cast<std::size_t>(one.bytes), PROT_READ | PROT_WRITE));
    if (step.what == Do::write) {
        char* byte = one.address + step.b % one.bytes;
        char value = static_cast<char>(step.c);
        // By a system call, so that a page that may not be written is EFAULT.
        int ends[2];
        if (::pipe(ends) != 0 || ::write(ends[1], &value, 1) != 1) broken("pipe");
        Result result = result_of(::read(ends[0], byte, 1));
        ::close(ends[0]);
        ::close(ends[1]);
        return result;
    }
    long sum = 0;
    for (long i = 0; i < std::min(one.bytes, 8 * page); i += page) {
        if (!can_read(one.address + i)) return {-3, i == 0 ? EFAULT : ENOMEM, {}};
        for (long j = 0; j < page; j++) sum = (sum * 31 + one.address[i + j]) % 1000003;
    }
    return {sum, 0, {}};
}

[[noreturn]] void serve();
bool report(const Result& result);

[[noreturn]] void execute() {
    // Who is not whom it was started as is given no library by the loader.
    (void)::seteuid(::getuid());
    (void)::setegid(::getgid());
    std::string which = std::to_string(number);
    ::execl("/proc/self/exe", "system_v_steps", "worker", which.c_str(), "", nullptr);
    broken("exec");
}

Result spawn() {
    pid_t child = 0;
    char name[] = "/bin/true";
    char* arguments[] = {name, nullptr};
    if (::posix_spawn(&child, name, nullptr, nullptr, arguments, environ) != 0) return result_of(-1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return {status, 0, {}};
}

Result act(const Step& step) {
    errno = 0;
    switch (step.what) {
        case Do::get: return result_of(::shmget(static_cast<key_t>(step.a), static_cast<std::size_t>(step.b), static_cast<int>(step.c)));
        case Do::attach: return attach(step);
        case Do::detach: return detach(step);
        case Do::control: return control(step);
        case Do::write:
        case Do::sum:
        case Do::protect: return touch(step);
        case Do::fork: {
            pid_t child = ::fork();
            if (child != 0) return result_of(child);
            number = static_cast<int>(step.a);
            report({});
            serve();
        }
        case Do::spawn: return spawn();
        case Do::exec: execute();
        case Do::exit: std::exit(0);
        case Do::effective_user: return result_of(::seteuid(static_cast<uid_t>(step.a)));
        case Do::effective_group: return result_of(::setegid(static_cast<gid_t>(step.a)));
        case Do::user: {
            // Root first, who alone may choose groups; then never again.
            const auto other = static_cast<gid_t>(step.b);
            if (::setgroups(1, &other) != 0 || ::setgid(static_cast<gid_t>(step.a + 1000)) != 0) return result_of(-1);
            return result_of(::setuid(static_cast<uid_t>(step.a)));
        }
    }
    std::abort();
}

bool report(const Result& result) {
    return ::send(channels[number][1], &result, sizeof result, MSG_NOSIGNAL) >= 0;
}

void serve() {
    Step step;
    while (::recv(channels[number][1], &step, sizeof step, 0) == static_cast<ssize_t>(sizeof step)) {
        if (!report(act(step))) break;
    }
    std::_Exit(0);
}

// ---- The coordinator ----

struct Process {
    pid_t pid = 0;
    int pidfd = -1;
    bool alive = false;
};
Process workers[most_workers];
std::map<int, std::string> id_names;
std::vector<int> ids;  // by appearance
std::map<pid_t, std::string> pid_names;
std::mt19937_64 chance;
int step_number = 0;

long roll(long below) {
    return static_cast<long>(chance() % static_cast<unsigned long>(below));
}

template <std::size_t N>
long any_of(const long (&values)[N]) {
    return values[roll(N)];
}

std::string name_of(long id) {
    auto place = id_names.find(static_cast<int>(id));
    return place != id_names.end() ? place->second : id < 0 ? std::to_string(id) : "unknown";
}

std::string error_of(const Result& result) {
    return result.error ? ::strerrorname_np(result.error) : "ok";
}

std::string pid_name(pid_t pid) {
    auto place = pid_names.find(pid);
    return pid == 0 ? "0" : place == pid_names.end() ? "stranger" : place->second;
}

void say(int worker, const std::string& call, const Result& result, const std::string& value) {
    std::printf("%d w%d %s = %s %s\n", step_number, worker, call.c_str(), value.c_str(), error_of(result).c_str());
}

void print(const shmid_ds& of) {
    std::printf("    key %x size %zu mode %o owner %u:%u creator %u:%u nattch %lu cpid %s lpid %s times %d%d%d\n",
                static_cast<unsigned>(of.shm_perm.__key), of.shm_segsz, static_cast<unsigned>(of.shm_perm.mode), of.shm_perm.uid,
                of.shm_perm.gid, of.shm_perm.cuid, of.shm_perm.cgid, static_cast<unsigned long>(of.shm_nattch),
                pid_name(of.shm_cpid).c_str(), pid_name(of.shm_lpid).c_str(), of.shm_atime != 0, of.shm_dtime != 0, of.shm_ctime != 0);
}

void look(int id) {
    shmid_ds status{};
    if (::shmctl(id, IPC_STAT, &status) != 0) {
        std::printf("    %s %s\n", name_of(id).c_str(), ::strerrorname_np(errno));
    } else {
        std::printf("    %s", name_of(id).c_str());
        print(status);
    }
}

void look_at_all() {
    for (std::size_t i = ids.size() > 16 ? ids.size() - 16 : 0; i < ids.size(); i++) look(ids[i]);
    shm_info info{};
    int highest = ::shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info));
    // Not shm_tot: shmd counts whole huge pages.
    std::printf("    highest %d used %d:", highest, info.used_ids);
    for (int index = 0; index <= highest + 1; index++) {
        shmid_ds status{};
        int id = ::shmctl(index, SHM_STAT, &status);
        std::printf(" %s", id < 0 ? ::strerrorname_np(errno) : name_of(id).c_str());
    }
    std::printf("\n");
}

void await_death(int worker) {
    pollfd end{workers[worker].pidfd, POLLIN, 0};
    while (::poll(&end, 1, -1) < 0 && errno == EINTR) continue;
    workers[worker].alive = false;
}

// A parent of a worker may be a worker: what nobody waits for stays a zombie, which both sides count alike.
bool receive(int worker, Result& result) {
    pollfd either[] = {{channels[worker][0], POLLIN, 0}, {workers[worker].pidfd, POLLIN, 0}};
    while (::poll(either, 2, -1) < 0 && errno == EINTR) continue;
    if (either[0].revents == 0) {
        std::printf("%d w%d has died\n", step_number, worker);
        workers[worker].alive = false;
        result.value = -9;
        return false;
    }
    return ::recv(channels[worker][0], &result, sizeof result, 0) == static_cast<ssize_t>(sizeof result);
}

Result send(int worker, const Step& step) {
    Result result;
    if (::send(channels[worker][0], &step, sizeof step, MSG_NOSIGNAL) < 0) broken("send");
    (void)receive(worker, result);
    return result;
}

void begin(int worker, pid_t pid) {
    workers[worker] = {pid, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), true};
    pid_names[pid] = "w" + std::to_string(worker);
}

int some_worker() {
    for (;;) {
        int worker = static_cast<int>(roll(most_workers));
        if (workers[worker].alive) return worker;
    }
}

long some_id() {
    long kind = roll(24);
    if (kind == 0) return any_of({-1, -2, INT_MIN, INT_MAX});
    if (kind == 1 || ids.empty()) return roll(INT_MAX);
    std::size_t among = std::min<std::size_t>(ids.size(), 10);
    return ids[ids.size() - 1 - static_cast<std::size_t>(roll(static_cast<long>(among)))];
}

std::string text(const char* format, auto... values) {
    char line[200];
    std::snprintf(line, sizeof line, format, values...);
    return line;
}

void get(int worker) {
    long key = any_of({IPC_PRIVATE, 1, 2, 3, 4, 0xff3, -1, INT_MIN});
    long size = any_of({0, 1, page - 1, page, page + 1, 3 * page, 10000, -1, LONG_MAX, LONG_MIN, 5, 1L << 60, 1L << 50, -(1L << 24), -(1L << 24) - 1});
    long flags = any_of({0, IPC_CREAT, IPC_CREAT, IPC_CREAT | IPC_EXCL, IPC_EXCL}) | roll(2) * roll(01000);
    if (roll(2) == 0) flags = IPC_CREAT | any_of({0666, 0644, 0600, 0660, 0777, 0444}), size = 1 + roll(3 * page);
    if (roll(25) == 0) flags |= any_of({1 << 15, 1 << 17, INT_MIN, 020000});
    if (roll(25) == 0 && size < 1 << 20) flags |= SHM_NORESERVE;
    // Huge pages that are not there and not reserved: the kernel gives a segment that nobody can touch. Likewise for a size that
    // it rounds up to whole huge pages, and thereby past 2^64.
    bool rounds_to_nothing = size < 0 && size > -(1L << 30);
    if (roll(30) == 0 && !rounds_to_nothing) flags = (flags & ~SHM_NORESERVE) | SHM_HUGETLB | any_of({0, 21 << 26, 30 << 26, 5 << 26});
    Result result = send(worker, {Do::get, key, size, flags});
    if (result.value >= 0 && id_names.try_emplace(static_cast<int>(result.value), "s" + std::to_string(ids.size())).second) {
        ids.push_back(static_cast<int>(result.value));
    }
    say(worker, text("shmget(%ld, %ld, 0%lo)", key, size, flags & UINT_MAX), result, name_of(result.value));
    if (result.value >= 0) look(static_cast<int>(result.value));
}

void attach(int worker) {
    const long usual = roll(3) == 0 ? in_arena : anywhere;
    const long id = some_id(), wish = roll(3) == 0 ? roll(wishes) : usual;
    long flags = any_of({0, 0, SHM_RDONLY, SHM_RND, SHM_REMAP, SHM_RND | SHM_REMAP, SHM_EXEC, SHM_RDONLY | SHM_RND, SHM_RDONLY | SHM_REMAP});
    // Over code or the stack it would end the worker at once.
    if (wish == high || wish == highest) flags &= ~SHM_REMAP;
    if (roll(40) == 0) flags |= any_of({1 << 20, 0777, INT_MIN, IPC_CREAT});
    shmid_ds status{};
    (void)::shmctl(static_cast<int>(id), IPC_STAT, &status);
    if (wish == before_one && (flags & SHM_REMAP) != 0) flags &= ~SHM_REMAP;
    if (status.shm_segsz > 4 * page) flags &= ~SHM_REMAP;
    const long choice = roll(100000);
    Result result = send(worker, {Do::attach, id, wish, flags, choice, static_cast<long>(status.shm_segsz)});
    say(worker, text("shmat(%s, place %ld %ld, 0%lo)", name_of(id).c_str(), wish, choice, flags & UINT_MAX), result, std::to_string(result.value));
    look_at_all();
}

void detach(int worker) {
    const long how = roll(5) == 0 ? 1 + roll(3) : 0;
    const long which = how == 3 ? any_of({0, 1, page, -page, LONG_MIN}) : roll(1000);
    Result result = send(worker, {Do::detach, which, how});
    say(worker, text("shmdt(%ld, how %ld)", which, how), result, std::to_string(result.value));
    look_at_all();
}

void control(int worker) {
    const long command = any_of({IPC_STAT, IPC_STAT, IPC_RMID, IPC_RMID, IPC_SET, IPC_SET, IPC_SET, SHM_LOCK, SHM_UNLOCK, SHM_STAT, SHM_STAT_ANY,
                                 IPC_INFO, SHM_INFO, 99, -1, INT_MIN, 4, 10, 16, 0x100 | IPC_STAT});
    bool by_index = command == SHM_STAT || command == SHM_STAT_ANY;
    long id = by_index ? any_of({0, 1, 2, 3, 5, 70, 32768, -1, INT_MIN, INT_MAX}) : some_id();
    long buffer = roll(5) == 0 ? 1 + roll(3) : 0, who = roll(1000), mode = any_of({0, 0666, 0600, 0777, 0170644, 01666, 0xffff, 0444});
    Result result = send(worker, {Do::control, id, command, buffer, who, mode});
    bool is_id = by_index && result.value >= 0;
    say(worker, text("shmctl(%s, %ld, buffer %ld, %ld 0%lo)", by_index ? std::to_string(id).c_str() : name_of(id).c_str(), command, buffer, who, mode),
        result, is_id ? name_of(result.value) : std::to_string(result.value));
    if (result.error == 0 && (command == IPC_STAT || by_index)) print(result.status);
    if (!by_index && id_names.contains(static_cast<int>(id))) look(static_cast<int>(id));
}

void touch(int worker, Do what, const char* verb) {
    const long which = roll(1000), at = roll(100000), value = roll(128);
    Result result = send(worker, {what, which, at, value});
    say(worker, text("%s(%ld, %ld, %ld)", verb, which, at, value), result, std::to_string(result.value));
}

void fork(int worker) {
    int child = 0;
    while (child < most_workers && workers[child].pid != 0) child++;
    if (child == most_workers) return;
    Result result = send(worker, {Do::fork, child});
    begin(child, static_cast<pid_t>(result.value));
    // A child has closed what its parent had before it says something: should the parent end first, it would still be there.
    (void)receive(child, result);
    say(worker, text("fork(w%d)", child), {}, "");
    look_at_all();
}

void leave(int worker, bool killed) {
    if (worker == 0) return;
    say(worker, killed ? "is killed" : "exits", {}, "");
    Step step{Do::exit};
    if (killed) {
        ::kill(workers[worker].pid, SIGKILL);
    } else {
        (void)::send(channels[worker][0], &step, sizeof step, MSG_NOSIGNAL);
    }
    await_death(worker);
    look_at_all();
}

void change(int worker, Do what, const char* verb) {
    const long whom = what == Do::effective_group ? any_of({0, 2000, 2001, 2002}) : any_of({0, 1000, 1001, 1002});
    if (what == Do::user && (worker == 0 || whom == 0)) return;
    Result result = send(worker, {what, whom, 2000 + roll(3)});
    say(worker, text("%s(%ld)", verb, whom), result, std::to_string(result.value));
}

void random_step() {
    const int worker = some_worker();
    const long kind = roll(200);
    if (kind < 44) return get(worker);
    if (kind < 90) return attach(worker);
    if (kind < 114) return detach(worker);
    if (kind < 160) return control(worker);
    if (kind < 168) return touch(worker, Do::write, "write");
    if (kind < 174) return touch(worker, Do::sum, "sum");
    if (kind < 177) return touch(worker, Do::protect, "mprotect");
    if (kind < 183) return fork(worker);
    if (kind < 186) return leave(worker, kind == 183);
    if (kind < 188) {
        Result result = send(worker, {Do::exec});
        say(worker, "exec", result, "");
        return look_at_all();
    }
    if (kind < 190) return say(worker, "posix_spawn", send(worker, {Do::spawn}), ""), look_at_all();
    if (kind < 195) return change(worker, Do::effective_user, "seteuid");
    if (kind < 198) return change(worker, Do::effective_group, "setegid");
    change(worker, Do::user, "setuid");
}

void coordinate(int steps) {
    for (auto& channel : channels) {
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel) != 0) broken("socketpair");
        const int fixed = first_channel + static_cast<int>(&channel - channels);
        if (::dup2(channel[1], fixed) < 0) broken("dup2");
        ::close(channel[1]);
        channel[1] = fixed;
    }
    pid_names[::getpid()] = "coordinator";
    for (int i = 0; i < 6; i++) {
        pid_t pid = ::fork();
        if (pid == 0) {
            // The end of the coordinator is the end of all.
            for (auto& channel : channels) ::close(channel[0]);
            number = i;
            serve();
        }
        begin(i, pid);
    }
    const long users[] = {0, 0, 1000, 1001, 1002, 1000}, groups[] = {0, 0, 2001, 2002, 2000, 2002};
    for (int i = 2; i < 6; i++) (void)send(i, {Do::user, users[i], groups[i]});
    for (step_number = 1; step_number <= steps; step_number++) random_step();
    for (int i = 0; i < most_workers; i++) {
        if (!workers[i].alive) continue;
        ::kill(workers[i].pid, SIGKILL);
        await_death(i);
    }
    for (int id : ids) ::shmctl(id, IPC_RMID, nullptr);
    look_at_all();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    const std::string how = argv[1];
    if (how == "worker") {
        number = std::atoi(argv[2]);
        for (int i = 0; i < most_workers; i++) channels[i][1] = first_channel + i;
        if (!report({})) broken("send");
        serve();
    }
    if (how == "kernel" && ::unshare(CLONE_NEWIPC) != 0) broken("unshare");
    chance.seed(std::strtoul(argv[2], nullptr, 10));
    coordinate(std::atoi(argv[3]));
    return 0;
}
