#include "process_watch.hpp"

#include <poll.h>

#include <system_error>

#include "peer_credentials.hpp"

namespace shmd {

namespace {

UniqueFd pidfd_unless_dead(int socket, const Peer& peer) try {
    return open_peer_pidfd(socket, peer);
} catch (const std::system_error& error) {
    if (error.code() != std::errc::no_such_process) throw;
    return {};
}

}  // namespace

ProcessWatch::ProcessWatch(const asio::any_io_executor& executor, UniqueFd pidfd)
    : pidfd_(executor), thought_alive_(bool(pidfd)) {
    if (pidfd) pidfd_.assign(pidfd.release());
}

void ProcessWatch::start() {
    if (!thought_alive_) return;
    pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, [weak = weak_from_this()](asio::error_code error) {
        auto self = weak.lock();
        if (!self || error) return;
        self->thought_alive_ = false;
        for (const Callback& died : self->callbacks_) died();
    });
}

bool ProcessWatch::process_lives() {
    if (!thought_alive_) return false;
    pollfd readable{pidfd_.native_handle(), POLLIN, 0};
    return ::poll(&readable, 1, 0) == 0;
}

std::shared_ptr<ProcessWatch> ProcessWatches::watch(int socket, const Peer& peer) {
    // While the process lives its id names no other. Id 0 is every process that this pid namespace cannot see.
    if (auto found = by_pid_.find(peer.pid); peer.pid != 0 && found != by_pid_.end()) {
        if (auto known = found->second.lock(); known && known->process_lives()) return known;
    }
    auto fresh = std::make_shared<ProcessWatch>(executor_, pidfd_unless_dead(socket, peer));
    fresh->start();
    if (peer.pid == 0) return fresh;
    by_pid_[peer.pid] = fresh;
    if (by_pid_.size() >= sweep_at_) {
        std::erase_if(by_pid_, [](const auto& item) { return item.second.expired(); });
        sweep_at_ = 64 + 2 * by_pid_.size();
    }
    return fresh;
}

}  // namespace shmd
