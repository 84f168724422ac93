// systemd's journal, by its own protocol.
#pragma once

#include <string_view>

#include "log.hpp"

namespace shmd {

/// Whether standard error is the stream that systemd connected to the journal ($JOURNAL_STREAM).
[[nodiscard]] bool stderr_is_journal();

/// Does not fail: a journal that cannot be written to is no reason to stop.
void send_to_journal(LogLevel level, std::string_view text, const LogFields& about);

}  // namespace shmd
