// What the library throws, in plain words, with the exit status that belongs to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <shmd/shmd.hpp>

#include "failure.hpp"
#include "sockets.hpp"

namespace shmd::cli {

/// What a call was for.
enum class Action { create, read, write, publish, wait, describe, list, remove, change, seal, renew, resize, administer };

/// Nobody answers at this socket, or this user may not connect to it.
[[nodiscard]] Failure connect_failure(const Error& error, const Socket& socket);

/// A call that failed. subject: what it was about, printable, empty for nothing. known: the segment, where the user may
/// know it; it makes a refusal of permission say more.
[[nodiscard]] Failure call_failure(const Error& error, std::string_view subject, Action action,
                                   const std::optional<Info>& known = std::nullopt);

/// True when the daemon says that this user may not.
[[nodiscard]] bool is_denied(const Error& error);

}  // namespace shmd::cli
