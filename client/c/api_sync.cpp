// The C functions of sync.h. What is free is taken without a call to anybody; everything else goes through guarded().
#include <cerrno>

#include "handles.hpp"
#include "shmd/sync.h"
#include "sync.hpp"

using shmd::Access;
using shmd::client::guarded;
using shmd::client::HeldBy;
using shmd::client::in_context;
using shmd::client::no_timeout;
using shmd::client::null_pointer;
using shmd::client::OpenSegment;
using shmd::client::report;
using shmd::client::Sync;

namespace {

int failed(int code) noexcept {
    switch (code) {
        case -ETIMEDOUT: return report(ETIMEDOUT, "the time was over");
        case -EPERM: return report(EPERM, "this segment does not hold the lock");
        case -EDEADLK: return report(EDEADLK, "this thread holds the lock already");
        case -EOWNERDEAD: return report(EOWNERDEAD, "a writer died in its write section, and nobody has repaired the content yet");
        case -EFAULT: return report(EFAULT, "the memory of its locks has been destroyed by somebody who may write it");
        case -EACCES: return report(EACCES, "the segment is open for reading only: locks and notifying need it open for writing");
        default: return report(-code, "the locks cannot be used");
    }
}

// Calls act(sync) with the area, which is opened first if need be.
template <typename Act>
int with_sync(shmd_segment* segment, const char* what, const Act& act) noexcept {
    if (!segment) return null_pointer();
    return guarded([&] {
        auto sync = segment->segment->sync();
        if (!sync) return report(in_context(std::move(sync.failure()), what));
        int done = act(**sync);
        return done < 0 ? failed(done) : done;
    });
}

template <typename Attempt>
int wait(shmd_segment* segment, std::int64_t timeout_usec, const char* what, Access access, const Attempt& attempt) noexcept {
    if (!segment) return null_pointer();
    if (timeout_usec < -1) return report(EINVAL, no_timeout);
    return guarded([&] {
        auto sync = segment->segment->sync();
        if (!sync) return report(in_context(std::move(sync.failure()), what));
        if (access == Access::write && !(*sync)->core.writable) return failed(-EACCES);
        auto waited = segment->segment->wait(**sync, timeout_usec, attempt);
        if (!waited) return report(in_context(std::move(waited.failure()), what));
        return *waited < 0 ? failed(*waited) : *waited;
    });
}

// It may have been taken away since.
bool holds(const Sync& sync, std::uint64_t& word, const HeldBy& holder) noexcept {
    return holder.me() && shmd_sync_holder(__atomic_load_n(&word, __ATOMIC_RELAXED)) == sync.core.attachment;
}

int take_mutex(shmd_segment* segment, std::int64_t timeout_usec) noexcept {
    return wait(segment, timeout_usec, "lock the segment", Access::write, [&](Sync& sync, std::int64_t deadline) {
        HeldBy& holder = segment->segment->mutex().holder();
        if (holds(sync, sync.core.area->mutex, holder)) return -EDEADLK;
        int taken = shmd_sync_lock(&sync.core, deadline);
        if (taken >= 0) holder.taken();
        return taken;
    });
}

Sync* ready_to_write(shmd_segment* segment) noexcept {
    Sync* sync = segment->segment->ready_sync();
    return sync && sync->core.writable ? sync : nullptr;
}

template <typename Unlock>
int give_back(shmd_segment* segment, const Unlock& unlock) noexcept {
    if (!segment) return null_pointer();
    Sync* sync = ready_to_write(segment);
    int done = sync ? unlock(*sync) : -EPERM;
    return done == 0 ? 0 : failed(done);
}

}  // namespace

int shmd_lock(shmd_segment* segment, int64_t timeout_usec) {
    if (segment && timeout_usec >= -1 && segment->segment->mutex().take()) return 0;
    return take_mutex(segment, timeout_usec);
}

int shmd_unlock(shmd_segment* segment) {
    if (segment && segment->segment->mutex().give_back()) return 0;
    return give_back(segment, [](Sync& sync) { return shmd_sync_unlock(&sync.core); });
}

int shmd_read_lock(shmd_segment* segment, int64_t timeout_usec) {
    if (Sync* sync = segment ? ready_to_write(segment) : nullptr) {
        int taken = shmd_sync_read_lock(&sync->core, SHMD_SYNC_NOW);
        if (taken >= 0) return taken;
    }
    return wait(segment, timeout_usec, "lock the segment for reading", Access::write, [](Sync& sync, std::int64_t deadline) {
        if (holds(sync, sync.core.area->rwlock, sync.writer)) return -EDEADLK;
        return shmd_sync_read_lock(&sync.core, deadline);
    });
}

int shmd_read_unlock(shmd_segment* segment) {
    return give_back(segment, [](Sync& sync) { return shmd_sync_read_unlock(&sync.core); });
}

int shmd_write_lock(shmd_segment* segment, int64_t timeout_usec) {
    if (Sync* sync = segment ? ready_to_write(segment) : nullptr) {
        int taken = shmd_sync_write_lock(&sync->core, SHMD_SYNC_NOW);
        if (taken >= 0) sync->writer.taken();
        if (taken >= 0) return taken;
    }
    // Readers are kept out from the first attempt on that could do so, until the wait is over.
    Sync* closed = nullptr;
    int locked = 0;
    int done = wait(segment, timeout_usec, "lock the segment for writing", Access::write, [&](Sync& sync, std::int64_t deadline) {
        if (!closed) {
            if (holds(sync, sync.core.area->rwlock, sync.writer)) return -EDEADLK;
            locked = shmd_sync_close_to_readers(&sync.core, deadline);
            if (locked < 0) return locked;
            closed = &sync;
        }
        int alone = shmd_sync_await_readers(&sync.core, deadline);
        return alone < 0 ? alone : locked;
    });
    if (done >= 0) {
        closed->writer.taken();
    } else if (closed) {
        (void)shmd_sync_write_unlock(&closed->core);
    }
    return done;
}

int shmd_write_unlock(shmd_segment* segment) {
    return give_back(segment, [](Sync& sync) {
        sync.writer.given_back();
        return shmd_sync_write_unlock(&sync.core);
    });
}

int shmd_make_consistent(shmd_segment* segment) {
    return with_sync(segment, "call the segment consistent", [segment](Sync& sync) {
        const HeldBy& mutex = segment->segment->mutex().holder();
        // Those that other threads took are none of its business, unless one of them has left it to this one.
        bool of_others = !mutex.me() && !sync.writer.me();
        int done = -EPERM;
        if (mutex.me() || (of_others && mutex.somebody())) {
            done = shmd_sync_make_consistent(&sync.core, &sync.core.area->mutex);
            if (done == 0 && !sync.in_section) shmd_sync_close_section(&sync.core);
        }
        if (sync.writer.me() || (of_others && sync.writer.somebody())) {
            int writer = shmd_sync_make_consistent(&sync.core, &sync.core.area->rwlock);
            if (done != 0) done = writer;
        }
        return done;
    });
}

int shmd_begin_write(shmd_segment* segment, int64_t timeout_usec) {
    int locked = shmd_lock(segment, timeout_usec);
    if (locked < 0) return locked;
    Sync* sync = segment->segment->ready_sync();
    if (!sync) return failed(-EPERM);  // another thread has sealed the segment
    sync->in_section = true;
    shmd_sync_open_section(&sync->core);
    return locked;
}

int shmd_end_write(shmd_segment* segment) {
    return give_back(segment, [segment](Sync& sync) {
        sync.in_section = false;
        segment->segment->mutex().holder().given_back();
        return shmd_sync_end_write(&sync.core);
    });
}

int shmd_snapshot(shmd_segment* segment, uint64_t offset, void* buffer, size_t length, int64_t timeout_usec) {
    if (!segment || (!buffer && length > 0)) return null_pointer();
    std::uint64_t size = shmd_size(segment);
    if (offset > size || length > size - offset) return report(EINVAL, "it goes beyond the segment's size");
    const char* from = static_cast<const char*>(shmd_data(segment)) + offset;
    return wait(segment, timeout_usec, "read a snapshot", Access::read, [&](Sync& sync, std::int64_t deadline) {
        return shmd_sync_snapshot(&sync.core, buffer, from, length, deadline);
    });
}

int shmd_begin_read(shmd_segment* segment, int64_t timeout_usec, uint64_t* sequence) {
    if (!sequence) return null_pointer();
    return wait(segment, timeout_usec, "read the segment", Access::read, [&](Sync& sync, std::int64_t deadline) {
        return shmd_sync_begin_read(&sync.core, deadline, sequence);
    });
}

int shmd_end_read(shmd_segment* segment, uint64_t sequence) {
    if (!segment) return null_pointer();
    Sync* sync = segment->segment->ready_sync();
    if (sync && shmd_sync_end_read(&sync->core, sequence)) return 0;
    return report(EAGAIN, "somebody wrote meanwhile: read again");
}

int shmd_get_version(shmd_segment* segment, uint64_t* version) {
    if (!version) return null_pointer();
    return with_sync(segment, "learn the segment's version", [&](Sync& sync) {
        *version = shmd_sync_version(&sync.core);
        return 0;
    });
}

int shmd_notify(shmd_segment* segment, uint64_t* version) {
    Sync* ready = segment ? segment->segment->ready_sync() : nullptr;
    if (ready && ready->core.writable) {
        std::uint64_t now = shmd_sync_notify(&ready->core);
        if (version) *version = now;
        return 0;
    }
    return with_sync(segment, "notify of the segment", [&](Sync& sync) {
        if (!sync.core.writable) return -EACCES;
        std::uint64_t now = shmd_sync_notify(&sync.core);
        if (version) *version = now;
        return 0;
    });
}

int shmd_wait(shmd_segment* segment, uint64_t after, int64_t timeout_usec, uint64_t* version) {
    return wait(segment, timeout_usec, "wait for the segment's version", Access::read, [&](Sync& sync, std::int64_t deadline) {
        std::uint64_t now = 0;
        int waited = shmd_sync_wait(&sync.core, after, deadline, &now);
        if (waited == 0 && version) *version = now;
        return waited;
    });
}

int shmd_notification_fd(shmd_segment* segment) {
    if (!segment) return null_pointer();
    return guarded([&] {
        auto sync = segment->segment->sync();
        if (!sync) return report(in_context(std::move(sync.failure()), "wait for the segment's version"));
        auto fd = (*sync)->notification_fd();
        return fd ? *fd : report(in_context(std::move(fd.failure()), "wait for the segment's version"));
    });
}
