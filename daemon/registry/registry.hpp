// Every segment and every attachment, and the keys. Decides nothing about users and answers no calls: it keeps the
// state whole. One thread; no descriptors but through Memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "change_page.hpp"
#include "detach_queue.hpp"
#include "key_index.hpp"
#include "memory.hpp"
#include "policy.hpp"
#include "quota.hpp"
#include "recorder.hpp"
#include "result.hpp"
#include "sync_area.hpp"
#include "system_v_index.hpp"
#include "types.hpp"
#include "watchers.hpp"

namespace shmd {

/// Microseconds of CLOCK_REALTIME, as clients are told.
[[nodiscard]] std::int64_t wall_usec();
/// Microseconds of CLOCK_BOOTTIME: time that goes on in suspend and that nobody sets.
[[nodiscard]] std::int64_t boot_usec();

struct Attachment;

class HeldAttachments;

/// A segment's sync area, its place in the fd store, and what it is charged as.
struct Sync {
    Kept kept;
    Charge charge;
    SyncArea area;
    std::uint32_t read_only = 0;  // attachments for reading that have it
};

/// One segment. Handlers read it; the Registry alone changes it.
struct Entry {
    // What an open needs, close together.
    std::optional<std::string> key;
    std::int64_t id = 0;
    Acl acl;
    State state = State::live;
    Lifetime lifetime = Lifetime::persistent;
    std::shared_ptr<Memory> memory;
    std::int64_t size_bytes = 0;
    std::int64_t capacity_bytes = 0;
    std::vector<Attachment*> attachments;  // in no order
    std::vector<HeldAttachments*> prepared;  // who may begin one by a queue
    std::int64_t created_usec = 0;
    std::optional<std::int64_t> attached_usec;
    std::optional<std::int64_t> detached_usec;
    std::int64_t changed_usec = 0;
    Labels labels;
    ProcessId creator_process;
    std::int64_t lease_usec = 0;  // with Lifetime::lease
    std::int64_t lease_end = 0;   // of boot_usec()
    std::int64_t last_used = 0;   // of boot_usec(): the last end of an attachment, or the creation
    std::unique_ptr<Sync> sync;   // once somebody has asked for it
    std::int32_t last_pid = 0;    // of the process that last attached or detached; 0: none did
    int system_v_index = -1;      // in the table of System V segments; -1: it is not there
    bool evictable = false;

    bool memory_locked = false;             // marked so by SHM_LOCK
    Reserve reserve = Reserve::allocate;
    std::optional<std::string> staged_key;  // the one to publish under, if it was named at creation
    std::weak_ptr<void> creator;            // the creating process, as long as something watches it
    std::shared_ptr<void> creator_watch;    // with Lifetime::creator
    std::weak_ptr<void> resizing;           // there while a Resize is under way
    Kept kept;                              // given up after the memory
    Charge segment_charge;
    Charge bytes_charge;
    Charge staged_charge;  // while staged

    [[nodiscard]] bool sealed() const { return memory->sealed(); }
    [[nodiscard]] bool closed_to_writers() const { return memory->closed_to_writers(); }
    /// While staged only the connection that created it has attachments.
    [[nodiscard]] bool is_staged_by(const HeldAttachments& holder) const;
    /// As an shmid; -1 when it is no System V segment.
    [[nodiscard]] std::int32_t system_v_id() const;
    /// What clients are told.
    [[nodiscard]] Segment describe() const;
    /// The same, into one that is as it was made.
    void describe(Segment& segment) const { describe(segment, sealed()); }
    /// The same where it is known whether it is sealed: the kernel need not be asked.
    void describe(Segment& segment, bool is_sealed) const;
};

/// The attachments of one connection. They all end when Registry::detach_all() is called, which its owner must do.
class HeldAttachments {
  public:
    /// Whose connection it is, and its number.
    HeldAttachments(ProcessId process, std::uint32_t uid, std::uint64_t connection = 0)
        : process_(process), uid_(uid), connection_(connection) {}
    HeldAttachments(const HeldAttachments&) = delete;
    HeldAttachments& operator=(const HeldAttachments&) = delete;

    [[nodiscard]] bool empty() const { return attachments_.empty(); }
    [[nodiscard]] std::int32_t pid() const { return process_.pid; }
    [[nodiscard]] ProcessId process() const { return process_; }
    [[nodiscard]] std::uint32_t uid() const { return uid_; }
    [[nodiscard]] std::uint64_t connection() const { return connection_; }

  private:
    friend class Registry;
    // An attachment that begins when it is put in the queue.
    struct Prepared {
        std::uint32_t id = 0;
        Entry* entry = nullptr;  // null: it does not begin any more, and whatever is put there of it is nothing
        Access access = Access::read;
        std::int64_t since_usec = 0;
        Charge charge{};
    };
    struct Queue {
        DetachQueue queue;
        Charge charge;
        std::optional<Prepared> prepared{};
    };
    ProcessId process_;
    std::uint32_t uid_;
    std::uint64_t connection_;
    std::vector<Attachment*> attachments_;  // in no order
    std::unique_ptr<Queue> queue_;  // once it has asked for one
};

/// One grant.
struct Attachment {
    std::uint32_t id = 0;
    Entry* entry = nullptr;
    HeldAttachments* holder = nullptr;
    Access access = Access::read;
    std::int64_t since_usec = 0;  // of CLOCK_REALTIME
    std::size_t place = 0;            // in the entry's list
    std::size_t place_of_holder = 0;  // in the holder's
    Charge charge{};
    bool reads_sync = false;  // it is among Sync::read_only
};

/// What a segment that is gone leaves behind: memory that others may still have mapped, and what it is charged as.
struct Remains {
    Kept kept;  // given up last
    std::shared_ptr<Memory> memory;
    Charge segment_charge;
    Charge bytes_charge;
};

class Registry {
  public:
    /// release: takes what is left of a segment that is gone; freeing it may take long. Left out, it is freed at once.
    explicit Registry(std::function<void(Remains)> release = {});
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    /// The live segment with this key, or null. Valid until the next change.
    [[nodiscard]] Entry* find(std::string_view key);
    /// The segment with this id, whatever its state, or null. Valid until the next change.
    [[nodiscard]] Entry* find(std::int64_t id);
    /// An attachment, or null.
    [[nodiscard]] const Attachment* find_attachment(std::uint32_t attachment) const;
    [[nodiscard]] bool holds(const HeldAttachments& holder, std::uint32_t attachment) const {
        const Attachment* found = find_attachment(attachment);
        return found && found->holder == &holder;
    }
    /// The segment of an attachment, or null.
    [[nodiscard]] Entry* find_attached(std::uint32_t attachment);
    /// The segment with this shmid, whatever its state, or null.
    [[nodiscard]] Entry* find_system_v(std::int32_t id);
    [[nodiscard]] const SystemVIndex& system_v() const { return system_v_; }
    /// The segment with the lowest id above this one, or null: one step of a listing.
    [[nodiscard]] Entry* next_after(std::int64_t id);

    /// Takes a segment in and gives it its id and times. A key that it brings must be free; the caller has looked.
    /// private_system_v: it is among the System V segments without having such a key.
    Entry& add(std::unique_ptr<Entry> entry, bool private_system_v = false);

    /// Takes a segment over from an earlier process, with the id and the times that it had. Its key must be free.
    Entry& restore(std::unique_ptr<Entry> entry);
    /// Likewise an attachment.
    void restore(Entry& entry, HeldAttachments& holder, std::uint32_t id, Access access, std::int64_t since_usec,
                 Charge charge);
    /// No id below this one is given any more.
    void raise_next_id(std::int64_t id) { next_id_ = std::max(next_id_, id); }
    [[nodiscard]] std::int64_t next_id() const { return next_id_; }
    /// Lets a segment go that was restored, is deleted or staged, and has no attachments.
    void settle(Entry& entry);
    /// Where changes of System V segments are counted; made when it is first asked for.
    [[nodiscard]] Result<const ChangePage*> change_page();
    /// Whom to tell of every change; null for nobody.
    void record_to(Recorder* recorder) { recorder_ = recorder; }

    /// Begins an attachment and returns its id.
    std::uint32_t attach(Entry& entry, HeldAttachments& holder, Access access, Charge charge);
    /// Ends one attachment of this holder. Segments that lived only for it go. ended_usec: when, if its client says so, of
    /// CLOCK_REALTIME.
    void detach(HeldAttachments& holder, std::uint32_t attachment, std::int64_t ended_usec = 0);
    /// From here on the holder, which has none, may put what is to end there.
    void add_queue(HeldAttachments& holder, DetachQueue queue, Charge charge);
    /// The holder's, or null.
    [[nodiscard]] static const DetachQueue* queue_of(const HeldAttachments& holder) {
        return holder.queue_ ? &holder.queue_->queue : nullptr;
    }
    /// The holder, which has a queue, may begin this attachment by putting it there, instead of another one that it has not begun. It
    /// counts on nothing having changed that change_page() tells of. Its id.
    std::uint32_t prepare(Entry& entry, HeldAttachments& holder, Access access, Charge charge);
    /// Nothing more begins so. For calling before anything is changed that one may count on, or that the charges are wanted. As with
    /// catch_up(), entries may be gone.
    void end_preparations();
    /// Ends what this holder has put in its queue. True when that was something: entries may be gone.
    bool catch_up(HeldAttachments& holder);
    /// Likewise all who are attached to this segment, unless they are more than most_looked_at. Whoever calls this has taken
    /// no Entry before, or looks it up again: any may be gone.
    bool catch_up(const Entry& entry);
    /// Likewise, however many they are: for System V, which tells how many are attached.
    bool catch_up_wholly(const Entry& entry);
    /// Likewise the connections of one process.
    void catch_up_process(ProcessId process);
    /// Likewise everybody, or all of this user's connections.
    bool catch_up_all(std::optional<std::uint32_t> uid = std::nullopt);
    /// Likewise the next few, for one round of looking at everybody with pauses between. Where to go on, or null: that was all.
    HeldAttachments* catch_up_some(HeldAttachments* from);
    /// Somebody is about to watch: all who have a queue call for each end, until look_who_is_watched() finds that nobody watches
    /// what they have. That is for calling now and then.
    void expect_watcher();
    void look_who_is_watched();
    static constexpr std::size_t most_looked_at = 64;
    /// What is ended in one go: whoever fills queues must not stop the daemon.
    static constexpr std::size_t most_caught_up = 256;

    /// All, or so many. True when there are more; else the holder is done.
    bool detach_all(HeldAttachments& holder, std::size_t at_most = SIZE_MAX);
    /// Ends an attachment, whoever holds it.
    void detach(std::uint32_t attachment);
    /// All that this connection holds is another process's now.
    void give_to(HeldAttachments& holder, ProcessId process);
    /// Gives an attachment to another holder.
    void hand_over(std::uint32_t attachment, HeldAttachments& from, HeldAttachments& to);

    /// From here on the segment has this sync area.
    void add_sync(Entry& entry, std::unique_ptr<Sync> sync);
    /// The attachment is about to be passed the area.
    void passes_sync(std::uint32_t attachment);
    /// Gives back what so many attachments of this holder have in sync areas, ahead of their end: its process has died.
    void give_back_locks(const HeldAttachments& holder, std::size_t at_most);
    /// Gives back what holders that are no attachments (any more) have in the segment's sync area, if it has one.
    void recover_locks(Entry& entry);

    /// Takes key and visibility away. The entry goes now, or with its last attachment. why: deleted, expired or evicted.
    void remove(Entry& entry, Event why = Event::deleted);

    /// Every change of owner, mode, labels, entries, lifetime or evictability goes through here. change: is given the
    /// entry and must not throw.
    template <typename F>
    void change(Entry& entry, const F& change) {
        unlist(entry);
        change(entry);
        touch(entry);
        relist(entry);
        note_name_change(entry);
        note_watched(entry);
        if (recorder_) recorder_->changed(entry);
        watchers_.tell(Event::changed, entry);
    }
    /// Begins the lease anew.
    void renew(Entry& entry);
    void sealed(Entry& entry);
    void lock_memory(Entry& entry, bool locked);
    void resize(Entry& entry, std::int64_t size_bytes);

    /// The end of the earliest lease, of boot_usec(); 0 when there is none.
    [[nodiscard]] std::int64_t next_lease_end() const { return leases_.empty() ? 0 : leases_.begin()->first; }
    /// Called when next_lease_end() may have changed.
    void on_lease_change(std::function<void()> changed) { lease_changed_ = std::move(changed); }
    /// Removes segments whose leases have run out, at most so many. True when there may be more.
    bool expire(std::int64_t now, int at_most);

    /// Bytes of all that can be evicted now; of one account alone.
    [[nodiscard]] std::int64_t evictable_bytes() const;
    [[nodiscard]] std::int64_t evictable_bytes(std::uint32_t account) const;
    /// Drops the evictable segment that is longest out of use, of this account or of all. Its bytes; 0 when there is
    /// none.
    std::int64_t evict(std::optional<std::uint32_t> account = std::nullopt);

    [[nodiscard]] Watchers& watchers() { return watchers_; }

    /// Makes a staged segment live under this key. A segment that has the key is removed.
    void publish(Entry& entry, std::string key);

    /// Calls back once when a segment becomes live under this key. Dropping the ticket ends it.
    class Ticket {
      public:
        Ticket(Registry& registry, std::string key, std::function<void()> wake);
        ~Ticket();
        Ticket(const Ticket&) = delete;
        Ticket& operator=(const Ticket&) = delete;

      private:
        Registry& registry_;
        std::multimap<std::string, std::function<void()>>::iterator place_;
    };

    [[nodiscard]] std::size_t size() const { return by_id_.size(); }

  private:
    void erase(Entry& entry);
    Entry& insert(std::unique_ptr<Entry> entry);
    Attachment& take_in(Entry& entry, HeldAttachments& holder, std::uint32_t id);
    void end(std::unordered_map<std::uint32_t, Attachment>::iterator attachment, std::int64_t ended_usec = 0);
    void after_detach(Entry& entry);
    std::size_t end_queued(HeldAttachments& holder);
    std::size_t end_queued_of(const Entry& entry, std::size_t at_most);
    void drop_queue(HeldAttachments& holder);
    void begin_prepared(HeldAttachments& holder, std::int64_t said_usec);
    void forget_prepared(HeldAttachments& holder);
    void forget_prepared(const Entry& entry);
    void note_watched(const Entry& entry);
    static void leave_sync(Sync& sync, const Attachment& attachment);
    void forget_key(Entry& entry);
    void note_name_change(const Entry& entry);
    void note_removal(const Entry& entry);
    void announce(const std::string& key);
    void touch(Entry& entry);
    void unlist(Entry& entry);
    void relist(Entry& entry);
    std::uint32_t fresh_attachment_id();

    std::function<void(Remains)> release_;
    std::function<void()> lease_changed_;
    Recorder* recorder_ = nullptr;
    SystemVIndex system_v_;
    std::optional<ChangePage> change_page_;
    std::int64_t next_id_;
    std::uint32_t last_attachment_;
    std::map<std::int64_t, std::unique_ptr<Entry>> by_id_;
    std::map<std::int64_t, std::unique_ptr<Entry>>::iterator last_listed_ = by_id_.end();
    KeyIndex by_key_;
    std::unordered_map<std::uint32_t, Attachment> attachments_;
    std::set<HeldAttachments*> queued_;    // those with a queue
    std::set<HeldAttachments*> prepared_;  // those of them that may begin something
    std::multimap<std::string, std::function<void()>> waiting_;
    std::set<std::pair<std::int64_t, Entry*>> leases_;  // by lease_end
    // What can be evicted of one account, the longest out of use first.
    struct Evictables {
        std::set<std::pair<std::int64_t, Entry*>> by_last_use;
        std::int64_t bytes = 0;
    };
    std::map<std::uint32_t, Evictables> evictables_;
    Watchers watchers_;
};

}  // namespace shmd
