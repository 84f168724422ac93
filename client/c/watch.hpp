// A watch in this process: events as they come, in their C form.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "connection.hpp"
#include "failure.hpp"
#include "info.hpp"
#include "messages.hpp"

namespace shmd::client {

/// Not thread-safe. Ends with its connection, which nobody else uses.
class Watch {
  public:
    static Outcome<std::unique_ptr<Watch>> open(const std::string& path, const std::optional<std::string>& prefix);

    explicit Watch(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    /// Valid until the next call. No timeout: waits without an end. ETIMEDOUT, EPERM, ECONNRESET.
    Outcome<const shmd_event*> next(std::optional<std::int64_t> timeout_usec);

    [[nodiscard]] int fd() const { return connection_->fd(); }

  private:
    std::shared_ptr<Connection> connection_;
    std::optional<WatchReply> first_;  // came with the opening
    InfoPointer segment_;
    shmd_event event_{};
};

/// As the interface description names it; null for what is no event.
[[nodiscard]] const char* event_name(const shmd_event_kind& kind);

}  // namespace shmd::client
