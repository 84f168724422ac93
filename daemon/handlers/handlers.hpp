// What each method does. One function a method: it asks policy and quota, acts on the registry, and answers with a
// typed reply or an error. No JSON, no sockets, no waiting: what takes long is handed back to the session as work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "blanks.hpp"
#include "messages.hpp"
#include "orphans.hpp"
#include "policy.hpp"
#include "quota.hpp"
#include "ready_memory.hpp"
#include "registry.hpp"

namespace shmd {

/// One connection as the handlers see it: who it is and what it holds.
struct Client {
    Client(Peer p, Endpoint e, std::shared_ptr<ProcessLife> l, std::uint64_t connection)
        : peer(std::move(p)), endpoint(e), process(std::move(l)), held(process->process(), peer.uid, connection) {}

    Peer peer;
    Endpoint endpoint;
    std::shared_ptr<ProcessLife> process;
    HeldAttachments held;
    bool for_child = false;           // it only holds what a child inherits, or has inherited
    bool others_were_served = false;  // while handle() is called again after ServeOthersFirst
};

/// What an administrator may ask for that is not the registry's. All are set by the server.
struct Operations {
    /// Soon closes all connections of this process; how many there are.
    std::function<int(std::int32_t pid)> disconnect{};
    /// Reads the configuration anew. What is wrong with it, or nothing.
    std::function<std::optional<std::string>()> reload{};
    std::function<void(const std::string& level)> set_log_level{};
    /// Gives back what deleted segments hold and nobody has any more; true when that was something.
    std::function<bool()> reclaim{};
    /// Gives all memory back that is ready for nobody yet; how many bytes that is.
    std::function<std::int64_t()> give_back_ready{};
    /// Closes the descriptors that are kept for nobody yet; true when there were some.
    std::function<bool()> give_up_descriptors{};
};

/// An answer with the descriptors that go with it.
struct Answer {
    ReplyBody body;
    std::vector<UniqueFd> fds{};
};

/// One segment of a Create or a CreateMany on its way. Nothing of it is visible; dropping it gives everything back.
struct NewSegment {
    Create call;
    std::shared_ptr<Memory> memory{};  // null: one with this key is there already
    UniqueFd fd{};                     // of the grant of what is new
    std::optional<Reservation> reservation{};
    bool was_ready = false;  // some of it was made ahead
    Kept kept{};
    Charge segment_charge{};
    Charge bytes_charge{};
    Charge staged_charge{};
};

/// A Create or CreateMany that takes long. While it is not prepared, call go_on() after others have had a turn; then run
/// the reservations that are not done, away from the event loop, and call finish().
struct Creation {
    std::vector<NewSegment> segments;
    bool many = false;
    std::optional<system_v::Get> get{};  // it is for this call
    std::size_t prepared = 0;            // of the segments

    [[nodiscard]] bool is_prepared() const { return prepared == segments.size(); }
};

/// An OpenMany of which some targets are left: call go_on() after others have had a turn. What was granted is held
/// already.
struct Opening {
    OpenMany call;
    OpenResults done{};
    std::vector<UniqueFd> fds{};
    std::size_t reply_bytes = 0;  // at most
};

/// A Resize that takes long: run the work, likewise, then call finish(). Dropping it ends the Resize where it is.
struct Resizing {
    std::int64_t id = 0;
    std::int64_t old_size_bytes = 0;
    std::int64_t size_bytes = 0;
    std::shared_ptr<Memory> memory{};
    std::unique_ptr<MemoryWork> work{};
    std::shared_ptr<void> exclusive{};  // what Entry::resizing points to
};

/// A sync area that is not yet kept beyond this process: have it kept, then call finish().
struct NewSyncArea {
    std::uint32_t attachment;  // the one that asked for it
    std::unique_ptr<Sync> sync;
};

/// An Open whose key is not there yet: call handle() again when it appears, until the time is over.
struct WaitForKey {
    std::string key;
    std::int64_t wait_usec;
};

/// Call handle() again when all that others have sent by now, and that they have closed, has been seen.
struct ServeOthersFirst {};

/// A List or ListSegments to be stepped through with list_next().
struct Listing {
    std::string prefix{};
    bool for_administrator = false;
    bool of_system_v = false;
    std::int64_t last_id = 0;
};

/// A Watch: a Watcher and a Listing of what there is, until the connection ends.
struct Watching {
    std::string prefix;
    Charge charge;
};

using Outcome = std::variant<Answer, Error, std::unique_ptr<Creation>, std::unique_ptr<Opening>,
                             std::unique_ptr<Resizing>, NewSyncArea, WaitForKey, Listing, Watching, ServeOthersFirst>;

class Handlers {
  public:
    Handlers(Registry& registry, Quota& quota, Blanks& blanks, KeyPolicy policy = {});

    /// Answers a call that decode_call() let through.
    Outcome handle(Client& client, const Call& call);

    /// The next part of it. The same again when there is more to do.
    Outcome go_on(Client& client, std::unique_ptr<Creation> creation);
    Outcome go_on(Client& client, std::unique_ptr<Opening> opening);

    /// True while some memory of it is not yet kept beyond this process.
    [[nodiscard]] bool must_keep(const Creation& creation) const;
    /// Has it kept. done: called once, from the event loop.
    Result<void> keep(Creation& creation, const std::function<void()>& done);
    Result<void> keep(NewSyncArea& area, const std::function<void()>& done);

    /// The rest of a Create or CreateMany whose memory is reserved and kept. Another Creation when what was to be opened has gone.
    Outcome finish(Client& client, std::unique_ptr<Creation> creation);
    /// The rest of an OpenSyncArea whose area is kept.
    Outcome finish(Client& client, NewSyncArea area);
    /// The rest of a Resize whose work is done.
    Outcome finish(std::unique_ptr<Resizing> resizing);

    /// Looks at up to `budget` segments; the budget left tells whether there is more to look at. Nothing and budget
    /// left is the end of the list.
    std::optional<ReplyBody> list_next(const Client& client, Listing& listing, int& budget);

    /// The connection is over: everything that it held ends, at most so much of it now. True when there is more.
    bool end(Client& client, std::size_t at_most = SIZE_MAX);

    /// Its process has died. What it holds ends with the connection, which may have a call under way for long; its locks now.
    void died(const Client& client) { registry_.give_back_locks(client.held, 1024); }

    /// The connection, and all that it holds, is this process's from here on.
    void become(Client& client, std::shared_ptr<ProcessLife> process, std::int32_t pid);

    Registry& registry() { return registry_; }

    void set_operations(Operations operations) { operations_ = std::move(operations); }
    void set_policy(KeyPolicy policy) { policy_ = std::move(policy); }
    void set_page_size(PageSize pages) {
        page_size_ = pages;
        // Nobody waits for it.
        ready_.set_page_size(pages == PageSize::any ? PageSize::huge : pages);
    }
    /// Null: segments end with this process.
    void keep_with(Recorder* recorder) {
        recorder_ = recorder;
        ready_.keep_with(recorder);
    }
    /// What new segments are made of, if there is some.
    ReadyMemory& ready_memory() { return ready_; }
    /// The attachments of processes that have not come back since an earlier daemon.
    Orphans& orphans() { return orphans_; }
    /// For a new Client: a number that none before had, in this daemon or an earlier one.
    std::uint64_t number_connection() { return next_connection_++; }
    /// From here on the segment goes when its creator does.
    void watch_creator(Entry& entry);

  private:
    Outcome act(Client& client, const GetInfo& call);
    Outcome act(Client& client, const GetInterfaceDescription& call);
    // grants.cpp
    Outcome act(Client& client, const Create& call);
    Outcome act(Client& client, const Open& call);
    Outcome act(Client& client, const CreateMany& call);
    Outcome act(Client& client, const OpenMany& call);
    Outcome act(Client& client, const Detach& call);
    Outcome act(Client& client, const OpenDetachQueue& call);
    Outcome act(Client& client, const Publish& call);
    Outcome act(Client& client, const Resume& call);
    // sync.cpp
    Outcome act(Client& client, const OpenSyncArea& call);
    Outcome act(Client& client, const RecoverLocks& call);
    Result<Entry*> find_held(const Client& client, std::uint32_t attachment);
    Outcome pass_sync_area(Entry& entry, std::uint32_t attachment);
    // handlers.cpp
    Outcome act(Client& client, const Describe& call);
    Outcome act(Client& client, const List& call);
    Outcome act(Client& client, const Delete& call);
    Outcome act(Client& client, const SetAttributes& call);
    Outcome act(Client& client, const Renew& call);
    Outcome act(Client& client, const Seal& call);
    Outcome act(Client& client, const Resize& call);
    Outcome act(Client& client, const Watch& call);
    // control.cpp
    Outcome act(Client& client, const GetStatus& call);
    Outcome act(Client& client, const GetUsage& call);
    Outcome act(Client& client, const ListSegments& call);
    Outcome act(Client& client, const GetSegment& call);
    Outcome act(Client& client, const ForceDelete& call);
    Outcome act(Client& client, const Disconnect& call);
    Outcome act(Client& client, const Evict& call);
    Outcome act(Client& client, const Reload& call);
    Outcome act(Client& client, const SetLogLevel& call);
    Outcome act(Client& client, const Drain& call);

    // system_v.cpp
    Outcome act(Client& client, const system_v::Get& call);
    Outcome act(Client& client, const system_v::Attach& call);
    Outcome act(Client& client, const system_v::Detach& call);
    Outcome act(Client& client, const system_v::Stat& call);
    Outcome act(Client& client, const system_v::Set& call);
    Outcome act(Client& client, const system_v::Remove& call);
    Outcome act(Client& client, const system_v::Lock& call);
    Outcome act(Client& client, const system_v::Info& call);
    Outcome act(Client& client, const system_v::List& call);
    Outcome act(Client& client, const system_v::Changes& call);
    Outcome act(Client& client, const system_v::Inherit& call);
    Outcome act(Client& client, const system_v::Claim& call);
    Outcome get_existing(Client& client, Entry& entry, const system_v::Get& call);
    Entry* find_present(std::int32_t key);
    Entry* find_present_system_v(std::int32_t id);
    Outcome finish_get(Client& client, NewSegment& segment, const system_v::Get& call);
    Result<Entry*> find_to_administer(const Client& client, std::int32_t id);
    std::optional<std::uint32_t> prepare(Client& client, Entry& entry, const system_v::Stat& call);
    static std::optional<ReplyBody> system_v_status(const Entry& entry);

    struct Ready;
    Outcome create(Client& client, std::span<const Create> calls, bool many, std::optional<system_v::Get> get = {});
    Entry& add(Client& client, NewSegment& segment, bool private_system_v = false);
    Result<void> prepare(Client& client, NewSegment& segment, bool grants);
    Result<Blank> take_blank(NewSegment& segment, const Placement& placement, std::optional<ReadyMemory::Ready> ready);
    static std::int64_t use_reserved(Memory& memory, const Blank& blank, const NewSegment& segment);
    Result<Ready> make_ready(Client& client, NewSegment& segment);
    Grant commit(Client& client, Ready ready, std::vector<UniqueFd>& fds);
    std::optional<Error> grant(Client& client, Entry& entry, Access access, std::vector<UniqueFd>& fds, Grant& grant);
    std::optional<Error> open_next(Client& client, Opening& opening, const Target& target, Grant& grant);
    Result<Entry*> find(const Client& client, const Target& target);
    Result<Entry*> find_any(const Target& target);
    Entry* find_present(const Target& target);
    std::int64_t give_back_ready_for(std::int64_t bytes);
    void make_room_for_attachments(const Client& client, std::size_t count);
    Result<Charge> charge_or_evict(std::uint32_t uid, Resource resource, std::int64_t amount);
    void evict_for(std::int64_t bytes);
    std::optional<ReadyMemory::Ready> take_ready(const Create& call, const Placement& placement);
    void make_room_for(std::int64_t bytes);
    /// What opens something, once more if it was refused for want of descriptors that are kept for nobody yet.
    template <typename Make>
    auto with_descriptors(const Make& make) {
        auto made = make();
        bool lacks = !made && made.error().code == ErrorCode::quota_exceeded && made.error() == Memory::no_descriptors();
        if (lacks && operations_.give_up_descriptors && operations_.give_up_descriptors()) return make();
        return made;
    }
    Result<UniqueFd> open(const Memory& memory, Access access);
    std::optional<Error> check_lifetime(Client& client, const Entry* entry, std::optional<Lifetime> lifetime);
    [[nodiscard]] bool can_record(std::size_t segment_bytes, std::size_t attachments);

    Registry& registry_;
    Quota& quota_;
    Blanks& blanks_;
    std::int64_t started_usec_;
    std::int64_t machine_bytes_;
    KeyPolicy policy_;
    PageSize page_size_ = PageSize::any;
    Operations operations_;
    Recorder* recorder_ = nullptr;
    ReadyMemory ready_;
    Orphans orphans_;
    std::uint64_t next_connection_;
    bool draining_ = false;
};

}  // namespace shmd
