#include "failure.hpp"

#include <cerrno>
#include <system_error>

namespace shmd::cli {

Failure system_failure(std::string_view what, int error) {
    return {Exit::refused, std::string(what) + ": " + std::generic_category().message(error)};
}

Failure output_failure(int error, std::string_view how_far) {
    if (error == EPIPE) return {Exit::refused, ""};
    return system_failure("cannot write the output" + std::string(how_far), error);
}

}  // namespace shmd::cli
