// shmget, shmat, shmdt and shmctl on shmd: what of them is decided in the process, in the order of the kernel's ipc/shm.c. What
// the daemon decides it decides at the call, or just before: nothing is remembered here that it could have changed its mind about.
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>

#include "attachments.hpp"
#include "daemon.hpp"
#include "detach_queues.hpp"
#include "kept_descriptors.hpp"
#include "known_names.hpp"
#include "limits.hpp"
#include "link.hpp"
#include "prepared.hpp"
#include "shmd/sysv.h"
#include "system_v_message.hpp"
#include "user_memory.hpp"

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif

namespace shmd::sysv {
namespace {

using system_v::Message;

// How a call is taken whose answer did not come because the daemon went away.
enum class Lost { again, fails };

// Makes a call, on a new connection when the old one has ended. 0 or an errno; `use` is given the connection and the reply.
template <typename F, typename G>
int make(const Message& message, Lost lost, const F& use, const G& prepare) {
    forget_if_forked();
    for (bool last = false;; last = true) {
        Link* link = Link::take();
        if (!link) return no_daemon(errno);
        prepare(*link);
        std::string_view reply;
        int error = link->call(message, reply);
        if (error == 0) error = use(*link, reply);
        link->release();
        bool harmless = error == EPIPE || (error == ECONNRESET && lost == Lost::again);
        if (error != EPIPE && error != ECONNRESET) return error;
        if (last || !harmless) return EIO;
    }
}

template <typename F>
int make(const Message& message, Lost lost, const F& use) {
    return make(message, lost, use, [](Link&) {});
}

template <typename Reply>
int ask(const Message& message, Lost lost, Reply& reply) {
    return make(message, lost, [&](Link&, std::string_view text) { return system_v::take(text, reply); });
}

int tell(const Message& message, Lost lost) {
    return make(message, lost, [](Link&, std::string_view text) { return system_v::take(text); });
}

template <typename T>
T failed(int error, T result) {
    errno = error;
    return result;
}

// ---- shmget ----

// An earlier answer, if it still holds.
bool get_known(NameQuery& query, std::int32_t& id) {
    forget_if_forked();
    Link* link = Link::take();
    if (!link) return false;
    query.user = link->user();
    query.group = link->group();
    auto known = known_name(*link, query);
    link->release();
    if (known) id = *known;
    return known.has_value();
}

int get(key_t key, std::size_t size, int flags) {
    constexpr auto most = static_cast<std::size_t>(limits::integer);
    // More than the kernel's own limit; what lies between it and ours is more than any machine has.
    bool beyond = size > SIZE_MAX - (std::size_t{1} << 24);
    // More than any file has, which the kernel finds only after all else.
    bool too_big_for_file = size > static_cast<std::size_t>(INT64_MAX);
    std::int64_t bytes = beyond ? -1 : static_cast<std::int64_t>(size > most ? most : size);
    bool opens = key != IPC_PRIVATE && (flags & (IPC_CREAT | IPC_EXCL)) != (IPC_CREAT | IPC_EXCL);
    NameQuery query{key, bytes, flags};
    system_v::GetReply reply;
    if (opens && get_known(query, reply.id)) return reply.id;
    std::uint64_t count = 0;
    auto take = [&](Link& link, std::string_view text) {
        int error = system_v::take(text, reply);
        if (error == 0 && opens) remember_name(link, query, count, reply.id);
        return error;
    };
    auto prepare = [&](Link& link) {
        query.user = link.user();
        query.group = link.group();
        if (!opens) return;
        want_change_page(link);
        count = names_count(link);
    };
    int error = make(Message(system_v::Get{key, bytes, flags}), opens ? Lost::again : Lost::fails, take, prepare);
    if (too_big_for_file && (flags & SHM_HUGETLB) == 0 && (error == ENOMEM || error == ENOSPC)) error = EINVAL;
    return error ? failed(error, -1) : reply.id;
}

// ---- shmat ----

// The daemon will look, whoever asks it, and nobody can have it changed what it knows of the segment but by a change that it
// counts.
bool may_be_left_in_queue(const DaemonsPart& ended) {
    if (!end_soon(ended.link, ended.attachment) || ended.names == 0) return false;
    const Link* link = Link::with_number(ended.link);
    // A daemon that has gone looks no more.
    return link && names_count(*link) == ended.names && link->is_alive();
}

// Without waiting for an answer, unless something else waits already: the daemon serves what one call of everybody has left
// before it tells how many are attached.
void end_attachment(const DaemonsPart& ended) {
    if (ended.attachment == 0 || may_be_left_in_queue(ended)) return;
    Link* link = Link::take();
    if (!link) return;
    const system_v::Detach detach{ended.attachment};
    bool told = !link->has_told() && link->send(Message(detach, true)) == 0;
    link->release();
    if (!told) (void)tell(Message(detach, false), Lost::again);
}

struct Place {
    std::uintptr_t address = 0;
    bool fixed = false;    // there, and not wherever there is room
    bool replace = false;  // whatever is there
};

// What the kernel makes of the address and the flags. 0 or an errno.
int place_of(const void* wish, int flags, Place& place) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    place.address = reinterpret_cast<std::uintptr_t>(wish);
    place.replace = (flags & SHM_REMAP) != 0;
    place.fixed = place.address != 0;
    if (!place.fixed) return place.replace ? EINVAL : 0;
    if (place.address % page == 0) return 0;
    if ((flags & SHM_RND) == 0) return EINVAL;
    place.address -= place.address % page;
    return place.address == 0 && place.replace ? EINVAL : 0;
}

// As many bytes as are mapped: whole pages, or whole huge pages.
std::size_t mapped_bytes(const Descriptor& memory, std::int64_t size) {
    auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (memory.block_bytes > page) page = memory.block_bytes;
    auto bytes = static_cast<std::size_t>(size);
    return (bytes + page - 1) / page * page;
}

void* reserve(std::uintptr_t address, std::size_t bytes) {
    return ::mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

// Where the kernel may put so much memory, so that huge pages of it, if it has any, are mapped as such and not by 512
// page faults each: at a multiple of their size. 0 for what is smaller. Should another thread take the room meanwhile, the
// kernel finds some other.
std::uintptr_t place_for(std::size_t bytes) {
    constexpr std::size_t huge_page = 2 << 20;
    if (bytes < huge_page || bytes > SIZE_MAX - huge_page) return 0;
    void* room = ::mmap(nullptr, bytes + huge_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return 0;
    ::munmap(room, bytes + huge_page);
    return (reinterpret_cast<std::uintptr_t>(room) + huge_page - 1) / huge_page * huge_page;
}

// Whether something is in the part of this range that lies within the address space: the kernel looks for that first.
bool is_occupied(std::uintptr_t address, std::size_t bytes, std::size_t page) {
    std::size_t within = 0;
    std::size_t beyond = bytes / page;
    while (beyond - within > 1) {
        const std::size_t middle = within + (beyond - within) / 2;
        void* room = reserve(address, middle * page);
        if (room == MAP_FAILED && errno == EEXIST) return true;
        (room == MAP_FAILED ? beyond : within) = middle;
        if (room != MAP_FAILED) ::munmap(room, middle * page);
    }
    return false;
}

// Takes the room at a fixed address, so that nothing can fail once the daemon has granted, which it notes. 0 or an errno.
int take_room(const Place& place, int id, int flags, std::size_t& reserved) {
    reserved = 0;
    if (!place.fixed) return 0;
    system_v::AttachReply probe;
    int error = ask(Message(system_v::Attach{id, flags, std::nullopt, true}), Lost::again, probe);
    if (error) return error;
    // The kernel gives the first page to root; here 0 is no address.
    if (place.address == 0) return EPERM;
    auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::size_t bytes = (static_cast<std::size_t>(probe.size_bytes) + page - 1) / page * page;
    if (!place.replace && place.address + static_cast<std::size_t>(probe.size_bytes) < place.address) return EINVAL;
    void* room = reserve(place.address, bytes);
    if (room == MAP_FAILED && errno == ENOMEM && !place.replace) return is_occupied(place.address, bytes, page) ? EINVAL : ENOMEM;
    if (room == MAP_FAILED) return errno != EEXIST ? errno : place.replace ? 0 : EINVAL;
    reserved = bytes;
    return 0;
}

struct Granted {
    system_v::AttachReply reply;
    KeptDescriptor memory;
    DaemonsPart daemons;
};

// Has the segment granted, with a descriptor that is at hand or that comes with the answer. 0 or an errno.
int ask_for_grant(int id, int flags, Granted& granted) {
    const bool writable = (flags & SHM_RDONLY) == 0;
    auto kept = take_kept_descriptor(id, writable);
    auto known = kept ? std::optional(kept->segment) : std::nullopt;
    std::uint64_t names = 0;
    auto prepare = [&](Link& link) {
        want_detach_queue(link);
        names = names_count(link);
    };
    auto take = [&](Link& link, std::string_view text) {
        if (something_was_removed(link)) drop_kept_descriptors();
        if (int refused = system_v::take(text, granted.reply)) return refused;
        if (!granted.reply.attachment || granted.reply.size_bytes < 1) return EIO;
        granted.daemons = {*granted.reply.attachment, link.number(), granted.reply.may_end_late == true ? names : 0};
        if (!granted.reply.file_descriptor) return kept ? 0 : EIO;
        int fd = link.take_descriptor();
        if (fd < 0) return EMFILE;
        granted.memory = {Descriptor::of(move_high(fd)), id, granted.reply.segment_id, writable, granted.reply.size_bytes};
        return 0;
    };
    int error = make(Message(system_v::Attach{id, flags, known, std::nullopt}), Lost::again, take, prepare);
    bool uses_kept = error == 0 && !granted.reply.file_descriptor;
    if (uses_kept) {
        granted.memory = *kept;
    } else if (kept) {
        kept->descriptor.close();
    }
    if (error != 0) end_attachment(granted.daemons);
    return error;
}

// What has been put in the queue to begin, and must not. Whoever asks about it has the daemon look there first.
void end_begun(Link& link, const Prepared& prepared) {
    if (end_soon(prepared.link, prepared.attachment)) return;
    std::string_view reply;
    (void)link.call(Message(system_v::Detach{prepared.attachment}, false), reply);
}

// What the daemon has prepared, when that still holds. Whoever changes anything about it counts that before looking whether it has
// begun.
bool begin_prepared(int id, int flags, Granted& granted) {
    forget_if_forked();
    Link* link = may_be_prepared(id) ? Link::take() : nullptr;
    if (!link) return false;
    const auto prepared = take_prepared(*link, id, flags);
    auto holds = [&] { return names_count(*link) == prepared->names; };
    auto kept = prepared && holds() ? take_kept_descriptor(id, (flags & SHM_RDONLY) == 0) : std::nullopt;
    const bool fits = kept && kept->segment == prepared->segment;
    const Begun begun = fits ? begin_soon(prepared->link, prepared->attachment) : Begun::no;
    const bool done = begun == Begun::yes && holds() && link->is_alive();
    // Before another thread can have something else prepared with this connection: the daemon knows it only until then.
    if (begun != Begun::no && !done) end_begun(*link, *prepared);
    link->release();
    if (done) {
        granted.reply = {prepared->size_bytes, prepared->segment, prepared->attachment, std::nullopt};
        granted.memory = *kept;
        granted.daemons = {prepared->attachment, prepared->link, prepared->names, id, flags};
    } else if (kept) {
        keep_descriptor(*kept);
    }
    return done;
}

// size: gets that of the segment, unless it is null.
void* at(int id, const void* wish, int flags, std::size_t* size) {
    void* const none = reinterpret_cast<void*>(-1);
    Place place;
    if (id < 0) return failed(EINVAL, none);
    if (int error = place_of(wish, flags, place)) return failed(error, none);
    std::size_t reserved = 0;
    if (int error = take_room(place, id, flags, reserved)) return failed(error, none);
    auto give_room_back = [&] {
        if (reserved != 0) ::munmap(reinterpret_cast<void*>(place.address), reserved);
    };

    Granted granted;
    const bool was_prepared = !place.fixed && begin_prepared(id, flags, granted);
    const int refused = was_prepared ? 0 : ask_for_grant(id, flags, granted);
    note_attach(id, flags, refused == 0 && granted.daemons.names != 0);
    if (refused) {
        give_room_back();
        return failed(refused, none);
    }
    const int fd = granted.memory.descriptor.fd;
    const std::size_t bytes = mapped_bytes(granted.memory.descriptor, granted.reply.size_bytes);
    int protection = PROT_READ | ((flags & SHM_RDONLY) == 0 ? PROT_WRITE : 0) | ((flags & SHM_EXEC) != 0 ? PROT_EXEC : 0);
    DaemonsPart replaced;
    while (place.replace && make_room(place.address, bytes, replaced)) end_attachment(replaced);
    const std::uintptr_t address = place.fixed ? place.address : place_for(bytes);
    void* data = ::mmap(reinterpret_cast<void*>(address), bytes, protection,
                        MAP_SHARED | (place.fixed ? MAP_FIXED : 0), fd, 0);
    int error = errno;
    keep_descriptor(granted.memory);
    bool mapped = data != MAP_FAILED;
    const auto begin = reinterpret_cast<std::uintptr_t>(data);
    if (mapped && note_attached(begin, bytes, granted.reply.segment_id, granted.daemons)) {
        if (size) *size = static_cast<std::size_t>(granted.reply.size_bytes);
        return data;
    }
    if (mapped) {
        ::munmap(data, bytes);
        error = ENOMEM;
    } else {
        give_room_back();
    }
    end_attachment(granted.daemons);
    return failed(error, none);
}

// ---- shmdt ----

int dt(const void* address) {
    forget_if_forked();
    int error = errno;
    Detaching detaching;
    DaemonsPart ended;
    while (unmap_attached(reinterpret_cast<std::uintptr_t>(address), detaching, ended)) end_attachment(ended);
    if (detaching.segment == 0) return failed(EINVAL, -1);
    errno = error;
    return 0;
}

// ---- shmctl ----

void fill(shmid_ds& out, const system_v::Status& status) {
    out = {};
    out.shm_perm.__key = status.key;
    out.shm_perm.uid = status.owner_uid;
    out.shm_perm.gid = status.owner_gid;
    out.shm_perm.cuid = status.creator_uid;
    out.shm_perm.cgid = status.creator_gid;
    out.shm_perm.mode = static_cast<decltype(out.shm_perm.mode)>(status.mode);
    out.shm_perm.__seq = static_cast<decltype(out.shm_perm.__seq)>(status.id / system_v::indexes);
    out.shm_segsz = static_cast<std::size_t>(status.size_bytes);
    out.shm_atime = status.attached_sec;
    out.shm_dtime = status.detached_sec;
    out.shm_ctime = status.changed_sec;
    out.shm_cpid = status.creator_pid;
    out.shm_lpid = status.last_pid;
    out.shm_nattch = static_cast<shmatt_t>(status.attachments);
}

int stat(const system_v::Stat& call, shmid_ds* buffer, bool result_is_id) {
    system_v::StatusReply reply;
    if (int error = ask(Message(call), Lost::again, reply)) return failed(error, -1);
    shmid_ds filled;
    fill(filled, *reply.status);
    if (!copy_out(buffer, filled)) return failed(EFAULT, -1);
    return result_is_id ? reply.status->id : 0;
}

// With the shmat() that follows prepared, if there will be one.
int stat_by_id(int id, shmid_ds* buffer) {
    system_v::Stat call{id, std::nullopt, std::nullopt};
    call.flags = note_question(id);
    if (call.flags) call.known = kept_segment(id, (*call.flags & SHM_RDONLY) == 0);
    if (!call.known) return stat({id, std::nullopt, std::nullopt}, buffer, false);
    system_v::StatusReply reply;
    std::uint64_t names = 0;
    auto prepare = [&](Link& link) {
        keep_prepared(link, {});
        names = names_count(link);
    };
    auto take = [&](Link& link, std::string_view text) {
        if (int refused = system_v::take(text, reply)) return refused;
        if (reply.prepared && names != 0) {
            keep_prepared(link, {id, *call.flags, *call.known, reply.status->size_bytes, *reply.prepared, link.number(), names});
        }
        return 0;
    };
    if (int error = make(Message(call), Lost::again, take, prepare)) return failed(error, -1);
    shmid_ds filled;
    fill(filled, *reply.status);
    return copy_out(buffer, filled) ? 0 : failed(EFAULT, -1);
}

int limits_info(shmid_ds* buffer) {
    system_v::InfoReply reply;
    if (int error = ask(Message(system_v::Info{}), Lost::again, reply)) return failed(error, -1);
    shminfo info{};
    info.shmmax = static_cast<unsigned long>(reply.bytes_limit);
    info.shmmin = 1;
    info.shmmni = info.shmseg = static_cast<unsigned long>(reply.segments_limit);
    info.shmall = static_cast<unsigned long>(reply.bytes_limit / ::sysconf(_SC_PAGESIZE));
    return copy_out(buffer, info) ? reply.highest_index : failed(EFAULT, -1);
}

int usage_info(shmid_ds* buffer) {
    system_v::InfoReply reply;
    if (int error = ask(Message(system_v::Info{}), Lost::again, reply)) return failed(error, -1);
    shm_info info{};
    info.used_ids = static_cast<int>(reply.segments);
    info.shm_tot = info.shm_rss = static_cast<unsigned long>(reply.bytes / ::sysconf(_SC_PAGESIZE));
    return copy_out(buffer, info) ? reply.highest_index : failed(EFAULT, -1);
}

int set(int id, const shmid_ds* buffer) {
    shmid_ds wanted;
    if (!copy_in(&wanted, buffer, sizeof wanted)) return failed(EFAULT, -1);
    system_v::Set call{id, wanted.shm_perm.uid, wanted.shm_perm.gid,
                       static_cast<std::int32_t>(wanted.shm_perm.mode & limits::mode_bits)};
    int error = tell(Message(call), Lost::again);
    return error ? failed(error, -1) : 0;
}

int remove(int id) {
    drop_kept_descriptors(id);
    int error = tell(Message(system_v::Remove{id}), Lost::again);
    return error ? failed(error, -1) : 0;
}

int lock(int id, bool locked) {
    int error = tell(Message(system_v::Lock{id, locked}), Lost::again);
    return error ? failed(error, -1) : 0;
}

int ctl(int id, int command, shmid_ds* buffer) {
    if (id < 0 || command < 0) return failed(EINVAL, -1);
    switch (command) {
        case IPC_INFO: return limits_info(buffer);
        case SHM_INFO: return usage_info(buffer);
        case IPC_STAT: return stat_by_id(id, buffer);
        case SHM_STAT: return stat({std::nullopt, id, std::nullopt}, buffer, true);
        case SHM_STAT_ANY: return stat({std::nullopt, id, true}, buffer, true);
        case IPC_SET: return set(id, buffer);
        case IPC_RMID: return remove(id);
        case SHM_LOCK: return lock(id, true);
        case SHM_UNLOCK: return lock(id, false);
        default: return failed(EINVAL, -1);
    }
}

// At the load of the library: what may not be done in a signal handler.
[[gnu::constructor]] void begin() {
    register_fork_handlers();
}

}  // namespace
}  // namespace shmd::sysv

using shmd::sysv::Server;

extern "C" {

int shmd_shmget(key_t key, size_t size, int flags) {
    if (shmd::sysv::server() == Server::kernel) return static_cast<int>(::syscall(SYS_shmget, key, size, flags));
    return shmd::sysv::get(key, size, flags);
}

void* shmd_shmat(int id, const void* address, int flags) {
    if (shmd::sysv::server() == Server::kernel) return reinterpret_cast<void*>(::syscall(SYS_shmat, id, address, flags));
    return shmd::sysv::at(id, address, flags, nullptr);
}

void* shmd_shmat_sized(int id, const void* address, int flags, size_t* size) {
    if (shmd::sysv::server() == Server::shmd) return shmd::sysv::at(id, address, flags, size);
    shmid_ds status;
    if (::syscall(SYS_shmctl, id, IPC_STAT, &status) != 0) return reinterpret_cast<void*>(-1);
    void* data = reinterpret_cast<void*>(::syscall(SYS_shmat, id, address, flags));
    if (data != reinterpret_cast<void*>(-1) && size) *size = status.shm_segsz;
    return data;
}

int shmd_shmdt(const void* address) {
    if (shmd::sysv::server() == Server::kernel) return static_cast<int>(::syscall(SYS_shmdt, address));
    return shmd::sysv::dt(address);
}

int shmd_shmctl(int id, int command, struct shmid_ds* buffer) {
    if (shmd::sysv::server() == Server::kernel) return static_cast<int>(::syscall(SYS_shmctl, id, command, buffer));
    return shmd::sysv::ctl(id, command, buffer);
}

}  // extern "C"
