#include "sync.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace shmd::client {
namespace {

constexpr std::int64_t look_again_nsec = 1'000'000'000;

std::string words_of(int error) {
    return std::generic_category().message(error);
}

// What is touched must be there.
bool is_area(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != SHMD_SYNC_BYTES) return false;
    int seals = ::fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

}  // namespace

Outcome<std::unique_ptr<Sync>> Sync::map(const UniqueFd& area, std::uint32_t attachment, Access access) {
    if (!is_area(area.get())) return nonsense("its descriptor is not a sync area");
    int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
    void* data = ::mmap(nullptr, SHMD_SYNC_BYTES, protection, MAP_SHARED, area.get(), 0);
    int error = errno;
    if (data == MAP_FAILED) return Failure{error, "its sync area cannot be mapped: " + words_of(error)};
    std::unique_ptr<Sync> sync(new Sync(static_cast<shmd_sync_area*>(data), attachment, access));
    if (sync->core.area->format != SHMD_SYNC_FORMAT) {
        return Failure{ENOTSUP, "its sync area has format " + std::to_string(sync->core.area->format) +
                                    ", which this version does not know"};
    }
    return sync;
}

Sync::Sync(shmd_sync_area* area, std::uint32_t attachment, Access access)
    : core{area, attachment, access == Access::write, 0, 0, 0, {}}, process_(process_mark()) {}

Sync::~Sync() {
    // A child has no such thread.
    if (event_ && ours()) {
        shmd_sync_cancel(&stop_);
        ::pthread_join(thread_, nullptr);
    }
    ::munmap(core.area, SHMD_SYNC_BYTES);
}

bool Sync::ours() const noexcept {
    return process_ == process_mark();
}

Outcome<int> Sync::notification_fd() {
    std::lock_guard lock(notifier_mutex_);
    if (event_) return event_.get();
    UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int error = errno;
    if (!event) return Failure{error, "no descriptor can be made for it: " + words_of(error)};
    event_ = std::move(event);
    seen_ = shmd_sync_version(&core);
    // Signals are the program's.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    error = ::pthread_create(&thread_, nullptr, serve, this);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error == 0) return event_.get();
    event_.reset();
    return Failure{error, "no thread can be made for it: " + words_of(error)};
}

void* Sync::serve(void* self) {
    auto& sync = *static_cast<Sync*>(self);
    const std::uint64_t one = 1;
    for (;;) {
        std::uint64_t version = 0;
        int waited = shmd_sync_wait_cancellable(&sync.core, sync.seen_, shmd_sync_now() + look_again_nsec, &sync.stop_, &version);
        if (waited == 0) {
            sync.seen_ = version;
            // It can only be full, and is readable then.
            if (::write(sync.event_.get(), &one, sizeof one) < 0) continue;
        } else if (waited != -ETIMEDOUT && waited != -EINTR) {
            // Whoever looks then learns why.
            if (waited != -ECANCELED) (void)!::write(sync.event_.get(), &one, sizeof one);
            return nullptr;
        }
    }
}

}  // namespace shmd::client
