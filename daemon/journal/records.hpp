// What the journal's records mean: segments and attachments as plain values, to bytes and back. FORMAT.md describes them
// to the byte.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "journal.hpp"
#include "policy.hpp"
#include "types.hpp"

namespace shmd {

/// A process, apart from all others that had or will have its id. Mark 0: there was nothing to tell them apart by.
struct ProcessId {
    std::int32_t pid = 0;
    std::uint64_t mark = 0;
    auto operator<=>(const ProcessId&) const = default;
};

struct SegmentRecord {
    std::int64_t id = 0;
    std::uint32_t slot = 0;  // where the memory is kept
    std::optional<std::string> key;
    std::optional<std::string> staged_key;
    Acl acl;
    ProcessId creator;
    State state = State::live;
    Lifetime lifetime = Lifetime::persistent;
    std::int64_t lease_usec = 0;
    std::int64_t lease_end = 0;  // of CLOCK_BOOTTIME
    bool evictable = false;
    std::int64_t last_used = 0;  // of CLOCK_BOOTTIME
    std::int32_t last_pid = 0;
    std::int32_t system_v_index = -1;
    bool memory_locked = false;
    std::int64_t created_usec = 0;
    std::optional<std::int64_t> attached_usec;
    std::optional<std::int64_t> detached_usec;
    std::int64_t changed_usec = 0;
    Labels labels;
    std::int64_t size_bytes = 0;
    std::int64_t capacity_bytes = 0;
    Reserve reserve = Reserve::allocate;
    HugePages huge_pages = HugePages::none;
    std::vector<std::uint32_t> numa_nodes;
    std::uint32_t account_uid = 0;
    std::int64_t charged_bytes = 0;
    std::optional<std::uint32_t> sync_slot;  // where its sync area is kept

    bool operator==(const SegmentRecord&) const = default;
};

struct AttachmentRecord {
    std::uint32_t id = 0;
    std::int64_t segment = 0;
    Access access = Access::read;
    ProcessId holder;
    std::uint64_t connection = 0;  // a number that no other connection of this boot has
    std::uint32_t uid = 0;
    std::int64_t since_usec = 0;
    std::uint32_t account_uid = 0;

    bool operator==(const AttachmentRecord&) const = default;
};

namespace record {

inline constexpr RecordType segment = 1 | critical_record;     // a segment as it now is: replaces what was known of it
inline constexpr RecordType deleted = 2 | critical_record;     // its key is free; its memory may still be in use
inline constexpr RecordType gone = 3 | critical_record;        // nothing is left of it
inline constexpr RecordType attachment = 4 | critical_record;  // a grant
inline constexpr RecordType detached = 5 | critical_record;    // the end of one
inline constexpr RecordType next_id = 6 | critical_record;     // no id below was ever free to give
inline constexpr RecordType renewed = 7 | critical_record;     // a lease began anew
inline constexpr RecordType taken_up = 8;                      // an attachment is another connection's now

/// The most that the record of one segment takes in the journal, and what each of the others takes.
inline constexpr std::size_t most_segment_bytes = 8192;
inline constexpr std::size_t attachment_bytes = 16 + 56;
inline constexpr std::size_t detached_bytes = 16 + 24;
inline constexpr std::size_t deleted_bytes = 16 + 16;
inline constexpr std::size_t gone_bytes = 16 + 8;
inline constexpr std::size_t renewed_bytes = 16 + 16;
inline constexpr std::size_t taken_up_bytes = 16 + 16;

}  // namespace record

/// Appends one record. The space must have been reserved or promised.
void write(Journal& journal, const SegmentRecord& segment);
void write(Journal& journal, const AttachmentRecord& attachment);
void write_deleted(Journal& journal, std::int64_t segment, std::int64_t changed_usec);
void write_gone(Journal& journal, std::int64_t segment);
void write_detached(Journal& journal, std::uint32_t attachment, std::int64_t detached_usec, std::int64_t last_used);
void write_renewed(Journal& journal, std::int64_t segment, std::int64_t lease_end);
void write_taken_up(Journal& journal, std::uint32_t attachment, std::uint64_t connection);
void write_next_id(Journal& journal, std::int64_t id);

/// What a journal tells when it is read from its begin to its end.
struct JournalImage {
    std::map<std::int64_t, SegmentRecord> segments;
    std::map<std::uint32_t, AttachmentRecord> attachments;
    std::int64_t next_id = 0;
    Journal::Found found;

    /// Takes one record. Throws std::runtime_error for one that a newer version wrote and that cannot be left out.
    void take(RecordType type, std::string_view payload);

    /// Reads the journal of this directory. Throws std::runtime_error.
    static JournalImage read(const std::string& directory);
};

}  // namespace shmd
