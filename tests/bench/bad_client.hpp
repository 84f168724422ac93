// Clients that ask for the worst that anybody may ask for. Nothing here breaks a rule of the protocol.
#pragma once

#include <memory>
#include <span>
#include <string>

namespace shmd::bench {

/// One such client, with its connections. They end with it.
class BadClient {
  public:
    BadClient() = default;
    BadClient(const BadClient&) = delete;
    BadClient& operator=(const BadClient&) = delete;
    virtual ~BadClient() = default;

    /// Asks once more. Returns when it is answered, where it reads the answers.
    virtual void ask() = 0;
};

struct BadKind {
    const char* name;
    std::unique_ptr<BadClient> (*make)(const std::string& socket);
};
[[nodiscard]] std::span<const BadKind> bad_kinds();

/// So many segments, which any user may open for reading, are there for them under these keys.
inline constexpr int bad_client_targets = 250;
[[nodiscard]] std::string bad_client_target(int number);

}  // namespace shmd::bench
