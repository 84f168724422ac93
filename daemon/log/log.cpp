#include "log.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "journald.hpp"

namespace shmd {
namespace {

bool to_journal = false;

// spdlog has no notice.
spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::trace:
            return spdlog::level::trace;
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
        case LogLevel::notice:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
        case LogLevel::critical:
            break;
    }
    return spdlog::level::critical;
}

// For what is said through spdlog itself, without fields.
class JournalSink : public spdlog::sinks::base_sink<std::mutex> {
  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        LogLevel level = LogLevel::trace;
        for (LogLevel each : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error, LogLevel::critical}) {
            if (message.level >= spdlog_level(each)) level = each;
        }
        send_to_journal(level, {message.payload.data(), message.payload.size()}, {});
    }
    void flush_() override {}
};

std::string line_of(std::string_view text, const LogFields& about) {
    std::string line;
    if (about.uid) line += "uid " + std::to_string(*about.uid) + " ";
    if (about.pid) line += "pid " + std::to_string(*about.pid) + " ";
    if (!line.empty()) line.replace(line.size() - 1, 1, ": ");
    line += text;
    auto is_control = [](unsigned char byte) { return byte < ' ' || byte == 0x7f; };
    std::ranges::replace_if(line, is_control, '?');
    return line;
}

}  // namespace

void open_log() {
    to_journal = stderr_is_journal();
    if (to_journal) {
        spdlog::set_default_logger(std::make_shared<spdlog::logger>("shmd", std::make_shared<JournalSink>()));
    } else {
        spdlog::set_default_logger(spdlog::stderr_logger_mt("shmd"));
        spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    }
}

void set_log_level(const std::string& name) {
    spdlog::set_level(spdlog::level::from_str(name));
}

bool logs(LogLevel level) {
    return spdlog::should_log(spdlog_level(level));
}

void log(LogLevel level, std::string_view text, const LogFields& about) {
    if (!logs(level)) return;
    std::string line = line_of(text, about);
    if (to_journal) {
        send_to_journal(level, line, about);
    } else {
        spdlog::log(spdlog_level(level), "{}", line);
    }
}

}  // namespace shmd
