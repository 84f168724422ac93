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

/// One attachment's area. A copy is the same one; the last unmaps.
struct Area {
    std::shared_ptr<Region> region;
    shmd_sync sync{};

    int try_lock(Lock lock);
    int unlock(Lock lock);
};

class SyncArea : public Napi::ObjectWrap<SyncArea> {
  public:
    static Napi::Function define(Napi::Env env);
    /// (descriptor, attachment, writable): maps it. Throws an Error with errno.
    explicit SyncArea(const Napi::CallbackInfo& info);

    /// Throws when it is closed.
    [[nodiscard]] Area& area();

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
    void close(const Napi::CallbackInfo&) { area_ = {}; }

    Area area_;  // without a region: closed
};

}  // namespace shmd::node
