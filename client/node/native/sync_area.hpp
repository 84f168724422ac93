// A segment's sync area, mapped: what is done in it at once. What waits is a Wait.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "mapping.hpp"
#include "sync_core.h"

namespace shmd::node {

/// The numbers that lib/sync.js has for them.
enum class Lock { mutex = 0, read = 1, write = 2 };

/// The area as one attachment has it: for the loop, and for threads that wait in it.
class Area {
  public:
    Area(std::shared_ptr<Region> region, std::uint32_t attachment, bool writable);

    /// As in sync_core.h; -ETIMEDOUT: somebody has it.
    int try_lock(Lock lock);
    int unlock(Lock lock);
    [[nodiscard]] shmd_sync& sync() { return sync_; }
    [[nodiscard]] const std::shared_ptr<Region>& region() const { return region_; }

  private:
    std::shared_ptr<Region> region_;
    shmd_sync sync_{};
};

class SyncArea : public Napi::ObjectWrap<SyncArea> {
  public:
    static Napi::Function define(Napi::Env env);
    /// (descriptor, attachment, writable): maps it. Throws an Error with errno.
    explicit SyncArea(const Napi::CallbackInfo& info);

    /// Throws when it is closed.
    [[nodiscard]] const std::shared_ptr<Area>& area();

  private:
    Napi::Value format(const Napi::CallbackInfo& info);
    Napi::Value version(const Napi::CallbackInfo& info);
    void set_attachment(const Napi::CallbackInfo& info);
    Napi::Value notify(const Napi::CallbackInfo& info);
    Napi::Value try_lock(const Napi::CallbackInfo& info);
    Napi::Value unlock(const Napi::CallbackInfo& info);
    void open_section(const Napi::CallbackInfo& info);
    Napi::Value end_section(const Napi::CallbackInfo& info);
    Napi::Value make_consistent(const Napi::CallbackInfo& info);
    Napi::Value snapshot(const Napi::CallbackInfo& info);
    void close(const Napi::CallbackInfo&) { area_.reset(); }
    [[nodiscard]] shmd_sync& sync() { return area()->sync(); }

    std::shared_ptr<Area> area_;  // null: closed
};

}  // namespace shmd::node
