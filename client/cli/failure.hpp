// What ends a command before its end: a message and an exit status. Knows nothing of the library.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace shmd::cli {

enum class Exit { ok = 0, refused = 1, wrong_usage = 2, no_daemon = 3 };

/// The message is for complain(); an empty one says nothing.
class Failure : public std::runtime_error {
  public:
    Failure(Exit exit, const std::string& message) : std::runtime_error(message), exit_(exit) {}
    [[nodiscard]] Exit exit() const noexcept { return exit_; }

  private:
    Exit exit_;
};

/// "WHAT: the words of errno".
[[nodiscard]] Failure system_failure(std::string_view what, int error);

/// Standard output cannot be written. Silent when its reader has gone, as the reader knows.
[[nodiscard]] Failure output_failure(int error, std::string_view how_far = {});

}  // namespace shmd::cli
