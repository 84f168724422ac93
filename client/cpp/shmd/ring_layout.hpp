// What lies in a ring, to the byte, as protocol/RING.md has it. Included by <shmd/ring.hpp>.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include <shmd/error.hpp>

namespace shmd {
inline namespace v0 {
namespace ring::detail {

inline constexpr std::uint64_t alignment = 16, head_bytes = 16, data_offset = 256;
inline constexpr std::uint64_t no_position = std::uint64_t{1} << 62;
inline constexpr std::uint32_t format = 1, pad_flag = 1;
inline constexpr char magic[] = "shmdring";
/// How often a consumer may be overtaken in a row before it goes on with the newest record.
inline constexpr int patience = 64;

struct Header {
    std::uint64_t magic;
    std::uint32_t format, reserved_0;
    std::uint64_t capacity;
    unsigned char reserved_1[40];
    std::uint64_t oldest, published;
    unsigned char reserved_2[48];
    struct Mark {
        std::uint64_t position, sequence;
    } marks[2];
};
static_assert(offsetof(Header, oldest) == 64 && offsetof(Header, marks) == 128 && sizeof(Header) == 160);

struct Head {
    std::uint32_t length, flags;
    std::uint64_t sequence;
};
static_assert(sizeof(Head) == head_bytes);

[[noreturn]] inline void fail(int code, const std::string& message) {
    throw Error(shmd_error{-code, "", "{}", message.c_str()});
}
[[noreturn]] inline void corrupted() {
    fail(EBADMSG, "the ring is corrupted: somebody has written into it who should not have");
}

/// All bytes of the record with a content of this length.
constexpr std::uint64_t record_bytes(std::uint64_t length) noexcept {
    return (head_bytes + length + alignment - 1) / alignment * alignment;
}

// What is copied and what is looked at may change meanwhile; these keep it between the loads and stores of the positions, as a
// sequence lock does. std::atomic_ref wants what is not const, which a consumer does not have.
inline std::uint64_t load(const std::uint64_t& word) noexcept {
    return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}
inline void store(std::uint64_t& word, std::uint64_t value) noexcept {
    __atomic_store_n(&word, value, __ATOMIC_RELEASE);
}
inline void acquire_fence() noexcept {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/// A ring's memory. Positions that are given here are multiples of the alignment.
class Ring {
  public:
    /// Looks at nothing yet. A consumer's memory is not written, whatever its type says.
    Ring(void* memory, std::uint64_t size) noexcept : memory_(static_cast<std::byte*>(memory)), size_(size) {}

    /// Throws unless there is a ring.
    void check() {
        if (size_ < data_offset + 2 * alignment) fail(EBADFD, "the segment is too small to have a ring");
        std::uint64_t found = load(header().magic);
        if (found == 0) fail(EBADFD, "there is no ring in the segment yet");
        if (found != magic_word()) fail(EBADFD, "there is something else than a ring in the segment");
        std::uint32_t its_format = __atomic_load_n(&header().format, __ATOMIC_RELAXED);
        if (its_format != format) {
            fail(ENOTSUP, "the ring has format " + std::to_string(its_format) + ", which this version does not know");
        }
        capacity_ = load(header().capacity);
        if (capacity_ < 2 * alignment || capacity_ % alignment != 0 || capacity_ > size_ - data_offset) corrupted();
    }

    /// The mutex is held.
    void format_or_check() {
        if (size_ < data_offset + 2 * alignment) shmd::detail::refuse("the segment is too small for a ring");
        if (load(header().magic) == 0) {
            Header& fresh = header();
            fresh.format = format;
            store(fresh.capacity, (size_ - data_offset) / alignment * alignment);
            store(fresh.oldest, 0);
            store(fresh.published, 0);
            for (unsigned i = 0; i < 2; i++) write_mark(i, 0, 0);
            store(fresh.magic, magic_word());
        }
        check();
    }

    [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::size_t max_record_size() const noexcept {
        constexpr std::uint64_t most = 0xffffffffu - 2 * alignment + 1;
        std::uint64_t fits = capacity_ - head_bytes;
        return static_cast<std::size_t>(fits < most ? fits : most);
    }
    [[nodiscard]] std::byte* data(std::uint64_t position) const noexcept {
        return memory_ + data_offset + position % capacity_;
    }
    /// Bytes up to the end of the data.
    [[nodiscard]] std::uint64_t left_behind(std::uint64_t position) const noexcept {
        return capacity_ - position % capacity_;
    }

    [[nodiscard]] std::uint64_t oldest() const noexcept { return load(header().oldest); }
    [[nodiscard]] std::uint64_t published() const noexcept { return load(header().published); }
    [[nodiscard]] bool possible(std::uint64_t oldest, std::uint64_t published) const noexcept {
        return oldest <= published && published - oldest <= capacity_ && published < no_position && oldest % alignment == 0 &&
               published % alignment == 0;
    }
    /// Before anything that was older is overwritten.
    void raise_oldest(std::uint64_t position) noexcept {
        store(header().oldest, position);
        __atomic_thread_fence(__ATOMIC_RELEASE);
    }
    void raise_published(std::uint64_t position) noexcept { store(header().published, position); }

    struct FoundMark {
        unsigned number;
        std::uint64_t sequence;
    };
    [[nodiscard]] std::optional<FoundMark> mark_of(std::uint64_t published) const noexcept {
        for (unsigned i = 0; i < 2; i++) {
            if (load(header().marks[i].position) == published) return FoundMark{i, load(header().marks[i].sequence)};
        }
        return std::nullopt;
    }
    void write_mark(unsigned number, std::uint64_t position, std::uint64_t sequence) noexcept {
        store(header().marks[number].position, position);
        store(header().marks[number].sequence, sequence);
    }

    void write_head(std::uint64_t position, const Head& head) noexcept {
        std::memcpy(data(position), &head, sizeof head);
    }
    /// The head of the record or pad that lies between position and published; nothing when there cannot be one such.
    [[nodiscard]] std::optional<Head> head_at(std::uint64_t position, std::uint64_t published) const noexcept {
        if (position % alignment != 0 || !possible(position, published) || published == position) return std::nullopt;
        const std::byte* from = data(position);
        // Each word is read once.
        std::uint64_t words[2];
        for (int i = 0; i < 2; i++) words[i] = __atomic_load_n(reinterpret_cast<const std::uint64_t*>(from) + i, __ATOMIC_RELAXED);
        Head head;
        std::memcpy(&head, words, sizeof head);
        std::uint64_t bytes = record_bytes(head.length), left = left_behind(position);
        if (bytes > published - position || bytes > left || head.flags > pad_flag) return std::nullopt;
        // A pad ends where the data ends, and something is before it.
        if (head.flags == pad_flag && (bytes != left || left == capacity_)) return std::nullopt;
        return head;
    }

  private:
    static std::uint64_t magic_word() noexcept {
        std::uint64_t word;
        std::memcpy(&word, magic, sizeof word);
        return word;
    }
    [[nodiscard]] Header& header() const noexcept { return *reinterpret_cast<Header*>(memory_); }

    std::byte* memory_;
    std::uint64_t size_;
    std::uint64_t capacity_ = 2 * alignment;
};

}  // namespace ring::detail
}  // namespace v0
}  // namespace shmd
