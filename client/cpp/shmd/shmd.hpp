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
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <shmd/error.hpp>
#include <shmd/info.hpp>
#include <shmd/watch.hpp>

namespace shmd {
inline namespace v0 {

/// The library's version.
inline std::string_view version() noexcept {
    return shmd_version();
}

/// create_new: fail when the key is taken. any: open that segment.
enum class CreateMode { create_new = SHMD_CREATE_NEW, any = SHMD_CREATE_ANY };
/// How much of the memory is there at first: all of it; all of it and zeroed; nothing.
enum class Reserve { allocate = SHMD_RESERVE_ALLOCATE, populate = SHMD_RESERVE_POPULATE, lazy = SHMD_RESERVE_LAZY };

/// Names a segment: a text, or an integer for the System V key of that number. nullptr is no key, for create().
/// Throws Error when the text holds a NUL.
class Key {
  public:
    Key(std::nullptr_t) noexcept : none_(true) {}
    Key(std::string_view text) : text_(text) {
        if (text.find('\0') != text.npos) detail::refuse("a key holds a NUL");
    }
    Key(const std::string& text) : Key(std::string_view(text)) {}
    Key(const char* text) : none_(!text) {
        if (text) text_ = text;
    }
    Key(std::int32_t sysv) {
        char text[SHMD_KEY_SIZE];
        shmd_sysv_key(sysv, text);
        text_ = text;
    }
    Key(std::uint32_t sysv) : Key(static_cast<std::int32_t>(sysv)) {}

    /// Null for no key. Valid as long as the Key.
    [[nodiscard]] const char* c_str() const noexcept { return none_ ? nullptr : text_.c_str(); }

  private:
    std::string text_;
    bool none_ = false;
};

/// Names a segment by its id, which is never reused.
struct Id {
    std::int64_t value;
};

/// Options of Client::create(). Designated initializers fit: {.mode = 0640, .staged = true}.
struct CreateOptions {
    unsigned mode = 0600;  // SHMD_MODE_DEFAULT: the daemon chooses, as its policy.defaultMode says
    CreateMode create_mode = CreateMode::create_new;
    Reserve reserve = Reserve::allocate;
    Lifetime lifetime = Lifetime::persistent;
    bool staged = false;  // invisible until publish()
    Labels labels{};
    std::chrono::microseconds lease{};  // with Lifetime::lease: at least a second
    bool evictable = false;             // may be dropped when memory runs short and nobody has it open
    bool sealable = true;               // false: nobody can ever make it immutable
    std::vector<AclEntry> acl{};
    std::uint64_t capacity_bytes = 0;  // how far it can grow, all charged to the quota; 0: not at all
    HugePages huge_pages = HugePages::none;
    std::vector<std::uint32_t> numa_nodes{};  // none: any
    bool placement_fallback = false;          // do without what the machine has not
};

/// What Client::set_attributes() changes: what is set, and nothing else.
struct Attributes {
    std::optional<unsigned> mode{};
    std::optional<std::uint32_t> owner_uid{}, owner_gid{};
    std::optional<Lifetime> lifetime{};
    std::chrono::microseconds lease{};  // with Lifetime::lease, which begins now
    std::optional<bool> evictable{};
    Labels labels{};                           // to be added, or changed where the name is there
    std::vector<std::string> remove_labels{};  // names
    std::optional<std::vector<AclEntry>> acl{};  // in place of all that there are
};

namespace detail {

// The C form. Borrows from the options.
struct CCreateOptions : shmd_create_options {
    CCreateOptions(const CreateOptions& from, Access granted)
        : shmd_create_options(SHMD_CREATE_OPTIONS_INIT), label_views(views(from.labels)), acl_views(views(from.acl)) {
        mode = from.mode;
        create_mode = static_cast<shmd_create_mode>(from.create_mode);
        access = static_cast<shmd_access>(granted);
        reserve = static_cast<shmd_reserve>(from.reserve);
        lifetime = static_cast<shmd_lifetime>(from.lifetime);
        staged = from.staged ? 1 : 0;
        labels = label_views.data();
        label_count = label_views.size();
        lease_usec = from.lease.count();
        evictable = from.evictable ? 1 : 0;
        sealable = from.sealable ? 1 : 0;
        acl = acl_views.data();
        acl_count = acl_views.size();
        capacity_bytes = from.capacity_bytes;
        huge_pages = static_cast<shmd_huge_pages>(from.huge_pages);
        numa_nodes = from.numa_nodes.data();
        numa_node_count = from.numa_nodes.size();
        placement_fallback = from.placement_fallback ? 1 : 0;
    }
    CCreateOptions(const CCreateOptions&) = delete;
    CCreateOptions& operator=(const CCreateOptions&) = delete;

    std::vector<shmd_label> label_views;
    std::vector<shmd_acl_entry> acl_views;
};

// The C form. Borrows from the attributes.
struct CAttributes : shmd_attributes {
    explicit CAttributes(const Attributes& from)
        : shmd_attributes(SHMD_ATTRIBUTES_INIT), label_views(views(from.labels)), acl_views(views(from.acl.value_or(std::vector<AclEntry>{}))) {
        if (from.mode) mode = *from.mode, set |= SHMD_SET_MODE;
        if (from.owner_uid) owner_uid = *from.owner_uid, set |= SHMD_SET_OWNER_UID;
        if (from.owner_gid) owner_gid = *from.owner_gid, set |= SHMD_SET_OWNER_GID;
        if (from.lifetime) lifetime = static_cast<shmd_lifetime>(*from.lifetime), set |= SHMD_SET_LIFETIME;
        lease_usec = from.lease.count();
        if (from.evictable) evictable = *from.evictable ? 1 : 0, set |= SHMD_SET_EVICTABLE;
        if (!from.labels.empty()) set |= SHMD_SET_LABELS;
        labels = label_views.data();
        label_count = label_views.size();
        for (const std::string& name : from.remove_labels) name_views.push_back(name.c_str());
        if (!name_views.empty()) set |= SHMD_REMOVE_LABELS;
        shmd_attributes::remove_labels = name_views.data();
        remove_label_count = name_views.size();
        if (from.acl) set |= SHMD_SET_ACL;
        acl = acl_views.data();
        acl_count = acl_views.size();
    }
    CAttributes(const CAttributes&) = delete;
    CAttributes& operator=(const CAttributes&) = delete;

    std::vector<shmd_label> label_views;
    std::vector<const char*> name_views;
    std::vector<shmd_acl_entry> acl_views;
};

}  // namespace detail

/// What may lie in shared memory: it means the same in every process, as far as the language can tell. Pointers,
/// references and views do not; std::atomic does when it is lock-free.
template <typename T>
concept Shareable = std::is_object_v<T> && alignof(T) <= 4096 &&
                    (std::is_trivially_copyable_v<T> ||
                     (std::is_standard_layout_v<T> && std::is_trivially_destructible_v<T>));

/// A segment mapped into this process. The destructor unmaps it and ends the grant; the segment itself stays. May
/// outlive its client. Spans and references into it are invalid once it is gone, and stay valid when it is moved.
template <Access A>
class BasicSegment {
  public:
    using Byte = std::conditional_t<A == Access::write, std::byte, const std::byte>;
    template <typename T>
    using Seen = std::conditional_t<A == Access::write, T, const T>;

    static constexpr Access access = A;

    /// Takes over a segment of the C interface, which must have been granted this access.
    explicit BasicSegment(shmd_segment* segment) noexcept : segment_(segment) {}

    /// All of it. Page-aligned.
    [[nodiscard]] std::span<Byte> bytes() const noexcept { return {data(), size()}; }
    [[nodiscard]] Byte* data() const noexcept { return static_cast<Byte*>(shmd_data(segment_.get())); }
    /// As this process last heard of it: at the grant, or by resize() and remap().
    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(shmd_size(segment_.get())); }

    /// The T at its beginning. Memory that nobody has written yet is zeros. Throws std::out_of_range when it is
    /// smaller.
    template <Shareable T>
    [[nodiscard]] Seen<T>& as() const {
        if (size() < sizeof(T)) throw std::out_of_range("the segment is smaller than the type that it is read as");
        return *reinterpret_cast<Seen<T>*>(data());
    }

    /// As many T as fit.
    template <Shareable T>
    [[nodiscard]] std::span<Seen<T>> span_of() const noexcept {
        return {reinterpret_cast<Seen<T>*>(data()), size() / sizeof(T)};
    }

    /// Gives a staged segment its key, and makes it visible with all that was written before. No key: the one named at
    /// create(). replace: takes the key over from the segment that has it.
    void publish(const Key& key = nullptr, bool replace = false) {
        detail::check(shmd_publish(segment_.get(), key.c_str(), replace ? 1 : 0));
    }

    /// Another size, within the capacity. Nothing moves; what is new is zeros.
    void resize(std::uint64_t size_bytes) { detail::check(shmd_resize_segment(segment_.get(), size_bytes)); }
    /// Learns of a size that somebody else gave it.
    void remap() { detail::check(shmd_remap(segment_.get())); }

    /// Makes the content immutable for ever, by the kernel, and hands it over for reading, at the same address. Throws with
    /// std::errc::device_or_resource_busy while somebody else has it open for writing; it stays as it was then.
    [[nodiscard]] BasicSegment<Access::read> seal() && {
        detail::check(shmd_seal_segment(segment_.get()));
        return BasicSegment<Access::read>(release());
    }

    /// True when create() made it, false when it was there.
    [[nodiscard]] bool created() const noexcept { return shmd_created(segment_.get()) != 0; }
    /// The grant's number.
    [[nodiscard]] std::uint32_t attachment() const noexcept { return shmd_attachment(segment_.get()); }
    /// The daemon's description at the time of the grant, or of publish().
    [[nodiscard]] Info info() const { return detail::info_from(*shmd_segment_info(segment_.get())); }

    /// Unmaps it before the end of its life. Nothing but the destructor, assignment, is_open() and close() may follow.
    void close() noexcept { segment_.reset(); }
    /// False after close(), release() and when it was moved from.
    [[nodiscard]] bool is_open() const noexcept { return segment_ != nullptr; }

    /// For the C interface. Borrowed.
    [[nodiscard]] shmd_segment* get() const noexcept { return segment_.get(); }
    /// The same, owned by the caller from now on.
    [[nodiscard]] shmd_segment* release() noexcept { return segment_.release(); }

  private:
    detail::Owned<shmd_segment> segment_;
};

using Segment = BasicSegment<Access::write>;
using ReadOnlySegment = BasicSegment<Access::read>;

/// What became of one of those that Client::open_many() opens: a segment, or the code of Client::open_read().
template <Access A>
struct OpenResult {
    std::optional<BasicSegment<A>> segment{};
    std::error_code error{};
};

/// Closes all of them and empties the vector. The daemon is told of them at once, which takes less than one by one.
template <Access A>
void close_many(std::vector<BasicSegment<A>>& segments) {
    std::vector<shmd_segment*> all;
    all.reserve(segments.size());
    for (BasicSegment<A>& segment : segments) all.push_back(segment.release());
    shmd_close_many(all.data(), all.size());
    segments.clear();
}
template <Access A>
void close_many(std::vector<OpenResult<A>>& results) {
    std::vector<shmd_segment*> all;
    all.reserve(results.size());
    for (OpenResult<A>& result : results) {
        if (result.segment) all.push_back(result.segment->release());
    }
    shmd_close_many(all.data(), all.size());
    results.clear();
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
