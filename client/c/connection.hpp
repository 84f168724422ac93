// One connection to the daemon: a call goes out, its answer comes back. Knows messages and descriptors; what they mean,
// and when to connect anew, is client's.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "detach_queue.hpp"
#include "failure.hpp"
#include "frame.hpp"
#include "messages.hpp"
#include "unique_fd.hpp"

namespace shmd::client {

/// Who made a connection. To the daemon all its calls are theirs, whoever makes them later.
struct Identity {
    std::uint32_t process;  // its mark
    uid_t user;
    gid_t group;

    static Identity now() noexcept;
    bool operator==(const Identity&) const = default;
};

/// A reply, and the descriptor that it names if it is a Grant. The others that came with it are closed.
template <typename T>
struct Answer {
    T body;
    UniqueFd descriptor{};
    /// The kernel dropped it, as it does when this process may open no more files.
    bool descriptor_lost = false;
    /// Of a reply with many grants: all, in order.
    std::vector<UniqueFd> descriptors{};
};

/// Thread-safe: calls wait for each other, notify() waits for no answer. Lives as long as somebody needs it: the client
/// whose current one it is, and every segment that was granted on it.
class Connection : public std::enable_shared_from_this<Connection> {
  public:
    /// Fails with ECONNREFUSED when no daemon answers, ENAMETOOLONG, and whatever socket(2) and connect(2) give.
    static Outcome<std::shared_ptr<Connection>> open(const std::string& path);

    Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    /// Sends a call and waits for its one reply. What that grants is held: who does not use it lets it go.
    template <typename T>
    Outcome<Answer<T>> call(std::string message);

    /// Sends a call that wants `more`, and hands each of its replies to `take` as it comes.
    template <typename T>
    Outcome<Empty> call_for_many(std::string message, const std::function<void(T&&)>& take);

    /// Sends a call that wants `more` and is answered without an end. From then on this connection is for
    /// next_of_stream() alone. Waits for the first reply, which may be a refusal.
    template <typename T>
    Outcome<T> start_stream(std::string message);

    /// The next reply. ETIMEDOUT when none has come in this time; any other failure ends the connection.
    template <typename T>
    Outcome<T> next_of_stream(std::optional<std::int64_t> timeout_usec);

    /// Its socket, for poll(2).
    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

    /// Sends a oneway call. False when the connection has ended; true does not say that it arrives.
    bool notify(std::string message) noexcept;

    /// Has the daemon end a grant of which nobody but who asks would know that it lasts, before the next call or within a
    /// second. False when that must be told it at once, by notify().
    bool end_soon(std::uint32_t attachment) noexcept;
    /// For who is about to open something: from the few first ends on there is a queue for end_soon().
    void open_queue_if_wanted();

    /// What this connection holds: the grants of open segments. A successor takes them up.
    void hold(std::uint32_t attachment);
    void let_go(std::uint32_t attachment) noexcept;
    [[nodiscard]] bool holds(std::uint32_t attachment) noexcept;

    /// The connection that takes this one's place once it has ended, as by a restart of the daemon: made at the first
    /// call, with those grants that the daemon has kept. It may have ended too.
    Outcome<std::shared_ptr<Connection>> successor();
    /// The same if there is one already, else null.
    [[nodiscard]] std::shared_ptr<Connection> present_successor() noexcept;
    /// Ends a grant of this ended connection, which the daemon may have kept, without waiting for the daemon.
    void give_back(std::uint32_t attachment) noexcept;

    /// Ends it for good; the daemon takes all its grants back.
    void give_up() noexcept;

    /// False once it has ended, and after a change of user: calls need a new one.
    [[nodiscard]] bool usable() const noexcept;

    /// True once calls on it are in vain.
    [[nodiscard]] bool ended() const noexcept { return ended_; }

    /// True in the process that made it: its grants are this process's.
    [[nodiscard]] bool ours() const noexcept;

    /// For a child after fork(2): closes the inherited socket and keeps everything else as it is, for ever: another
    /// thread of the parent may have been changing it. Goes to the front of the list of those that were abandoned.
    void abandon(Connection*& list) noexcept;

  private:
    std::optional<Failure> connect(const std::string& path);
    std::optional<Failure> send(std::string&& message);
    std::optional<Failure> refusal();
    Outcome<std::string_view> receive();
    Outcome<std::string_view> receive_within(std::optional<std::int64_t> timeout_usec);
    UniqueFd take_descriptor(int index);
    void hold_all(const Grant& grant);
    void hold_all(const Grants& grants);
    void hold_all(const OpenResults& results);
    template <typename T>
    void hold_all(const T&) {}
    void drop_descriptors() {
        while (reader_.fd_count() > 0) reader_.take_fd();
    }

    std::string path_;
    UniqueFd socket_;
    Identity identity_{};
    std::atomic<bool> ended_ = false;
    std::atomic<bool> abandoned_ = false;
    std::shared_ptr<Connection> self_;  // once abandoned: never destroyed
    Connection* next_abandoned_ = nullptr;

    std::atomic<int> ends_without_queue_ = 0;  // and one more when a queue has been asked for

    std::mutex call_mutex_;  // reader_, proven_: one call at a time
    FrameReader reader_;
    bool proven_ = false;  // a reply has come: the daemon has accepted us

    std::mutex grants_mutex_;
    std::set<std::uint32_t> grants_;

    std::mutex succession_mutex_;  // successor_. Taken before all others
    std::shared_ptr<Connection> successor_;

    std::mutex send_mutex_;  // what follows. Taken after call_mutex_, or alone
    FrameWriter writer_;
    std::unique_ptr<DetachQueue> queue_;
};

}  // namespace shmd::client
