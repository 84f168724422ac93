// Which sockets to use, and what to do when nobody answers there. Knows paths; knows nothing of the library.
#pragma once

#include <string>

namespace shmd::cli {

struct Socket {
    std::string path;
    std::string remedy;  // how to have a daemon answer there
};

/// What the command line says; empty when it says nothing. Each throws Failure when there is nowhere to look.
[[nodiscard]] Socket segments_socket(const std::string& given);
/// A given Segments socket decides where its control socket is, unless that is given too.
[[nodiscard]] Socket control_socket(const std::string& given, const std::string& given_segments);

}  // namespace shmd::cli
