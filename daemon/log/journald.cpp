#include "journald.hpp"

#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string>
#include <vector>

// Not the place in this source: it would be the same for every line.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace shmd {
namespace {

int priority_of(LogLevel level) {
    switch (level) {
        case LogLevel::trace:
        case LogLevel::debug:
            return LOG_DEBUG;
        case LogLevel::info:
            return LOG_INFO;
        case LogLevel::notice:
            return LOG_NOTICE;
        case LogLevel::warning:
            return LOG_WARNING;
        case LogLevel::error:
            return LOG_ERR;
        case LogLevel::critical:
            break;
    }
    return LOG_CRIT;
}

// A number at the beginning of the text, which is taken off it.
bool take_number(std::string_view& text, unsigned long long& number) {
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    return parsed.ec == std::errc();
}

}  // namespace

bool stderr_is_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    std::string_view text = stream ? stream : "";
    unsigned long long device = 0, inode = 0;
    if (!take_number(text, device) || !text.starts_with(':')) return false;
    text.remove_prefix(1);
    if (!take_number(text, inode) || !text.empty()) return false;
    struct stat status {};
    return ::fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void send_to_journal(LogLevel level, std::string_view text, const LogFields& about) {
    std::vector<std::string> fields;
    auto add = [&fields](std::string_view name, std::string_view value) {
        if (!value.empty()) fields.push_back(std::string(name) + "=" + std::string(value));
    };
    add("MESSAGE", text);
    add("PRIORITY", std::to_string(priority_of(level)));
    add("SYSLOG_IDENTIFIER", "shmd");
    add("SHMD_UID", about.uid ? std::to_string(*about.uid) : "");
    add("SHMD_PID", about.pid ? std::to_string(*about.pid) : "");
    add("SHMD_KEY", about.key);
    add("MESSAGE_ID", about.message_id);
    std::vector<iovec> parts;
    for (std::string& field : fields) parts.push_back({field.data(), field.size()});
    (void)::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

}  // namespace shmd
