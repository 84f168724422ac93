// Keeps hostile clients from filling the log: so many lines a second, then a count of those left out.
#pragma once

#include <chrono>
#include <string_view>

#include "log.hpp"

namespace shmd {

class LogLimit {
  public:
    /// Logs at warning level what a client did wrong, unless too much was logged in this second.
    void warn(std::string_view text, const LogFields& about = {});

  private:
    static constexpr int lines_a_second = 10;
    std::chrono::steady_clock::time_point second_{};
    int lines_ = 0;
    long left_out_ = 0;
};

}  // namespace shmd
