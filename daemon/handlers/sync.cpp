// OpenSyncArea and RecoverLocks: the memory for locks beside a segment's own. What is done in it is segment's.
#include <utility>

#include "handlers.hpp"

namespace shmd {

// The segment of an attachment that this connection has.
Result<Entry*> Handlers::find_held(const Client& client, std::uint32_t attachment) {
    Entry* entry = registry_.find_attached(attachment);
    if (!entry) return Error::invalid_parameter("attachment");
    if (!registry_.holds(client.held, attachment)) return Error::permission_denied();
    return entry;
}

Outcome Handlers::act(Client& client, const OpenSyncArea& call) {
    auto entry = find_held(client, call.attachment);
    if (!entry) return std::move(entry).error();
    if ((*entry)->sync) return pass_sync_area(**entry, call.attachment);

    // Nothing is evicted for it: who asks may be another user than the one whose account it is.
    auto charge = quota_.charge((*entry)->bytes_charge.uid(), Resource::bytes, SyncArea::bytes);
    if (!charge) return std::move(charge).error();
    Kept kept;
    UniqueFd blank;
    if (recorder_) {
        auto place = recorder_->take_place(true);
        bool more = !place && operations_.give_back_ready && operations_.give_back_ready() > 0;
        if (more) place = recorder_->take_place(true);
        if (!place) return Error::quota_exceeded("segments", static_cast<std::int64_t>(recorder_->capacity()));
        kept = std::move(place->kept);
        blank = std::move(place->blank.file);
    }
    auto area = with_descriptors([&] { return SyncArea::create(std::move(blank)); });
    if (!area) return std::move(area).error();
    NewSyncArea made{call.attachment,
                     std::make_unique<Sync>(Sync{std::move(kept), *std::move(charge), *std::move(area)})};
    if (!made.sync->kept.stored()) return made;
    return finish(client, std::move(made));
}

Result<void> Handlers::keep(NewSyncArea& area, const std::function<void()>& done) {
    return with_descriptors([&] { return recorder_->store(area.sync->kept, *area.sync->area.memory(), done); });
}

// Meanwhile the attachment may have ended, and another may have asked too: the area that is there is the one.
Outcome Handlers::finish(Client& client, NewSyncArea area) {
    auto entry = find_held(client, area.attachment);
    if (!entry) return std::move(entry).error();
    if (!(*entry)->sync) {
        if (!can_record(record::most_segment_bytes, 0)) return Error::out_of_memory(record::most_segment_bytes);
        registry_.add_sync(**entry, std::move(area.sync));
    }
    return pass_sync_area(**entry, area.attachment);
}

Outcome Handlers::pass_sync_area(Entry& entry, std::uint32_t attachment) {
    Access access = registry_.find_attachment(attachment)->access;
    auto fd = with_descriptors([&] { return entry.sync->area.grant(access); });
    if (!fd) return std::move(fd).error();
    Answer answer{PageReply{0}};
    answer.fds.push_back(*std::move(fd));
    registry_.passes_sync(attachment);
    return answer;
}

Outcome Handlers::act(Client& client, const RecoverLocks& call) {
    auto entry = find_held(client, call.attachment);
    if (!entry) return std::move(entry).error();
    registry_.recover_locks(**entry);
    return Answer{Empty{}};
}

}  // namespace shmd
