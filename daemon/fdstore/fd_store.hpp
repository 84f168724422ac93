// systemd's file descriptor store: descriptors that the service manager keeps while this service is down, each under a
// name of its own (sd_pid_notify_with_fds(3), "FDSTORE=1"). A thread talks to the manager, which may be slow, or hear
// nothing at all: that delays nobody's end. Knows nothing of segments.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "manager_socket.hpp"
#include "unique_fd.hpp"

namespace shmd {

/// A place in the store; its name there is short, since the names of all must fit into one environment string of the
/// next process (execve(2), MAX_ARG_STRLEN).
using Slot = std::uint32_t;

class FdStore {
  public:
    /// The most descriptors whose names, of at most three letters and a separator, fit.
    static constexpr std::size_t most = 30'000;

    /// How many descriptors this service's manager keeps for it; 0 when it keeps none or there is no manager.
    /// systemd tells in $FDSTORE from 254 on, the unit does for older ones.
    [[nodiscard]] static std::size_t offered();

    /// The slot of a name that a manager passed back, if it is one of ours.
    [[nodiscard]] static std::optional<Slot> slot_named(std::string_view name);
    [[nodiscard]] static std::string name_of(Slot slot);

    /// post: runs a function on the thread that uses this object.
    FdStore(std::size_t capacity, std::function<void(std::function<void()>)> post);
    /// Closes it.
    ~FdStore();
    FdStore(const FdStore&) = delete;
    FdStore& operator=(const FdStore&) = delete;

    /// A free slot; none when the store is full.
    [[nodiscard]] std::optional<Slot> take_slot();
    /// Marks a slot that is in use since before.
    void adopt_slot(Slot slot);

    enum class Haste {
        now,   // somebody waits for it
        soon,  // with what else comes within a millisecond, so that the thread is not woken for each
    };
    /// Keeps this descriptor under the slot. done: called, by post, when the manager has it, or when the store is closed.
    void add(Slot slot, UniqueFd fd, Haste haste, std::function<void()> done);
    /// Drops what is kept there, soon, and frees the slot.
    void remove(Slot slot);

    /// From here on nothing is added or removed any more: what the manager has, it keeps. What is under way is given up.
    void close();

    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] std::size_t used() const { return used_; }

  private:
    struct Job {
        Slot slot;
        UniqueFd fd;  // empty: remove
        std::function<void()> done;
        bool emptied = false;  // this process has removed what was there
    };
    void order(Job job, Haste haste);
    void run();
    void carry_out(std::vector<Job> jobs);
    bool send(const std::string& state, int fd);
    bool repeat(const std::function<ManagerSocket::Outcome()>& attempt);
    void tell(std::vector<Job> jobs);

    std::size_t capacity_;
    std::function<void(std::function<void()>)> post_;
    std::vector<bool> taken_;
    std::vector<bool> emptied_;  // by this process
    std::vector<Slot> freed_;
    Slot next_ = 0;
    std::size_t used_ = 0;

    ManagerSocket manager_;  // its sending is the thread's
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<Job> jobs_;
    bool closed_ = false;
    bool hurry_ = false;    // one of the jobs is for now
    bool resting_ = false;  // the thread wakes by itself
    std::thread thread_;
};

}  // namespace shmd
