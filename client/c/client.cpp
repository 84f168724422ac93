#include "client.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>

#include "fork_guard.hpp"
#include "limits.hpp"
#include "paths.hpp"

namespace shmd::client {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

using SharedConnection = std::shared_ptr<Connection>;
using Opened = Outcome<std::unique_ptr<OpenSegment>>;

// How often a wait for a key outlives the end of its connection, as a restart of the daemon is one. A bound, lest a
// daemon that hangs up on every such call be called for ever.
constexpr int max_lost_waits = 16;

std::string named(const Target& target) {
    return target.key ? "segment '" + *target.key + "'" : "segment " + std::to_string(target.id.value_or(0));
}

std::string opening(const Target& target, Access access) {
    return "open " + named(target) + (access == Access::write ? " for writing" : " for reading");
}

std::string creating(const Create& create) {
    return "create " + (create.key ? "segment '" + *create.key + "'" : std::string("a segment")) + " of " +
           std::to_string(create.size_bytes) + " bytes";
}

}  // namespace

Outcome<std::unique_ptr<Client>> Client::connect(const char* path, Endpoint endpoint) {
    std::optional<std::string> found = path ? std::string(path) : find_socket(endpoint);
    if (!found) {
        return Failure{ECONNREFUSED, "there is no system instance of shmd, and " + user_runtime_directory() +
                                         " is not trusted: another user owns it or may write to it"};
    }
    auto client = std::make_unique<Client>(std::move(*found));
    if (auto connected = client->connection(); !connected) return std::move(connected.failure());
    return client;
}

Client::Client(std::string path) : path_(std::move(path)) {
    ForkGuard& guard = ForkGuard::instance();
    std::lock_guard lock(guard.mutex);
    guard.clients.push_back(this);
}

Client::~Client() {
    ForkGuard& guard = ForkGuard::instance();
    std::lock_guard lock(guard.mutex);
    std::erase(guard.clients, this);
}

void Client::abandon() noexcept {
    new (&mutex_) std::mutex;
    new (&current_) SharedConnection;
}

Outcome<SharedConnection> Client::connection() {
    std::lock_guard lock(mutex_);
    while (current_) {
        if (current_->usable()) return current_;
        if (!current_->ours()) break;
        // Whoever this process is now, it may take up what it had.
        auto next = current_->ended() ? current_->successor() : Outcome<SharedConnection>(nullptr);
        if (!next) return next;
        if (!*next) break;
        current_ = *next;
    }
    current_.reset();
    auto made = Connection::open(path_);
    if (made) current_ = *made;
    return made;
}

template <typename Tried, typename Attempt>
auto Client::carry_out(const std::string& message, Repeated repeated, const Tried& tried, const Attempt& attempt)
    -> decltype(attempt({}, message)) {
    for (bool last = false;; last = true) {
        auto connected = connection();
        if (!connected) return in_context(std::move(connected.failure()), tried());
        auto outcome = attempt(*connected, message);
        if (outcome) return outcome;
        Lost lost = outcome.failure().lost;
        bool harmless = lost == Lost::unsent || (lost == Lost::unanswered && repeated == Repeated::the_same);
        if (last || !harmless) return in_context(std::move(outcome.failure()), tried());
    }
}

Opened Client::create(const Create& create) {
    bool opens = create.key && create.create_mode == CreateMode::any && create.staged != true;
    return carry_out(
        encode_call(create), opens ? Repeated::the_same : Repeated::something_else, [&] { return creating(create); },
        [&](const SharedConnection& connected, const std::string& message) {
            return OpenSegment::map(connected, connected->call<Grant>(message), create.access.value_or(Access::write));
        });
}

Opened Client::open(const Target& target, Access access, bool sealed) {
    return carry_out(
        encode_call(Open{target, access, std::nullopt, sealed ? std::optional(true) : std::nullopt}), Repeated::the_same,
        [&] { return opening(target, access); },
        [&](const SharedConnection& connected, const std::string& message) {
            connected->open_queue_if_wanted();
            return OpenSegment::map(connected, connected->call<Grant>(message), access);
        });
}

// One of the grants of a reply that has many.
Opened map_one(const SharedConnection& connected, Grant&& grant, std::vector<UniqueFd>& descriptors, bool lost, Access access) {
    auto index = static_cast<std::size_t>(grant.file_descriptor);
    UniqueFd descriptor;
    if (index < descriptors.size()) descriptor = std::move(descriptors[index]);
    return OpenSegment::map(connected, std::move(grant), descriptor, lost, access);
}

Outcome<std::vector<Opened>> Client::open_many(const std::vector<std::string>& keys, Access access) {
    auto attempt = [&](const SharedConnection& connected, const std::string& message) -> Outcome<std::vector<Opened>> {
        connected->open_queue_if_wanted();
        auto answer = connected->call<OpenResults>(message);
        if (!answer) return std::move(answer.failure());
        std::vector<Opened> opened;
        for (OpenResult& result : answer->body.results) {
            if (result.error) {
                opened.emplace_back(from_remote(*result.error));
            } else {
                opened.push_back(map_one(connected, std::move(*result.grant), answer->descriptors,
                                         answer->descriptor_lost, access));
            }
        }
        return opened;
    };
    std::vector<Opened> all;
    while (all.size() < keys.size()) {
        OpenMany call{{}, access};
        for (std::size_t i = all.size(); i < keys.size() && call.targets.size() < limits::batch; i++) {
            call.targets.push_back({keys[i], std::nullopt});
        }
        auto some = carry_out(
            encode_call(call), Repeated::the_same, [] { return std::string_view("open segments"); }, attempt);
        if (!some) return some;
        if (some->size() != call.targets.size()) return nonsense("it has not as many results as it was asked for");
        for (Opened& opened : *some) {
            Target target{keys[all.size()], std::nullopt};
            if (!opened) opened = in_context(std::move(opened.failure()), opening(target, access));
            all.push_back(std::move(opened));
        }
    }
    return all;
}

Outcome<std::vector<std::unique_ptr<OpenSegment>>> Client::create_many(const CreateMany& create) {
    using All = std::vector<std::unique_ptr<OpenSegment>>;
    auto attempt = [&](const SharedConnection& connected, const std::string& message) -> Outcome<All> {
        auto answer = connected->call<Grants>(message);
        if (!answer) return std::move(answer.failure());
        if (answer->body.grants.size() != create.segments.size()) return nonsense("it has not as many grants as it should");
        All all;
        std::optional<Failure> failure;
        for (std::size_t i = 0; i < create.segments.size(); i++) {
            Access access = create.segments[i].access.value_or(Access::write);
            auto made = map_one(connected, std::move(answer->body.grants[i]), answer->descriptors,
                                answer->descriptor_lost, access);
            if (made) {
                all.push_back(std::move(*made));
            } else {
                failure = std::move(made.failure());
            }
        }
        if (!failure) return all;
        for (const auto& made : all) {
            const Target by_id{std::nullopt, made->info().id};
            if (made->created()) connected->notify(encode_call(Delete{by_id}, {.oneway = true}));
        }
        return std::move(*failure);
    };
    return carry_out(
        encode_call(create), Repeated::something_else,
        [&] { return "create " + std::to_string(create.segments.size()) + " segments"; }, attempt);
}

Opened Client::open_wait(const std::string& key, Access access, std::optional<std::int64_t> timeout_usec) {
    const Target target{key, std::nullopt};
    const auto begin = steady_clock::now();
    SharedConnection waited;  // keeps the segment that has come until we have opened it
    for (int lost_waits = 0;;) {
        auto opened = open(target, access);
        if (opened || opened.failure().code != ENOENT) return opened;
        auto passed = duration_cast<microseconds>(steady_clock::now() - begin).count();
        std::int64_t left = timeout_usec ? *timeout_usec - passed : limits::integer;
        if (left <= 0) return opened;

        auto come = wait_for(target, access, std::min(left, limits::integer));
        if (come) {
            waited = *come;
        } else if (come.failure().lost == Lost::no || ++lost_waits > max_lost_waits) {
            return in_context(std::move(come.failure()), opening(target, access));
        }
    }
}

Outcome<SharedConnection> Client::wait_for(const Target& target, Access access, std::int64_t usec) {
    auto own = Connection::open(path_);
    if (!own) return own;
    auto answer = (*own)->call<Grant>(encode_call(Open{target, access, usec}));
    if (!answer) return std::move(answer.failure());
    return own;
}

// All of these may be carried out twice: the second time changes nothing more.
template <typename Tried>
Outcome<Segment> Client::segment_from(const std::string& message, const Tried& tried) {
    return carry_out(
        message, Repeated::the_same, tried,
        [](const SharedConnection& connected, const std::string& call) -> Outcome<Segment> {
            auto answer = connected->call<SegmentReply>(call);
            if (!answer) return std::move(answer.failure());
            if (!answer->body.segment) return nonsense("it describes no segment");
            return std::move(*answer->body.segment);
        });
}

Outcome<Segment> Client::describe(const Target& target) {
    return segment_from(encode_call(Describe{target}), [&] { return "describe " + named(target); });
}

Outcome<Segment> Client::set_attributes(const SetAttributes& change) {
    return segment_from(encode_call(change), [&] { return "change " + named(change.target); });
}

Outcome<Segment> Client::renew(const Target& target) {
    return segment_from(encode_call(Renew{target}), [&] { return "renew the lease of " + named(target); });
}

Outcome<Segment> Client::seal(const Target& target) {
    return segment_from(encode_call(Seal{target}), [&] { return "seal " + named(target); });
}

Outcome<Segment> Client::resize(const Target& target, std::int64_t size) {
    return segment_from(encode_call(Resize{target, size}), [&] { return "resize " + named(target); });
}

Outcome<InfoChain> Client::list(const std::optional<std::string>& prefix) {
    return carry_out(
        encode_call(List{prefix}, {.more = true}), Repeated::the_same, [] { return std::string_view("list segments"); },
        [](const SharedConnection& connected, const std::string& message) -> Outcome<InfoChain> {
            InfoChain segments;
            auto done = connected->call_for_many<SegmentReply>(message, [&](SegmentReply&& reply) {
                if (reply.segment) segments.add(std::move(*reply.segment));
            });
            if (!done) return std::move(done.failure());
            return segments;
        });
}

Outcome<Empty> Client::remove(const Target& target) {
    return carry_out(
        encode_call(Delete{target}), Repeated::something_else, [&] { return "delete " + named(target); },
        [](const SharedConnection& connected, const std::string& message) -> Outcome<Empty> {
            auto answer = connected->call<Empty>(message);
            if (!answer) return std::move(answer.failure());
            return Empty{};
        });
}

Outcome<std::unique_ptr<Watch>> Client::watch(const std::optional<std::string>& prefix) {
    auto watch = Watch::open(path_, prefix);
    if (!watch) return in_context(std::move(watch.failure()), "watch segments");
    return watch;
}

Outcome<std::string> Client::call_raw(std::string_view method, std::string_view parameters) {
    auto calling = [&] { return "call " + std::string(method); };
    auto encoded = encode_raw_call(method, parameters);
    if (!encoded) return in_context({EINVAL, "its parameters are not a JSON object"}, calling());
    return carry_out(*encoded, Repeated::something_else, calling,
                     [](const SharedConnection& connected, const std::string& message) -> Outcome<std::string> {
                         auto answer = connected->call<RawReply>(message);
                         if (!answer) return std::move(answer.failure());
                         return std::move(answer->body.parameters);
                     });
}

Outcome<std::string> Client::call_raw_for_many(std::string_view method, std::string_view parameters) {
    auto calling = [&] { return "call " + std::string(method); };
    auto encoded = encode_raw_call(method, parameters, {.more = true});
    if (!encoded) return in_context({EINVAL, "its parameters are not a JSON object"}, calling());
    return carry_out(*encoded, Repeated::something_else, calling,
                     [](const SharedConnection& connected, const std::string& message) -> Outcome<std::string> {
                         std::string all;
                         auto done = connected->call_for_many<RawReply>(message, [&](RawReply&& reply) {
                             all += (all.empty() ? "" : ",") + reply.parameters;
                         });
                         if (!done) return std::move(done.failure());
                         return "[" + all + "]";
                     });
}

}  // namespace shmd::client
