#include "attachments.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <string_view>

#include "detach_queue.h"
#include "detach_queues.hpp"
#include "kept_descriptors.hpp"
#include "link.hpp"
#include "prepared.hpp"
#include "system_v_message.hpp"

namespace shmd::sysv {
namespace {

constexpr std::uintptr_t no_address = 0;
constexpr std::uintptr_t in_change = 1;
constexpr std::size_t table_page = 256;
constexpr std::size_t owner_bytes = 4096;

// Pages of the table, each followed by the next. None is ever given up.
struct Table {
    Piece entries[table_page];
    std::atomic<std::size_t> used{0};  // those behind have never been
    std::atomic<Table*> next{nullptr};
};

constinit Table first_table;
// The process that all this is of: in memory that the kernel clears for a child, however that is made.
constinit std::atomic<pid_t> unwiped_owner{0};
constinit std::atomic<pid_t>* owner = &unwiped_owner;

Table* add_table(Table& last) {
    void* memory = ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto* fresh = new (memory) Table;
    Table* none = nullptr;
    if (last.next.compare_exchange_strong(none, fresh)) return fresh;
    ::munmap(memory, sizeof(Table));
    return none;
}

// Calls back with every entry that was ever used until it says true.
template <typename F>
bool any_entry(const F& visit) {
    for (Table* table = &first_table; table; table = table->next.load(std::memory_order_acquire)) {
        const std::size_t used = table->used.load(std::memory_order_acquire);
        for (std::size_t i = 0; i < used; i++) {
            if (visit(table->entries[i])) return true;
        }
    }
    return false;
}

void note_used(Table& table, std::size_t count) {
    std::size_t used = table.used.load();
    while (used < count && !table.used.compare_exchange_weak(used, count)) continue;
}

bool is_used(std::uintptr_t address) {
    return address > in_change;
}

constinit std::atomic<std::uint32_t> last_number{0};

// Puts a piece in. False when there is no memory for it.
bool put_in(const Piece& piece, std::uintptr_t address) {
    auto claim = [&](Piece& entry) {
        std::uintptr_t expected = no_address;
        if (!entry.address.compare_exchange_strong(expected, in_change, std::memory_order_acquire)) return false;
        entry.begin = piece.begin;
        entry.bytes = piece.bytes;
        entry.segment = piece.segment;
        entry.number = piece.number;
        entry.daemons = piece.daemons;
        entry.address.store(address, std::memory_order_release);
        return true;
    };
    Table* table = &first_table;
    for (;;) {
        for (std::size_t i = 0; i < table_page; i++) {
            if (!claim(table->entries[i])) continue;
            note_used(*table, i + 1);
            return true;
        }
        Table* next = table->next.load(std::memory_order_acquire);
        if (!next && !add_table(*table)) return false;
        table = table->next.load(std::memory_order_acquire);
    }
}

bool begin_change(Piece& entry, std::uintptr_t address) {
    return entry.address.compare_exchange_strong(address, in_change, std::memory_order_acquire);
}

bool has_pieces(std::uint32_t number) {
    return any_entry([&](const Piece& entry) {
        return is_used(entry.address.load(std::memory_order_acquire)) && entry.number == number;
    });
}

}  // namespace

bool note_attached(std::uintptr_t address, std::size_t bytes, std::int64_t segment, const DaemonsPart& daemons) {
    Piece whole;
    whole.begin = address;
    whole.bytes = bytes;
    whole.segment = segment;
    whole.number = ++last_number;
    whole.daemons = daemons;
    return put_in(whole, address);
}

bool unmap_attached(std::uintptr_t address, Detaching& detaching, DaemonsPart& ended) {
    std::int64_t& segment = detaching.segment;
    if (!is_used(address)) return false;
    if (segment == 0) detaching.newest = last_number.load();
    // What another thread is given at the same address, once it is free, is newer.
    auto began_here = [&](const Piece& entry) {
        return entry.address.load(std::memory_order_acquire) == address &&
               static_cast<std::int32_t>(entry.number - detaching.newest) <= 0;
    };
    std::uintptr_t lowest = UINTPTR_MAX;
    any_entry([&](const Piece& entry) {
        if (segment == 0 && began_here(entry)) lowest = std::min(lowest, entry.begin);
        return false;
    });
    any_entry([&](const Piece& entry) {
        if (segment == 0 && began_here(entry) && entry.begin == lowest) segment = entry.segment;
        return false;
    });
    return any_entry([&](Piece& entry) {
        if (!began_here(entry) || entry.segment != segment || !begin_change(entry, address)) return false;
        ::munmap(reinterpret_cast<void*>(entry.begin), entry.bytes);
        const std::uint32_t number = entry.number;
        ended = entry.daemons;
        entry.address.store(no_address, std::memory_order_release);
        return !has_pieces(number);
    });
}

bool make_room(std::uintptr_t begin, std::size_t bytes, DaemonsPart& ended) {
    const std::uintptr_t end = begin + bytes;
    return any_entry([&](Piece& entry) {
        std::uintptr_t address = entry.address.load(std::memory_order_acquire);
        if (!is_used(address) || entry.begin >= end || entry.begin + entry.bytes <= begin) return false;
        if (!begin_change(entry, address)) return false;
        const std::uintptr_t entry_end = entry.begin + entry.bytes;
        Piece behind;
        behind.begin = end;
        behind.bytes = entry_end > end ? entry_end - end : 0;
        behind.segment = entry.segment;
        behind.number = entry.number;
        behind.daemons = entry.daemons;
        std::size_t before = entry.begin < begin ? begin - entry.begin : 0;
        if (before > 0) {
            entry.bytes = before;
            entry.address.store(address, std::memory_order_release);
        } else {
            entry.address.store(no_address, std::memory_order_release);
        }
        // What there is no memory to note stays mapped for ever, as it would without a shmdt().
        if (behind.bytes > 0) (void)put_in(behind, address);
        if (has_pieces(behind.number)) return false;
        ended = behind.daemons;
        return true;
    });
}

// ---- Connections that end ----

namespace {

// What an earlier daemon may not have ended before its own end.
void end_what_was_left(Link& link) {
    std::uint32_t left[SHMD_DETACH_QUEUE_PLACES];
    while (std::size_t count = take_left(left)) {
        std::string_view reply;
        system_v::Attachments taken;
        auto resume = system_v::Message::resume({left, count}, true);
        if (link.call(resume, reply) != 0 || system_v::take(reply, taken) != 0) return;
        for (std::size_t i = 0; i < taken.count; i++) {
            if (link.call(system_v::Message(system_v::Detach{taken.ids[i]}, false), reply) != 0) return;
        }
    }
}

// What an earlier daemon may not have begun before its own end. All pieces of it.
void attach_again(Link& link, const Piece& piece) {
    const DaemonsPart before = piece.daemons;
    std::string_view reply;
    system_v::AttachReply granted;
    const system_v::Message attach(system_v::Attach{*before.begun_id, before.begun_flags, piece.segment, std::nullopt});
    bool done = link.call(attach, reply) == 0 && system_v::take(reply, granted) == 0 && granted.attachment;
    // That of another segment has come with a descriptor.
    if (done && granted.file_descriptor) {
        (void)link.call(system_v::Message(system_v::Detach{*granted.attachment}, false), reply);
        done = false;
    }
    any_entry([&](Piece& entry) {
        bool same = is_used(entry.address.load(std::memory_order_acquire)) && entry.daemons.attachment == before.attachment &&
                    entry.daemons.link == before.link;
        if (same) entry.daemons = done ? DaemonsPart{*granted.attachment, link.number(), 0} : DaemonsPart{};
        return false;
    });
}

}  // namespace

void take_up_again(Link& link) {
    end_what_was_left(link);
    std::uint32_t wanted[system_v::message_attachments];
    for (;;) {
        std::size_t count = 0;
        any_entry([&](const Piece& entry) {
            bool lost = is_used(entry.address.load(std::memory_order_acquire)) && entry.daemons.attachment != 0 &&
                        !Link::is_there(entry.daemons.link);
            if (lost) wanted[count++] = entry.daemons.attachment;
            return count == system_v::message_attachments;
        });
        if (count == 0) return;
        auto resume = system_v::Message::resume({wanted, count}, count == system_v::message_attachments);
        std::string_view reply;
        system_v::Attachments taken;
        if (link.call(resume, reply) != 0 || system_v::take(reply, taken) != 0) return;
        any_entry([&](Piece& entry) {
            bool asked = std::find(wanted, wanted + count, entry.daemons.attachment) != wanted + count;
            if (!asked || !is_used(entry.address.load(std::memory_order_acquire))) return false;
            bool has = std::find(taken.ids, taken.ids + taken.count, entry.daemons.attachment) != taken.ids + taken.count;
            if (has) {
                entry.daemons = {entry.daemons.attachment, link.number(), 0};
            } else if (entry.daemons.begun_id) {
                attach_again(link, entry);
            } else {
                entry.daemons = {};
            }
            return false;
        });
    }
}

// ---- fork(2) ----
//
// The kernel counts the child's attachments before fork() returns. So the parent has them made before it forks, on a connection
// that only the child keeps: it ends with the child, however that ends, and at once if there never is one.

namespace {

struct Fork {
    Link* link = nullptr;  // null: there is nothing to inherit, or nobody to ask
};
thread_local constinit Fork forking;

struct Inheritance {
    std::uint32_t parents[system_v::message_attachments];
    system_v::Attachments childs;
};

// A child's attachments by its parent's, kept from before the fork until after it. Pages of it as needed.
struct Pairs {
    Inheritance page;
    std::size_t count = 0;
    Pairs* next = nullptr;
};
thread_local constinit Pairs* pairs = nullptr;

void drop_pairs() {
    while (pairs) {
        Pairs* next = pairs->next;
        ::munmap(pairs, sizeof(Pairs));
        pairs = next;
    }
}

bool inherit(Link& link, Pairs& some) {
    auto message = system_v::Message::inherit({some.page.parents, some.count});
    std::string_view reply;
    return link.call(message, reply) == 0 && system_v::take(reply, some.page.childs) == 0 &&
           some.page.childs.count == some.count;
}

// Pieces of one attachment have it together.
bool is_asked_for(std::uint32_t attachment) {
    for (const Pairs* some = pairs; some; some = some->next) {
        const auto& ids = some->page.parents;
        if (std::find(ids, ids + some->count, attachment) != ids + some->count) return true;
    }
    return false;
}

void before_fork() {
    forking = {};
    Pairs* current = nullptr;
    bool failed = false;
    auto flush = [&] {
        if (!forking.link) forking.link = Link::make_for_child();
        failed = !forking.link || !inherit(*forking.link, *current);
        if (failed) current->count = 0;
    };
    any_entry([&](const Piece& entry) {
        if (!is_used(entry.address.load(std::memory_order_acquire)) || entry.daemons.attachment == 0) return false;
        if (is_asked_for(entry.daemons.attachment)) return false;
        if (!current || current->count == system_v::message_attachments) {
            if (current) flush();
            void* memory = failed ? MAP_FAILED
                                  : ::mmap(nullptr, sizeof(Pairs), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (memory == MAP_FAILED) return true;
            current = new (memory) Pairs;
            current->next = pairs;
            pairs = current;
        }
        current->page.parents[current->count++] = entry.daemons.attachment;
        return false;
    });
    if (current && !failed) flush();
}

void in_parent() {
    if (forking.link) forking.link->give_away();
    drop_pairs();
}

std::uint32_t childs_of(std::uint32_t parents) {
    for (const Pairs* some = pairs; some; some = some->next) {
        const auto& ids = some->page.parents;
        const auto* found = std::find(ids, ids + some->count, parents);
        if (found != ids + some->count) return some->page.childs.ids[found - ids];
    }
    return 0;
}

// The only thread. What others were in the middle of changing is as good as not there.
void in_child() {
    Link::keep_only(forking.link);
    drop_kept_descriptors();
    forget_detach_queues();
    forget_prepared();
    std::uint32_t number = forking.link ? forking.link->number() : 0;
    any_entry([&](Piece& entry) {
        std::uintptr_t address = entry.address.load(std::memory_order_relaxed);
        if (address == in_change) entry.address.store(no_address, std::memory_order_relaxed);
        if (!is_used(address)) return false;
        entry.daemons = {entry.daemons.attachment != 0 ? childs_of(entry.daemons.attachment) : 0, number, 0};
        return false;
    });
    owner->store(::getpid());
    if (forking.link) {
        (void)forking.link->send(system_v::Message(system_v::Claim{}));
        forking.link->release();
    }
    drop_pairs();
}

}  // namespace

void register_fork_handlers() {
    void* page = ::mmap(nullptr, owner_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // Before Linux 4.14 it is not known: then the id tells.
    if (page != MAP_FAILED && ::madvise(page, owner_bytes, MADV_WIPEONFORK) == 0) owner = new (page) std::atomic<pid_t>(0);
    owner->store(::getpid());
    (void)::pthread_atfork(before_fork, in_parent, in_child);
}

void forget_if_forked() {
    pid_t known = owner->load(std::memory_order_relaxed);
    if (known != 0 && owner != &unwiped_owner) return;
    pid_t process = ::getpid();
    if (known == process) return;
    Link::keep_only(nullptr);
    drop_kept_descriptors();
    forget_detach_queues();
    forget_prepared();
    any_entry([](Piece& entry) {
        entry.daemons = {};
        return false;
    });
    owner->store(process);
}

}  // namespace shmd::sysv
