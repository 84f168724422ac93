#include "log_limit.hpp"

#include <string>

namespace shmd {

void LogLimit::warn(std::string_view text, const LogFields& about) {
    auto now = std::chrono::steady_clock::now();
    if (now - second_ >= std::chrono::seconds(1)) {
        if (left_out_ > 0) {
            log(LogLevel::warning, std::to_string(left_out_) + " more warnings about clients left out");
        }
        second_ = now;
        lines_ = 0;
        left_out_ = 0;
    }
    if (lines_ < lines_a_second) {
        lines_++;
        log(LogLevel::warning, text, about);
    } else {
        left_out_++;
    }
}

}  // namespace shmd
