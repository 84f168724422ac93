#include "handlers.hpp"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "administrator_view.hpp"
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

// Those who may have it mapped for writing; so many as an error can carry.
std::vector<Holder> writers_of(const Entry& entry) {
    constexpr std::size_t most = 64;
    std::vector<Holder> writers;
    for (const Attachment* each : entry.attachments) {
        if (each->access != Access::write) continue;
        if (writers.size() == most) break;
        writers.push_back({each->holder->pid(), each->holder->uid(), each->id, each->access});
    }
    return writers;
}

}  // namespace

Handlers::Handlers(Registry& registry, Quota& quota, KeyPolicy policy)
    : registry_(registry),
      quota_(quota),
      started_usec_(now_usec()),
      machine_bytes_(machine_memory()),
      policy_(std::move(policy)) {}

Outcome Handlers::handle(Client& client, const Call& call) {
    if (!call.body) return call.body.error();
    bool streams = std::holds_alternative<List>(*call.body) || std::holds_alternative<Watch>(*call.body) ||
                   std::holds_alternative<ListSegments>(*call.body);
    if (streams && !call.flags.more) return Error{ErrorCode::expected_more};
    return std::visit([&](const auto& body) { return act(client, body); }, *call.body);
}

void Handlers::end(Client& client) {
    registry_.detach_all(client.held);
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
    bool hidden = entry && entry->state == State::staged && !client.held.holds(entry->staging_attachment);
    if (!entry || hidden) return Error::no_such_segment(target.key, target.id);
    return entry;
}

// Charges, after dropping what is evictable if that makes room: of this user where the user's limit is met, of anybody
// where the total is.
Result<Charge> Handlers::charge_or_evict(std::uint32_t uid, Resource resource, std::int64_t amount) {
    for (;;) {
        auto charge = quota_.charge(uid, resource, amount);
        if (charge) return charge;
        Quota::Lack lack = quota_.lack(uid, resource, amount);
        bool can_help = resource == Resource::bytes
                            ? registry_.evictable_bytes() >= lack.in_total && registry_.evictable_bytes(uid) >= lack.of_user
                            : true;
        auto account = lack.of_user > 0 ? std::optional(uid) : std::nullopt;
        if (!can_help || registry_.evict(account) == 0) return charge;
    }
}

// Why the segment cannot have this lifetime, if it cannot. entry: null for a segment to be made by this client.
std::optional<Error> Handlers::check_lifetime(Client& client, const Entry* entry, std::optional<Lifetime> lifetime) {
    if (lifetime != Lifetime::creator) return std::nullopt;
    auto process = entry ? std::static_pointer_cast<ProcessLife>(entry->creator.lock()) : client.process;
    if (process && process->when_dead([] {})) return std::nullopt;
    return Error::invalid_parameter("lifetime");
}

// From here on the segment goes when its creator does.
void Handlers::watch_creator(Entry& entry) {
    auto process = std::static_pointer_cast<ProcessLife>(entry.creator.lock());
    auto died = [this, id = entry.id] {
        if (Entry* ended = registry_.find(id)) registry_.remove(*ended, Event::expired);
    };
    entry.creator_watch = process ? process->when_dead(died) : nullptr;
}

Outcome Handlers::grant(Client& client, Entry& entry, Access access, std::optional<bool> created) {
    if (access == Access::write && entry.sealed()) {
        return Error{ErrorCode::segment_sealed, entry.key, entry.key ? std::nullopt : std::optional(entry.id)};
    }
    auto fd = entry.memory->grant(access);
    if (!fd) return std::move(fd).error();
    auto charge = quota_.charge(client.peer.uid, Resource::attachments, 1);
    if (!charge) return std::move(charge).error();

    Grant reply;
    reply.attachment = registry_.attach(entry, client.held, access, *std::move(charge));
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
    if (call.key && !policy_.may_create(client.peer, *call.key)) return Error::permission_denied();
    if (draining_) return Error{ErrorCode::draining};
    if (auto bad = check_lifetime(client, nullptr, call.lifetime)) return *std::move(bad);
    if (call.size_bytes > machine_bytes_) return Error::out_of_memory(call.size_bytes);
    std::int64_t bytes = Memory::charged_bytes(call.size_bytes);
    auto segment_charge = charge_or_evict(client.peer.uid, Resource::segments, 1);
    if (!segment_charge) return std::move(segment_charge).error();
    auto bytes_charge = charge_or_evict(client.peer.uid, Resource::bytes, bytes);
    if (!bytes_charge) return std::move(bytes_charge).error();
    auto staged_charge = quota_.charge(client.peer.uid, Resource::staged_bytes, call.staged == true ? bytes : 0);
    if (!staged_charge) return std::move(staged_charge).error();
    if (call.size_bytes > Reservation::quick_bytes && call.reserve != Reserve::lazy) {
        while (available_memory() < call.size_bytes && registry_.evict() > 0) continue;
    }
    auto memory = Memory::create(call.key.value_or(""), call.size_bytes, call.sealable.value_or(true));
    if (!memory) return std::move(memory).error();

    auto pending =
        std::make_unique<PendingCreate>(call, std::make_shared<Memory>(*std::move(memory)), *std::move(segment_charge),
                                        *std::move(bytes_charge), *std::move(staged_charge));
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
    if (auto bad = check_lifetime(client, nullptr, call.lifetime)) return *std::move(bad);

    int default_mode = policy_.default_mode(call.key.value_or(""));
    auto entry = std::make_unique<Entry>();
    (staged ? entry->staged_key : entry->key) = std::move(call.key);
    entry->acl = {client.peer.uid, client.peer.gid, client.peer.uid, client.peer.gid,
                  call.mode.value_or(default_mode), call.acl.value_or(std::vector<AclEntry>{})};
    entry->creator_pid = client.peer.pid;
    entry->state = staged ? State::staged : State::live;
    entry->lifetime = call.lifetime.value_or(Lifetime::persistent);
    entry->lease_usec = call.lease_usec.value_or(0);
    entry->evictable = call.evictable.value_or(false);
    entry->creator = client.process;
    if (call.labels) entry->labels = std::move(*call.labels);
    entry->memory = std::move(pending->memory);
    entry->segment_charge = std::move(pending->segment_charge);
    entry->bytes_charge = std::move(pending->bytes_charge);
    entry->staged_charge = std::move(pending->staged_charge);

    Entry& added = registry_.add(std::move(entry));
    if (added.lifetime == Lifetime::creator) watch_creator(added);
    Grant reply;
    reply.attachment = registry_.attach(added, client.held, access, *std::move(attachment_charge));
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
    if (call.sealed == true && !(*entry)->sealed()) {
        return Error{ErrorCode::not_sealed, call.target.key, call.target.id};
    }
    return grant(client, **entry, call.access, std::nullopt);
}

Outcome Handlers::act(Client& client, const Detach& call) {
    if (client.held.holds(call.attachment)) {
        registry_.detach(client.held, call.attachment);
        return Answer{Empty{}};
    }
    if (registry_.find_attached(call.attachment)) return Error::permission_denied();
    return Error::invalid_parameter("attachment");
}

Outcome Handlers::act(Client& client, const Publish& call) {
    Entry* entry = registry_.find_attached(call.attachment);
    if (entry && !client.held.holds(call.attachment)) return Error::permission_denied();
    if (!entry || entry->state != State::staged || entry->staging_attachment != call.attachment) {
        return Error::invalid_parameter("attachment");
    }
    std::optional<std::string> key = call.key ? call.key : entry->staged_key;
    if (!key) return Error::invalid_parameter("key");
    if (!policy_.may_create(client.peer, *key)) return Error::permission_denied();
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

Outcome Handlers::act(Client& client, const Watch& call) {
    auto charge = quota_.charge(client.peer.uid, Resource::watches, 1);
    if (!charge) return std::move(charge).error();
    return Watching{call.prefix.value_or(""), *std::move(charge)};
}

std::optional<ReplyBody> Handlers::list_next(const Client& client, Listing& listing, int& budget) {
    for (; budget > 0; budget--) {
        Entry* entry = registry_.next_after(listing.last_id);
        if (!entry) return std::nullopt;
        listing.last_id = entry->id;
        if (listing.for_administrator) {
            if (!entry->key.value_or("").starts_with(listing.prefix)) continue;
            return SegmentStatusReply{status_of(*entry)};
        }
        if (entry->state != State::live || !entry->key->starts_with(listing.prefix)) continue;
        if (check_describe(client.peer, entry->acl)) return SegmentReply{entry->describe()};
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

Outcome Handlers::act(Client& client, const SetAttributes& call) {
    auto found = find(client, call.target);
    if (!found) return std::move(found).error();
    Entry& entry = **found;
    if (!check_administer(client.peer, entry.acl)) return Error::permission_denied();
    if (auto bad = check_lifetime(client, &entry, call.lifetime)) return *std::move(bad);
    Labels labels = entry.labels;
    for (const std::string& name : call.remove_labels.value_or(std::vector<std::string>{})) labels.erase(name);
    for (const auto& [name, value] : call.labels.value_or(Labels{})) labels[name] = value;
    if (!labels_fit(labels)) return Error::invalid_parameter("labels");
    auto entries = call.acl.value_or(entry.acl.entries);

    registry_.change(entry, [&](Entry& changed) {
        Acl& acl = changed.acl;
        acl.mode = call.mode.value_or(acl.mode);
        acl.owner_uid = call.owner_uid.value_or(acl.owner_uid);
        acl.owner_gid = call.owner_gid.value_or(acl.owner_gid);
        acl.entries = std::move(entries);
        changed.labels = std::move(labels);
        changed.evictable = call.evictable.value_or(changed.evictable);
        if (!call.lifetime) return;
        changed.lifetime = *call.lifetime;
        changed.lease_usec = call.lease_usec.value_or(0);
        changed.lease_end = changed.lifetime == Lifetime::lease ? boot_usec() + changed.lease_usec : 0;
    });
    if (call.lifetime) {
        entry.creator_watch.reset();
        if (entry.lifetime == Lifetime::creator) watch_creator(entry);
    }
    return Answer{SegmentReply{entry.describe()}};
}

Outcome Handlers::act(Client& client, const Renew& call) {
    auto entry = find(client, call.target);
    if (!entry) return std::move(entry).error();
    if (!check_describe(client.peer, (*entry)->acl)) return Error::permission_denied();
    if ((*entry)->lifetime != Lifetime::lease || (*entry)->state == State::deleted) {
        return Error{ErrorCode::no_lease, call.target.key, call.target.id};
    }
    registry_.renew(**entry);
    return Answer{SegmentReply{(*entry)->describe()}};
}

Outcome Handlers::act(Client& client, const Seal& call) {
    auto found = find(client, call.target);
    if (!found) return std::move(found).error();
    Entry& entry = **found;
    if (!check(client.peer, entry.acl, Access::write) && !check_administer(client.peer, entry.acl)) {
        return Error::permission_denied();
    }
    if (!entry.sealed()) {
        auto sealed = entry.memory->seal();
        if (!sealed && sealed.error().code == ErrorCode::not_sealable) {
            return Error{ErrorCode::not_sealable, call.target.key, call.target.id};
        }
        if (!sealed) return Error::segment_busy(writers_of(entry));
        registry_.sealed(entry);
    }
    return Answer{SegmentReply{entry.describe()}};
}

}  // namespace shmd
