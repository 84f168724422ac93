// The sync area of one segment: what the daemon does in it when an attachment ends (protocol/SYNC.md, "Death"). Clients
// write there as they like: nothing that it says is followed, every attempt is bounded, and that its pages may be taken away
// under us is survived.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "memory.hpp"
#include "result.hpp"
#include "sync_area.h"

namespace shmd {

class SyncArea {
  public:
    /// blank: what to make it of, as for Memory::create().
    static Result<SyncArea> create(UniqueFd blank = {});
    /// One that create() made in an earlier process. Nothing when it is none.
    static std::optional<SyncArea> adopt(UniqueFd fd);

    SyncArea(SyncArea&& other) noexcept;
    SyncArea& operator=(SyncArea&&) = delete;
    SyncArea(const SyncArea&) = delete;
    SyncArea& operator=(const SyncArea&) = delete;
    ~SyncArea();

    [[nodiscard]] Result<UniqueFd> grant(Access access) const { return memory_->grant(access); }
    /// As others have it still when this is gone.
    [[nodiscard]] const std::shared_ptr<Memory>& memory() const { return memory_; }

    /// Gives back what this attachment holds, marks the locks that it held as a dead owner's, and wakes all who wait.
    void release(std::uint32_t attachment);
    /// The same for all holders that are none of the living.
    void recover(const std::function<bool(std::uint32_t attachment)>& lives);
    /// How many attachments for reading have the area: who notifies must know.
    void set_read_only(std::uint32_t count);

    /// What it costs.
    static constexpr std::int64_t bytes = SHMD_SYNC_BYTES;

  private:
    SyncArea(std::shared_ptr<Memory> memory, shmd_sync_area* area) : memory_(std::move(memory)), area_(area) {}
    static Result<SyncArea> map(Memory memory);
    template <typename Ended>
    void give_back(const Ended& ended);

    std::shared_ptr<Memory> memory_;
    shmd_sync_area* area_;
};

}  // namespace shmd
