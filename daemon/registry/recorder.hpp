// Keeps what the registry holds beyond this process: the memory in the service manager's fd store, all else in the
// journal. The registry tells it of every change; handlers reserve the space before, so that telling cannot fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "blank_pool.hpp"
#include "fd_store.hpp"
#include "journal.hpp"
#include "memory.hpp"
#include "records.hpp"

namespace shmd {

struct Attachment;
struct Entry;
class Recorder;
class Registry;

/// A segment's place in the fd store and in the journal, from before it is made until its memory is free. Move-only;
/// giving it up removes it from both.
class Kept {
  public:
    Kept() = default;
    Kept(Recorder& recorder, Slot slot, bool stored) : recorder_(&recorder), slot_(slot), stored_(stored) {}
    Kept(Kept&& other) noexcept { *this = std::move(other); }
    Kept& operator=(Kept&& other) noexcept;
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    ~Kept() { release(); }

    void release();
    [[nodiscard]] Slot slot() const { return slot_; }
    /// False while the manager need not have it yet.
    [[nodiscard]] bool stored() const { return stored_ || !recorder_; }

  private:
    friend class Recorder;
    Recorder* recorder_ = nullptr;
    Slot slot_ = 0;
    bool stored_ = false;
    std::int64_t segment_ = 0;  // once it is in the journal
    bool deleted_ = false;      // so does the journal say
};

class Recorder {
  public:
    Recorder(Registry& registry, FdStore& store, BlankPool& blanks)
        : registry_(registry), store_(store), blanks_(blanks) {}
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    /// Writes a journal of all that the registry holds into this directory, in place of the one there; from then on the
    /// registry may tell of changes. Throws std::runtime_error; the old journal is still there then.
    /// old: what reading that one has found.
    void start(std::string directory, const Journal::Found& old);

    /// Where new memory will be kept; with a file to make it of if one is at hand. Nothing when the store is full.
    struct Place {
        Kept kept;
        Blank blank{};
    };
    [[nodiscard]] std::optional<Place> take_place(bool of_blank);
    /// The place that a segment had in an earlier process.
    [[nodiscard]] Kept adopt(Slot slot, std::int64_t segment, bool deleted);
    /// Has this memory stored there. done: called from the event loop when the manager has it.
    Result<void> store(Kept& kept, const Memory& memory, std::function<void()> done);

    /// Makes sure that so much more can be recorded. False when the runtime directory is full.
    [[nodiscard]] bool reserve(std::size_t segment_bytes, std::size_t attachments);
    /// At most what one segment of such contents takes.
    [[nodiscard]] static std::size_t bytes_of(std::size_t key_bytes, const Labels* labels, std::size_t acl_entries,
                                              std::size_t numa_nodes);

    void added(Entry& entry);
    void changed(const Entry& entry);
    void renewed(const Entry& entry);
    void deleted(Entry& entry);
    void attached(const Attachment& attachment);
    void detached(const Attachment& attachment);
    /// An attachment may begin, for which space was reserved, and does it now or never.
    void prepared();
    void prepared_no_more();
    /// It has another holder of the same process. Left out when there is no space: the old one is as good until the next
    /// restart.
    void taken_up(const Attachment& attachment);
    /// Its holder is another process now. Left out likewise: then it ends with the old one after a restart.
    void held_by_another(const Attachment& attachment);
    /// The registry lets go of a deleted segment; what remains of it has its place until its memory is free.
    void lingers(const Entry& entry);

    [[nodiscard]] Journal* journal() { return &*journal_; }
    /// Nothing is recorded or given up from here on: what is kept stays, for the next process.
    void close();
    [[nodiscard]] std::size_t capacity() const { return store_.capacity(); }

  private:
    friend class Kept;
    void gone(const Kept& kept);
    void snapshot(Journal& journal);
    std::size_t promises();

    Registry& registry_;
    FdStore& store_;
    BlankPool& blanks_;
    bool closed_ = false;
    std::unordered_map<std::int64_t, SegmentRecord> lingering_;
    std::optional<Journal> journal_;
};

}  // namespace shmd
