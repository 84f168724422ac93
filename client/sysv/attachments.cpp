#include "attachments.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "kept_descriptors.hpp"
#include "link.hpp"
#include "system_v_message.hpp"

namespace shmd::sysv {
namespace {

constexpr std::uintptr_t no_address = 0;
constexpr std::uintptr_t in_change = 1;
constexpr std::size_t table_page = 256;

// Pages of the table, each followed by the next. None is ever given up.
struct Table {
    Attached entries[table_page];
    std::atomic<Table*> next{nullptr};
};

constinit Table first_table;
constinit std::atomic<pid_t> owner{0};

Table* add_table(Table& last) {
    void* memory = ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto* fresh = new (memory) Table;
    Table* none = nullptr;
    if (last.next.compare_exchange_strong(none, fresh)) return fresh;
    ::munmap(memory, sizeof(Table));
    return none;
}

// Calls back with every entry until it says true.
template <typename F>
bool any_entry(const F& visit) {
    for (Table* table = &first_table; table; table = table->next.load(std::memory_order_acquire)) {
        for (Attached& entry : table->entries) {
            if (visit(entry)) return true;
        }
    }
    return false;
}

bool take_out(Attached& entry, std::uintptr_t address, Attached& out) {
    if (!entry.address.compare_exchange_strong(address, in_change, std::memory_order_acquire)) return false;
    out.address.store(address, std::memory_order_relaxed);
    out.bytes = entry.bytes;
    out.attachment = entry.attachment;
    out.link = entry.link;
    entry.address.store(no_address, std::memory_order_release);
    return true;
}

bool is_used(std::uintptr_t address) {
    return address > in_change;
}

}  // namespace

bool note_attached(std::uintptr_t address, std::size_t bytes, std::uint32_t attachment, std::uint32_t link) {
    auto claim = [&](Attached& entry) {
        std::uintptr_t expected = no_address;
        if (!entry.address.compare_exchange_strong(expected, in_change, std::memory_order_acquire)) return false;
        entry.bytes = bytes;
        entry.attachment = attachment;
        entry.link = link;
        entry.address.store(address, std::memory_order_release);
        return true;
    };
    for (;;) {
        if (any_entry(claim)) return true;
        Table* last = &first_table;
        while (Table* next = last->next.load(std::memory_order_acquire)) last = next;
        if (!add_table(*last)) return false;
    }
}

bool take_attached(std::uintptr_t address, Attached& out) {
    if (!is_used(address)) return false;
    return any_entry([&](Attached& entry) {
        return entry.address.load(std::memory_order_acquire) == address && take_out(entry, address, out);
    });
}

bool take_attached_within(std::uintptr_t begin, std::size_t bytes, Attached& out) {
    return any_entry([&](Attached& entry) {
        std::uintptr_t address = entry.address.load(std::memory_order_acquire);
        bool within = is_used(address) && address >= begin && address + entry.bytes <= begin + bytes;
        return within && take_out(entry, address, out);
    });
}

void unmap_around_others(std::uintptr_t address, std::size_t bytes) {
    const std::uintptr_t end = address + bytes;
    while (address < end) {
        // The lowest that is not ours from here on.
        std::uintptr_t other = end;
        std::uintptr_t other_end = end;
        any_entry([&](const Attached& entry) {
            std::uintptr_t begins = entry.address.load(std::memory_order_acquire);
            if (is_used(begins) && begins < other && begins + entry.bytes > address) {
                other = begins;
                other_end = begins + entry.bytes;
            }
            return false;
        });
        if (other > address) ::munmap(reinterpret_cast<void*>(address), other - address);
        address = other_end;
    }
}

// ---- Connections that end ----

void take_up_again(Link& link) {
    std::uint32_t wanted[system_v::message_attachments];
    for (;;) {
        std::size_t count = 0;
        any_entry([&](const Attached& entry) {
            bool lost = is_used(entry.address.load(std::memory_order_acquire)) && entry.attachment != 0 &&
                        !Link::is_there(entry.link);
            if (lost) wanted[count++] = entry.attachment;
            return count == system_v::message_attachments;
        });
        if (count == 0) return;
        auto resume = system_v::Message::resume({wanted, count}, count == system_v::message_attachments);
        std::string_view reply;
        system_v::Attachments taken;
        if (link.call(resume, reply) != 0 || system_v::take(reply, taken) != 0) return;
        any_entry([&](Attached& entry) {
            bool asked = std::find(wanted, wanted + count, entry.attachment) != wanted + count;
            if (!asked || !is_used(entry.address.load(std::memory_order_acquire))) return false;
            bool has = std::find(taken.ids, taken.ids + taken.count, entry.attachment) != taken.ids + taken.count;
            if (has) {
                entry.link = link.number();
            } else {
                entry.attachment = 0;
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
    Link* link = nullptr;
    bool complete = false;
};
thread_local constinit Fork forking;

// Has the attachments from `first` on made for the child; the new ones are noted where the old ones are only in the child.
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

void before_fork() {
    forking = {};
    Pairs* current = nullptr;
    bool failed = false;
    auto flush = [&] {
        if (!forking.link) forking.link = Link::make_for_child();
        failed = !forking.link || !inherit(*forking.link, *current);
        if (failed) current->count = 0;
    };
    any_entry([&](const Attached& entry) {
        if (!is_used(entry.address.load(std::memory_order_acquire)) || entry.attachment == 0) return false;
        if (!current || current->count == system_v::message_attachments) {
            if (current) flush();
            void* memory = failed ? MAP_FAILED
                                  : ::mmap(nullptr, sizeof(Pairs), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (memory == MAP_FAILED) return true;
            current = new (memory) Pairs;
            current->next = pairs;
            pairs = current;
        }
        current->page.parents[current->count++] = entry.attachment;
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
    std::uint32_t number = forking.link ? forking.link->number() : 0;
    any_entry([&](Attached& entry) {
        std::uintptr_t address = entry.address.load(std::memory_order_relaxed);
        if (address == in_change) entry.address.store(no_address, std::memory_order_relaxed);
        if (!is_used(address)) return false;
        entry.attachment = entry.attachment != 0 ? childs_of(entry.attachment) : 0;
        entry.link = number;
        return false;
    });
    owner.store(::getpid());
    if (forking.link) {
        (void)forking.link->send(system_v::Message(system_v::Claim{}));
        forking.link->release();
    }
    drop_pairs();
}

}  // namespace

void register_fork_handlers() {
    owner.store(::getpid());
    (void)::pthread_atfork(before_fork, in_parent, in_child);
}

void forget_if_forked() {
    pid_t process = ::getpid();
    if (owner.load(std::memory_order_relaxed) == process) return;
    Link::keep_only(nullptr);
    drop_kept_descriptors();
    any_entry([](Attached& entry) {
        entry.attachment = 0;
        return false;
    });
    owner.store(process);
}

}  // namespace shmd::sysv
