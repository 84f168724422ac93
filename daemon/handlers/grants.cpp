// The methods that grant memory and take grants back: Create, Open, and many of them at once; Publish; Detach.
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "handlers.hpp"
#include "key.hpp"
#include "limits.hpp"
#include "spare_memory.hpp"

namespace shmd {
namespace {

// Segments that are made or opened before others have a turn: about as long as some of their calls take.
constexpr std::size_t segments_a_turn = 16;

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

// No segment's grant takes more of a reply: its numbers and names, and every byte of a text as an escape.
std::size_t most_reply_bytes(std::size_t key_bytes, const Labels& labels, std::size_t acl_entries, std::size_t nodes) {
    std::size_t bytes = 1024 + key_bytes + 64 * acl_entries + 8 * nodes;
    for (const auto& [name, value] : labels) bytes += 16 + 6 * (name.size() + value.size());
    return bytes;
}

std::size_t most_reply_bytes(const Create& call) {
    static const Labels none;
    return most_reply_bytes(call.key.value_or("").size(), call.labels ? *call.labels : none,
                            call.acl ? call.acl->size() : 0, call.numa_nodes ? call.numa_nodes->size() : 0);
}

std::size_t most_reply_bytes(const Entry& entry) {
    return most_reply_bytes(entry.key.value_or("").size(), entry.labels, entry.acl.entries.size(),
                            entry.memory->placement().numa_nodes.size());
}

std::size_t most_record_bytes(const Create& call) {
    return Recorder::bytes_of(call.key.value_or("").size(), call.labels ? &*call.labels : nullptr,
                              call.acl ? call.acl->size() : 0, call.numa_nodes ? call.numa_nodes->size() : 0);
}

std::int64_t capacity_of(const Create& call) {
    return call.capacity_bytes.value_or(call.size_bytes);
}

bool is_usual(const Placement& placement) {
    return placement.huge_pages == HugePages::none && placement.numa_nodes.empty();
}

Error sealed_error(const Entry& entry) {
    return {ErrorCode::segment_sealed, entry.key, entry.key ? std::nullopt : std::optional(entry.id)};
}

}  // namespace

// All that it takes to hand out one segment, so that nothing can fail any more.
struct Handlers::Ready {
    NewSegment* segment = nullptr;
    Entry* existing = nullptr;  // opened instead
    Access access = Access::write;
    UniqueFd fd{};
    Charge attachment_charge{};
};

// ---- Create ----

Outcome Handlers::act(Client& client, const Create& call) {
    return create(client, {&call, 1}, false);
}

Outcome Handlers::act(Client& client, const CreateMany& call) {
    std::size_t reply_bytes = 0;
    for (const Create& segment : call.segments) reply_bytes += most_reply_bytes(segment);
    if (reply_bytes > limits::message_bytes) return Error::invalid_parameter("segments");
    return create(client, call.segments, true);
}

Outcome Handlers::create(Client& client, std::span<const Create> calls, bool many, std::optional<system_v::Get> get) {
    auto creation = std::make_unique<Creation>();
    creation->many = many;
    creation->get = get;
    creation->segments.reserve(calls.size());
    for (const Create& call : calls) creation->segments.push_back({call});
    return go_on(client, std::move(creation));
}

Outcome Handlers::go_on(Client& client, std::unique_ptr<Creation> creation) {
    std::int64_t reserved = 0;
    std::size_t end = std::min(creation->prepared + segments_a_turn, creation->segments.size());
    while (creation->prepared < end && reserved < MemoryWork::quick_bytes) {
        NewSegment& segment = creation->segments[creation->prepared++];
        bool grants = !creation->get;
        if (auto done = prepare(client, segment, grants); !done) return std::move(done).error();
        if (!segment.reservation || segment.reservation->done()) continue;
        if (segment.reservation->goal() > MemoryWork::quick_bytes) continue;
        if (auto done = segment.reservation->finish(); !done) return std::move(done).error();
        reserved += segment.reservation->goal();
    }
    // What was ready is large: should nothing come of it, it is not freed here.
    bool waits = std::ranges::any_of(creation->segments, [](const NewSegment& segment) {
        return segment.was_ready || (segment.reservation && !segment.reservation->done());
    });
    if (!creation->is_prepared() || waits || must_keep(*creation)) return creation;
    return finish(client, std::move(creation));
}

// Charges and makes the memory, of which nothing is reserved yet.
Result<void> Handlers::prepare(Client& client, NewSegment& segment, bool grants) {
    const Create& call = segment.call;
    if (call.key && call.staged != true && find_present({call.key, std::nullopt})) {
        if (call.create_mode != CreateMode::any) return Error::segment_exists(*call.key);
        return {};
    }
    if (call.key && !policy_.may_create(client.peer, *call.key)) return Error::permission_denied();
    if (draining_) return Error{ErrorCode::draining};
    if (auto bad = check_lifetime(client, nullptr, call.lifetime)) return *std::move(bad);
    std::int64_t capacity = capacity_of(call);
    if (capacity > machine_bytes_) return Error::out_of_memory(capacity);
    auto placement = available({call.huge_pages.value_or(HugePages::none), call.numa_nodes.value_or(std::vector<std::uint32_t>{})},
                               capacity, call.placement_fallback.value_or(false));
    if (!placement) return std::move(placement).error();

    std::int64_t bytes = Memory::charged_bytes(capacity, placement->huge_pages);
    auto segment_charge = charge_or_evict(client.peer.uid, Resource::segments, 1);
    if (!segment_charge) return std::move(segment_charge).error();
    auto bytes_charge = charge_or_evict(client.peer.uid, Resource::bytes, bytes);
    if (!bytes_charge) return std::move(bytes_charge).error();
    auto staged_charge = quota_.charge(client.peer.uid, Resource::staged_bytes, call.staged == true ? bytes : 0);
    if (!staged_charge) return std::move(staged_charge).error();
    bool reserves = call.reserve != Reserve::lazy && !placement->is_pooled();
    auto ready = reserves ? take_ready(call, *placement) : std::nullopt;
    if (reserves) make_room_for(call.size_bytes - (ready ? ready->bytes : 0));
    segment.was_ready = ready.has_value();
    auto blank = take_blank(segment, *placement, std::move(ready));
    if (!blank) return std::move(blank).error();
    auto memory = with_descriptors([&] {
        return Memory::create({}, capacity, {call.sealable.value_or(true), *placement}, std::move(blank->file));
    });
    if (!memory) return std::move(memory).error();
    std::int64_t reserved = use_reserved(*memory, *blank, segment);
    Access access = call.access.value_or(Access::write);
    if (grants && access == Access::write) segment.fd = std::move(blank->writer);
    if (grants && !segment.fd) {
        auto fd = open(*memory, access);
        if (!fd) return std::move(fd).error();
        segment.fd = *std::move(fd);
    }

    if (!call.key && call.staged != true) segment.call.key = fresh_key();
    segment.memory = std::make_shared<Memory>(*std::move(memory));
    segment.reservation.emplace(*segment.memory, call.reserve.value_or(Reserve::allocate), reserved,
                                call.size_bytes, page_size_);
    segment.segment_charge = *std::move(segment_charge);
    segment.bytes_charge = *std::move(bytes_charge);
    segment.staged_charge = *std::move(staged_charge);
    return {};
}

// What it is to be made of, if there is something at hand, and where it will be kept.
Result<Blank> Handlers::take_blank(NewSegment& segment, const Placement& placement, std::optional<ReadyMemory::Ready> ready) {
    if (ready) {
        segment.kept = std::move(ready->kept);
        return Blank{std::move(*ready->memory).take_file(), {}, ready->bytes};
    }
    bool of_blank = !placement.is_pooled();
    if (!recorder_) {
        auto taken = of_blank ? blanks_.take() : std::nullopt;
        return taken ? *std::move(taken) : Blank{};
    }
    auto place = recorder_->take_place(of_blank);
    // What is ready for nobody yet has places, too.
    bool more = !place && operations_.give_back_ready && operations_.give_back_ready() > 0;
    if (more) place = recorder_->take_place(of_blank);
    if (!place) return Error::quota_exceeded("segments", static_cast<std::int64_t>(recorder_->capacity()));
    segment.kept = std::move(place->kept);
    return std::move(place->blank);
}

// How much of it need not be reserved any more.
std::int64_t Handlers::use_reserved(Memory& memory, const Blank& blank, const NewSegment& segment) {
    if (segment.was_ready || blank.reserved == 0) return blank.reserved;
    Reserve how = segment.call.reserve.value_or(Reserve::allocate);
    // Of the wrong kind, or on the wrong node, or not wanted.
    if (how == Reserve::lazy || !is_usual(memory.placement())) memory.drop_pages();
    bool is_all = how == Reserve::allocate && is_usual(memory.placement()) && segment.call.size_bytes <= blank.reserved;
    return is_all ? segment.call.size_bytes : 0;
}

bool Handlers::must_keep(const Creation& creation) const {
    return std::any_of(creation.segments.begin(), creation.segments.end(),
                       [](const NewSegment& segment) { return !segment.kept.stored(); });
}

Result<void> Handlers::keep(Creation& creation, const std::function<void()>& done) {
    auto left = std::make_shared<std::size_t>(0);
    for (NewSegment& segment : creation.segments) {
        if (segment.kept.stored()) continue;
        std::function<void()> one_done = [left, done] {
            if (--*left == 0) done();
        };
        auto stored = with_descriptors([&] { return recorder_->store(segment.kept, *segment.memory, one_done); });
        if (!stored) return stored;
        ++*left;
    }
    return {};
}

std::optional<ReadyMemory::Ready> Handlers::take_ready(const Create& call, const Placement& placement) {
    if (!is_usual(placement)) return std::nullopt;
    return ready_.take(call.size_bytes, boot_usec());
}

// What is ready for nobody yet goes before anything is evicted or refused.
void Handlers::make_room_for(std::int64_t bytes) {
    if (bytes <= MemoryWork::quick_bytes) return;
    evict_for(bytes - give_back_ready_for(bytes));
}

// What is available then.
std::int64_t Handlers::give_back_ready_for(std::int64_t bytes) {
    if (bytes <= MemoryWork::quick_bytes) return INT64_MAX;
    std::int64_t available = available_memory();
    if (available < bytes + low_memory_bytes() && operations_.give_back_ready) available += operations_.give_back_ready();
    return available;
}

// By what was given up, not by what the machine has then: memory is freed elsewhere, and a little later.
void Handlers::evict_for(std::int64_t bytes) {
    if (bytes > 0) registry_.catch_up_all();
    if (registry_.evictable_bytes() < bytes) return;
    while (bytes > 0) bytes -= registry_.evict();
}

// Somebody may have taken the key, or deleted what was to be opened, while memory was being reserved.
Outcome Handlers::finish(Client& client, std::unique_ptr<Creation> creation) {
    make_room_for_attachments(client, creation->segments.size());
    for (const NewSegment& segment : creation->segments) {
        if (segment.call.key && segment.call.staged != true) (void)find_present({segment.call.key, std::nullopt});
    }
    std::vector<Ready> all;
    all.reserve(creation->segments.size());
    std::size_t record_bytes = 0;
    for (const NewSegment& segment : creation->segments) record_bytes += most_record_bytes(segment.call);
    if (!can_record(record_bytes, creation->segments.size())) {
        return Error::out_of_memory(static_cast<std::int64_t>(record_bytes));
    }
    if (creation->get) return finish_get(client, creation->segments.front(), *creation->get);
    std::set<std::string_view> keys;
    for (NewSegment& segment : creation->segments) {
        const Create& call = segment.call;
        bool has_key = call.key && call.staged != true;
        if (creation->many && has_key && !keys.insert(*call.key).second) return Error::segment_exists(*call.key);
        if (!segment.memory && !registry_.find(*call.key)) {
            std::vector<Create> again;
            for (NewSegment& each : creation->segments) again.push_back(std::move(each.call));
            bool many = creation->many;
            creation.reset();
            return create(client, again, many);
        }
        auto ready = make_ready(client, segment);
        if (!ready) return std::move(ready).error();
        all.push_back(*std::move(ready));
    }
    Answer answer;
    JournalGroup all_or_none(recorder_ ? recorder_->journal() : nullptr);
    if (!creation->many) {
        answer.body = commit(client, std::move(all.front()), answer.fds);
        return answer;
    }
    Grants grants;
    for (Ready& ready : all) grants.grants.push_back(commit(client, std::move(ready), answer.fds));
    answer.body = std::move(grants);
    return answer;
}

Result<Handlers::Ready> Handlers::make_ready(Client& client, NewSegment& segment) {
    const Create& call = segment.call;
    Ready ready{&segment, nullptr, call.access.value_or(Access::write)};
    if (call.key && call.staged != true) ready.existing = registry_.find(*call.key);
    if (Entry* entry = ready.existing) {
        if (call.create_mode != CreateMode::any) return Error::segment_exists(*call.key);
        if (!check(client.peer, entry->acl, ready.access)) return Error::permission_denied();
        if (entry->size_bytes < call.size_bytes) return Error::size_mismatch(entry->size_bytes);
        if (ready.access == Access::write && entry->closed_to_writers()) return sealed_error(*entry);
    } else if (auto bad = check_lifetime(client, nullptr, call.lifetime)) {
        return *std::move(bad);
    }
    if (ready.existing) {
        auto fd = open(*ready.existing->memory, ready.access);
        if (!fd) return std::move(fd).error();
        ready.fd = *std::move(fd);
    } else {
        ready.fd = std::move(segment.fd);
    }
    auto charge = quota_.charge(client.peer.uid, Resource::attachments, 1);
    if (!charge) return std::move(charge).error();
    ready.attachment_charge = *std::move(charge);
    return ready;
}

// Nothing of it can fail but by lack of memory.
Entry& Handlers::add(Client& client, NewSegment& segment, bool private_system_v) {
    Create& call = segment.call;
    bool staged = call.staged.value_or(false);
    int default_mode = policy_.default_mode(call.key.value_or(""));
    auto made = std::make_unique<Entry>();
    (staged ? made->staged_key : made->key) = std::move(call.key);
    made->acl = {client.peer.uid, client.peer.gid, client.peer.uid, client.peer.gid, call.mode.value_or(default_mode),
                 call.acl.value_or(std::vector<AclEntry>{})};
    made->creator_process = client.held.process();
    made->state = staged ? State::staged : State::live;
    made->lifetime = call.lifetime.value_or(Lifetime::persistent);
    made->lease_usec = call.lease_usec.value_or(0);
    made->evictable = call.evictable.value_or(false);
    made->creator = client.process;
    if (call.labels) made->labels = std::move(*call.labels);
    made->memory = std::move(segment.memory);
    made->size_bytes = call.size_bytes;
    made->capacity_bytes = capacity_of(call);
    made->reserve = call.reserve.value_or(Reserve::allocate);
    made->kept = std::move(segment.kept);
    made->segment_charge = std::move(segment.segment_charge);
    made->bytes_charge = std::move(segment.bytes_charge);
    made->staged_charge = std::move(segment.staged_charge);
    Entry& added = registry_.add(std::move(made), private_system_v);
    if (added.lifetime == Lifetime::creator) watch_creator(added);
    return added;
}

Grant Handlers::commit(Client& client, Ready ready, std::vector<UniqueFd>& fds) {
    Entry* entry = ready.existing ? ready.existing : &add(client, *ready.segment);
    Grant grant;
    grant.attachment = registry_.attach(*entry, client.held, ready.access, std::move(ready.attachment_charge));
    // What nobody had before, nobody has sealed.
    entry->describe(grant.segment, ready.existing && entry->sealed());
    grant.created = !ready.existing;
    grant.file_descriptor = static_cast<int>(fds.size());
    fds.push_back(std::move(ready.fd));
    return grant;
}

// ---- Open ----

Result<UniqueFd> Handlers::open(const Memory& memory, Access access) {
    return with_descriptors([&] { return memory.grant(access); });
}

// Makes a grant that is as it was made this one, or says why not.
std::optional<Error> Handlers::grant(Client& client, Entry& entry, Access access, std::vector<UniqueFd>& fds, Grant& grant) {
    if (!check(client.peer, entry.acl, access)) return Error::permission_denied();
    if (access == Access::write && entry.closed_to_writers()) return sealed_error(entry);
    auto fd = open(*entry.memory, access);
    if (!fd) return std::move(fd).error();
    auto charge = quota_.charge(client.peer.uid, Resource::attachments, 1);
    if (!charge) return std::move(charge).error();

    grant.attachment = registry_.attach(entry, client.held, access, *std::move(charge));
    entry.describe(grant.segment);
    grant.file_descriptor = static_cast<int>(fds.size());
    fds.push_back(*std::move(fd));
    return std::nullopt;
}

Outcome Handlers::act(Client& client, const Open& call) {
    auto entry = find(client, call.target);
    if (!entry) {
        if (call.wait_usec.value_or(0) > 0) return WaitForKey{*call.target.key, *call.wait_usec};
        return std::move(entry).error();
    }
    if (call.sealed == true && check(client.peer, (*entry)->acl, call.access) && !(*entry)->sealed()) {
        return Error{ErrorCode::not_sealed, call.target.key, call.target.id};
    }
    Outcome outcome(std::in_place_type<Answer>);
    Answer& answer = *std::get_if<Answer>(&outcome);
    if (auto bad = grant(client, **entry, call.access, answer.fds, answer.body.emplace<Grant>())) return *std::move(bad);
    return outcome;
}

Outcome Handlers::act(Client& client, const OpenMany& call) {
    auto opening = std::make_unique<Opening>(Opening{call});
    opening->done.results.reserve(call.targets.size());
    return go_on(client, std::move(opening));
}

Outcome Handlers::go_on(Client& client, std::unique_ptr<Opening> opening) {
    const std::vector<Target>& targets = opening->call.targets;
    std::vector<OpenResult>& results = opening->done.results;
    std::size_t end = std::min(results.size() + segments_a_turn, targets.size());
    bool can_be_recorded = can_record(0, end - results.size());
    while (results.size() < end) {
        const Target& target = targets[results.size()];
        OpenResult& result = results.emplace_back();
        auto bad = can_be_recorded ? open_next(client, *opening, target, result.grant.emplace())
                                   : Error::out_of_memory(record::most_segment_bytes);
        if (!bad) continue;
        result.grant.reset();
        result.error = to_remote(*std::move(bad));
    }
    if (end < targets.size()) return opening;
    return Answer{std::move(opening->done), std::move(opening->fds)};
}

std::optional<Error> Handlers::open_next(Client& client, Opening& opening, const Target& target, Grant& granted) {
    if (target.key && !is_valid_key(*target.key)) return Error::invalid_key(target.key->substr(0, limits::key_bytes));
    auto entry = find(client, target);
    if (!entry) return std::move(entry).error();
    std::size_t bytes = most_reply_bytes(**entry);
    // The errors of all that follow fit in any case.
    std::size_t room = limits::message_bytes - limits::batch * 1024;
    if (opening.reply_bytes + bytes > room) {
        return Error::quota_exceeded("messageBytes", static_cast<std::int64_t>(limits::message_bytes));
    }
    auto bad = grant(client, **entry, opening.call.access, opening.fds, granted);
    if (!bad) opening.reply_bytes += bytes;
    return bad;
}

// ---- What becomes of grants ----

Outcome Handlers::act(Client& client, const Detach& call) {
    if (auto entry = find_held(client, call.attachment); !entry) return std::move(entry).error();
    registry_.detach(client.held, call.attachment);
    return Answer{Empty{}};
}

Outcome Handlers::act(Client& client, const OpenDetachQueue&) {
    if (!Registry::queue_of(client.held)) {
        auto charge = quota_.charge(client.peer.uid, Resource::bytes, DetachQueue::bytes);
        if (!charge) return std::move(charge).error();
        auto made = with_descriptors(DetachQueue::create);
        if (!made) return std::move(made).error();
        registry_.add_queue(client.held, *std::move(made), *std::move(charge));
    }
    auto fd = with_descriptors([&] { return Registry::queue_of(client.held)->grant(); });
    if (!fd) return std::move(fd).error();
    Answer answer{PageReply{0}};
    answer.fds.push_back(*std::move(fd));
    return answer;
}

Outcome Handlers::act(Client& client, const Publish& call) {
    Entry* entry = registry_.find_attached(call.attachment);
    if (entry && !registry_.holds(client.held, call.attachment)) return Error::permission_denied();
    std::optional<std::string> key = call.key || !entry ? call.key : entry->staged_key;
    // Before the entry is taken for good: it may go with that, and the one that has the key too.
    if (key) {
        (void)find_present({key, std::nullopt});
        entry = registry_.find_attached(call.attachment);
    }
    if (!entry || entry->state != State::staged) {
        return Error::invalid_parameter("attachment");
    }
    if (!key) return Error::invalid_parameter("key");
    if (!policy_.may_create(client.peer, *key)) return Error::permission_denied();
    if (Entry* existing = registry_.find(*key)) {
        if (!call.replace.value_or(false)) return Error::segment_exists(*key);
        if (!check_administer(client.peer, existing->acl)) return Error::permission_denied();
    }
    registry_.publish(*entry, *std::move(key));
    return Answer{SegmentReply{entry->describe()}};
}

// Those of this connection's process that an earlier daemon granted, and no others.
Outcome Handlers::act(Client& client, const Resume& call) {
    Resumed resumed{orphans_.resume(call.attachments, client.held)};
    if (call.partial != true) orphans_.end_rest(client.held);
    return Answer{std::move(resumed)};
}

}  // namespace shmd
