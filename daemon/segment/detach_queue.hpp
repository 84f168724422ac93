// A page in which one client puts the attachments that it is done with, so that it need not wake the daemon for each
// (PROTOCOL.md, "Detach queue"). The client writes there as it likes: what is taken is bounded, and only numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "detach_queue.h"
#include "result.hpp"
#include "unique_fd.hpp"

namespace shmd {

class DetachQueue {
  public:
    struct Made;
    static Result<Made> create();

    DetachQueue(DetachQueue&& other) noexcept;
    DetachQueue& operator=(DetachQueue&&) = delete;
    DetachQueue(const DetachQueue&) = delete;
    DetachQueue& operator=(const DetachQueue&) = delete;
    ~DetachQueue();

    /// What has been put there since, at most as much as there are places. May be any numbers.
    [[nodiscard]] std::vector<std::uint32_t> take();

    /// From here on the client calls at once, or does not.
    void set_watched(bool watched);
    [[nodiscard]] bool is_watched() const { return watched_; }

    /// What it costs.
    static constexpr std::int64_t bytes = SHMD_DETACH_QUEUE_BYTES;

  private:
    explicit DetachQueue(shmd_detach_queue* page) : page_(page) {}

    shmd_detach_queue* page_;
    std::uint32_t taken_ = 0;
    bool watched_ = false;
};

/// A queue and the client's descriptor of it. The daemon needs none.
struct DetachQueue::Made {
    DetachQueue queue;
    UniqueFd fd;
};

}  // namespace shmd
