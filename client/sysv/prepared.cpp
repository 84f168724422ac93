#include "prepared.hpp"

#include <sys/shm.h>

#include <atomic>

namespace shmd::sysv {
namespace {

constexpr std::int64_t none = -1;

constinit std::atomic<std::int64_t> asked_about{none};   // what no shmat(2) has followed yet
constinit std::atomic<std::int64_t> flags_before{none};  // of the one that followed the last time

// Of each connection; whoever has taken that has this.
constinit Prepared of_links[most_links];
constinit std::atomic<std::int64_t> newest{none};  // its shmid

}  // namespace

std::optional<std::int32_t> note_question(std::int32_t id) {
    if (asked_about.exchange(id, std::memory_order_relaxed) != none) flags_before.store(none, std::memory_order_relaxed);
    const std::int64_t flags = flags_before.load(std::memory_order_relaxed);
    return flags != none ? std::optional(static_cast<std::int32_t>(flags)) : std::nullopt;
}

void note_attach(std::int32_t id, std::int32_t flags, bool ends_late) {
    if (asked_about.exchange(none, std::memory_order_relaxed) != id) return;
    const bool usual = ends_late && (flags == 0 || flags == SHM_RDONLY);
    flags_before.store(usual ? flags : none, std::memory_order_relaxed);
}

void keep_prepared(const Link& link, const Prepared& prepared) {
    of_links[link.place()] = prepared;
    if (prepared.attachment != 0) newest.store(prepared.id, std::memory_order_relaxed);
}

std::optional<Prepared> take_prepared(const Link& link, std::int32_t id, std::int32_t flags) {
    const Prepared taken = of_links[link.place()];
    of_links[link.place()] = {};
    newest.store(none, std::memory_order_relaxed);
    const bool fits = taken.attachment != 0 && taken.link == link.number() && taken.id == id && taken.flags == flags;
    return fits ? std::optional(taken) : std::nullopt;
}

bool may_be_prepared(std::int32_t id) {
    return newest.load(std::memory_order_relaxed) == id;
}

void forget_prepared() {
    for (Prepared& each : of_links) each = {};
    newest.store(none, std::memory_order_relaxed);
}

}  // namespace shmd::sysv
