#include "handlers.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "administrator_view.hpp"
#include "limits.hpp"

namespace shmd {
namespace {

// So far from where any other daemon began that they never meet.
std::uint64_t random_number() {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) number = static_cast<std::uint64_t>(wall_usec()) << 20;
    return number;
}

std::int64_t machine_memory() {
    return std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
}

template <typename... Kinds>
bool is_any_of(const CallBody& body) {
    return (std::holds_alternative<Kinds>(body) || ...);
}

// What ends something has its space in the journal already, and what only asks needs none.
bool must_be_recorded(const CallBody& body) {
    return is_any_of<Create, CreateMany, Open, OpenMany, Publish, SetAttributes, Renew, Seal, Resize, system_v::Get,
                     system_v::Attach, system_v::Set, system_v::Lock>(body);
}

bool tells_of_many(const CallBody& body) {
    return is_any_of<List, ListSegments, GetStatus, GetUsage, Evict, system_v::List, system_v::Info>(body);
}

// What somebody may count on when an attachment that was prepared begins.
bool changes_what_is_there(const CallBody& body) {
    return is_any_of<Publish, Delete, SetAttributes, Seal, Resize, ForceDelete, system_v::Set, system_v::Remove>(body);
}

// How many it may begin.
std::size_t attachments_of(const CallBody& body) {
    if (is_any_of<Open, Create, system_v::Attach>(body)) return 1;
    if (auto* open = std::get_if<OpenMany>(&body)) return open->targets.size();
    if (auto* create = std::get_if<CreateMany>(&body)) return create->segments.size();
    return 0;
}

// Attachments of this kind; so many as an error can carry.
template <typename F>
std::vector<Holder> holders_of(const Entry& entry, const F& counts) {
    constexpr std::size_t most = 64;
    std::vector<Holder> holders;
    for (const Attachment* each : entry.attachments) {
        if (!counts(*each)) continue;
        if (holders.size() == most) break;
        holders.push_back({each->holder->pid(), each->holder->uid(), each->id, each->access});
    }
    return holders;
}

}  // namespace

Handlers::Handlers(Registry& registry, Quota& quota, Blanks& blanks, KeyPolicy policy)
    : registry_(registry),
      quota_(quota),
      blanks_(blanks),
      started_usec_(wall_usec()),
      machine_bytes_(machine_memory()),
      policy_(std::move(policy)),
      orphans_(registry),
      next_connection_(random_number()) {}

Outcome Handlers::handle(Client& client, const Call& call) {
    if (!call.body) return call.body.error();
    registry_.catch_up(client.held);
    bool streams = is_any_of<List, Watch, ListSegments, system_v::List>(*call.body);
    if (streams && !call.flags.more) return Error{ErrorCode::expected_more};
    // It has the rights of the parent, which the child may give up: it holds attachments, and serves for nothing else.
    bool holds = is_any_of<GetInfo, Detach, system_v::Detach, system_v::Inherit, system_v::Claim>(*call.body);
    if (client.for_child && !holds) return Error::permission_denied();
    // What changes one segment can then be recorded. Calls that change many ask for more themselves.
    if (must_be_recorded(*call.body) && !can_record(record::most_segment_bytes, 1)) {
        return Error::out_of_memory(record::most_segment_bytes);
    }
    // Nobody has taken an entry yet, any of which may go with that.
    if (tells_of_many(*call.body)) registry_.catch_up_all();
    if (changes_what_is_there(*call.body) || is_any_of<GetStatus, GetUsage>(*call.body)) registry_.end_preparations();
    if (std::size_t count = attachments_of(*call.body)) make_room_for_attachments(client, count);
    return std::visit([&](const auto& body) { return act(client, body); }, *call.body);
}

// Room in the journal.
bool Handlers::can_record(std::size_t segment_bytes, std::size_t attachments) {
    return !recorder_ || recorder_->reserve(segment_bytes, attachments);
}

bool Handlers::end(Client& client, std::size_t at_most) {
    return registry_.detach_all(client.held, at_most);
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

// With those attachments alone that have not ended.
Entry* Handlers::find_present(const Target& target) {
    auto found = [&] { return target.key ? registry_.find(*target.key) : registry_.find(*target.id); };
    Entry* entry = found();
    return entry && registry_.catch_up(*entry) ? found() : entry;
}

// A staged segment is there for its creator alone.
Result<Entry*> Handlers::find(const Client& client, const Target& target) {
    Entry* entry = find_present(target);
    bool hidden = entry && entry->state == State::staged && !entry->is_staged_by(client.held);
    if (!entry || hidden) return Error::no_such_segment(target.key, target.id);
    return entry;
}

// Charges, after taking back what is free since, and then after dropping what is evictable if that makes room: of this user where the user's limit is met, of anybody
// where the total is.
Result<Charge> Handlers::charge_or_evict(std::uint32_t uid, Resource resource, std::int64_t amount) {
    for (;;) {
        auto charge = quota_.charge(uid, resource, amount);
        if (charge) return charge;
        if (registry_.catch_up_all()) continue;
        if (operations_.reclaim && operations_.reclaim()) continue;
        Quota::Lack lack = quota_.lack(uid, resource, amount);
        bool can_help = resource == Resource::bytes
                            ? registry_.evictable_bytes() >= lack.in_total && registry_.evictable_bytes(uid) >= lack.of_user
                            : true;
        auto account = lack.of_user > 0 ? std::optional(uid) : std::nullopt;
        if (!can_help || registry_.evict(account) == 0) return charge;
    }
}

// What has ended, and has not been looked at, must not be in the way.
void Handlers::make_room_for_attachments(const Client& client, std::size_t count) {
    Quota::Lack lack = quota_.lack(client.peer.uid, Resource::attachments, static_cast<std::int64_t>(count));
    if (lack.in_total > 0 || lack.of_user > 0) registry_.end_preparations();
    if (lack.in_total > 0) {
        registry_.catch_up_all();
    } else if (lack.of_user > 0) {
        registry_.catch_up_all(client.peer.uid);
    }
}

// Why the segment cannot have this lifetime, if it cannot. entry: null for a segment to be made by this client.
std::optional<Error> Handlers::check_lifetime(Client& client, const Entry* entry, std::optional<Lifetime> lifetime) {
    if (lifetime != Lifetime::creator) return std::nullopt;
    auto process = entry ? std::static_pointer_cast<ProcessLife>(entry->creator.lock()) : client.process;
    if (process && process->when_dead([] {})) return std::nullopt;
    return Error::invalid_parameter("lifetime");
}

void Handlers::watch_creator(Entry& entry) {
    auto process = std::static_pointer_cast<ProcessLife>(entry.creator.lock());
    auto died = [this, id = entry.id] {
        if (Entry* ended = registry_.find(id)) registry_.remove(*ended, Event::expired);
    };
    entry.creator_watch = process ? process->when_dead(died) : nullptr;
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
    // In this order: what is put in a queue is seen by its client, or here.
    registry_.expect_watcher();
    registry_.catch_up_all();
    return Watching{call.prefix.value_or(""), *std::move(charge)};
}

std::optional<ReplyBody> Handlers::list_next(const Client& client, Listing& listing, int& budget) {
    for (; budget > 0; budget--) {
        Entry* entry = registry_.next_after(listing.last_id);
        if (!entry) return std::nullopt;
        listing.last_id = entry->id;
        if (listing.of_system_v) {
            if (auto status = system_v_status(*entry)) return status;
            continue;
        }
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
        if (!entry.memory->sealable()) return Error{ErrorCode::not_sealable, call.target.key, call.target.id};
        // Not only those who have mapped it already: a grant to write must not turn out to be none.
        auto writers = holders_of(entry, [](const Attachment& each) { return each.access == Access::write; });
        if (!writers.empty()) return Error::segment_busy(std::move(writers));
        if (!entry.resizing.expired()) return Error::segment_busy({});
        if (auto sealed = entry.memory->seal(); !sealed) return std::move(sealed).error();
        registry_.sealed(entry);
    }
    return Answer{SegmentReply{entry.describe()}};
}

// Descriptors are as large as the capacity, so a size is only what is told and reserved: nothing here moves memory.
Outcome Handlers::act(Client& client, const Resize& call) {
    auto found = find(client, call.target);
    if (!found) return std::move(found).error();
    Entry& entry = **found;
    if (!check(client.peer, entry.acl, Access::write) && !check_administer(client.peer, entry.acl)) {
        return Error::permission_denied();
    }
    if (entry.closed_to_writers()) return Error{ErrorCode::segment_sealed, call.target.key, call.target.id};
    if (call.size_bytes > entry.capacity_bytes) return Error::capacity_exceeded(entry.capacity_bytes);
    if (!entry.resizing.expired()) return Error::segment_busy({});
    if (call.size_bytes == entry.size_bytes) return Answer{SegmentReply{entry.describe()}};

    auto resizing = std::make_unique<Resizing>(entry.id, entry.size_bytes, call.size_bytes, entry.memory);
    if (call.size_bytes < entry.size_bytes) {
        auto others = holders_of(entry, [&](const Attachment& each) { return each.holder != &client.held; });
        if (!others.empty()) return Error::segment_busy(std::move(others));
        resizing->work = std::make_unique<Trim>(*entry.memory, call.size_bytes, entry.size_bytes);
        // Told at once: nobody may read what is being zeroed as content.
        registry_.resize(entry, call.size_bytes);
    } else {
        if (entry.reserve != Reserve::lazy) give_back_ready_for(call.size_bytes - entry.size_bytes);
        resizing->work = std::make_unique<Reservation>(*entry.memory, entry.reserve, entry.size_bytes, call.size_bytes,
                                                       page_size_);
    }
    resizing->exclusive = std::make_shared<char>();
    entry.resizing = resizing->exclusive;
    if (resizing->work->goal() > MemoryWork::quick_bytes) return resizing;
    if (auto done = resizing->work->finish(); !done) return std::move(done).error();
    return finish(std::move(resizing));
}

Outcome Handlers::finish(std::unique_ptr<Resizing> resizing) {
    if (!can_record(record::most_segment_bytes, 0)) return Error::out_of_memory(record::most_segment_bytes);
    Entry* entry = registry_.find(resizing->id);
    if (!entry) return Error::no_such_segment(std::nullopt, resizing->id);
    if (entry->size_bytes != resizing->size_bytes) registry_.resize(*entry, resizing->size_bytes);
    return Answer{SegmentReply{entry->describe()}};
}

}  // namespace shmd
