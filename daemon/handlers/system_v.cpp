// io.shmd.SystemV: what the kernel's ipc/shm.c and ipc/util.c decide, in their order, on segments of the registry.
#include "system_v_errors.hpp"

#include <sys/ipc.h>
#include <sys/shm.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>

#include "key.hpp"
#include "limits.hpp"

// Flags that are in no header without _GNU_SOURCE, or in none at all.
#ifndef SHM_DEST
#define SHM_DEST 01000
#define SHM_LOCKED 02000
#endif
#ifndef SHM_EXEC
#define SHM_EXEC 0100000
#endif
#ifndef SHM_HUGE_SHIFT
#define SHM_HUGE_SHIFT 26
#endif

namespace shmd {

Error system_v_error(int number) {
    return {ErrorCode::system_v_failed, ::strerrorname_np(number), number};
}

namespace {

constexpr std::int64_t usec_per_sec = 1'000'000;

// Nothing for a size of huge pages that the kernel does not have.
std::optional<HugePages> huge_pages_of(int flags) {
    if ((flags & SHM_HUGETLB) == 0) return HugePages::none;
    switch (static_cast<unsigned>(flags) >> SHM_HUGE_SHIFT & 077U) {
        case 0:
        case 21: return HugePages::huge_2m;
        case 30: return HugePages::huge_1g;
        default: return std::nullopt;
    }
}

// As the kernel judges: root and one group of the administrator's choice.
bool may_have_huge_pages(const Peer& peer) {
    if (peer.is_root()) return true;
    std::uint32_t group = 0;
    std::ifstream("/proc/sys/vm/hugetlb_shm_group") >> group;
    return peer.in_group(group);
}

system_v::Status describe(const Entry& entry) {
    system_v::Status status;
    status.id = entry.system_v_id();
    status.index = entry.system_v_index;
    status.key = entry.key ? sysv_number(*entry.key).value_or(IPC_PRIVATE) : IPC_PRIVATE;
    status.size_bytes = entry.size_bytes;
    status.mode = entry.acl.mode | (entry.state == State::deleted ? SHM_DEST : 0) | (entry.memory_locked ? SHM_LOCKED : 0);
    status.owner_uid = entry.acl.owner_uid;
    status.owner_gid = entry.acl.owner_gid;
    status.creator_uid = entry.acl.creator_uid;
    status.creator_gid = entry.acl.creator_gid;
    status.attachments = static_cast<std::int64_t>(entry.attachments.size());
    status.creator_pid = entry.creator_process.pid;
    status.last_pid = entry.last_pid;
    status.attached_sec = entry.attached_usec.value_or(0) / usec_per_sec;
    status.detached_sec = entry.detached_usec.value_or(0) / usec_per_sec;
    status.changed_sec = entry.changed_usec / usec_per_sec;
    return status;
}

// Where nothing marks a process, it must at least be the same user's.
bool same_process(const HeldAttachments& one, const HeldAttachments& other) {
    if (&one == &other) return true;
    if (one.process().pid == 0 || one.process() != other.process()) return false;
    return one.process().mark != 0 || one.uid() == other.uid();
}

Error as_system_v_error(Error error) {
    switch (error.code) {
        case ErrorCode::segment_exists: return system_v_error(EEXIST);
        case ErrorCode::size_mismatch: return system_v_error(EINVAL);
        case ErrorCode::no_such_segment: return system_v_error(ENOENT);
        case ErrorCode::permission_denied:
        case ErrorCode::segment_sealed: return system_v_error(EACCES);
        case ErrorCode::draining: return system_v_error(ENOSPC);
        case ErrorCode::out_of_memory:
        case ErrorCode::placement_unavailable: return system_v_error(ENOMEM);
        case ErrorCode::quota_exceeded: {
            bool of_system_v = error.text == "segments" || error.text == "bytes";
            return system_v_error(of_system_v ? ENOSPC : ENOMEM);
        }
        default: return error;
    }
}

// What the caller knows to have ended must not be counted: a process that has exited or detached just before, of which this one
// has been told by other ways than ours.
bool others_may_have_ended(const Client& client, const Entry& entry) {
    if (client.others_were_served) return false;
    // Whoever attaches without end does not have them all looked at.
    if (entry.attachments.size() > Registry::most_looked_at) return true;
    return std::ranges::any_of(entry.attachments, [&](const Attachment* each) { return each->holder != &client.held; });
}

Access access_of(int flags) {
    return (flags & SHM_RDONLY) != 0 ? Access::read : Access::write;
}

bool may_attach(const Peer& peer, const Entry& entry, int flags) {
    const Access access = access_of(flags);
    int wanted = (access == Access::read ? 0444 : 0666) | ((flags & SHM_EXEC) != 0 ? 0111 : 0);
    return check_system_v(peer, entry.acl, wanted) && (access == Access::read || !entry.closed_to_writers());
}

// Whether it is there depends on who is attached.
bool ends_with_attachments(const Entry& entry) {
    return entry.state == State::deleted || entry.lifetime == Lifetime::attached;
}

// The end of an attachment changes nothing but what is told of the segment.
bool may_end_late(const Entry& entry) {
    constexpr std::int64_t most_bytes = 1 << 20;
    return entry.state == State::live && entry.lifetime == Lifetime::persistent && !entry.evictable &&
           entry.capacity_bytes <= most_bytes;
}

}  // namespace

void put_in_terms_of(const Call& call, Outcome& outcome) {
    auto* error = std::get_if<Error>(&outcome);
    if (!error || !call.body) return;
    auto method = std::visit([](const auto& body) { return body.method; }, *call.body);
    if (method.starts_with("io.shmd.SystemV.")) *error = as_system_v_error(std::move(*error));
}

// ---- shmget ----

// What lives for its attachments is there for those alone that have not ended.
Entry* Handlers::find_present(std::int32_t key) {
    const std::string name = sysv_key(key);
    Entry* entry = registry_.find(name);
    bool changed = entry && ends_with_attachments(*entry) && registry_.catch_up_wholly(*entry);
    return changed ? registry_.find(name) : entry;
}

Entry* Handlers::find_present_system_v(std::int32_t id) {
    Entry* entry = registry_.find_system_v(id);
    bool changed = entry && ends_with_attachments(*entry) && registry_.catch_up_wholly(*entry);
    return changed ? registry_.find_system_v(id) : entry;
}

Outcome Handlers::act(Client& client, const system_v::Get& call) {
    if (call.key != IPC_PRIVATE) {
        if (Entry* existing = find_present(call.key)) return get_existing(client, *existing, call);
        if ((call.flags & IPC_CREAT) == 0) return system_v_error(ENOENT);
    }
    auto huge_pages = huge_pages_of(call.flags);
    if (call.size_bytes < 1 || !huge_pages) return system_v_error(EINVAL);
    if (*huge_pages != HugePages::none && !may_have_huge_pages(client.peer)) return system_v_error(EPERM);
    if (registry_.system_v().full()) return system_v_error(ENOSPC);
    Create create;
    if (call.key != IPC_PRIVATE) create.key = sysv_key(call.key);
    create.size_bytes = call.size_bytes;
    create.mode = call.flags & limits::mode_bits;
    create.reserve = (call.flags & SHM_NORESERVE) != 0 ? Reserve::lazy : Reserve::allocate;
    create.huge_pages = *huge_pages;
    // Nobody who may write shall take that away from the others, which System V cannot.
    create.sealable = false;
    return this->create(client, {&create, 1}, false, call);
}

Outcome Handlers::get_existing(Client& client, Entry& entry, const system_v::Get& call) {
    constexpr int exclusive = IPC_CREAT | IPC_EXCL;
    if ((call.flags & exclusive) == exclusive) return system_v_error(EEXIST);
    if (call.size_bytes < 0 || entry.size_bytes < call.size_bytes) return system_v_error(EINVAL);
    if (!check_system_v(client.peer, entry.acl, call.flags & limits::mode_bits)) return system_v_error(EACCES);
    if (entry.system_v_index < 0) return system_v_error(ENOSPC);  // it was made when the table was full
    return Answer{system_v::GetReply{entry.system_v_id()}};
}

// The key may have been taken while memory was being reserved.
Outcome Handlers::finish_get(Client& client, NewSegment& segment, const system_v::Get& call) {
    Entry* taken = call.key != IPC_PRIVATE ? find_present(call.key) : nullptr;
    if (taken) return get_existing(client, *taken, call);
    if (registry_.system_v().full()) return system_v_error(ENOSPC);
    Entry& made = add(client, segment, call.key == IPC_PRIVATE);
    return Answer{system_v::GetReply{made.system_v_id()}};
}

// ---- shmat, shmdt ----

Outcome Handlers::act(Client& client, const system_v::Attach& call) {
    Entry* entry = find_present_system_v(call.id);
    if (!entry) return system_v_error(EINVAL);
    if (entry->state == State::deleted && others_may_have_ended(client, *entry)) return ServeOthersFirst{};
    if (!may_attach(client.peer, *entry, call.flags)) return system_v_error(EACCES);
    const Access access = access_of(call.flags);

    Answer answer;
    system_v::AttachReply reply{entry->size_bytes, entry->id, std::nullopt, std::nullopt};
    if (call.probe != true) {
        if (call.known != entry->id) {
            auto fd = open(*entry->memory, access);
            if (!fd) return std::move(fd).error();
            answer.fds.push_back(*std::move(fd));
            reply.file_descriptor = 0;
        }
        auto charge = quota_.charge(client.peer.uid, Resource::attachments, 1);
        if (!charge) return std::move(charge).error();
        reply.attachment = registry_.attach(*entry, client.held, access, *std::move(charge));
        if (may_end_late(*entry)) reply.may_end_late = true;
    }
    answer.body = reply;
    return answer;
}

Outcome Handlers::act(Client& client, const system_v::Detach& call) {
    const Attachment* attachment = registry_.find_attachment(call.attachment);
    // It may be of another connection, which has put its beginning or its end into its queue.
    if (!attachment) {
        registry_.catch_up_process(client.held.process());
        attachment = registry_.find_attachment(call.attachment);
    } else if (registry_.catch_up(*attachment->holder)) {
        attachment = registry_.find_attachment(call.attachment);
    }
    if (!attachment || !same_process(*attachment->holder, client.held)) return system_v_error(EINVAL);
    registry_.detach(call.attachment);
    return Answer{Empty{}};
}

// ---- shmctl ----

Outcome Handlers::act(Client& client, const system_v::Stat& call) {
    auto found = [&] {
        return call.id ? registry_.find_system_v(*call.id)
                       : registry_.system_v().at(*call.index < 0 ? -1 : *call.index % system_v::indexes);
    };
    Entry* entry = found();
    if (entry && registry_.catch_up_wholly(*entry)) entry = found();
    if (!entry) return system_v_error(EINVAL);
    if (others_may_have_ended(client, *entry)) return ServeOthersFirst{};
    if (call.any != true && !check_system_v(client.peer, entry->acl, 0444)) return system_v_error(EACCES);
    return Answer{system_v::StatusReply{describe(*entry), call.known ? prepare(client, *entry, call) : std::nullopt}};
}

// Whatever would be asked for at an Attach is asked for here.
std::optional<std::uint32_t> Handlers::prepare(Client& client, Entry& entry, const system_v::Stat& call) {
    if (call.known != entry.id || !Registry::queue_of(client.held) || !may_end_late(entry)) return std::nullopt;
    const Access access = access_of(*call.flags);
    // Whoever writes may seal what is sealable, without asking.
    if (access == Access::write && entry.memory->sealable()) return std::nullopt;
    if (!may_attach(client.peer, entry, *call.flags) || !can_record(0, 1)) return std::nullopt;
    auto charge = quota_.charge(client.peer.uid, Resource::attachments, 1);
    if (!charge) return std::nullopt;
    return registry_.prepare(entry, client.held, access, *std::move(charge));
}

Outcome Handlers::act(Client& client, const system_v::Set& call) {
    auto entry = find_to_administer(client, call.id);
    if (!entry) return std::move(entry).error();
    if (call.owner_uid == UINT32_MAX || call.owner_gid == UINT32_MAX) return system_v_error(EINVAL);
    registry_.change(**entry, [&](Entry& changed) {
        changed.acl.owner_uid = call.owner_uid;
        changed.acl.owner_gid = call.owner_gid;
        changed.acl.mode = call.mode & limits::mode_bits;
    });
    return Answer{Empty{}};
}

Outcome Handlers::act(Client& client, const system_v::Remove& call) {
    auto entry = find_to_administer(client, call.id);
    if (!entry) return std::move(entry).error();
    registry_.remove(**entry);
    // Who has looked at the count of changes before that has put the end of its attachment in its queue before that.
    if (Entry* left = registry_.find_system_v(call.id)) registry_.catch_up_wholly(*left);
    return Answer{Empty{}};
}

Outcome Handlers::act(Client& client, const system_v::Lock& call) {
    auto entry = find_to_administer(client, call.id);
    if (!entry) return std::move(entry).error();
    registry_.lock_memory(**entry, call.locked);
    return Answer{Empty{}};
}

// A segment that was removed and whose last process has just gone is there no more.
Result<Entry*> Handlers::find_to_administer(const Client& client, std::int32_t id) {
    Entry* entry = find_present_system_v(id);
    if (!entry) return system_v_error(EINVAL);
    if (!check_administer(client.peer, entry->acl)) return system_v_error(EPERM);
    return entry;
}

Outcome Handlers::act(Client& client, const system_v::Info&) {
    if (!client.others_were_served) return ServeOthersFirst{};
    system_v::InfoReply info;
    const SystemVIndex& index = registry_.system_v();
    info.highest_index = index.highest();
    for (int i = 0; i <= info.highest_index; i++) {
        const Entry* entry = index.at(i);
        if (!entry) continue;
        info.segments++;
        info.bytes += entry->bytes_charge.amount();
    }
    info.segments_limit = std::min<std::int64_t>(quota_.limits().total[static_cast<std::size_t>(Resource::segments)],
                                                 system_v::indexes);
    info.bytes_limit = quota_.limits().total[static_cast<std::size_t>(Resource::bytes)];
    return Answer{info};
}

Outcome Handlers::act(Client&, const system_v::List&) {
    return Listing{.of_system_v = true};
}

std::optional<ReplyBody> Handlers::system_v_status(const Entry& entry) {
    if (entry.system_v_index < 0) return std::nullopt;
    return system_v::StatusReply{describe(entry)};
}

Outcome Handlers::act(Client&, const system_v::Changes&) {
    auto page = registry_.change_page();
    if (!page) return std::move(page).error();
    auto fd = with_descriptors([&] { return (*page)->grant(); });
    if (!fd) return std::move(fd).error();
    Answer answer{system_v::ChangesReply{0}};
    answer.fds.push_back(*std::move(fd));
    return answer;
}

// ---- fork ----

Outcome Handlers::act(Client& client, const system_v::Inherit& call) {
    // What has just begun.
    registry_.catch_up_process(client.held.process());
    if (!can_record(0, call.attachments.size())) return system_v_error(ENOMEM);
    system_v::Inherited reply;
    reply.attachments.reserve(call.attachments.size());
    for (std::uint32_t id : call.attachments) {
        const Attachment* parents = registry_.find_attachment(id);
        std::uint32_t childs = 0;
        if (parents && same_process(*parents->holder, client.held)) {
            auto charge = quota_.charge(client.peer.uid, Resource::attachments, 1);
            if (charge) childs = registry_.attach(*parents->entry, client.held, parents->access, *std::move(charge));
        }
        reply.attachments.push_back(childs);
    }
    client.for_child = true;
    return Answer{std::move(reply)};
}

// The session has looked who sent this, and told become().
Outcome Handlers::act(Client& client, const system_v::Claim&) {
    if (!client.for_child) return system_v_error(EINVAL);
    return Answer{Empty{}};
}

void Handlers::become(Client& client, std::shared_ptr<ProcessLife> process, std::int32_t pid) {
    registry_.give_to(client.held, process->process());
    client.process = std::move(process);
    client.peer.pid = pid;
}

}  // namespace shmd
