// Shared memory segments by key, from the shmd service of this machine, for C++20. Header-only over libshmd.
//
//     shmd::Client client;
//     auto counters = client.create("app/counters", sizeof(Counters), {.mode = 0640});
//     counters.as<Counters>().started++;
//
// In another process:
//
//     auto counters = shmd::Client().open_read("app/counters");
//     std::cout << counters.as<Counters>().started;
//
// Everything that fails throws shmd::Error. What <shmd/shmd.h> says of threads, fork(2), users and restarts holds here.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <shmd/error.hpp>
#include <shmd/info.hpp>
#include <shmd/options.hpp>
#include <shmd/segment.hpp>
#include <shmd/watch.hpp>

namespace shmd {
inline namespace v0 {

/// The library's version.
inline std::string_view version() noexcept {
    return shmd_version();
}

/// One of those that Client::create_many() creates.
struct CreateRequest {
    Key key;
    std::uint64_t size_bytes;
    CreateOptions options{};
};

/// A connection to the daemon. Its functions may be called from any thread. Every one of them throws Error; codes are
/// those of the C function of the same name.
class Client {
  public:
    /// Connects to $SHMD_SOCKET, the system instance, or the user instance.
    Client() : client_(detail::made_by<shmd_client>(shmd_connect, nullptr)) {}
    /// Connects to the daemon at this path.
    explicit Client(const std::string& path) : client_(detail::made_by<shmd_client>(shmd_connect, path.c_str())) {}
    /// Connects to the control socket, which call() is for. No path: $SHMD_CONTROL_SOCKET, and so on.
    [[nodiscard]] static Client control(const std::optional<std::string>& path = std::nullopt) {
        return Client(detail::made_by<shmd_client>(shmd_connect_control, path ? path->c_str() : nullptr));
    }

    /// The path that it is connected to. Valid as long as the client.
    [[nodiscard]] std::string_view socket_path() const noexcept { return shmd_socket_path(client_.get()); }

    /// Creates a segment of zeros. A null key makes one up that cannot be guessed: see info().key.
    template <Access A = Access::write>
    BasicSegment<A> create(const Key& key, std::uint64_t size_bytes, const CreateOptions& options = {}) {
        const detail::CCreateOptions plain(options, A);
        return take<A>(detail::made_by<shmd_segment>(shmd_create, client_.get(), key.c_str(), size_bytes,
                                                     static_cast<const shmd_create_options*>(&plain)));
    }

    /// Opens a segment for reading. The kernel refuses writes: they are a SIGSEGV.
    [[nodiscard]] ReadOnlySegment open_read(const Key& key) { return open<Access::read>(key); }
    [[nodiscard]] ReadOnlySegment open_read(Id id) { return open<Access::read>(id); }
    /// Opens a segment for reading and writing.
    [[nodiscard]] Segment open_write(const Key& key) { return open<Access::write>(key); }
    [[nodiscard]] Segment open_write(Id id) { return open<Access::write>(id); }

    /// Opens many, 250 in one trip to the daemon. One result for each key, in the same order.
    template <Access A = Access::read>
    [[nodiscard]] std::vector<OpenResult<A>> open_many(const std::vector<Key>& keys) {
        std::vector<const char*> names;
        for (const Key& key : keys) names.push_back(key.c_str());
        std::vector<shmd_segment*> segments(keys.size());
        std::vector<int> codes(keys.size());
        detail::check(shmd_open_many(client_.get(), names.data(), names.size(), static_cast<shmd_access>(A),
                                     segments.data(), codes.data()));
        std::vector<OpenResult<A>> results(keys.size());
        for (std::size_t i = 0; i < keys.size(); i++) {
            if (segments[i]) results[i].segment.emplace(segments[i]);
            results[i].error = {-codes[i], std::generic_category()};
        }
        return results;
    }

    /// Creates up to 250 in one trip to the daemon, all of them or none.
    std::vector<Segment> create_many(const std::vector<CreateRequest>& requests) {
        std::list<detail::CCreateOptions> options;
        std::vector<shmd_create_request> plain;
        for (const CreateRequest& request : requests) {
            const shmd_create_options& own = options.emplace_back(request.options, Access::write);
            plain.push_back({request.key.c_str(), request.size_bytes, &own});
        }
        std::vector<shmd_segment*> segments(requests.size());
        detail::check(shmd_create_many(client_.get(), plain.data(), plain.size(), segments.data()));
        std::vector<Segment> made;
        for (shmd_segment* segment : segments) made.emplace_back(segment);
        return made;
    }

    /// Opens for reading what nobody can write any more: it needs no lock and no second look.
    [[nodiscard]] ReadOnlySegment open_sealed(const Key& key) {
        return take<Access::read>(detail::made_by<shmd_segment>(shmd_open_sealed, client_.get(), key.c_str()));
    }
    [[nodiscard]] ReadOnlySegment open_sealed(Id id) {
        return take<Access::read>(detail::made_by<shmd_segment>(shmd_open_sealed_id, client_.get(), id.value));
    }

    /// As open_read() and open_write(), but waits up to this long for the key to appear; duration::max() waits without an end.
    template <typename Rep, typename Period>
    [[nodiscard]] ReadOnlySegment open_read(const Key& key, std::chrono::duration<Rep, Period> timeout) {
        return open_wait<Access::read>(key, detail::timeout_usec(timeout));
    }
    template <typename Rep, typename Period>
    [[nodiscard]] Segment open_write(const Key& key, std::chrono::duration<Rep, Period> timeout) {
        return open_wait<Access::write>(key, detail::timeout_usec(timeout));
    }

    /// What a segment is, without opening it.
    [[nodiscard]] Info describe(const Key& key) { return described_by(shmd_describe, key.c_str()); }
    [[nodiscard]] Info describe(Id id) { return described_by(shmd_describe_id, id.value); }

    /// The live segments that this user may describe and whose key begins with prefix.
    [[nodiscard]] std::vector<Info> list(const std::string& prefix = {}) {
        auto first = detail::made_by<shmd_info>(shmd_list, client_.get(), prefix.c_str());
        std::vector<Info> all;
        for (const shmd_info* info = first.get(); info; info = info->next) all.push_back(detail::info_from(*info));
        return all;
    }

    /// Deletes a segment: its key is free at once, and whoever has it mapped keeps the memory.
    void delete_segment(const Key& key) { detail::check(shmd_delete(client_.get(), key.c_str())); }
    void delete_segment(Id id) { detail::check(shmd_delete_id(client_.get(), id.value)); }

    /// Changes mode, owner, lifetime, labels and entries. Gives the segment as it is then.
    Info set_attributes(const Key& key, const Attributes& attributes) {
        const detail::CAttributes plain(attributes);
        return described_by(shmd_set_attributes, key.c_str(), static_cast<const shmd_attributes*>(&plain));
    }
    Info set_attributes(Id id, const Attributes& attributes) {
        const detail::CAttributes plain(attributes);
        return described_by(shmd_set_attributes_id, id.value, static_cast<const shmd_attributes*>(&plain));
    }

    /// Begins the segment's lease anew, for its full length from now on.
    Info renew(const Key& key) { return described_by(shmd_renew, key.c_str()); }
    Info renew(Id id) { return described_by(shmd_renew_id, id.value); }

    /// Makes the content immutable for ever. For what this process has open for writing see BasicSegment::seal().
    Info seal(const Key& key) { return described_by(shmd_seal, key.c_str()); }
    Info seal(Id id) { return described_by(shmd_seal_id, id.value); }

    /// Another size, within the capacity.
    Info resize(const Key& key, std::uint64_t size_bytes) { return described_by(shmd_resize, key.c_str(), size_bytes); }
    Info resize(Id id, std::uint64_t size_bytes) { return described_by(shmd_resize_id, id.value, size_bytes); }

    /// What happens to the segments whose key begins with prefix.
    [[nodiscard]] Watch watch(const std::string& prefix = {}) {
        return Watch(detail::made_by<shmd_watch>(shmd_watch_open, client_.get(), prefix.c_str()).release());
    }

    /// Any Varlink call that answers once and passes no descriptors. Parameters and answer are JSON objects.
    [[nodiscard]] std::string call(const std::string& method, const std::string& parameters = "{}") {
        return detail::made_by<char>(shmd_call, client_.get(), method.c_str(), parameters.c_str()).get();
    }

    /// The same for one that answers many times: a JSON array of the answers.
    [[nodiscard]] std::string call_many(const std::string& method, const std::string& parameters = "{}") {
        return detail::made_by<char>(shmd_call_many, client_.get(), method.c_str(), parameters.c_str()).get();
    }

    /// For the C interface. Borrowed.
    [[nodiscard]] shmd_client* get() const noexcept { return client_.get(); }

  private:
    explicit Client(detail::Owned<shmd_client> client) noexcept : client_(std::move(client)) {}

    template <Access A>
    static BasicSegment<A> take(detail::Owned<shmd_segment> segment) noexcept {
        return BasicSegment<A>(segment.release());
    }
    template <Access A>
    BasicSegment<A> open(const Key& key) {
        return take<A>(
            detail::made_by<shmd_segment>(shmd_open, client_.get(), key.c_str(), static_cast<shmd_access>(A)));
    }
    template <Access A>
    BasicSegment<A> open(Id id) {
        return take<A>(
            detail::made_by<shmd_segment>(shmd_open_id, client_.get(), id.value, static_cast<shmd_access>(A)));
    }
    template <Access A>
    BasicSegment<A> open_wait(const Key& key, std::int64_t usec) {
        return take<A>(detail::made_by<shmd_segment>(shmd_open_wait, client_.get(), key.c_str(),
                                                     static_cast<shmd_access>(A), usec));
    }
    template <typename Function, typename... Arguments>
    Info described_by(Function function, Arguments... arguments) {
        return detail::info_from(*detail::made_by<shmd_info>(function, client_.get(), arguments...));
    }

    detail::Owned<shmd_client> client_;
};

}  // namespace v0
}  // namespace shmd
