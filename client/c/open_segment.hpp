// A segment in this process: its memory, and the grant it came with. Checks what the daemon passed before anybody
// touches it; knows nothing of reconnecting.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "connection.hpp"
#include "failure.hpp"
#include "info.hpp"
#include "messages.hpp"
#include "sync.hpp"

namespace shmd::client {

/// Owns a mapping. Movable.
class Mapping {
  public:
    /// All of its capacity. Fails with EPROTO when the descriptor is not memory that large that stays so, else as mmap(2).
    static Outcome<Mapping> of(const UniqueFd& memory, const Segment& segment, Access access);

    /// Puts the same memory of another descriptor in its place, in one step: the address stays. On failure nothing
    /// changes.
    Outcome<Empty> replace(const UniqueFd& memory, const Segment& segment, Access access);

    Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
    Mapping& operator=(Mapping&&) = delete;
    ~Mapping();

    [[nodiscard]] void* data() const { return data_; }

  private:
    Mapping(void* data, std::size_t size) : data_(data), size_(size) {}

    void* data_;
    std::size_t size_;
};

/// The destructor unmaps, and ends the grant if it is this process's.
class OpenSegment {
  public:
    /// Maps what a Create or an Open on this connection was answered with. A grant that cannot be mapped is given back,
    /// and a segment that was created for it is deleted.
    static Outcome<std::unique_ptr<OpenSegment>> map(const std::shared_ptr<Connection>& connection,
                                                     Outcome<Answer<Grant>>&& answer, Access access);
    /// The same of one grant and its descriptor, if it has come. lost: the kernel has dropped some.
    static Outcome<std::unique_ptr<OpenSegment>> map(const std::shared_ptr<Connection>& connection, Grant&& grant,
                                                     const UniqueFd& descriptor, bool lost, Access access);

    OpenSegment(const std::shared_ptr<Connection>& connection, Grant&& grant, Mapping&& mapping, Access access);
    OpenSegment(const OpenSegment&) = delete;
    OpenSegment& operator=(const OpenSegment&) = delete;
    ~OpenSegment();

    /// Ends them as their destructors would, but sends the daemon what it is to hear of one connection's in one go, so
    /// that it is woken once. All that may follow is to destroy them.
    static void end(std::span<OpenSegment* const> segments) noexcept;

    /// EPERM in a process that inherited the segment; ECONNRESET when the grant has ended, as it does with a daemon that
    /// keeps nothing over its end.
    Outcome<Empty> publish(const std::optional<std::string>& key, bool replace);

    /// Makes the content immutable; the segment is open for reading then. EPERM and ECONNRESET as for publish().
    Outcome<Empty> seal();

    /// Another size, within the capacity. EPERM and ECONNRESET as for publish().
    Outcome<Empty> resize(std::int64_t size);
    /// Learns the present size.
    Outcome<Empty> remap();

    /// Its sync area, opened at the first call. Stays as long as this. EPERM in a process that inherited the segment.
    Outcome<Sync*> sync();
    /// Its mutex, for who would take it without a detour once sync() has been called.
    [[nodiscard]] FastMutex& mutex() noexcept { return mutex_; }
    /// The same if it is there already and this process's, else null.
    [[nodiscard]] Sync* ready_sync() const noexcept {
        Sync* sync = sync_.load(std::memory_order_acquire);
        return sync && sync->ours() ? sync : nullptr;
    }
    /// Calls attempt(sync, deadline), and again after every second or more that it has waited: meanwhile the daemon looks
    /// whether those are still there who are waited for. What the attempt returns; or why the daemon does not do that.
    Outcome<int> wait(Sync& sync, std::int64_t timeout_usec, const std::function<int(Sync&, std::int64_t)>& attempt);

    [[nodiscard]] void* data() const { return mapping_->data(); }
    [[nodiscard]] std::uint64_t size() const { return info().size_bytes; }
    [[nodiscard]] Access access() const { return access_; }
    [[nodiscard]] bool created() const { return created_; }
    [[nodiscard]] std::uint32_t attachment() const { return attachment_; }
    /// The newest. Those before stay valid too.
    [[nodiscard]] const shmd_info& info() const { return *info_.load(); }

  private:
    [[nodiscard]] bool may_end_late() const;
    static void tell_of_end(std::span<OpenSegment* const> segments);
    Outcome<Empty> change(const CallBody& call);
    template <typename T>
    Outcome<Answer<T>> ask(const CallBody& call);
    void take(Segment&& segment);
    Outcome<std::shared_ptr<Connection>> connection();
    Outcome<Answer<Grant>> grant_again(Connection& connection, Access access);
    Outcome<Empty> exchange_for(Connection& connection, Answer<Grant> answer, Access access);

    std::mutex connection_mutex_;
    std::shared_ptr<Connection> connection_;  // null once the daemon has been told of the end
    std::optional<Mapping> mapping_;
    Access access_;
    bool created_;
    bool is_plain_;  // nothing becomes of it when nobody is attached any more
    std::uint32_t attachment_;
    const std::uint32_t process_;  // the mark of the one that has the grant
    std::mutex sync_mutex_;
    std::vector<std::unique_ptr<Sync>> syncs_;  // the last one is of this attachment; others may be in use still
    std::atomic<Sync*> sync_ = nullptr;
    FastMutex mutex_;
    std::mutex infos_mutex_;
    std::vector<InfoPointer> infos_;  // every one that somebody may still look at
    std::atomic<const shmd_info*> info_;
};

}  // namespace shmd::client
