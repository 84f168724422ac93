// Several client processes of several users do random things, alone and two at a time, and every answer is compared with
// a model of the rules that is kept here, in memory, in plain code of its own. Two calls at a time may take effect in
// either order: the model is then every order that fits the answers.
//
//   SHMD_MODEL_SEED=N         asks again what an earlier run asked (each run prints its seed); who wins a race may differ
//   SHMD_MODEL_OPERATIONS=N   how many operations; default 4000
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "accounting.hpp"
#include "daemon_fixture.hpp"
#include "process.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr int key_count = 5;
constexpr std::array<std::uint32_t, 4> uids{0, 61001, 61001, 61002};  // of the client processes
constexpr std::uint32_t group = 62000;                                 // of 61001 and 61002

std::string key_name(int key) {
    return "model/" + std::to_string(key);
}

// ---- What is asked and what is answered, as it goes between the processes ----

enum class Kind {
    create,
    create_any,
    create_staged,
    open,
    open_sealed,
    detach,
    publish,
    replace,
    describe,
    remove,
    seal,
    resize,
    change_mode,
    renew,
    list,
};
constexpr int kind_count = static_cast<int>(Kind::list) + 1;
constexpr const char* kind_names[kind_count] = {"create", "create-any", "create-staged", "open",   "open-sealed",
                                                "detach", "publish",    "replace",       "describe", "remove",
                                                "seal",   "resize",     "change-mode",   "renew",  "list"};

struct Operation {
    Kind kind = Kind::list;
    int key = 0;
    std::int64_t id = 0;  // instead of the key where it is not 0
    std::int64_t size = 1;
    std::int64_t capacity = 1;
    std::int64_t step = 0;  // what a resize makes of the size that there is
    int mode = 0600;
    Access access = Access::read;
    bool temporary = false;  // lifetime attached
    bool sealable = true;
    std::uint32_t attachment = 0;
};

struct Result {
    int error = -1;  // ErrorCode, or -1
    // Of an error:
    std::int64_t number = 0;
    int holders = 0;
    // Of a segment:
    std::int64_t id = 0;
    int key = -1;
    std::int64_t size = 0, capacity = 0;
    int mode = 0;
    std::uint32_t owner = 0;
    State state = State::live;
    bool sealed = false;
    std::int64_t attachments = 0;
    bool created = false;
    std::uint32_t attachment = 0;
    // Of a list: a bit for each key.
    unsigned keys = 0;

    bool operator==(const Result&) const = default;
};

std::string text_of(const Operation& op) {
    std::ostringstream out;
    out << kind_names[static_cast<int>(op.kind)];
    op.id != 0 ? out << " id " << op.id : out << " key " << op.key;
    out << " size " << op.size << "/" << op.capacity << " mode " << std::oct << op.mode << std::dec
        << (op.access == Access::write ? " write" : " read") << (op.temporary ? " temporary" : "")
        << (op.sealable ? "" : " unsealable");
    if (op.attachment != 0) out << " attachment " << op.attachment;
    return out.str();
}

std::string text_of(const Result& result) {
    std::ostringstream out;
    if (result.error >= 0) {
        out << error_name(static_cast<ErrorCode>(result.error)) << " " << result.number << " holders " << result.holders;
    } else {
        out << "id " << result.id << " key " << result.key << " size " << result.size << "/" << result.capacity
            << " mode " << std::oct << result.mode << std::dec << " owner " << result.owner << " state "
            << static_cast<int>(result.state) << " sealed " << result.sealed << " attachments " << result.attachments
            << " created " << result.created << " attachment " << result.attachment << " keys " << result.keys;
    }
    return out.str();
}

// ---- The client processes ----

Target target_of(const Operation& op) {
    if (op.id != 0) return {std::nullopt, op.id};
    return {key_name(op.key), std::nullopt};
}

void take(Result& result, const Segment& segment) {
    result.id = segment.id;
    result.key = segment.key ? segment.key->back() - '0' : -1;
    result.size = segment.size_bytes;
    result.capacity = segment.capacity_bytes;
    result.mode = segment.mode;
    result.owner = segment.owner_uid;
    result.state = segment.state;
    result.sealed = segment.sealed;
    result.attachments = segment.attachments;
}

void take(Result&, const Empty&) {}
void take(Result& result, const SegmentReply& reply) {
    take(result, *reply.segment);
}
void take(Result& result, const Grant& grant) {
    take(result, grant.segment);
    result.created = grant.created.value_or(false);
    result.attachment = grant.attachment;
}

template <typename C>
Result ask(RawClient& client, const C& call) {
    Result result;
    auto received = client.call(call);
    if (received.is_error()) {
        const Error& error = received.known_error();
        result.error = static_cast<int>(error.code);
        result.number = error.code == ErrorCode::no_such_segment ? 0 : error.number.value_or(0);
        result.holders = static_cast<int>(error.holders.size());
    } else {
        take(result, received.value());
    }
    return result;
}

Result carry_out(RawClient& client, const Operation& op) {
    switch (op.kind) {
        case Kind::create:
        case Kind::create_any:
        case Kind::create_staged: {
            Create call;
            call.key = key_name(op.key);
            call.size_bytes = op.size;
            call.capacity_bytes = op.capacity;
            call.mode = op.mode;
            call.access = op.access;
            call.sealable = op.sealable;
            call.create_mode = op.kind == Kind::create_any ? CreateMode::any : CreateMode::create_new;
            call.staged = op.kind == Kind::create_staged;
            call.lifetime = op.temporary ? Lifetime::attached : Lifetime::persistent;
            return ask(client, call);
        }
        case Kind::open:
            return ask(client, Open{target_of(op), op.access});
        case Kind::open_sealed:
            return ask(client, Open{target_of(op), op.access, std::nullopt, true});
        case Kind::detach:
            return ask(client, Detach{op.attachment});
        case Kind::publish:
        case Kind::replace:
            return ask(client, Publish{op.attachment, key_name(op.key), op.kind == Kind::replace});
        case Kind::describe:
            return ask(client, Describe{target_of(op)});
        case Kind::remove:
            return ask(client, Delete{target_of(op)});
        case Kind::seal:
            return ask(client, Seal{target_of(op)});
        case Kind::resize:
            return ask(client, Resize{target_of(op), op.size});
        case Kind::change_mode: {
            SetAttributes call{target_of(op)};
            call.mode = op.mode;
            return ask(client, call);
        }
        case Kind::renew:
            return ask(client, Renew{target_of(op)});
        case Kind::list: {
            Result result;
            for (const Segment& segment : client.list("model/")) result.keys |= 1U << (segment.key->back() - '0');
            return result;
        }
    }
    return {};
}

template <typename T>
bool transfer(int socket, T& value, bool sending) {
    auto* bytes = reinterpret_cast<char*>(&value);
    for (std::size_t done = 0; done < sizeof value;) {
        ssize_t count = sending ? ::send(socket, bytes + done, sizeof value - done, MSG_NOSIGNAL)
                                : ::recv(socket, bytes + done, sizeof value - done, 0);
        if (count <= 0) return false;
        done += static_cast<std::size_t>(count);
    }
    return true;
}

// A process with one connection, which does what it is told.
class Actor {
  public:
    Actor(const Daemon& daemon, std::uint32_t uid) {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        mine_.reset(ends[0]);
        UniqueFd theirs(ends[1]);
        auto body = [socket = daemon.socket(), &theirs](Turns& turns) {
            RawClient client(socket);
            turns.signal();
            Operation op;
            while (transfer(theirs.get(), op, false)) {
                Result result = carry_out(client, op);
                if (!transfer(theirs.get(), result, true)) break;
            }
            return 0;
        };
        child_.emplace(User{uid, uid == 0 ? 0 : group, {}}, body);
        child_->wait_for_byte();
    }

    void begin(Operation op) { REQUIRE(transfer(mine_.get(), op, true)); }
    Result finish() {
        Result result;
        REQUIRE(transfer(mine_.get(), result, false));
        return result;
    }
    void kill() { child_->kill(); }

  private:
    UniqueFd mine_;
    std::optional<ChildProcess> child_;
};

// ---- The model ----

struct ModelSegment {
    int key = -1;
    int staged_by = -1;  // the client, while staged
    std::int64_t size = 0, capacity = 0;
    int mode = 0;
    std::uint32_t owner = 0;
    State state = State::live;
    bool sealed = false, sealable = true, temporary = false;
    std::map<std::uint32_t, std::pair<int, Access>> attachments{};  // by number: whose and for what

    bool operator==(const ModelSegment&) const = default;
};

class Model {
  public:
    bool operator==(const Model&) const = default;

    // What must come of this; the numbers that the daemon chooses are taken from what came.
    Result apply(int client, const Operation& op, const Result& came) {
        switch (op.kind) {
            case Kind::create:
            case Kind::create_any:
            case Kind::create_staged:
                return create(client, op, came);
            case Kind::open:
            case Kind::open_sealed:
                return open(client, op, came);
            case Kind::detach:
                return detach(client, op);
            case Kind::publish:
            case Kind::replace:
                return publish(client, op);
            case Kind::list:
                return list(client);
            default:
                return change(client, op);
        }
    }

    void end(int client) {
        std::vector<std::uint32_t> held;
        for (auto& [id, segment] : segments_) {
            for (auto& [number, attachment] : segment.attachments) {
                if (attachment.first == client) held.push_back(number);
            }
        }
        for (std::uint32_t number : held) end_attachment(number);
    }

    [[nodiscard]] std::vector<std::int64_t> ids() const {
        std::vector<std::int64_t> all;
        for (const auto& [id, segment] : segments_) all.push_back(id);
        return all;
    }
    // Of what this names; 0 when that is nothing.
    [[nodiscard]] std::int64_t size_of(int client, const Operation& op) const {
        Model copy = *this;
        Place place = copy.find(client, op);
        return place == copy.segments_.end() ? 0 : place->second.size;
    }
    [[nodiscard]] std::vector<std::uint32_t> attachments_of(int client) const {
        std::vector<std::uint32_t> all;
        for (const auto& [id, segment] : segments_) {
            for (const auto& [number, attachment] : segment.attachments) {
                if (attachment.first == client) all.push_back(number);
            }
        }
        return all;
    }
    [[nodiscard]] std::int64_t attachment_count() const {
        std::int64_t count = 0;
        for (const auto& [id, segment] : segments_) count += static_cast<std::int64_t>(segment.attachments.size());
        return count;
    }

  private:
    using Place = std::map<std::int64_t, ModelSegment>::iterator;

    static Result refusal(ErrorCode code, std::int64_t number = 0, std::size_t holders = 0) {
        Result result;
        result.error = static_cast<int>(code);
        result.number = number;
        result.holders = static_cast<int>(holders);
        return result;
    }

    static Result told(std::int64_t id, const ModelSegment& segment) {
        Result result;
        result.id = id;
        result.key = segment.state == State::live ? segment.key : -1;
        result.size = segment.size;
        result.capacity = segment.capacity;
        result.mode = segment.mode;
        result.owner = segment.owner;
        result.state = segment.state;
        result.sealed = segment.sealed;
        result.attachments = static_cast<std::int64_t>(segment.attachments.size());
        return result;
    }

    static bool owns(int client, const ModelSegment& segment) {
        std::uint32_t uid = uids[static_cast<std::size_t>(client)];
        return uid == 0 || uid == segment.owner;
    }

    // The groups of all owners but root are the same one.
    static bool may(int client, const ModelSegment& segment, Access access) {
        std::uint32_t uid = uids[static_cast<std::size_t>(client)];
        if (uid == 0) return true;
        int shift = uid == segment.owner ? 6 : segment.owner != 0 ? 3 : 0;
        int needed = access == Access::write ? 6 : 4;
        return (segment.mode >> shift & needed) == needed;
    }

    Place live(int key) {
        return std::find_if(segments_.begin(), segments_.end(), [key](const auto& each) {
            return each.second.state == State::live && each.second.key == key;
        });
    }

    Place find(int client, const Operation& op) {
        if (op.id == 0) return live(op.key);
        Place place = segments_.find(op.id);
        bool hidden = place != segments_.end() && place->second.state == State::staged && place->second.staged_by != client;
        return hidden ? segments_.end() : place;
    }

    static std::size_t count(const ModelSegment& segment, auto predicate) {
        auto counts = [&](const auto& each) { return predicate(each.second.first, each.second.second); };
        return static_cast<std::size_t>(std::count_if(segment.attachments.begin(), segment.attachments.end(), counts));
    }

    Result attach(int client, Place place, Access access, const Result& came, bool created) {
        if (came.error >= 0 || came.attachment == 0 || numbers_.contains(came.attachment)) return refusal(ErrorCode::draining);
        numbers_[came.attachment] = place->first;
        place->second.attachments[came.attachment] = {client, access};
        Result result = told(place->first, place->second);
        result.created = created;
        result.attachment = came.attachment;
        return result;
    }

    Result create(int client, const Operation& op, const Result& came) {
        bool staged = op.kind == Kind::create_staged;
        Place existing = staged ? segments_.end() : live(op.key);
        if (existing != segments_.end()) {
            if (op.kind != Kind::create_any) return refusal(ErrorCode::segment_exists);
            if (!may(client, existing->second, op.access)) return refusal(ErrorCode::permission_denied);
            if (existing->second.size < op.size) return refusal(ErrorCode::size_mismatch, existing->second.size);
            if (op.access == Access::write && existing->second.sealed) return refusal(ErrorCode::segment_sealed);
            return attach(client, existing, op.access, came, false);
        }
        if (came.error >= 0 || came.id <= last_id_) return refusal(ErrorCode::draining);
        last_id_ = came.id;
        ModelSegment segment;
        segment.key = op.key;
        segment.staged_by = staged ? client : -1;
        segment.size = op.size;
        segment.capacity = op.capacity;
        segment.mode = op.mode;
        segment.owner = uids[static_cast<std::size_t>(client)];
        segment.state = staged ? State::staged : State::live;
        segment.sealable = op.sealable;
        segment.temporary = op.temporary;
        return attach(client, segments_.emplace(came.id, segment).first, op.access, came, true);
    }

    Result open(int client, const Operation& op, const Result& came) {
        Place place = find(client, op);
        if (place == segments_.end()) return refusal(ErrorCode::no_such_segment);
        if (!may(client, place->second, op.access)) return refusal(ErrorCode::permission_denied);
        if (op.kind == Kind::open_sealed && !place->second.sealed) return refusal(ErrorCode::not_sealed, op.id);
        if (op.access == Access::write && place->second.sealed) {
            return refusal(ErrorCode::segment_sealed, place->second.state == State::live ? 0 : place->first);
        }
        return attach(client, place, op.access, came, false);
    }

    void end_attachment(std::uint32_t number) {
        Place place = segments_.find(numbers_.at(number));
        numbers_.erase(number);
        ModelSegment& segment = place->second;
        segment.attachments.erase(number);
        bool ends = segment.state != State::live || segment.temporary;
        if (segment.attachments.empty() && ends) segments_.erase(place);
    }

    Result detach(int client, const Operation& op) {
        auto found = numbers_.find(op.attachment);
        if (found == numbers_.end()) return refusal(ErrorCode::invalid_parameter);
        if (segments_.at(found->second).attachments.at(op.attachment).first != client) {
            return refusal(ErrorCode::permission_denied);
        }
        end_attachment(op.attachment);
        return {};
    }

    void lose_key(Place place) {
        place->second.state = State::deleted;
        if (place->second.attachments.empty()) segments_.erase(place);
    }

    Result publish(int client, const Operation& op) {
        auto found = numbers_.find(op.attachment);
        if (found == numbers_.end()) return refusal(ErrorCode::invalid_parameter);
        Place place = segments_.find(found->second);
        if (place->second.attachments.at(op.attachment).first != client) return refusal(ErrorCode::permission_denied);
        if (place->second.state != State::staged) return refusal(ErrorCode::invalid_parameter);
        if (Place existing = live(op.key); existing != segments_.end()) {
            if (op.kind != Kind::replace) return refusal(ErrorCode::segment_exists);
            if (!owns(client, existing->second)) return refusal(ErrorCode::permission_denied);
            lose_key(existing);
        }
        place->second.state = State::live;
        place->second.staged_by = -1;
        place->second.key = op.key;
        return told(place->first, place->second);
    }

    Result list(int client) {
        Result result;
        for (const auto& [id, segment] : segments_) {
            bool seen = segment.state == State::live && (owns(client, segment) || may(client, segment, Access::read));
            if (seen) result.keys |= 1U << segment.key;
        }
        return result;
    }

    // What is done to a segment without an attachment.
    Result change(int client, const Operation& op) {
        Place place = find(client, op);
        if (place == segments_.end()) return refusal(ErrorCode::no_such_segment);
        ModelSegment& segment = place->second;
        bool reads = owns(client, segment) || may(client, segment, Access::read);
        bool writes = owns(client, segment) || may(client, segment, Access::write);
        bool needs_owner = op.kind == Kind::remove || op.kind == Kind::change_mode;
        bool needs_write = op.kind == Kind::seal || op.kind == Kind::resize;
        if (needs_owner ? !owns(client, segment) : needs_write ? !writes : !reads) {
            return refusal(ErrorCode::permission_denied);
        }
        auto by_others = [&](int who, Access) { return who != client; };
        auto for_writing = [](int, Access access) { return access == Access::write; };
        switch (op.kind) {
            case Kind::remove:
                lose_key(place);
                return {};
            case Kind::seal:
                if (segment.sealed) break;
                if (!segment.sealable) return refusal(ErrorCode::not_sealable, op.id);
                if (auto writers = count(segment, for_writing)) return refusal(ErrorCode::segment_busy, 0, writers);
                segment.sealed = true;
                break;
            case Kind::resize:
                if (segment.sealed) return refusal(ErrorCode::segment_sealed, op.id);
                if (op.size > segment.capacity) return refusal(ErrorCode::capacity_exceeded, segment.capacity);
                if (auto others = count(segment, by_others); op.size < segment.size && others > 0) {
                    return refusal(ErrorCode::segment_busy, 0, others);
                }
                segment.size = op.size;
                break;
            case Kind::change_mode:
                segment.mode = op.mode;
                break;
            case Kind::renew:
                return refusal(ErrorCode::no_lease, op.id);
            default:
                break;
        }
        return told(place->first, segment);
    }

    std::map<std::int64_t, ModelSegment> segments_;
    std::map<std::uint32_t, std::int64_t> numbers_;  // every attachment, and the id of its segment
    std::int64_t last_id_ = 0;
};

// ---- The run ----

class Run {
  public:
    explicit Run(std::uint64_t seed) : seed_(seed) {
        for (std::uint32_t uid : uids) actors_.push_back(std::make_unique<Actor>(daemon_, uid));
    }

    void step() {
        // A race that ends otherwise than last time must not change all that is asked afterwards.
        random_.seed(seed_ + 0x9e3779b97f4a7c15 * ++steps_);
        int first = pick(static_cast<int>(uids.size()));
        int what = pick(100);
        if (what < 1) return end(first);
        Operation op = random_operation(first);
        if (what < 50) return alone(first, op);
        int second = (first + 1 + pick(static_cast<int>(uids.size()) - 1)) % static_cast<int>(uids.size());
        Operation other = random_operation(second);
        if (pick(2) == 0) {  // at the same one
            other.key = op.key, other.id = op.id;
            keep_resize_short(second, other);
        }
        together(first, op, second, other);
    }

    // What is left when all have gone is what the model says.
    void finish() {
        for (int client = 0; client < static_cast<int>(uids.size()); client++) end(client);
        for (std::int64_t id : models_.front().ids()) {
            Operation op;
            op.kind = Kind::remove;
            op.id = id;
            alone(0, op);
        }
        CHECK(models_.front().ids().empty());
        // Memory that a thread still has counts a moment longer.
        (void)wait_until(daemon_, "no segments and no attachments", [](const Snapshot& rest) {
            return rest.status.segments == 0 && rest.status.attachments == 0;
        });
    }

    [[nodiscard]] std::size_t most_models() const { return most_models_; }
    // How many answers there were that differ in what was asked and how it ended.
    [[nodiscard]] std::size_t kinds_of_answers() const { return answers_.size(); }
    [[nodiscard]] bool succeeded(Kind kind) const { return answers_.contains({kind, -1}); }

  private:
    // By so much a Resize is done in one go, and no other call can meet it half done.
    void keep_resize_short(int client, Operation& op) const {
        if (op.kind == Kind::resize) op.size = std::max<std::int64_t>(1, models_.front().size_of(client, op) + op.step);
    }

    int pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

    Operation random_operation(int client) {
        constexpr std::array<std::int64_t, 6> sizes{1, 4096, 5000, 100'000, 300'000, 600'000};
        constexpr std::array<int, 6> modes{0600, 0640, 0644, 0660, 0666, 0000};
        Operation op;
        op.kind = static_cast<Kind>(pick(kind_count));
        op.key = pick(key_count);
        op.capacity = sizes[static_cast<std::size_t>(pick(static_cast<int>(sizes.size())))];
        op.size = pick(3) == 0 ? op.capacity : 1 + pick(static_cast<int>(op.capacity));
        op.step = pick(500'001) - 250'000;
        op.mode = modes[static_cast<std::size_t>(pick(static_cast<int>(modes.size())))];
        op.access = pick(2) == 0 ? Access::read : Access::write;
        op.temporary = pick(4) == 0;
        op.sealable = pick(6) != 0;
        const Model& model = models_.front();
        if (auto ids = model.ids(); !ids.empty() && pick(3) == 0) {
            op.id = ids[static_cast<std::size_t>(pick(static_cast<int>(ids.size())))];
        }
        if (op.kind == Kind::create || op.kind == Kind::create_any || op.kind == Kind::create_staged) op.id = 0;
        keep_resize_short(client, op);
        // Most often one of its own.
        int whose = pick(8) == 0 ? pick(static_cast<int>(uids.size())) : client;
        auto attachments = model.attachments_of(whose);
        op.attachment = attachments.empty() ? 1 : attachments[static_cast<std::size_t>(pick(static_cast<int>(attachments.size())))];
        if (op.kind == Kind::publish || op.kind == Kind::replace || op.kind == Kind::detach) op.id = 0;
        return op;
    }

    void note(int client, const Operation& op, const Result& result) {
        answers_.insert({op.kind, result.error});
        std::ostringstream out;
        out << "client " << client << ": " << text_of(op) << " -> " << text_of(result);
        history_.push_back(out.str());
        if (history_.size() > 30) history_.pop_front();
    }

    [[noreturn]] void disagree(const std::string& expected) {
        std::string all;
        for (const std::string& line : history_) all += "\n  " + line;
        fail("the daemon's answer is none that the model allows: " + expected + "; the last operations were" + all);
    }

    void keep(std::vector<Model> models, const std::string& expected) {
        if (models.empty()) disagree(expected);
        models_.clear();
        for (Model& model : models) {
            if (std::find(models_.begin(), models_.end(), model) == models_.end()) models_.push_back(std::move(model));
        }
        most_models_ = std::max(most_models_, models_.size());
    }

    void alone(int client, const Operation& op) {
        Actor& actor = *actors_[static_cast<std::size_t>(client)];
        actor.begin(op);
        Result came = actor.finish();
        note(client, op, came);
        std::vector<Model> fitting;
        std::string expected;
        for (Model model : models_) {
            Result result = model.apply(client, op, came);
            expected = text_of(result);
            if (result == came) fitting.push_back(std::move(model));
        }
        keep(std::move(fitting), expected);
    }

    void together(int first, const Operation& op, int second, const Operation& other) {
        Actor& one = *actors_[static_cast<std::size_t>(first)];
        Actor& two = *actors_[static_cast<std::size_t>(second)];
        one.begin(op);
        two.begin(other);
        Result came = one.finish(), came_too = two.finish();
        note(first, op, came);
        note(second, other, came_too);
        std::vector<Model> fitting;
        for (const Model& model : models_) {
            Model order = model;
            if (order.apply(first, op, came) == came && order.apply(second, other, came_too) == came_too) {
                fitting.push_back(std::move(order));
            }
            order = model;
            if (order.apply(second, other, came_too) == came_too && order.apply(first, op, came) == came) {
                fitting.push_back(std::move(order));
            }
        }
        keep(std::move(fitting), "of two at a time");
    }

    // SIGKILL, and another process in its place.
    void end(int client) {
        auto& actor = actors_[static_cast<std::size_t>(client)];
        actor->kill();
        history_.push_back("client " + std::to_string(client) + ": killed");
        for (Model& model : models_) model.end(client);
        keep(std::move(models_), "");
        std::int64_t left = models_.front().attachment_count();
        wait_until(daemon_, "the end of a killed client's attachments", [&](const Snapshot& now) {
            return now.status.attachments == left &&
                   now.status.connections == static_cast<std::int64_t>(uids.size());  // one less, and the one that asks
        });
        actor = std::make_unique<Actor>(daemon_, uids[static_cast<std::size_t>(client)]);
    }

    Daemon daemon_;
    std::uint64_t seed_;
    std::uint64_t steps_ = 0;
    std::mt19937_64 random_;
    std::vector<std::unique_ptr<Actor>> actors_;
    std::vector<Model> models_{Model()};
    std::size_t most_models_ = 1;
    std::deque<std::string> history_;
    std::set<std::pair<Kind, int>> answers_;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

TEST_CASE("thousands of random operations of several processes are answered as the rules say" *
          doctest::skip(!is_root())) {
    std::uint64_t seed = number_from("SHMD_MODEL_SEED", std::random_device{}());
    std::uint64_t operations = number_from("SHMD_MODEL_OPERATIONS", 4000);
    MESSAGE("SHMD_MODEL_SEED=" << seed << " SHMD_MODEL_OPERATIONS=" << operations);
    INFO("SHMD_MODEL_SEED=" << seed);
    Run run(seed);
    for (std::uint64_t i = 0; i < operations; i++) run.step();
    run.finish();
    MESSAGE(run.kinds_of_answers() << " kinds of answers; at most " << run.most_models() << " possible states at a time");
    if (operations < 4000) return;
    for (int kind = 0; kind < kind_count; kind++) {
        CAPTURE(kind_names[kind]);
        CHECK(run.succeeded(static_cast<Kind>(kind)) == (static_cast<Kind>(kind) != Kind::renew));  // nothing has a lease
    }
    CHECK(run.kinds_of_answers() > 45);
}
