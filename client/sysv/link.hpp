// Connections to the daemon for System V calls. Without the heap and without locks, so that a call may come from a signal
// handler that has interrupted another: each exchange takes a connection for itself.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "system_v_message.hpp"

namespace shmd::sysv {

/// A descriptor of ours in a program that may close what it did not open: told again by its inode.
struct Descriptor {
    int fd = -1;
    dev_t device = 0;
    ino_t inode = 0;
    std::uint32_t block_bytes = 0;  // of memory: its pages

    [[nodiscard]] static Descriptor of(int fd);
    /// False when the program has closed it, and perhaps opened another under its number.
    [[nodiscard]] bool intact() const;
    /// Unless it is not ours any more.
    void close();
};

/// Moves it out of the way: programs expect low numbers for what they open next, and close those that they know of. -1 and
/// errno when no number is left.
[[nodiscard]] int move_high(int fd);

/// One connection of one process with one identity.
class Link {
  public:
    /// One that is not used by another call, connected as the user that this process now is; forget_if_forked() comes first. Null
    /// and errno: ECONNREFUSED,
    /// ENOENT or EACCES when no daemon answers. The caller gives it back with release().
    static Link* take();
    void release();

    /// Sends a call and gets its reply, which is valid until the next call of this connection. 0; EPIPE: the daemon did not
    /// get it; ECONNRESET: perhaps it did. The connection has ended then.
    [[nodiscard]] int call(const system_v::Message& message, std::string_view& reply);
    /// Sends a call that has no reply.
    [[nodiscard]] int send(const system_v::Message& message);
    /// True while something was sent that nothing has been received after.
    [[nodiscard]] bool has_told() const { return has_told_; }
    /// Asks the kernel whether the daemon has closed it.
    [[nodiscard]] bool is_alive() const;
    /// A descriptor that came with the last reply; the caller owns it. -1: none came.
    [[nodiscard]] int take_descriptor();

    /// Numbers connections, for attachments to name theirs. Never 0.
    [[nodiscard]] std::uint32_t number() const { return number_; }
    /// Which of most_links it is.
    [[nodiscard]] std::size_t place() const;
    [[nodiscard]] uid_t user() const { return user_; }
    [[nodiscard]] gid_t group() const { return group_; }
    /// True while the connection with this number is there, as far as is known.
    static bool is_there(std::uint32_t number);
    /// Null when it is not.
    static const Link* with_number(std::uint32_t number);

    /// A new connection that is for a child, to hold what it inherits: take() never gives it. Null and errno.
    static Link* make_for_child();
    /// In the parent after fork(2): the child has it.
    void give_away();
    /// In the child: forgets all connections of the parent but this one, which may be null.
    static void keep_only(Link* own);

  private:
    static Link* free_slot();
    [[nodiscard]] bool is_mine_now() const;
    [[nodiscard]] bool connect();
    [[nodiscard]] std::span<char> buffer();
    [[nodiscard]] int put(const system_v::Message& message);
    void end();
    static void end_dead();

    enum State : std::uint32_t { free, idle, busy };
    std::atomic<std::uint32_t> state_{free};
    Descriptor socket_;
    uid_t user_ = 0;
    gid_t group_ = 0;
    std::uint32_t number_ = 0;
    int received_ = -1;
    bool has_told_ = false;
    bool only_holds_ = false;
    std::size_t size_ = 0;
};

/// How many calls can be under way at once, and how many users a process may be in turn.
inline constexpr int most_links = 32;

}  // namespace shmd::sysv
