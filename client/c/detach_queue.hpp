// Where a connection puts the attachments that it is done with, so that it need not wake the daemon for each
// (protocol/PROTOCOL.md, "Detach queue").
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "detach_queue.h"
#include "unique_fd.hpp"

namespace shmd::client {

/// Not thread-safe.
class DetachQueue {
  public:
    /// Null when it is none that this library knows, or cannot be mapped.
    static std::unique_ptr<DetachQueue> map(const UniqueFd& memory);

    DetachQueue(const DetachQueue&) = delete;
    DetachQueue& operator=(const DetachQueue&) = delete;
    ~DetachQueue();

    /// False when the daemon must be called all the same: it has not come to take what is there, or somebody waits to hear of this.
    bool put(std::uint32_t attachment) noexcept;

    /// What the daemon has not said to have ended.
    [[nodiscard]] std::vector<std::uint32_t> left() const;

  private:
    explicit DetachQueue(shmd_detach_queue* page) : page_(page) {}

    shmd_detach_queue* page_;
    std::uint32_t put_ = 0;
};

}  // namespace shmd::client
