// Where this process puts attachments that it has ended, so that it need not wake the daemon for each (PROTOCOL.md, "Detach
// queue"): a queue for each connection that is much used. Without the heap and without locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "link.hpp"

namespace shmd::sysv {

/// Has a queue made for this connection, once this process has ended some attachments. Costs a call of the daemon.
void want_detach_queue(Link& link);

/// Puts an attachment of the connection with this number there. False when the daemon must be told all the same: there is no queue,
/// or it is full, or another call is putting something there, or somebody waits to hear of it.
[[nodiscard]] bool end_soon(std::uint32_t link, std::uint32_t attachment);

enum class Begun { no, yes, watched };

/// Puts one there that was prepared, to begin. watched: it is there, but somebody waits to hear of it.
[[nodiscard]] Begun begin_soon(std::uint32_t link, std::uint32_t attachment);

/// Takes from the queues of connections that have ended what their daemon has not said to have ended. How many that are; to be
/// called again until it is 0.
[[nodiscard]] std::size_t take_left(std::span<std::uint32_t> attachments);

/// In a child, which has not the pages.
void forget_detach_queues();

}  // namespace shmd::sysv
