// What shmget(2) has answered, for as long as it holds: the daemon counts, in a page that every client may read, how often any
// key or anybody's right to one has changed. The connection must be there too, since a daemon that has gone counts no more.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "link.hpp"

namespace shmd::sysv {

/// What was asked, and by whom.
struct NameQuery {
    key_t key = 0;
    std::int64_t size_bytes = 0;
    int flags = 0;
    uid_t user = 0;
    gid_t group = 0;
    bool operator==(const NameQuery&) const = default;
};

/// The count to remember an answer with: take it before asking. 0 while the page is not there.
[[nodiscard]] std::uint64_t names_count(const Link& link);

/// The answer, if it still holds.
[[nodiscard]] std::optional<std::int32_t> known_name(const Link& link, const NameQuery& query);
void remember_name(const Link& link, const NameQuery& query, std::uint64_t count, std::int32_t id);

/// Has the page mapped, once it seems to be of use: from the second call on. Costs a call of the daemon.
void want_change_page(Link& link);

/// True when some segment may have been removed since this was asked last.
[[nodiscard]] bool something_was_removed(const Link& link);

}  // namespace shmd::sysv
