// The journal: what must be known of segments and attachments after this process, however it ends. One file of records
// in the runtime directory, which the kernel keeps when the process is killed between any two instructions. Knows bytes
// alone; what they mean is records.hpp's matter. FORMAT.md describes the file.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "unique_fd.hpp"

namespace shmd {

/// A record's type. Bit 15 says that a reader who does not know the type must not go on.
using RecordType = std::uint16_t;
inline constexpr RecordType critical_record = 0x8000;

class Journal {
  public:
    using Replay = std::function<void(RecordType type, std::string_view payload)>;

    /// What read() found.
    struct Found {
        bool existed = false;
        std::size_t records = 0;
        std::size_t damaged_bytes = 0;  // passed over, or cut off
        std::size_t end = 0;            // where the last whole record ends
    };

    /// Reads the journal of this directory and calls back for each whole record. Changes nothing. Throws
    /// std::runtime_error for one that cannot be read or that another version wrote in a way unknown here.
    static Found read(const std::string& directory, const Replay& replay);

    /// Writes a new journal in place of the one that is there, in one step, with what `snapshot` appends. It is called
    /// again whenever the file is full. promised: bytes to set aside from the start. Where there is no space for a new
    /// one, goes on in the old one, whose end read() has found and which tells the same. Throws std::runtime_error when
    /// that cannot be either.
    Journal(std::string directory, std::function<void(Journal&)> snapshot, std::size_t promised, const Found& old);
    /// The same with nothing promised and no old one.
    Journal(std::string directory, std::function<void(Journal&)> snapshot);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// Makes sure that this many bytes of records can be appended, beside those promised. False when there is no space
    /// in the file system; nothing has changed then.
    [[nodiscard]] bool reserve(std::size_t bytes);
    /// Sets space aside for records that must not fail later, and gives it back when they are written or not needed.
    /// What is promised must have been reserved.
    void promise(std::size_t bytes) { promised_ += bytes; }
    void fulfil(std::size_t bytes) { promised_ -= bytes; }

    /// Appends one record: a few stores to memory. The space must have been reserved or promised.
    void append(RecordType type, std::string_view payload);
    /// Bytes that a record with such a payload takes.
    [[nodiscard]] static std::size_t size_of(std::size_t payload_bytes);

    /// Until the last commit(), what is appended counts as not written; then all of it at once. Nests.
    void begin() { depth_++; }
    void commit();

    /// From here on nothing is written any more.
    void close();

    /// Bytes of records; bytes that the file has room for.
    [[nodiscard]] std::size_t used() const { return used_; }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }

  private:
    void compact(std::size_t more);
    bool go_on_in(const Found& old);
    void tell_committed();

    std::string directory_;
    std::function<void(Journal&)> snapshot_;
    std::string* building_ = nullptr;  // a snapshot under way goes here
    char* bytes_ = nullptr;            // the file, mapped
    std::size_t capacity_ = 0;
    std::size_t used_ = 0;
    std::size_t promised_ = 0;
    int depth_ = 0;
    std::size_t group_at_ = 0;          // where the first record of the group is
    std::uint64_t group_head_ = 0;      // the first eight bytes of it, not yet written
    std::uint64_t salt_ = 0;
    std::chrono::steady_clock::time_point next_attempt_;  // to write a new one, after one that failed
};

/// All that is appended during its life becomes valid at its end, at once.
class JournalGroup {
  public:
    explicit JournalGroup(Journal* journal) : journal_(journal) {
        if (journal_) journal_->begin();
    }
    ~JournalGroup() {
        if (journal_) journal_->commit();
    }
    JournalGroup(const JournalGroup&) = delete;
    JournalGroup& operator=(const JournalGroup&) = delete;

  private:
    Journal* journal_;
};

}  // namespace shmd
