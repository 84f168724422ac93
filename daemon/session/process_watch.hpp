// Tells sessions that the process at the other end has died. One pidfd serves all connections of a process.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "handlers.hpp"
#include "policy.hpp"
#include "unique_fd.hpp"

namespace shmd {

/// One process. Held by its sessions; the last one to let go ends the watch.
class ProcessWatch : public ProcessLife, public std::enable_shared_from_this<ProcessWatch> {
  public:
    using Callback = std::function<void()>;

    /// pidfd: empty for a process that is dead already, and for one that cannot be watched.
    ProcessWatch(const asio::any_io_executor& executor, ProcessId process, UniqueFd pidfd, bool alive);

    /// Also keeps the watch going as long as the caller keeps what it gets.
    std::shared_ptr<void> when_dead(Callback died) override;
    [[nodiscard]] ProcessId process() const override { return process_; }

    void start();
    /// Tells of no death any more.
    void stop();
    /// It is taken for alive until it can be watched, or found dead.
    void watch_later() { waits_ = true; }
    [[nodiscard]] bool waits() const { return waits_; }
    void watch_now(UniqueFd pidfd);
    void found_dead();
    /// False once the death is known here.
    [[nodiscard]] bool thought_alive() const { return thought_alive_; }
    /// Asks the kernel.
    [[nodiscard]] bool process_lives();

    /// How many sessions are its.
    [[nodiscard]] int connections() const { return connections_; }
    void count_connection(int change) { connections_ += change; }

  private:
    void tell_of_death();

    int connections_ = 0;
    ProcessId process_;
    asio::posix::stream_descriptor pidfd_;
    struct Registration;
    std::list<Registration*> registrations_;
    bool thought_alive_;
    bool waits_ = false;  // to be watched
};

/// The watches by process id.
class ProcessWatches {
  public:
    explicit ProcessWatches(asio::any_io_executor executor) : executor_(std::move(executor)), retry_(executor_) {}

    /// The watch of the process that connected this socket. Throws std::system_error, such as when there are no more
    /// descriptors.
    std::shared_ptr<ProcessWatch> watch(int socket, const Peer& peer);

    /// The watch of a process that the kernel has just named. One that has died since is thought dead. Throws likewise.
    std::shared_ptr<ProcessWatch> watch(std::int32_t pid);

    /// Ends all watches: from here on nothing of them keeps the event loop going.
    void stop();

    /// The watch of a process that an earlier daemon knew; null when it is dead, or cannot be told from another. While
    /// there is no descriptor to tell with, it is taken for alive. Throws std::system_error.
    std::shared_ptr<ProcessWatch> find(ProcessId process);

  private:
    std::shared_ptr<ProcessWatch> add(std::int32_t pid, UniqueFd pidfd, bool alive);
    std::shared_ptr<ProcessWatch> living(std::int32_t pid);
    std::optional<UniqueFd> open_known(ProcessId process) const;
    void watch_later(const std::shared_ptr<ProcessWatch>& watch);
    bool try_again(ProcessWatch& watch);
    void await_retry();
    void retry();

    asio::any_io_executor executor_;
    std::unordered_map<std::int32_t, std::weak_ptr<ProcessWatch>> by_pid_;
    std::size_t sweep_at_ = 64;
    std::vector<std::weak_ptr<ProcessWatch>> waiting_;
    asio::steady_timer retry_;
};

}  // namespace shmd
