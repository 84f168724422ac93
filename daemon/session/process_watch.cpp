#include "process_watch.hpp"

#include <poll.h>

#include <cerrno>
#include <system_error>

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
    if (!thought_alive_ || !pidfd_.is_open()) return nullptr;
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
    UniqueFd pidfd = open_pidfd(process.pid);
    // In this order: while the descriptor's process lives, the id is its.
    if (!pidfd || mark_of_process(pidfd.get(), process.pid) != process.mark) return nullptr;
    auto found = std::make_shared<ProcessWatch>(executor_, process, std::move(pidfd), true);
    if (!found->process_lives()) return nullptr;
    found->start();
    by_pid_[process.pid] = found;
    return found;
}

}  // namespace shmd
