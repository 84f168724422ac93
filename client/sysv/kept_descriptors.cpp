#include "kept_descriptors.hpp"

#include <atomic>

namespace shmd::sysv {
namespace {

enum State : std::uint32_t { empty, full, in_change };

struct Place {
    std::atomic<std::uint32_t> state{empty};
    KeptDescriptor kept;
};

constinit Place places[most_kept];
constinit std::atomic<std::uint32_t> next_place{0};

bool claim(Place& place, std::uint32_t from) {
    return place.state.compare_exchange_strong(from, in_change, std::memory_order_acquire);
}

template <typename F>
void drop_where(const F& matches) {
    for (Place& place : places) {
        if (place.state.load(std::memory_order_relaxed) != full || !claim(place, full)) continue;
        bool drop = matches(place.kept);
        if (drop) place.kept.descriptor.close();
        place.state.store(drop ? empty : full, std::memory_order_release);
    }
}

}  // namespace

std::optional<KeptDescriptor> take_kept_descriptor(std::int32_t id, bool writable) {
    for (Place& place : places) {
        if (place.state.load(std::memory_order_relaxed) != full || !claim(place, full)) continue;
        bool found = place.kept.id == id && place.kept.writable == writable;
        KeptDescriptor kept = place.kept;
        place.state.store(found ? empty : full, std::memory_order_release);
        if (!found) continue;
        if (kept.descriptor.intact()) return kept;
        return std::nullopt;
    }
    return std::nullopt;
}

std::optional<std::int64_t> kept_segment(std::int32_t id, bool writable) {
    for (Place& place : places) {
        if (place.state.load(std::memory_order_relaxed) != full || !claim(place, full)) continue;
        bool found = place.kept.id == id && place.kept.writable == writable;
        const std::int64_t segment = place.kept.segment;
        place.state.store(full, std::memory_order_release);
        if (found) return segment;
    }
    return std::nullopt;
}

void keep_descriptor(const KeptDescriptor& kept) {
    KeptDescriptor closed = kept;
    if (kept.size_bytes > most_kept_bytes) return closed.descriptor.close();
    for (Place& place : places) {
        if (place.state.load(std::memory_order_relaxed) != empty || !claim(place, empty)) continue;
        place.kept = kept;
        place.state.store(full, std::memory_order_release);
        return;
    }
    Place& oldest = places[next_place++ % most_kept];
    if (!claim(oldest, full)) return closed.descriptor.close();
    oldest.kept.descriptor.close();
    oldest.kept = kept;
    oldest.state.store(full, std::memory_order_release);
}

void drop_kept_descriptors(std::int32_t id) {
    drop_where([&](const KeptDescriptor& kept) { return kept.id == id; });
}

void drop_kept_descriptors() {
    drop_where([](const KeptDescriptor&) { return true; });
}

}  // namespace shmd::sysv
