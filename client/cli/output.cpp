#include "output.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "failure.hpp"

namespace shmd::cli {

void print(std::string_view text) {
    while (!text.empty()) {
        ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
        int error = errno;
        if (count >= 0) {
            text.remove_prefix(static_cast<std::size_t>(count));
        } else if (error != EINTR) {
            throw output_failure(error);
        }
    }
}

void complain(std::string_view text) noexcept {
    try {
        std::string line = "shmdctl: " + std::string(text) + "\n";
        // One write, so that the lines of several programs do not mix. Nobody is left to be told if it fails.
        [[maybe_unused]] ssize_t count = ::write(STDERR_FILENO, line.data(), line.size());
    } catch (const std::exception&) {
    }
}

bool is_terminal(int fd) {
    return ::isatty(fd) == 1;
}

std::size_t terminal_width(int fd) {
    winsize size{};
    return ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace shmd::cli
