// Where the daemon says what happens: in systemd's journal, with fields to search by, when its standard error leads
// there, else on standard error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shmd {

/// As in syslog(3). notice: what an administrator did, and other things that are rare and in order.
enum class LogLevel { trace, debug, info, notice, warning, error, critical };

/// What a line is about. The journal has each as a field of its own; uid and pid also stand before the text.
struct LogFields {
    std::optional<std::uint32_t> uid{};  // SHMD_UID
    std::optional<std::int32_t> pid{};   // SHMD_PID
    std::string_view key{};              // SHMD_KEY, of a segment
    std::string_view message_id{};       // MESSAGE_ID, see message_id below
};

/// What programs may look for in the journal: the same event has the same id in every version.
namespace message_id {
inline constexpr std::string_view administrator_acted = "b1ad972d250a4448b6e4059771b56aea";
inline constexpr std::string_view client_cut_off = "e3c18dba6c534b24bc174d18d276a351";
inline constexpr std::string_view configuration_refused = "e26086fa2eb84f5ea639242412756af2";
inline constexpr std::string_view memory_short = "1a4de945bcda42b7b56167c1d2bb560f";
inline constexpr std::string_view segment_lost = "7f0c2c3f5be84d0c9a4a2c1f0b8e6d35";
}  // namespace message_id

/// Call it before anything is logged. Throws spdlog::spdlog_ex.
void open_log();

/// trace, debug, info, warning, error, critical or off. Notices are shown with info.
void set_log_level(const std::string& name);

/// Whether a line of this level is shown at all: asked before a text is put together that hardly anybody sees.
[[nodiscard]] bool logs(LogLevel level);

/// Control characters of the text are shown as "?": part of it may come from a client.
void log(LogLevel level, std::string_view text, const LogFields& about = {});

}  // namespace shmd
