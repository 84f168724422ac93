// A page in which one client puts the attachments that it is done with, so that it need not wake the daemon for each
// (PROTOCOL.md, "Detach queue"). The client writes there as it likes: what is taken is bounded, and only numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "detach_queue.h"
#include "memory.hpp"
#include "result.hpp"
#include "unique_fd.hpp"

namespace shmd {

class DetachQueue {
  public:
    struct Ended {
        std::uint32_t attachment = 0;
        std::int64_t usec = 0;  // as the client says; 0: it does not
    };

    static Result<DetachQueue> create();

    DetachQueue(DetachQueue&& other) noexcept;
    DetachQueue& operator=(DetachQueue&&) = delete;
    DetachQueue(const DetachQueue&) = delete;
    DetachQueue& operator=(const DetachQueue&) = delete;
    ~DetachQueue();

    /// For the client.
    [[nodiscard]] Result<UniqueFd> grant() const { return memory_->grant(Access::write); }
    /// As the client may have it still when this is gone.
    [[nodiscard]] const std::shared_ptr<Memory>& memory() const { return memory_; }

    /// Which of these have something to take, at most 64 of them: bit N is for number N.
    [[nodiscard]] static std::uint64_t filled(std::span<const DetachQueue* const> queues);

    /// What has been put there since, at most as much as there are places. May be any numbers.
    [[nodiscard]] std::vector<Ended> take();
    /// Those that were taken have ended: a client whose daemon dies before that takes them up with the rest.
    void ended();

    /// From here on the client calls at once, or does not.
    void set_watched(bool watched);
    [[nodiscard]] bool is_watched() const { return watched_; }

    /// What it costs.
    static constexpr std::int64_t bytes = SHMD_DETACH_QUEUE_BYTES;

  private:
    DetachQueue(std::shared_ptr<Memory> memory, shmd_detach_queue* page) : memory_(std::move(memory)), page_(page) {}

    std::shared_ptr<Memory> memory_;
    shmd_detach_queue* page_;
    std::uint32_t taken_ = 0;
    bool watched_ = false;
};

}  // namespace shmd
