// A ring buffer in a segment, between processes: producers append records of any size, and every consumer sees every record.
// protocol/RING.md has the layout and what happens when somebody dies. Included on top of <shmd/shmd.hpp>.
//
//     shmd::ring::Producer producer(client.create("app/log", 1 << 20, {.mode = 0644}));
//     producer.push(std::as_bytes(std::span("hello")));
//
// In other processes, which need not be allowed to write:
//
//     shmd::ring::Consumer consumer(client.open_read("app/log"));
//     while (auto record = consumer.next(10s)) handle(record->data);
//
// A producer never waits for consumers, and consumers write nothing. One that is too slow loses the oldest records: Record::lost
// says how many. Producers and consumers are for one thread at a time, and not for a child made by fork(2).
//
// Everything that fails throws shmd::Error; what locks and waits give is in <shmd/sync.h>, and beside that
//   EBADFD    there is no ring in the segment, or something else
//   ENOTSUP   a ring of a format that this version does not know
//   EBADMSG   the ring is corrupted: somebody has written into it who should not have
//   EMSGSIZE  the record is larger than max_record_size()
//   EINVAL    the segment is too small for a ring; reserve() and commit() out of order
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <shmd/ring_layout.hpp>
#include <shmd/shmd.hpp>
#include <shmd/sync.h>

namespace shmd {
inline namespace v0 {
namespace ring {

/// exclusive: the only producer, for its whole life; it takes no lock for a record. shared: one of many.
enum class Producers { exclusive, shared };

struct ProducerOptions {
    Producers producers = Producers::exclusive;
    /// How long it waits for another producer: the constructor for an exclusive one, every push for a shared one. Then
    /// it throws with std::errc::timed_out.
    std::chrono::microseconds timeout = std::chrono::microseconds::max();
};

/// Appends records. Owns its segment.
class Producer {
  public:
    /// Makes a ring of a segment that is all zeros, and goes on with one that is there.
    explicit Producer(Segment segment, const ProducerOptions& options = {})
        : segment_(std::move(segment)), options_(options), ring_(segment_.data(), segment_.size()) {
        lock();
        if (options_.producers == Producers::shared) lock_.reset();
    }
    Producer(Producer&&) noexcept = default;
    Producer& operator=(Producer&&) = delete;
    /// What a batch holds is published. What is reserved and not committed is dropped.
    ~Producer() {
        if (lock_) finish();
    }

    /// Bytes of the largest record.
    [[nodiscard]] std::size_t max_record_size() const noexcept { return ring_.max_record_size(); }

    /// Appends a record and wakes the consumers that wait.
    void push(std::span<const std::byte> data) {
        std::span<std::byte> to = reserve(data.size());
        if (!data.empty()) std::memcpy(to.data(), data.data(), data.size());
        commit();
    }

    /// Room for a record of this many bytes, to be written in place; aligned to 16 bytes, its content is undefined.
    /// commit() or cancel() must follow. A shared producer keeps the others out until then.
    [[nodiscard]] std::span<std::byte> reserve(std::size_t size) {
        if (reserved_) shmd::detail::refuse("a record is reserved already");
        if (size > max_record_size()) {
            detail::fail(EMSGSIZE, "the record has " + std::to_string(size) + " bytes, the ring takes " +
                                       std::to_string(max_record_size()));
        }
        if (!lock_) lock();
        std::uint64_t bytes = detail::record_bytes(size);
        if (std::uint64_t left = ring_.left_behind(head_); left < bytes) {
            make_room(left);
            ring_.write_head(head_, {static_cast<std::uint32_t>(left - detail::head_bytes), detail::pad_flag, sequence_});
            head_ += left;
        }
        make_room(bytes);
        reserved_ = size;
        return {ring_.data(head_) + detail::head_bytes, size};
    }

    /// Appends what was reserved, or only so many bytes of it.
    void commit() { commit(reserved_.value_or(0)); }
    void commit(std::size_t size) {
        if (!reserved_) shmd::detail::refuse("no record is reserved");
        if (size > *reserved_) shmd::detail::refuse("more than was reserved");
        ring_.write_head(head_, {static_cast<std::uint32_t>(size), 0, sequence_});
        head_ += detail::record_bytes(size);
        sequence_++;
        reserved_.reset();
        if (batches_ == 0) finish();
    }
    /// Drops what was reserved.
    void cancel() {
        reserved_.reset();
        if (batches_ == 0) finish();
    }

    /// Many records at once: they are published, and consumers woken, when this object ends, all of them in one step as
    /// far as the ring is large enough. A shared producer keeps the others out meanwhile.
    class Batch {
      public:
        explicit Batch(Producer& producer) noexcept : producer_(&producer) { producer.batches_++; }
        Batch(Batch&& other) noexcept : producer_(std::exchange(other.producer_, nullptr)) {}
        Batch& operator=(Batch&&) = delete;
        ~Batch() {
            if (producer_ && --producer_->batches_ == 0 && !producer_->reserved_) producer_->finish();
        }

      private:
        Producer* producer_;
    };
    /// The producer must not be moved while there is one.
    [[nodiscard]] Batch batch() noexcept { return Batch(*this); }

    /// For publish() and whatever else does not concern its content.
    [[nodiscard]] Segment& segment() noexcept { return segment_; }
    /// For the C interface. Borrowed.
    [[nodiscard]] shmd_segment* get() const noexcept { return segment_.get(); }

  private:
    struct Unlock {
        void operator()(shmd_segment* segment) const noexcept { shmd_unlock(segment); }
    };

    // Takes the mutex and learns where the ring is.
    void lock() {
        int locked = shmd_lock(segment_.get(), shmd::detail::timeout_usec(options_.timeout));
        shmd::detail::check(locked);
        std::unique_ptr<shmd_segment, Unlock> lock(segment_.get());
        ring_.format_or_check();
        oldest_ = ring_.oldest();
        published_ = head_ = ring_.published();
        auto mark = ring_.mark_of(published_);
        if (!mark || !ring_.possible(oldest_, published_)) detail::corrupted();
        mark_ = mark->number;
        sequence_ = mark->sequence;
        if (locked == SHMD_OWNER_DIED) {
            shmd::detail::check(shmd_make_consistent(segment_.get()));
            // It may have died before it could.
            shmd::detail::check(shmd_notify(segment_.get(), nullptr));
        }
        lock_ = std::move(lock);
    }

    // So that so many bytes from head_ on are nobody's.
    void make_room(std::uint64_t bytes) {
        if (head_ + bytes - oldest_ <= ring_.capacity()) return;
        if (head_ + bytes - published_ > ring_.capacity()) publish();
        while (head_ + bytes - oldest_ > ring_.capacity()) {
            auto head = ring_.head_at(oldest_, published_);
            oldest_ = head ? oldest_ + detail::record_bytes(head->length) : published_;
        }
        ring_.raise_oldest(oldest_);
    }

    void publish() noexcept {
        mark_ = 1 - mark_;
        ring_.write_mark(mark_, head_, sequence_);
        ring_.raise_published(head_);
        published_ = head_;
        told_ = false;
    }

    // Not a batch, or its end.
    void finish() noexcept {
        if (head_ != published_) publish();
        if (options_.producers == Producers::shared) lock_.reset();
        if (!std::exchange(told_, true)) shmd_notify(segment_.get(), nullptr);
    }

    Segment segment_;
    ProducerOptions options_;
    detail::Ring ring_;
    std::unique_ptr<shmd_segment, Unlock> lock_{};  // given back before the segment is closed
    std::uint64_t oldest_ = 0, published_ = 0;      // as they are in the ring, while it is locked
    std::uint64_t head_ = 0, sequence_ = 0;         // where the next record begins, and its number
    unsigned mark_ = 0;                             // the mark that is in use
    unsigned batches_ = 0;
    bool told_ = true;
    std::optional<std::size_t> reserved_{};
};

/// What a consumer reads.
struct Record {
    std::span<const std::byte> data;
    std::uint64_t sequence;  // 0 for the ring's first record, then always one more
    std::uint64_t lost;      // so many records before this one were overwritten before they were read
};

/// Where a consumer begins: with the oldest record that is there, or with the first one that comes.
enum class From { oldest, newest };

/// Reads records. Owns its segment, and changes nothing in it.
class Consumer {
  public:
    explicit Consumer(ReadOnlySegment segment, From from = From::oldest) : Consumer(segment.release(), from) {}
    explicit Consumer(Segment segment, From from = From::oldest) : Consumer(segment.release(), from) {}

    /// Waits for the next record. A copy, valid until the next call.
    Record next() { return *next(std::chrono::microseconds::max()); }

    /// The same, up to this long; 0 for one that is there. Nothing when none has come.
    template <typename Rep, typename Period>
    std::optional<Record> next(std::chrono::duration<Rep, Period> timeout) {
        auto record = read();
        if (record) return record;
        const Deadline deadline(timeout);
        while (!record && wait(deadline)) record = read();
        return record;
    }

    /// The next record in place, without a copy. A producer may overwrite it meanwhile: believe nothing of what was
    /// seen until advance() has said that it was still there.
    [[nodiscard]] std::optional<Record> peek() {
        for (;;) {
            peeked_ = 0;
            std::uint64_t published = ring_.published();
            if (published == cursor_) return std::nullopt;
            auto head = ring_.head_at(cursor_, published);
            if (overtaken()) {
                if (laps_ == 0) return std::nullopt;
                continue;
            }
            if (!head) detail::corrupted();
            if (overtaken_ ? head->sequence < expected_ : head->sequence != expected_) detail::corrupted();
            if (head->flags == detail::pad_flag) {
                cursor_ += detail::record_bytes(head->length);
                continue;
            }
            peeked_ = detail::record_bytes(head->length);
            sequence_ = head->sequence;
            return Record{{ring_.data(cursor_) + detail::head_bytes, head->length}, sequence_, sequence_ - expected_};
        }
    }

    /// Goes beyond what peek() gave. False when it was, or may have been, overwritten since: what was seen of it is
    /// worth nothing, and it counts as lost.
    [[nodiscard]] bool advance() {
        if (peeked_ == 0) shmd::detail::refuse("there is no record to go beyond");
        std::uint64_t bytes = std::exchange(peeked_, 0);
        if (overtaken()) return false;
        cursor_ += bytes;
        expected_ = sequence_ + 1;
        overtaken_ = false;
        laps_ = 0;
        return true;
    }

    /// Waits up to this long until there is something to read, and says whether there is.
    template <typename Rep, typename Period>
    [[nodiscard]] bool wait(std::chrono::duration<Rep, Period> timeout) {
        return wait(Deadline(timeout));
    }

    /// Goes to the oldest record that is there, or behind the newest. What is passed over is not lost.
    void seek(From from) {
        peeked_ = 0;
        overtaken_ = false;
        laps_ = 0;
        for (int i = 0; i < detail::patience; i++) {
            std::uint64_t begin = from == From::oldest && i < detail::patience / 2 ? ring_.oldest() : ring_.published();
            std::uint64_t published = ring_.published();
            auto head = ring_.head_at(begin, published);
            auto mark = ring_.mark_of(begin);
            detail::acquire_fence();
            // The one or the other, of what is there still.
            if (head && ring_.oldest() <= begin) {
                expected_ = head->sequence;
            } else if (mark && ring_.published() == begin) {
                expected_ = mark->sequence;
            } else {
                continue;
            }
            cursor_ = begin;
            return;
        }
        detail::corrupted();
    }

    /// Readable when there may be more: see shmd_notification_fd(). The segment owns it.
    [[nodiscard]] int notification_fd() const {
        int fd = shmd_notification_fd(segment_.get());
        shmd::detail::check(fd);
        return fd;
    }

    /// For the C interface. Borrowed.
    [[nodiscard]] shmd_segment* get() const noexcept { return segment_.get(); }

  private:
    Consumer(shmd_segment* segment, From from) : segment_(segment), ring_(shmd_data(segment), shmd_size(segment)) {
        ring_.check();
        seek(from);
    }

    std::optional<Record> read() {
        while (auto record = peek()) {
            if (record->data.size() > buffer_bytes_) {
                buffer_.reset();
                buffer_bytes_ = std::max(record->data.size(), std::min(2 * buffer_bytes_, ring_.max_record_size()));
                buffer_ = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes_);
            }
            if (!record->data.empty()) std::memcpy(buffer_.get(), record->data.data(), record->data.size());
            record->data = {buffer_.get(), record->data.size()};
            if (advance()) return record;
            if (laps_ == 0) break;
        }
        return std::nullopt;
    }

    // Whether the record at the cursor was, or may have been, overwritten. The cursor is at the oldest one then.
    bool overtaken() {
        detail::acquire_fence();
        std::uint64_t oldest = ring_.oldest();
        if (oldest <= cursor_) return false;
        std::uint64_t published = ring_.published();
        if (oldest % detail::alignment != 0 || oldest > published || published % detail::alignment != 0) detail::corrupted();
        overtaken_ = true;
        // After so many times it would never read one before that is overwritten.
        laps_ = (laps_ + 1) % detail::patience;
        cursor_ = laps_ != 0 ? oldest : published;
        return true;
    }

    // Microseconds from now; negative for ever.
    class Deadline {
      public:
        template <typename Rep, typename Period>
        explicit Deadline(std::chrono::duration<Rep, Period> timeout) : usec_(shmd::detail::timeout_usec(timeout)) {
            if (usec_ > 0) end_ = std::chrono::steady_clock::now() + std::chrono::microseconds(usec_);
        }
        // At most a second.
        [[nodiscard]] std::int64_t slice() const {
            if (usec_ == 0) return 0;
            constexpr std::int64_t second = 1'000'000;
            if (usec_ < 0) return second;
            auto left = std::chrono::ceil<std::chrono::microseconds>(end_ - std::chrono::steady_clock::now());
            return std::clamp<std::int64_t>(left.count(), 0, second);
        }

      private:
        std::int64_t usec_;
        std::chrono::steady_clock::time_point end_{};
    };

    bool wait(const Deadline& deadline) {
        for (;;) {
            // Not longer than a second: a producer may have died between publishing and notifying.
            std::int64_t slice = deadline.slice();
            if (slice == 0) return peek().has_value();
            std::uint64_t version = 0;
            shmd::detail::check(shmd_get_version(segment_.get(), &version));
            if (peek()) return true;
            int waited = shmd_wait(segment_.get(), version, slice, nullptr);
            if (waited != -ETIMEDOUT) shmd::detail::check(waited);
        }
    }

    shmd::detail::Owned<shmd_segment> segment_;
    detail::Ring ring_;
    std::uint64_t cursor_ = 0, expected_ = 0;  // a position, and the number of the record that begins there if none is lost
    bool overtaken_ = false;                   // since the last record that was read
    int laps_ = 0;                             // in a row
    std::uint64_t peeked_ = 0, sequence_ = 0;  // bytes and number of what peek() gave
    std::unique_ptr<std::byte[]> buffer_{};
    std::size_t buffer_bytes_ = 0;
};

}  // namespace ring
}  // namespace v0
}  // namespace shmd
