// Puts together again what an earlier daemon left: the journal tells what there was, the service manager passed the
// memory back, and the processes that still live keep what they had.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

#include "blank_pool.hpp"
#include "handlers.hpp"
#include "process_watch.hpp"
#include "quota.hpp"
#include "records.hpp"
#include "recorder.hpp"
#include "registry.hpp"

namespace shmd {

/// The descriptors that the service manager passed back.
using StoredFds = std::map<Slot, UniqueFd>;

class Restoration {
  public:
    struct Parts {
        FdStore& store;
        BlankPool& blanks;
        Recorder& recorder;
        Registry& registry;
        Quota& quota;
        Handlers& handlers;
        ProcessWatches& processes;
    };

    explicit Restoration(Parts parts) : parts_(parts) {}

    /// Fills the empty registry. What belongs to nothing is dropped from the store.
    void restore(JournalImage image, StoredFds stored);
    /// Ends what has nobody left to live for. To be called when changes are recorded again.
    void settle();

    std::size_t segments = 0;
    std::size_t attachments = 0;
    std::size_t lost = 0;  // segments whose memory was not passed back

  private:
    bool restore_segment(SegmentRecord record, StoredFds& stored);
    void restore_sync(Entry& entry, const SegmentRecord& record, StoredFds& stored);
    void restore_attachment(const AttachmentRecord& record);
    void settle_creator(Entry& entry);

    Parts parts_;
    std::set<std::int64_t> attached_;  // segments that somebody has
};

}  // namespace shmd
