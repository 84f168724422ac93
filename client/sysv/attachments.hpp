// What this process has attached by shmat(2): address, size and the daemon's number for it. Without the heap and without locks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace shmd::sysv {

class Link;

struct Attached {
    std::atomic<std::uintptr_t> address{0};  // 0: free; 1: being changed
    std::size_t bytes = 0;                   // as mapped
    std::uint32_t attachment = 0;            // 0: the daemon does not know of it any more
    std::uint32_t link = 0;
};

/// Notes one. False when there is no memory for it.
[[nodiscard]] bool note_attached(std::uintptr_t address, std::size_t bytes, std::uint32_t attachment, std::uint32_t link);

/// Takes the one that begins at this address out. False when there is none.
[[nodiscard]] bool take_attached(std::uintptr_t address, Attached& out);

/// Takes out one that lies wholly within these bytes. False when there is none.
[[nodiscard]] bool take_attached_within(std::uintptr_t address, std::size_t bytes, Attached& out);

/// Unmaps these bytes but for what has been attached over parts of them since.
void unmap_around_others(std::uintptr_t address, std::size_t bytes);

/// Has this new connection take up attachments of connections that have ended, as they do when the daemon is restarted.
void take_up_again(Link& link);

/// For fork(2): see fork.cpp.
void register_fork_handlers();
/// In a child that was made without the handlers: nothing that is attached counts as its.
void forget_if_forked();

}  // namespace shmd::sysv
