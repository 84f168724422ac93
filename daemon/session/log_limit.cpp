#include "log_limit.hpp"

#include <spdlog/spdlog.h>

namespace shmd {

void LogLimit::warn(const std::string& text) {
    auto now = std::chrono::steady_clock::now();
    if (now - second_ >= std::chrono::seconds(1)) {
        if (left_out_ > 0) spdlog::warn("{} more warnings about clients left out", left_out_);
        second_ = now;
        lines_ = 0;
        left_out_ = 0;
    }
    if (lines_ < lines_a_second) {
        lines_++;
        spdlog::warn("{}", text);
    } else {
        left_out_++;
    }
}

}  // namespace shmd
