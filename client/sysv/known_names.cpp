#include "known_names.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string_view>

#include "system_v_message.hpp"

namespace shmd::sysv {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t most_known = 16;

// As the daemon lays it out.
struct Counts {
    std::uint64_t names;
    std::uint64_t removals;
};

// The page of the daemon that these connections go to, by the place of each. Never unmapped: a call in another thread may be
// reading; the next one takes its place.
constinit std::atomic<const Counts*> page{nullptr};
constinit std::atomic<std::uint32_t> page_links[most_links];
constinit ino_t page_inode = 0;
constinit std::atomic<bool> mapping{false};
constinit std::atomic<std::uint32_t> asked_for[most_links];
constinit std::atomic<std::uint64_t> removals_seen{0};

enum State : std::uint32_t { empty, full, in_change };

struct Known {
    std::atomic<std::uint32_t> state{empty};
    NameQuery query;
    std::uint32_t link = 0;
    std::uint64_t count = 0;
    std::int32_t id = 0;
};
constinit Known known[most_known];
constinit std::atomic<std::uint32_t> next_known{0};

// A connection that has ended has no number.
bool is_of(const Link& link) {
    return link.number() != 0 && page_links[link.place()].load(std::memory_order_acquire) == link.number();
}

std::uint64_t load(const std::uint64_t Counts::*which) {
    // After what was put into a detach queue: see the daemon's side.
    return __atomic_load_n(&(page.load(std::memory_order_acquire)->*which), __ATOMIC_SEQ_CST);
}

bool claim(Known& place, std::uint32_t from) {
    return place.state.compare_exchange_strong(from, in_change, std::memory_order_acquire);
}

void map_page(Link& link) {
    std::string_view reply;
    if (link.call(system_v::Message(system_v::Changes{}), reply) != 0 || system_v::take(reply) != 0) return;
    int fd = link.take_descriptor();
    if (fd < 0) return;
    struct stat status {};
    const Counts* old = page.load();
    // Each connection to one daemon is passed the same one.
    bool is_same = ::fstat(fd, &status) == 0 && old && status.st_ino == page_inode;
    if (!is_same) {
        for (auto& other : page_links) other.store(0, std::memory_order_relaxed);
        void* mapped = ::mmap(const_cast<Counts*>(old), page_bytes, PROT_READ, MAP_SHARED | (old ? MAP_FIXED : 0), fd, 0);
        if (mapped != MAP_FAILED) page.store(static_cast<const Counts*>(mapped), std::memory_order_release);
        page_inode = mapped != MAP_FAILED ? status.st_ino : 0;
    }
    ::close(fd);
    if (page_inode != 0) page_links[link.place()].store(link.number(), std::memory_order_release);
}

}  // namespace

std::uint64_t names_count(const Link& link) {
    return is_of(link) ? load(&Counts::names) : 0;
}

std::optional<std::int32_t> known_name(const Link& link, const NameQuery& query) {
    if (!is_of(link)) return std::nullopt;
    for (Known& place : known) {
        if (place.state.load(std::memory_order_relaxed) != full || !claim(place, full)) continue;
        bool found = place.query == query && place.link == link.number();
        std::int32_t id = place.id;
        std::uint64_t count = place.count;
        place.state.store(full, std::memory_order_release);
        if (!found) continue;
        if (count != names_count(link) || !link.is_alive()) return std::nullopt;
        return id;
    }
    return std::nullopt;
}

void remember_name(const Link& link, const NameQuery& query, std::uint64_t count, std::int32_t id) {
    if (count == 0) return;
    Known* place = nullptr;
    for (Known& each : known) {
        std::uint32_t state = each.state.load(std::memory_order_relaxed);
        if (state == empty || (state == full && each.query == query)) place = &each;
    }
    if (!place) place = &known[next_known++ % most_known];
    std::uint32_t state = place->state.load(std::memory_order_relaxed);
    if (state == in_change || !claim(*place, state)) return;
    place->query = query;
    place->link = link.number();
    place->count = count;
    place->id = id;
    place->state.store(full, std::memory_order_release);
}

void want_change_page(Link& link) {
    if (is_of(link)) return;
    // The first call of a connection may be its only one.
    if (asked_for[link.place()].exchange(link.number()) != link.number() || mapping.exchange(true)) return;
    map_page(link);
    mapping.store(false);
}

bool something_was_removed(const Link& link) {
    if (!is_of(link)) return false;
    std::uint64_t now = load(&Counts::removals);
    return removals_seen.exchange(now) != now;
}

}  // namespace shmd::sysv
