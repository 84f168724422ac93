#include "handlers.hpp"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "limits.hpp"

namespace shmd {
namespace {

// 128 random bits: nobody can guess it, and no two are ever the same.
std::string fresh_key() {
    unsigned char bytes[16];
    if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    std::string key = "anon:";
    for (unsigned char byte : bytes) {
        key += "0123456789abcdef"[byte >> 4];
        key += "0123456789abcdef"[byte & 15];
    }
    return key;
}

std::int64_t now_usec() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

std::int64_t machine_memory() {
    return std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
}

}  // namespace

Handlers::Handlers(Registry& registry, Quota& quota)
    : registry_(registry), quota_(quota), started_usec_(now_usec()), machine_bytes_(machine_memory()) {}

Outcome Handlers::handle(Client& client, const Call& call) {
    if (!call.body) return call.body.error();
    if (std::holds_alternative<List>(*call.body) && !call.flags.more) return Error{ErrorCode::expected_more};
    return std::visit([&](const auto& body) { return act(client, body); }, *call.body);
}

void Handlers::end(Client& client) {
    registry_.detach_all(client.holder);
}

// ---- org.varlink.service ----

Outcome Handlers::act(Client& client, const GetInfo&) {
    ServiceInfo info{"shmd", "shmd", SHMD_VERSION, "", {}};
    for (std::string_view name : served_interfaces(client.endpoint)) info.interfaces.emplace_back(name);
    return Answer{std::move(info)};
}

Outcome Handlers::act(Client& client, const GetInterfaceDescription& call) {
    auto served = served_interfaces(client.endpoint);
    for (const InterfaceText& text : interface_texts()) {
        if (text.name != call.interface || std::find(served.begin(), served.end(), text.name) == served.end()) continue;
        return Answer{InterfaceDescription{std::string(text.text)}};
    }
    return Error{ErrorCode::interface_not_found, call.interface.substr(0, limits::key_bytes)};
}

// ---- io.shmd.Segments ----

// A staged segment is there for its creator alone.
Result<Entry*> Handlers::find(const Client& client, const Target& target) {
    Entry* entry = target.key ? registry_.find(*target.key) : registry_.find(*target.id);
    bool hidden = entry && entry->state == State::staged && !client.holder.holds(entry->staging_attachment);
    if (!entry || hidden) return Error::no_such_segment(target.key, target.id);
    return entry;
}

Outcome Handlers::grant(Client& client, Entry& entry, Access access, std::optional<bool> created) {
    auto fd = entry.memory->grant(access);
    if (!fd) return std::move(fd).error();
    auto charge = quota_.charge(client.peer.uid, Resource::attachments, 1);
    if (!charge) return std::move(charge).error();

    Grant reply;
    reply.attachment = registry_.attach(entry, client.holder, *std::move(charge));
    reply.segment = entry.describe();
    reply.created = created;
    Answer answer{std::move(reply)};
    answer.fds.push_back(*std::move(fd));
    return answer;
}

Outcome Handlers::open_existing(Client& client, const Create& call, Entry& entry) {
    if (call.create_mode != CreateMode::any) return Error::segment_exists(*entry.key);
    Access access = call.access.value_or(Access::write);
    if (!check(client.peer, entry.acl, access)) return Error::permission_denied();
    if (entry.memory->size() < call.size_bytes) return Error::size_mismatch(entry.memory->size());
    return grant(client, entry, access, false);
}

Outcome Handlers::act(Client& client, const Create& call) {
    if (call.key && call.staged != true) {
        if (Entry* existing = registry_.find(*call.key)) return open_existing(client, call, *existing);
    }
    if (call.size_bytes > machine_bytes_) return Error::out_of_memory(call.size_bytes);
    auto segment_charge = quota_.charge(client.peer.uid, Resource::segments, 1);
    if (!segment_charge) return std::move(segment_charge).error();
    auto bytes_charge = quota_.charge(client.peer.uid, Resource::bytes, Memory::charged_bytes(call.size_bytes));
    if (!bytes_charge) return std::move(bytes_charge).error();
    auto memory = Memory::create(call.key.value_or(""), call.size_bytes);
    if (!memory) return std::move(memory).error();

    auto pending = std::make_unique<PendingCreate>(call, std::make_shared<Memory>(*std::move(memory)),
                                                   *std::move(segment_charge), *std::move(bytes_charge));
    if (!pending->call.key && pending->call.staged != true) pending->call.key = fresh_key();
    if (!pending->reservation.done()) {
        if (call.size_bytes > Reservation::quick_bytes) return pending;
        if (auto reserved = pending->reservation.finish(); !reserved) return std::move(reserved).error();
    }
    return finish_create(client, std::move(pending));
}

Outcome Handlers::finish_create(Client& client, std::unique_ptr<PendingCreate> pending) {
    Create& call = pending->call;
    bool staged = call.staged.value_or(false);
    if (!staged) {
        // Somebody may have taken the key while the memory was being reserved.
        if (Entry* existing = registry_.find(*call.key)) return open_existing(client, call, *existing);
    }
    // All that can fail comes before the segment exists.
    Access access = call.access.value_or(Access::write);
    auto fd = pending->memory->grant(access);
    if (!fd) return std::move(fd).error();
    auto attachment_charge = quota_.charge(client.peer.uid, Resource::attachments, 1);
    if (!attachment_charge) return std::move(attachment_charge).error();

    auto entry = std::make_unique<Entry>();
    (staged ? entry->staged_key : entry->key) = std::move(call.key);
    entry->acl = {client.peer.uid, client.peer.gid, client.peer.uid, client.peer.gid,
                  call.mode.value_or(limits::default_mode)};
    entry->creator_pid = client.peer.pid;
    entry->state = staged ? State::staged : State::live;
    entry->lifetime = call.lifetime.value_or(Lifetime::persistent);
    if (call.labels) entry->labels = std::move(*call.labels);
    entry->memory = std::move(pending->memory);
    entry->segment_charge = std::move(pending->segment_charge);
    entry->bytes_charge = std::move(pending->bytes_charge);

    Entry& added = registry_.add(std::move(entry));
    Grant reply;
    reply.attachment = registry_.attach(added, client.holder, *std::move(attachment_charge));
    reply.segment = added.describe();
    reply.created = true;
    Answer answer{std::move(reply)};
    answer.fds.push_back(*std::move(fd));
    return answer;
}

Outcome Handlers::act(Client& client, const Open& call) {
    auto entry = find(client, call.target);
    if (!entry) {
        if (call.wait_usec.value_or(0) > 0) return WaitForKey{*call.target.key, *call.wait_usec};
        return std::move(entry).error();
    }
    if (!check(client.peer, (*entry)->acl, call.access)) return Error::permission_denied();
    return grant(client, **entry, call.access, std::nullopt);
}

Outcome Handlers::act(Client& client, const Detach& call) {
    if (client.holder.holds(call.attachment)) {
        registry_.detach(client.holder, call.attachment);
        return Answer{Empty{}};
    }
    if (registry_.find_attached(call.attachment)) return Error::permission_denied();
    return Error::invalid_parameter("attachment");
}

Outcome Handlers::act(Client& client, const Publish& call) {
    Entry* entry = registry_.find_attached(call.attachment);
    if (entry && !client.holder.holds(call.attachment)) return Error::permission_denied();
    if (!entry || entry->state != State::staged || entry->staging_attachment != call.attachment) {
        return Error::invalid_parameter("attachment");
    }
    std::optional<std::string> key = call.key ? call.key : entry->staged_key;
    if (!key) return Error::invalid_parameter("key");
    if (Entry* existing = registry_.find(*key)) {
        if (!call.replace.value_or(false)) return Error::segment_exists(*key);
        if (!check_administer(client.peer, existing->acl)) return Error::permission_denied();
    }
    registry_.publish(*entry, *std::move(key));
    return Answer{SegmentReply{entry->describe()}};
}

Outcome Handlers::act(Client& client, const Describe& call) {
    auto entry = find(client, call.target);
    if (!entry) return std::move(entry).error();
    if (!check_describe(client.peer, (*entry)->acl)) return Error::permission_denied();
    return Answer{SegmentReply{(*entry)->describe()}};
}

Outcome Handlers::act(Client&, const List& call) {
    return Listing{call.prefix.value_or("")};
}

std::optional<Segment> Handlers::list_next(const Client& client, Listing& listing, int& budget) {
    for (; budget > 0; budget--) {
        Entry* entry = registry_.next_after(listing.last_id);
        if (!entry) return std::nullopt;
        listing.last_id = entry->id;
        if (entry->state != State::live || !entry->key->starts_with(listing.prefix)) continue;
        if (check_describe(client.peer, entry->acl)) return entry->describe();
    }
    return std::nullopt;
}

Outcome Handlers::act(Client& client, const Delete& call) {
    auto entry = find(client, call.target);
    if (!entry) return std::move(entry).error();
    if (!check_administer(client.peer, (*entry)->acl)) return Error::permission_denied();
    registry_.remove(**entry);
    return Answer{Empty{}};
}

// ---- io.shmd.Control ----

Outcome Handlers::act(Client&, const GetStatus&) {
    const Amounts& limit = quota_.limits().total;
    auto limit_of = [&](Resource resource) { return limit[static_cast<std::size_t>(resource)]; };
    Status status;
    status.version = SHMD_VERSION;
    status.pid = ::getpid();
    status.started_usec = started_usec_;
    status.segments = quota_.total(Resource::segments);
    status.bytes = quota_.total(Resource::bytes);
    status.attachments = quota_.total(Resource::attachments);
    status.connections = quota_.total(Resource::connections);
    status.segments_limit = limit_of(Resource::segments);
    status.bytes_limit = limit_of(Resource::bytes);
    status.attachments_limit = limit_of(Resource::attachments);
    status.connections_limit = limit_of(Resource::connections);
    return Answer{std::move(status)};
}

Outcome Handlers::act(Client&, const GetUsage&) {
    return Answer{UsageReply{quota_.usage()}};
}

}  // namespace shmd
