// The daemon is killed at random moments while clients create, write, publish, replace, change and delete; then every
// operation that was answered is there, every byte is right, and nothing that was not answered is half there.
//
//   SHMD_KILL_ROUNDS=1000 SHMD_KILL_SEED=7 kill_test      more rounds, or the same again
//   SHMD_KILL_SOCKET=PATH SHMD_KILL_COMMAND='...'         against a service that runs already: the command kills it, and
//                                                         whoever manages it starts it again
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "frame.hpp"
#include "limits.hpp"
#include "process.hpp"
#include "service_manager.hpp"
#include "varlink_client.hpp"

using namespace shmd;
using namespace shmd::test;

namespace {

constexpr int clients = 4;
constexpr int keys_per_client = 12;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What a segment of this number holds: told from the number alone, the same over all its bytes.
std::uint64_t word_of(std::uint64_t number, std::size_t place) {
    std::uint64_t x = number * 0x9E3779B97F4A7C15ULL + place;
    x ^= x >> 31;
    return x * 0xBF58476D1CE4E5B9ULL;
}

void fill(int memory, std::size_t bytes, std::uint64_t number) {
    auto* words = static_cast<std::uint64_t*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0));
    REQUIRE(words != MAP_FAILED);
    for (std::size_t i = 0; i < bytes / sizeof *words; i++) words[i] = word_of(number, i);
    ::munmap(words, bytes);
}

bool holds(int memory, std::size_t bytes, std::uint64_t number) {
    auto* words = static_cast<std::uint64_t*>(::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, memory, 0));
    REQUIRE(words != MAP_FAILED);
    bool right = true;
    for (std::size_t i = 0; i < bytes / sizeof *words; i++) right = right && words[i] == word_of(number, i);
    ::munmap(words, bytes);
    return right;
}

// What may be under a key: nothing, or the segment of a number, with a mode, and perhaps sealed.
struct Kept {
    std::uint64_t number = 0;
    std::size_t bytes = 0;
    int mode = 0600;
    bool sealed = false;
    bool operator==(const Kept&) const = default;
};
using State = std::optional<Kept>;

// One client with keys of its own: whoever it is, it alone changes them. What it was answered is what must be; an
// operation that was under way when the daemon was killed may have been done or not, whole.
class Worker {
  public:
    Worker(std::string socket, int number, std::uint64_t seed)
        : socket_(std::move(socket)), number_(number), random_(seed + static_cast<std::uint64_t>(number)) {
        for (int i = 0; i < keys_per_client; i++) {
            keys_["kill/" + std::to_string(number) + "/" + std::to_string(i)] = {State()};
        }
    }

    // Works until the daemon goes away, or is over: who connects when it has just gone is served by the next one.
    void work(const std::atomic<bool>& over) {
        RawClient client(socket_);
        while (!over && step(client)) operations++;
    }

    // After a restart: what is there is one of the states that may be, and that one it is from now on.
    void verify() {
        RawClient client(socket_);
        for (auto& [key, states] : keys_) {
            State found = look(client, key);
            bool possible = std::ranges::find(states, found) != states.end();
            if (!possible) {
                fail(key + ": " + describe(found) + " is there; may be: " + describe(states.front()) +
                     (states.size() > 1 ? " or " + describe(states.back()) : ""));
            }
            states = {found};
        }
        take_up(client);
    }

    [[nodiscard]] std::size_t expected_segments() const {
        std::size_t count = 0;
        for (const auto& [key, states] : keys_) count += states.front() ? 1 : 0;
        return count;
    }
    [[nodiscard]] std::vector<std::string> keys() const {
        std::vector<std::string> all;
        for (const auto& [key, states] : keys_) {
            if (states.front()) all.push_back(key);
        }
        return all;
    }

    std::uint64_t operations = 0;
    std::size_t unknown_grants = 0;  // may have been made, by calls whose answers never came

  private:
    // What this client was granted it still has; what it holds from an unanswered call goes with the connection.
    void take_up(RawClient& client) {
        if (held_.empty()) return;
        std::vector<std::uint32_t> wanted(held_.begin(), held_.end());
        auto resumed = client.call(Resume{wanted}).value().attachments;
        for (std::uint32_t attachment : wanted) {
            bool has_it = std::ranges::find(resumed, attachment) != resumed.end();
            if (!has_it && attachment != leaving_) fail("an attachment of a living process is lost");
        }
        if (staged_ && pick(2) == 0) {
            // Either it was published just before the end, or it is still staged and can be published now.
            auto published = client.call(Publish{staged_->second, std::nullopt, true});
            if (!published.is_error()) keys_.at(staged_->first) = {staged_contents_};
        }
        for (std::uint32_t attachment : resumed) REQUIRE_FALSE(client.call(Detach{attachment}).is_error());
        held_.clear();
        leaving_ = 0;
        staged_.reset();
    }

    static std::string describe(const State& state) {
        if (!state) return "nothing";
        return "number " + std::to_string(state->number) + " of " + std::to_string(state->bytes) + " bytes, mode " +
               std::to_string(state->mode) + (state->sealed ? ", sealed" : "");
    }

    int pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

    // Sends and waits. Nothing when the daemon has gone before it answered.
    template <typename C>
    std::optional<Received<typename ReplyTo<C>::type>> ask(RawClient& client, const C& call) {
        if (!client.try_send_bytes(encode_call(call) + '\0')) return std::nullopt;
        auto message = client.receive_unless_closed();
        if (!message) {
            // What nothing tells of lasts as this process does: see PROTOCOL.md, "When the daemon is restarted".
            if (held_.empty() && !std::is_same_v<typename ReplyTo<C>::type, SegmentReply>) unknown_grants++;
            return std::nullopt;
        }
        auto reply = decode_reply<typename ReplyTo<C>::type>(message->text);
        if (!reply) fail("not a reply to " + std::string(C::method) + ": " + message->text);
        return Received<typename ReplyTo<C>::type>{std::move(*reply), std::move(message->fds)};
    }

    // An operation on one key that leads from what there is to `after`.
    template <typename C>
    bool change(RawClient& client, const std::string& key, const C& call, State after) {
        auto& states = keys_.at(key);
        states.push_back(std::move(after));
        auto reply = ask(client, call);
        if (!reply) return false;
        if (reply->is_error()) fail(key + ": refused: " + reply->error().name + " " + reply->error().parameters);
        states.erase(states.begin());
        return true;
    }

    bool step(RawClient& client) {
        auto place = std::next(keys_.begin(), pick(keys_per_client));
        const std::string key = place->first;
        const State now = place->second.front();
        switch (pick(8)) {
            case 0:
                if (now) return change(client, key, Delete{{key, std::nullopt}}, std::nullopt);
                [[fallthrough]];
            case 1:
            case 2:
            case 3:
                return publish(client, key);
            case 4: {
                if (!now) return publish(client, key);
                State after = now;
                after->mode = 0600 + pick(8) * 8;
                SetAttributes call{{key, std::nullopt}};
                call.mode = after->mode;
                return change(client, key, call, after);
            }
            case 5: {
                if (!now) return create_many(client);
                State after = now;
                after->sealed = true;
                return change(client, key, Seal{{key, std::nullopt}}, after);
            }
            case 6:
                return read(client, key);
            default:
                return create_many(client);
        }
    }

    // Stages, writes, publishes under the key, whatever is there.
    bool publish(RawClient& client, const std::string& key) {
        Kept contents{next_number(), static_cast<std::size_t>(4096 * (1 + pick(64)))};
        Create call;
        call.key = key;
        call.size_bytes = static_cast<std::int64_t>(contents.bytes);
        call.staged = true;
        auto made = ask(client, call);
        if (!made) return false;
        std::uint32_t attachment = hold(made->value().attachment);
        fill(made->fds.at(0).get(), contents.bytes, contents.number);
        made->fds.clear();
        staged_.emplace(key, attachment);
        staged_contents_ = contents;
        auto& states = keys_.at(key);
        states.push_back(contents);
        auto reply = ask(client, Publish{attachment, std::nullopt, true});
        if (!reply) return false;  // published or still staged: the restart will tell
        staged_.reset();
        if (reply->is_error()) fail(key + ": not published: " + reply->error().name);
        states.erase(states.begin());
        return detach(client, attachment);
    }

    // Several new keys at once: all of them or none.
    bool create_many(RawClient& client) {
        CreateMany call;
        std::vector<std::string> names;
        std::vector<Kept> made_of;
        for (auto& [key, states] : keys_) {
            if (states.front() || names.size() == 4) continue;
            Create each;
            each.key = key;
            each.size_bytes = 8192;
            call.segments.push_back(each);
            names.push_back(key);
        }
        if (names.empty()) return true;
        // Their bytes are zeros until they are written, which is not the daemon's doing: not known when it is killed.
        auto reply = ask(client, call);
        if (!reply) {
            batch_ = names;
            return false;
        }
        if (reply->is_error()) fail("refused: " + reply->error().name + " " + reply->error().parameters);
        for (std::size_t i = 0; i < names.size(); i++) {
            Kept contents{next_number(), 8192};
            fill(reply->fds.at(i).get(), contents.bytes, contents.number);
            keys_.at(names[i]) = {contents};
        }
        reply->fds.clear();
        for (const Grant& grant : reply->value().grants) hold(grant.attachment);
        for (const Grant& grant : reply->value().grants) {
            if (!detach(client, grant.attachment)) return false;
        }
        return true;
    }

    std::uint32_t hold(std::uint32_t attachment) {
        held_.insert(attachment);
        return attachment;
    }

    bool detach(RawClient& client, std::uint32_t attachment) {
        leaving_ = attachment;
        auto reply = ask(client, Detach{attachment});
        if (!reply) return false;
        if (reply->is_error()) fail("not detached: " + reply->error().name);
        leaving_ = 0;
        held_.erase(attachment);
        return true;
    }

    bool read(RawClient& client, const std::string& key) {
        auto reply = ask(client, Open{{key, std::nullopt}, Access::read});
        if (!reply) return false;
        const State& now = keys_.at(key).front();
        if (reply->is_error() == now.has_value()) fail(key + " is there, or is not, against what was answered");
        if (!now) return true;
        CHECK(holds(reply->fds.at(0).get(), now->bytes, now->number));
        reply->fds.clear();
        return detach(client, hold(reply->value().attachment));
    }

    State look(RawClient& client, const std::string& key) {
        auto reply = client.call(Open{{key, std::nullopt}, Access::read});
        bool of_batch = std::ranges::find(batch_, key) != batch_.end();
        if (reply.is_error()) {
            if (reply.known_error().code != ErrorCode::no_such_segment) fail(key + ": " + reply.error().name);
            if (of_batch) batch_seen_.push_back(false);
            return std::nullopt;
        }
        const Grant& grant = reply.value();
        auto bytes = static_cast<std::size_t>(grant.segment.size_bytes);
        State found;
        auto candidates = keys_.at(key);
        for (const State& each : candidates) {
            if (each && each->bytes == bytes && holds(reply.fds.at(0).get(), bytes, each->number)) found = each;
        }
        if (of_batch) {
            // Ours to fill, had the answer come.
            batch_seen_.push_back(true);
            REQUIRE_FALSE(client.call(Detach{grant.attachment}).is_error());
            auto writer = client.call(Open{{key, std::nullopt}, Access::write});
            Kept contents{next_number(), bytes};
            fill(writer.fds.at(0).get(), bytes, contents.number);
            REQUIRE_FALSE(client.call(Detach{writer.value().attachment}).is_error());
            keys_.at(key) = {contents};
            return contents;
        }
        REQUIRE_FALSE(client.call(Detach{grant.attachment}).is_error());
        if (!found) fail(key + ": its bytes are none that were written for it");
        found->mode = grant.segment.mode;
        found->sealed = grant.segment.sealed;
        return found;
    }

  public:
    // A batch that was under way is there whole or not at all.
    void verify_batch() {
        for (bool seen : batch_seen_) {
            if (seen != batch_seen_.front()) fail("a CreateMany that was never answered is half there");
        }
        batch_.clear();
        batch_seen_.clear();
    }

  private:
    std::uint64_t next_number() { return (++numbers_ << 8) + static_cast<std::uint64_t>(number_) + 1; }

    std::string socket_;
    int number_;
    std::mt19937_64 random_;
    std::map<std::string, std::vector<State>> keys_;  // what may be there; the first: before what is under way
    std::optional<std::pair<std::string, std::uint32_t>> staged_;
    Kept staged_contents_;
    std::set<std::uint32_t> held_;
    std::uint32_t leaving_ = 0;  // its Detach is under way
    std::vector<std::string> batch_;
    std::vector<bool> batch_seen_;
    std::uint64_t numbers_ = 0;
};

// Where the daemon runs: under the tests' own manager, or somebody else's.
class Place {
  public:
    Place() {
        if (const char* socket = std::getenv("SHMD_KILL_SOCKET")) {
            socket_ = socket;
            const char* command = std::getenv("SHMD_KILL_COMMAND");
            if (!command) fail("SHMD_KILL_SOCKET needs SHMD_KILL_COMMAND");
            command_ = command;
            return;
        }
        manager_ = std::make_unique<ServiceManager>();
        manager_->start();
        socket_ = manager_->socket();
    }
    [[nodiscard]] const std::string& socket() const { return socket_; }
    void kill() {
        if (!manager_) {
            REQUIRE(std::system(command_.c_str()) == 0);
            return;
        }
        manager_->kill();
    }
    void start() {
        if (manager_) manager_->start();
    }
    [[nodiscard]] ServiceManager* manager() { return manager_.get(); }

  private:
    std::string socket_;
    std::string command_;
    std::unique_ptr<ServiceManager> manager_;
};

}  // namespace

TEST_CASE("a daemon that is killed again and again loses nothing that it answered") {
    const std::uint64_t seed = from_environment("SHMD_KILL_SEED", std::random_device()());
    const std::uint64_t rounds = from_environment("SHMD_KILL_ROUNDS", 30);
    MESSAGE("SHMD_KILL_SEED=" << seed << " SHMD_KILL_ROUNDS=" << rounds);
    std::mt19937_64 random(seed);
    Place place;
    std::vector<std::unique_ptr<Worker>> workers;
    for (int i = 0; i < clients; i++) workers.push_back(std::make_unique<Worker>(place.socket(), i, seed));

    for (std::uint64_t round = 0; round < rounds; round++) {
        CAPTURE(round);
        std::vector<std::thread> threads;
        std::atomic<bool> failed = false, over = false;
        for (auto& worker : workers) {
            threads.emplace_back([&worker, &failed, &over] {
                try {
                    worker->work(over);
                } catch (...) {
                    failed = true;  // doctest has said why
                }
            });
        }
        // The moment is the point of it; whatever it is, what follows must hold.
        auto moment = std::chrono::microseconds(std::uniform_int_distribution<int>(0, 60'000)(random));
        auto until = std::chrono::steady_clock::now() + moment;
        while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
        place.kill();
        over = true;
        place.start();
        for (std::thread& thread : threads) thread.join();
        REQUIRE_FALSE(failed);
        std::size_t expected = 0;
        try {
            for (auto& worker : workers) {
                worker->verify();
                worker->verify_batch();
                expected += worker->expected_segments();
            }
        } catch (...) {
            if (place.manager()) std::fputs(place.manager()->log().c_str(), stderr);
            throw;
        }
        CHECK(RawClient(place.socket()).list("kill/").size() == expected);
    }

    std::uint64_t operations = 0;
    std::size_t unknown = 0;
    RawClient client(place.socket());
    for (auto& worker : workers) {
        operations += worker->operations;
        unknown += worker->unknown_grants;
        for (const std::string& key : worker->keys()) REQUIRE_FALSE(client.call(Delete{{key, std::nullopt}}).is_error());
    }
    MESSAGE(operations << " operations answered, " << rounds << " kills");
    CHECK(operations > rounds);
    CHECK(client.list("kill/").empty());
    if (!place.manager()) return;
    // Nothing is left in the store but what is there for segments to come.
    client.close();
    auto deadline = std::chrono::steady_clock::now() + patience;
    RawClient control(place.manager()->control_socket());
    auto rest = [&] { return control.call(GetStatus{}).value().segments; };
    auto settled = [&] {
        std::size_t left = static_cast<std::size_t>(rest());
        return left <= 4 * unknown && place.manager()->stored() == 64 + left;
    };
    while (!settled()) {
        if (std::chrono::steady_clock::now() > deadline) {
            fail(std::to_string(rest()) + " segments and " + std::to_string(place.manager()->stored()) + " descriptors are left");
        }
    }
}
