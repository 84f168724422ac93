// What this process has attached by shmat(2): address, size and the daemon's number for it. Without the heap and without locks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace shmd::sysv {

class Link;

/// What the daemon has of an attachment.
struct DaemonsPart {
    std::uint32_t attachment = 0;  // its number; 0: it does not know of it any more
    std::uint32_t link = 0;
    std::uint64_t names = 0;  // as long as names_count() is this its end may be seen late; 0: it may not
    // Of shmat(2), when it was begun by the queue: a daemon that is killed may not have seen that.
    std::optional<std::int32_t> begun_id{};
    std::int32_t begun_flags = 0;
};

/// A piece of memory that an attachment still has: all of it, until another is attached over parts of it (SHM_REMAP).
struct Piece {
    std::atomic<std::uintptr_t> address{0};  // where its attachment began; 0: free; 1: being changed
    std::uintptr_t begin = 0;
    std::size_t bytes = 0;
    std::int64_t segment = 0;      // its id in io.shmd.Segments
    std::uint32_t number = 0;  // of the attachment in this process: counts up
    DaemonsPart daemons;
};

/// Notes a new one. False when there is no memory for it.
[[nodiscard]] bool note_attached(std::uintptr_t address, std::size_t bytes, std::int64_t segment, const DaemonsPart& daemons);

/// One call of shmdt(2).
struct Detaching {
    std::int64_t segment = 0;  // 0: nothing was found
    std::uint32_t newest = 0;  // attachments of this process up to this number
};

/// Unmaps what began at this address: of the segment that the lowest piece belongs to, as shmdt(2) finds it, all pieces of all
/// attachments. Each that has ended gives what the daemon has of it in `ended`, and this is to be called again with the same
/// `detaching`, which is empty at first. False when there is nothing more.
[[nodiscard]] bool unmap_attached(std::uintptr_t address, Detaching& detaching, DaemonsPart& ended);

/// Takes these bytes from all that have them, for another to be mapped there. One that has nothing left has ended: `ended`
/// gets what the daemon has of it, and this is to be called again. False when nobody has any of them.
[[nodiscard]] bool make_room(std::uintptr_t begin, std::size_t bytes, DaemonsPart& ended);

/// Has this new connection take up attachments of connections that have ended, as they do when the daemon is restarted.
void take_up_again(Link& link);

/// For fork(2): a child has what its parent has attached, and the daemon knows of it before it runs.
void register_fork_handlers();
/// In a child that was made without the handlers: nothing that is attached counts as its.
void forget_if_forked();

}  // namespace shmd::sysv
