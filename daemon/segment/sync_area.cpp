#include "sync_area.hpp"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <utility>

#include "lost_pages.hpp"

namespace shmd {
namespace {

// Whoever changes a word that a dead attachment holds only adds WAITERS to it. More attempts than there are processes that
// wait are needed only where somebody writes there at random.
constexpr int most_attempts = 1000;

template <typename T>
T load(T& place) {
    return std::atomic_ref(place).load();
}

void wake_all(std::uint32_t* futex) {
    (void)::syscall(SYS_futex, futex, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::uint32_t holder_of(std::uint64_t word) {
    return static_cast<std::uint32_t>(word & SHMD_SYNC_HOLDER);
}

template <typename Ended>
void give_back_lock(std::uint64_t& word, const Ended& ended) {
    for (int attempt = 0; attempt < most_attempts; attempt++) {
        std::uint64_t seen = load(word);
        if (holder_of(seen) == 0 || !ended(holder_of(seen))) return;
        if (std::atomic_ref(word).compare_exchange_strong(seen, SHMD_SYNC_OWNER_DIED)) return;
    }
}

}  // namespace

Result<SyncArea> SyncArea::create(UniqueFd blank) {
    auto memory = Memory::create("sync", bytes, {.sealable = false}, std::move(blank));
    if (!memory) return std::move(memory).error();
    if (auto reserved = Reservation(*memory, Reserve::allocate, 0, bytes).finish(); !reserved) {
        return std::move(reserved).error();
    }
    auto area = map(*std::move(memory));
    if (area) area->area_->format = SHMD_SYNC_FORMAT;
    return area;
}

std::optional<SyncArea> SyncArea::adopt(UniqueFd fd) {
    auto memory = Memory::adopt(std::move(fd), bytes, {});
    if (!memory) return std::nullopt;
    auto area = map(*std::move(memory));
    return area ? std::optional(*std::move(area)) : std::nullopt;
}

Result<SyncArea> SyncArea::map(Memory memory) {
    auto area = memory.map();
    if (!area) return std::move(area).error();
    return SyncArea(std::make_shared<Memory>(std::move(memory)), static_cast<shmd_sync_area*>(*area));
}

SyncArea::SyncArea(SyncArea&& other) noexcept
    : memory_(std::move(other.memory_)), area_(std::exchange(other.area_, nullptr)) {}

SyncArea::~SyncArea() {
    if (area_) ::munmap(area_, bytes);
}

template <typename Ended>
void SyncArea::give_back(const Ended& ended) {
    (void)survives_lost_pages([&] {
        give_back_lock(area_->mutex, ended);
        give_back_lock(area_->rwlock, ended);
        for (std::uint32_t& slot : area_->slots) {
            std::uint32_t seen = load(slot);
            if (seen != 0 && ended(seen)) std::atomic_ref(slot).compare_exchange_strong(seen, 0);
        }
        std::atomic_ref(area_->drain).fetch_add(1);
    });
    // Always: the dead may have been woken in another's place, or have been about to wake.
    wake_all(shmd_sync_high_half(&area_->mutex));
    wake_all(shmd_sync_high_half(&area_->rwlock));
    wake_all(&area_->drain);
    wake_all(shmd_sync_low_half(&area_->version));
}

void SyncArea::release(std::uint32_t attachment) {
    give_back([attachment](std::uint32_t holder) { return holder == attachment; });
}

void SyncArea::recover(const std::function<bool(std::uint32_t attachment)>& lives) {
    give_back([&lives](std::uint32_t holder) { return !lives(holder); });
}

void SyncArea::set_read_only(std::uint32_t count) {
    (void)survives_lost_pages([&] {
        std::uint32_t once = load(area_->read_only) & SHMD_SYNC_READERS;
        std::atomic_ref(area_->read_only).store(count | (count > 0 ? SHMD_SYNC_READERS : once));
    });
}

}  // namespace shmd
