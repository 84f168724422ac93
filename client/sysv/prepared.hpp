// What shmat(2) is granted without a call of its own: who asks for the size of a segment just before it attaches it, as PHP's shmop
// does, has the daemon prepare the attachment with that answer. Without the heap and without locks.
#pragma once

#include <cstdint>
#include <optional>

#include "link.hpp"

namespace shmd::sysv {

/// An attachment that begins when it is put in the detach queue of its connection.
struct Prepared {
    std::int32_t id = 0;     // the shmid
    std::int32_t flags = 0;  // of shmat(2)
    std::int64_t segment = 0;
    std::int64_t size_bytes = 0;
    std::uint32_t attachment = 0;  // 0: none
    std::uint32_t link = 0;        // the number of its connection
    std::uint64_t names = 0;       // it may begin as long as names_count() is this
};

/// This segment is asked about. The flags of the shmat(2) that will probably follow, if one will.
[[nodiscard]] std::optional<std::int32_t> note_question(std::int32_t id);
/// This segment is attached, or not. ends_late: and its end may be seen late. Where it may not, nothing is prepared, and an old
/// daemon, which does not know of either, would refuse to be asked.
void note_attach(std::int32_t id, std::int32_t flags, bool ends_late);

/// What this connection, which the caller has taken, has prepared: one at a time. The daemon forgets it when it is asked for the next.
void keep_prepared(const Link& link, const Prepared& prepared);
/// Takes it out, whether it is for this or not.
[[nodiscard]] std::optional<Prepared> take_prepared(const Link& link, std::int32_t id, std::int32_t flags);
/// False: it is not worth taking a connection for.
[[nodiscard]] bool may_be_prepared(std::int32_t id);
/// In a child: all are its parent's.
void forget_prepared();

}  // namespace shmd::sysv
