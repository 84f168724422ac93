// A server that others wrote, on a Unix socket in a temporary directory of its own. Ended with its owner, whichever way
// that ends.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "process.hpp"

namespace shmd::bench {

/// Whether there is such a program in PATH.
[[nodiscard]] bool has_program(const std::string& name);

class BenchServer {
  public:
    /// The arguments, the program's name first, for a socket of this path. Returns when it accepts connections; FAILs
    /// with what it said when it ends before that.
    explicit BenchServer(const std::function<std::vector<std::string>(const std::string& socket)>& arguments);

    [[nodiscard]] const std::string& socket() const { return socket_; }
    /// All that it has now.
    [[nodiscard]] std::vector<pid_t> threads() const;

  private:
    test::TemporaryDirectory directory_;
    std::string socket_;
    test::OwnedProcess process_;
};

}  // namespace shmd::bench
