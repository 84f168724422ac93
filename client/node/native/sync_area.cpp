#include "sync_area.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "descriptor.hpp"

namespace shmd::node {
namespace {

Lock lock_of(const Napi::Value& value) {
    return static_cast<Lock>(value.As<Napi::Number>().Int32Value());
}

Napi::Number number(Napi::Env env, double value) {
    return Napi::Number::New(env, value);
}

}  // namespace

Area::Area(std::shared_ptr<Region> region, std::uint32_t attachment, bool writable) : region_(std::move(region)) {
    sync_.area = reinterpret_cast<shmd_sync_area*>(region_->data());
    sync_.attachment = attachment;
    sync_.writable = writable;
}

int Area::try_lock(Lock lock) {
    switch (lock) {
        case Lock::mutex: return shmd_sync_lock(&sync_, SHMD_SYNC_NOW);
        case Lock::read: return shmd_sync_read_lock(&sync_, SHMD_SYNC_NOW);
        case Lock::write: return shmd_sync_write_lock(&sync_, SHMD_SYNC_NOW);
    }
    return -EINVAL;
}

int Area::unlock(Lock lock) {
    switch (lock) {
        case Lock::mutex: return shmd_sync_unlock(&sync_);
        case Lock::read: return shmd_sync_read_unlock(&sync_);
        case Lock::write: return shmd_sync_write_unlock(&sync_);
    }
    return -EINVAL;
}

Napi::Function SyncArea::define(Napi::Env env) {
    return DefineClass(
        env, "SyncArea",
        {InstanceAccessor<&SyncArea::format>("format"), InstanceAccessor<&SyncArea::version>("version"),
         InstanceMethod<&SyncArea::set_attachment>("setAttachment"), InstanceMethod<&SyncArea::notify>("notify"),
         InstanceMethod<&SyncArea::try_lock>("tryLock"), InstanceMethod<&SyncArea::unlock>("unlock"),
         InstanceMethod<&SyncArea::open_section>("openSection"), InstanceMethod<&SyncArea::end_section>("endSection"),
         InstanceMethod<&SyncArea::make_consistent>("makeConsistent"), InstanceMethod<&SyncArea::snapshot>("snapshot"),
         InstanceMethod<&SyncArea::close>("close")});
}

SyncArea::SyncArea(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    auto* descriptor = Descriptor::Unwrap(info[0].As<Napi::Object>());
    bool writable = info[2].ToBoolean();
    int protection = PROT_READ | (writable ? PROT_WRITE : 0);
    void* data = ::mmap(nullptr, SHMD_SYNC_BYTES, protection, MAP_SHARED, descriptor->fd(), 0);
    if (data == MAP_FAILED) {
        int error = errno;
        Napi::Error failure = Napi::Error::New(info.Env(), std::generic_category().message(error));
        failure.Set("errno", number(info.Env(), error));
        throw failure;
    }
    auto region = std::make_shared<Region>(data, SHMD_SYNC_BYTES);
    area_ = std::make_shared<Area>(std::move(region), info[1].As<Napi::Number>().Uint32Value(), writable);
}

const std::shared_ptr<Area>& SyncArea::area() {
    if (!area_) throw Napi::Error::New(Env(), "the sync area is closed");
    return area_;
}

Napi::Value SyncArea::format(const Napi::CallbackInfo& info) {
    return number(info.Env(), sync().area->format);
}

Napi::Value SyncArea::version(const Napi::CallbackInfo& info) {
    return number(info.Env(), static_cast<double>(shmd_sync_version(&sync())));
}

// (attachment): that of this process from now on. What the one before holds is its own.
void SyncArea::set_attachment(const Napi::CallbackInfo& info) {
    area_ = std::make_shared<Area>(area()->region(), info[0].As<Napi::Number>().Uint32Value(), sync().writable);
}

Napi::Value SyncArea::notify(const Napi::CallbackInfo& info) {
    return number(info.Env(), static_cast<double>(shmd_sync_notify(&sync())));
}

// (lock, spins): 0, 1 when an owner died, or a negative errno value; -ETIMEDOUT: somebody has it.
Napi::Value SyncArea::try_lock(const Napi::CallbackInfo& info) {
    Lock lock = lock_of(info[0]);
    int locked = area()->try_lock(lock);
    // Not for a writer, whose attempts hold up readers.
    if (locked == -ETIMEDOUT && info[1].ToBoolean() && lock != Lock::write) {
        std::uint32_t* luck = &sync().lock_luck;
        int spins = shmd_sync_spins(luck);
        bool spun = spins > 0;
        for (; locked == -ETIMEDOUT && spins > 0; spins--) {
            shmd_sync_pause();
            locked = area()->try_lock(lock);
        }
        if (spun) shmd_sync_note_spins(luck, locked >= 0);
    }
    return number(info.Env(), locked);
}

// (lock): 0, or -EPERM when this attachment does not hold it.
Napi::Value SyncArea::unlock(const Napi::CallbackInfo& info) {
    return number(info.Env(), area()->unlock(lock_of(info[0])));
}

// The mutex is held.
void SyncArea::open_section(const Napi::CallbackInfo&) {
    shmd_sync_open_section(&sync());
}

// Unlocks the mutex: as unlock().
Napi::Value SyncArea::end_section(const Napi::CallbackInfo& info) {
    return number(info.Env(), shmd_sync_end_write(&sync()));
}

// (lock, inSection): as unlock(). Of this lock alone: another flow of the process may hold the other one.
Napi::Value SyncArea::make_consistent(const Napi::CallbackInfo& info) {
    Lock lock = lock_of(info[0]);
    const shmd_sync& mine = sync();
    std::uint64_t* word = lock == Lock::write ? &mine.area->rwlock : &mine.area->mutex;
    std::uint64_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    do {
        if (lock == Lock::read || shmd_sync_holder(seen) != mine.attachment) return number(info.Env(), -EPERM);
    } while (!__atomic_compare_exchange_n(word, &seen, seen & ~SHMD_SYNC_OWNER_DIED, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    // A section lets the readers in by its end.
    if (lock == Lock::mutex && !info[1].ToBoolean()) shmd_sync_close_section(&sync());
    return number(info.Env(), 0);
}

// (mapping, offset, target): one attempt. 0; -ETIMEDOUT: somebody is writing; -EOWNERDEAD: died while writing.
Napi::Value SyncArea::snapshot(const Napi::CallbackInfo& info) {
    auto target = info[2].As<Napi::Uint8Array>();
    const Mapping::Range source = Mapping::Unwrap(info[0].As<Napi::Object>())->range(info[1], target.ByteLength());
    return number(info.Env(), shmd_sync_snapshot(&sync(), target.Data(), source.data, target.ByteLength(), SHMD_SYNC_NOW));
}

}  // namespace shmd::node
