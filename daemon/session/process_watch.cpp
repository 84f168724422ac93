#include "process_watch.hpp"

#include <poll.h>
#include <sys/resource.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "log.hpp"
#include "peer_credentials.hpp"

namespace shmd {

namespace {

struct Found {
    UniqueFd pidfd;
    bool alive;
};

// ESRCH is said of the dead; kernels before 6.16 say EINVAL of those that are also reaped. EINVAL is also said of
// process 0, one that this pid namespace cannot see, by kernels that only have pidfd_open(2): for those EOF must do.
Found find_process(int socket, const Peer& peer) try {
    return {open_peer_pidfd(socket, peer), true};
} catch (const std::system_error& error) {
    if (error.code() == std::errc::no_such_process) return {{}, false};
    if (error.code() == std::errc::invalid_argument) return {{}, peer.pid == 0};
    throw;
}

constexpr auto retry_interval = std::chrono::seconds(1);
// Descriptors left for clients and for the journal when an earlier daemon's processes are watched again.
constexpr rlim_t spare_descriptors = 32;

bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

// The kernel gives the lowest number that is free.
bool is_among_last(int fd) {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && static_cast<rlim_t>(fd) + spare_descriptors >= limit.rlim_cur;
}

}  // namespace

ProcessWatch::ProcessWatch(const asio::any_io_executor& executor, ProcessId process, UniqueFd pidfd, bool alive)
    : process_(process),
      pidfd_(executor), thought_alive_(alive) {
    if (!pidfd) return;
    pidfd_.assign(pidfd.get());
    (void)pidfd.release();
}

void ProcessWatch::start() {
    if (!pidfd_.is_open()) return;
    pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, [weak = weak_from_this()](asio::error_code error) {
        auto self = weak.lock();
        if (!self || error) return;
        self->thought_alive_ = false;
        self->tell_of_death();
    });
}

void ProcessWatch::stop() {
    asio::error_code ignored;
    pidfd_.close(ignored);
}

void ProcessWatch::watch_now(UniqueFd pidfd) {
    pidfd_.assign(pidfd.get());
    (void)pidfd.release();
    waits_ = false;
    start();
}

void ProcessWatch::found_dead() {
    waits_ = false;
    thought_alive_ = false;
    tell_of_death();
}

// In the list as long as somebody keeps it and the process lives.
struct ProcessWatch::Registration {
    std::shared_ptr<ProcessWatch> watch;
    Callback died;
    std::list<Registration*>::iterator place;
    bool listed = true;

    Registration(std::shared_ptr<ProcessWatch> w, Callback d)
        : watch(std::move(w)),
          died(std::move(d)),
          place(watch->registrations_.insert(watch->registrations_.end(), this)) {}
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    ~Registration() {
        if (listed) watch->registrations_.erase(place);
    }
};

std::shared_ptr<void> ProcessWatch::when_dead(Callback died) {
    if (!thought_alive_ || !(pidfd_.is_open() || waits_)) return nullptr;
    return std::make_shared<Registration>(shared_from_this(), std::move(died));
}

// A callback may drop its own registration and those of others.
void ProcessWatch::tell_of_death() {
    while (!registrations_.empty()) {
        Registration& next = *registrations_.front();
        registrations_.pop_front();
        next.listed = false;
        Callback died = std::move(next.died);
        died();
    }
}

bool ProcessWatch::process_lives() {
    if (!thought_alive_ || !pidfd_.is_open()) return thought_alive_;
    pollfd readable{pidfd_.native_handle(), POLLIN, 0};
    return ::poll(&readable, 1, 0) == 0;
}

std::shared_ptr<ProcessWatch> ProcessWatches::watch(int socket, const Peer& peer) {
    if (auto known = living(peer.pid)) return known;
    Found found = find_process(socket, peer);
    return add(peer.pid, std::move(found.pidfd), found.alive);
}

std::shared_ptr<ProcessWatch> ProcessWatches::watch(std::int32_t pid) {
    if (auto known = living(pid)) return known;
    UniqueFd pidfd = pid != 0 ? open_pidfd(pid) : UniqueFd();
    int error = errno;
    if (pid != 0 && !pidfd && error != ESRCH) throw std::system_error(error, std::generic_category(), "pidfd_open");
    bool alive = pid == 0 || pidfd;
    return add(pid, std::move(pidfd), alive);
}

// While the process lives its id names no other. Id 0 is every process that this pid namespace cannot see.
std::shared_ptr<ProcessWatch> ProcessWatches::living(std::int32_t pid) {
    auto place = by_pid_.find(pid);
    if (pid == 0 || place == by_pid_.end()) return nullptr;
    auto known = place->second.lock();
    if (known && known->waits() && !try_again(*known)) return nullptr;
    return known && known->process_lives() ? known : nullptr;
}

std::shared_ptr<ProcessWatch> ProcessWatches::add(std::int32_t pid, UniqueFd pidfd, bool alive) {
    ProcessId process{pid, pidfd ? mark_of_process(pidfd.get(), pid) : 0};
    auto fresh = std::make_shared<ProcessWatch>(executor_, process, std::move(pidfd), alive);
    fresh->start();
    if (pid == 0) return fresh;
    by_pid_[pid] = fresh;
    if (by_pid_.size() >= sweep_at_) {
        std::erase_if(by_pid_, [](const auto& item) { return item.second.expired(); });
        sweep_at_ = 64 + 2 * by_pid_.size();
    }
    return fresh;
}

void ProcessWatches::stop() {
    waiting_.clear();
    retry_.cancel();
    for (const auto& [pid, weak] : by_pid_) {
        if (auto watch = weak.lock()) watch->stop();
    }
}

std::shared_ptr<ProcessWatch> ProcessWatches::find(ProcessId process) {
    if (process.pid == 0) return nullptr;
    if (auto place = by_pid_.find(process.pid); place != by_pid_.end()) {
        auto known = place->second.lock();
        if (known && known->process() == process && known->process_lives()) return known;
    }
    auto pidfd = open_known(process);
    if (pidfd && !*pidfd) return nullptr;
    const bool later = !pidfd;
    auto found = std::make_shared<ProcessWatch>(executor_, process, later ? UniqueFd() : *std::move(pidfd), true);
    by_pid_[process.pid] = found;
    if (later) {
        watch_later(found);
    } else {
        found->start();
    }
    return found;
}

// Empty when it is dead; nothing when that cannot be told for want of descriptors or memory.
std::optional<UniqueFd> ProcessWatches::open_known(ProcessId process) const {
    UniqueFd pidfd = open_pidfd(process.pid);
    int error = errno;
    // EINVAL, and of late ENOENT, is said of what is a thread's id now.
    if (!pidfd && (error == ESRCH || error == EINVAL || error == ENOENT)) return UniqueFd();
    if (!pidfd && !is_shortage(error)) throw std::system_error(error, std::generic_category(), "pidfd_open");
    if (!pidfd || is_among_last(pidfd.get())) return std::nullopt;
    // In this order: while the descriptor's process lives, the id is its.
    errno = 0;
    const std::uint64_t mark = mark_of_process(pidfd.get(), process.pid);
    if (mark == 0 && process.mark != 0 && is_shortage(errno)) return std::nullopt;
    pollfd readable{pidfd.get(), POLLIN, 0};
    if (mark != process.mark || ::poll(&readable, 1, 0) != 0) return UniqueFd();
    return pidfd;
}

void ProcessWatches::watch_later(const std::shared_ptr<ProcessWatch>& watch) {
    watch->watch_later();
    waiting_.push_back(watch);
    if (waiting_.size() > 1) return;
    log(LogLevel::error, "too few descriptors to watch process " + std::to_string(watch->process().pid) +
                             " and maybe others: what they hold is kept until they can be watched; raise the limit "
                             "(LimitNOFILE= of the service)");
    await_retry();
}

// False when that still cannot be told.
bool ProcessWatches::try_again(ProcessWatch& watch) {
    auto pidfd = open_known(watch.process());
    if (!pidfd) return false;
    if (*pidfd) {
        watch.watch_now(*std::move(pidfd));
    } else {
        watch.found_dead();
    }
    return true;
}

void ProcessWatches::await_retry() {
    retry_.expires_after(retry_interval);
    retry_.async_wait([this](asio::error_code error) {
        if (!error) retry();
    });
}

void ProcessWatches::retry() {
    if (waiting_.empty()) return;
    for (auto& weak : std::exchange(waiting_, {})) {
        auto watch = weak.lock();
        if (!watch || !watch->waits()) continue;
        try {
            if (try_again(*watch)) continue;
        } catch (const std::system_error& error) {
            log(LogLevel::error, std::string("cannot watch a process: ") + error.what());
        }
        waiting_.push_back(weak);
    }
    if (!waiting_.empty()) return await_retry();
    log(LogLevel::info, "all processes are watched again");
}

}  // namespace shmd
