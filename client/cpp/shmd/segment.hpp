// An open segment. Part of <shmd/shmd.hpp>.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <shmd/error.hpp>
#include <shmd/info.hpp>
#include <shmd/options.hpp>
#include <shmd/sync.hpp>

namespace shmd {
inline namespace v0 {

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

    // ---- Locks, snapshots and versions: see <shmd/sync.hpp> and <shmd/sync.h> ----

    /// Takes the mutex. lock_for() and try_lock() give nothing when the time is over.
    [[nodiscard]] MutexLock lock() requires(A == Access::write) { return MutexLock::take(segment_.get()); }
    template <typename Rep, typename Period>
    [[nodiscard]] std::optional<MutexLock> lock_for(std::chrono::duration<Rep, Period> timeout) requires(A == Access::write) {
        return MutexLock::take_within(segment_.get(), detail::timeout_usec(timeout));
    }
    [[nodiscard]] std::optional<MutexLock> try_lock() requires(A == Access::write) {
        return MutexLock::take_within(segment_.get(), 0);
    }
    /// Takes the readers-writer lock.
    [[nodiscard]] ReadLock read_lock() requires(A == Access::write) { return ReadLock::take(segment_.get()); }
    template <typename Rep, typename Period>
    [[nodiscard]] std::optional<ReadLock> read_lock_for(std::chrono::duration<Rep, Period> timeout) requires(A == Access::write) {
        return ReadLock::take_within(segment_.get(), detail::timeout_usec(timeout));
    }
    [[nodiscard]] WriteLock write_lock() requires(A == Access::write) { return WriteLock::take(segment_.get()); }
    template <typename Rep, typename Period>
    [[nodiscard]] std::optional<WriteLock> write_lock_for(std::chrono::duration<Rep, Period> timeout) requires(A == Access::write) {
        return WriteLock::take_within(segment_.get(), detail::timeout_usec(timeout));
    }
    /// Takes the mutex and lets snapshots wait until its end.
    [[nodiscard]] WriteSection write_section() requires(A == Access::write) { return WriteSection::take(segment_.get()); }

    /// A copy of the T at its beginning, or of these bytes, as they were between two write sections. The greatest
    /// timeout waits without an end. Throws with std::errc::owner_dead when a writer died in its section.
    template <Shareable T>
        requires std::is_trivially_copyable_v<T>
    [[nodiscard]] T snapshot(std::chrono::microseconds timeout = std::chrono::microseconds::max()) const {
        T copy;
        snapshot(std::as_writable_bytes(std::span(&copy, 1)), 0, timeout);
        return copy;
    }
    void snapshot(std::span<std::byte> copy, std::uint64_t offset,
                  std::chrono::microseconds timeout = std::chrono::microseconds::max()) const {
        detail::check(shmd_snapshot(segment_.get(), offset, copy.data(), copy.size(), detail::timeout_usec(timeout)));
    }
    /// Calls read() until nobody wrote meanwhile, and gives what it gave then. It may see anything before that: it must believe
    /// no length and no index, and change nothing.
    template <typename F>
    auto read_consistent(const F& read) const {
        for (;;) {
            std::uint64_t sequence = 0;
            detail::check(shmd_begin_read(segment_.get(), -1, &sequence));
            auto result = read();
            if (shmd_end_read(segment_.get(), sequence) == 0) return result;
        }
    }

    /// The version: 0 at first, one more with every notify().
    [[nodiscard]] std::uint64_t version() const {
        std::uint64_t version = 0;
        detail::check(shmd_get_version(segment_.get(), &version));
        return version;
    }
    /// Wakes all who wait, and gives the new version.
    std::uint64_t notify() requires(A == Access::write) {
        std::uint64_t version = 0;
        detail::check(shmd_notify(segment_.get(), &version));
        return version;
    }
    /// Waits for a version above this one and gives the one there is then; wait_for(): nothing when the time is over.
    std::uint64_t wait(std::uint64_t after) const {
        std::uint64_t version = 0;
        detail::check(shmd_wait(segment_.get(), after, -1, &version));
        return version;
    }
    template <typename Rep, typename Period>
    [[nodiscard]] std::optional<std::uint64_t> wait_for(std::uint64_t after, std::chrono::duration<Rep, Period> timeout) const {
        std::uint64_t version = 0;
        if (!detail::in_time(shmd_wait(segment_.get(), after, detail::timeout_usec(timeout), &version))) return std::nullopt;
        return version;
    }
    /// For event loops: readable when there was a notify() since it was made or last read (eight bytes). The segment's.
    [[nodiscard]] int notification_fd() const {
        int fd = shmd_notification_fd(segment_.get());
        return detail::check(fd < 0 ? fd : 0), fd;
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

}  // namespace v0
}  // namespace shmd
