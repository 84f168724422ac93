#include "open_segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <limits>
#include <system_error>

#include "limits.hpp"
#include "process_mark.hpp"

namespace shmd::client {
namespace {

std::string words_of(int error) {
    return std::generic_category().message(error);
}

// The memory must be as large as we were told, and stay so: touching what is not there is a SIGBUS. Huge pages round up.
Outcome<std::int64_t> size_of(int memory, const Segment& segment) {
    int seals = ::fcntl(memory, F_GET_SEALS);
    if (seals < 0) return nonsense("its descriptor is not memory: " + words_of(errno));
    if ((seals & F_SEAL_SHRINK) == 0) return nonsense("its memory may shrink");
    // Of memory this is the size, in half of the time that fstat(2) takes.
    std::int64_t bytes = ::lseek(memory, 0, SEEK_END);
    bool rounded = segment.huge_pages == HugePages::huge_2m || segment.huge_pages == HugePages::huge_1g;
    bool fits = rounded ? bytes >= segment.capacity_bytes : bytes == segment.capacity_bytes;
    if (segment.size_bytes <= 0 || segment.size_bytes > segment.capacity_bytes || !fits) {
        return nonsense("it tells of " + std::to_string(segment.size_bytes) + " of " +
                        std::to_string(segment.capacity_bytes) + " bytes and passes memory of " + std::to_string(bytes));
    }
    return bytes;
}

// Whose end changes nothing, and whose memory nobody would miss for a second should it have been deleted meanwhile.
bool is_plain(const Segment& segment) {
    constexpr std::int64_t most_bytes = 1 << 20;
    return segment.state == State::live && segment.lifetime == Lifetime::persistent && !segment.evictable &&
           segment.capacity_bytes <= most_bytes;
}

// Where to map so much memory, so that huge pages of it, if it has any, are mapped as such and not by 512 page faults
// each: at a multiple of their size. Nowhere in particular for what is smaller.
void* place_for(std::size_t bytes) {
    constexpr std::size_t huge_page = 2 << 20;
    if (bytes < huge_page || bytes > std::numeric_limits<std::size_t>::max() - huge_page) return nullptr;
    void* room = ::mmap(nullptr, bytes + huge_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return nullptr;
    // Only a hint: should another thread take the room meanwhile, the kernel finds some other.
    ::munmap(room, bytes + huge_page);
    auto address = reinterpret_cast<std::uintptr_t>(room);
    return reinterpret_cast<void*>((address + huge_page - 1) / huge_page * huge_page);
}

Failure no_descriptor(bool dropped_by_kernel) {
    if (!dropped_by_kernel) return nonsense("the descriptor that it names did not come with it");
    return {EMFILE, "this process may open no more files: close some, or raise its limit"};
}

}  // namespace

Outcome<Mapping> Mapping::of(const UniqueFd& memory, const Segment& segment, Access access) {
    auto size = size_of(memory.get(), segment);
    if (!size) return std::move(size.failure());
    if (static_cast<std::uint64_t>(*size) > std::numeric_limits<std::size_t>::max()) {
        return Failure{ENOMEM, "it is larger than this process's address space"};
    }
    auto bytes = static_cast<std::size_t>(*size);
    int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
    void* data = ::mmap(place_for(bytes), bytes, protection, MAP_SHARED, memory.get(), 0);
    int error = errno;
    if (data == MAP_FAILED) return Failure{error, "its memory cannot be mapped: " + words_of(error)};
    // Only with this does the kernel map huge pages that are there as huge ones.
    if (segment.huge_pages == HugePages::transparent) (void)::madvise(data, bytes, MADV_HUGEPAGE);
    return Mapping(data, bytes);
}

Outcome<Empty> Mapping::replace(const UniqueFd& memory, const Segment& segment, Access access) {
    auto size = size_of(memory.get(), segment);
    if (!size) return std::move(size.failure());
    if (static_cast<std::size_t>(*size) != size_) return nonsense("its memory has another size than before");
    int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
    void* data = ::mmap(data_, size_, protection, MAP_SHARED | MAP_FIXED, memory.get(), 0);
    int error = errno;
    if (data == MAP_FAILED) return Failure{error, "its memory cannot be mapped: " + words_of(error)};
    return Empty{};
}

Mapping::~Mapping() {
    if (data_) ::munmap(data_, size_);
}

Outcome<std::unique_ptr<OpenSegment>> OpenSegment::map(const std::shared_ptr<Connection>& connection,
                                                       Outcome<Answer<Grant>>&& answer, Access access) {
    if (!answer) return std::move(answer.failure());
    return map(connection, std::move(answer->body), answer->descriptor, answer->descriptor_lost, access);
}

Outcome<std::unique_ptr<OpenSegment>> OpenSegment::map(const std::shared_ptr<Connection>& connection, Grant&& grant,
                                                       const UniqueFd& descriptor, bool lost, Access access) {
    auto mapping = descriptor ? Mapping::of(descriptor, grant.segment, access) : no_descriptor(lost);
    if (mapping) return std::make_unique<OpenSegment>(connection, std::move(grant), std::move(*mapping), access);

    connection->let_go(grant.attachment);
    if (mapping.failure().code == EPROTO) {
        connection->give_up();
    } else {
        const Target by_id{std::nullopt, grant.segment.id};
        if (grant.created == true) connection->notify(encode_call(Delete{by_id}, {.oneway = true}));
        connection->notify(encode_call(Detach{grant.attachment}, {.oneway = true}));
    }
    return std::move(mapping.failure());
}

OpenSegment::OpenSegment(const std::shared_ptr<Connection>& connection, Grant&& grant, Mapping&& mapping, Access access)
    : connection_(connection),
      mapping_(std::move(mapping)),
      access_(access),
      created_(grant.created == true),
      is_plain_(is_plain(grant.segment)),
      attachment_(grant.attachment),
      process_(process_mark()) {
    // Nobody else has this yet.
    infos_.push_back(make_info(std::move(grant.segment)));
    info_.store(infos_.back().get(), std::memory_order_relaxed);
}

OpenSegment::~OpenSegment() {
    mapping_.reset();
    if (!connection_ || !connection_->ours()) return;
    // In any case there, so that nobody is told of it as of one that lasts.
    if (connection_->end_soon(attachment_) && may_end_late()) {
        connection_->let_go(attachment_);
        return;
    }
    try {
        const std::string detach = encode_call(Detach{attachment_}, {.oneway = true});
        while (!connection_->notify(detach)) {
            auto next = connection_->present_successor();
            bool late = !next;
            connection_->let_go(attachment_);
            // One that another thread has begun to make since may or may not have seen that this is let go.
            if (late) next = connection_->present_successor();
            bool taken_up = next && next->holds(attachment_);
            if (!taken_up) {
                if (late) connection_->give_back(attachment_);
                return;
            }
            connection_ = std::move(next);
        }
        connection_->let_go(attachment_);
    } catch (const std::exception&) {
        // No memory: the grant ends with the connection.
    }
}

// The daemon may count on its locks, its memory or its end, or it is small and plain and nobody would notice.
bool OpenSegment::may_end_late() const {
    return is_plain_ && syncs_.empty();
}

void OpenSegment::end(std::span<OpenSegment* const> segments) noexcept {
    for (OpenSegment* segment : segments) segment->mapping_.reset();
    try {
        for (auto begin = segments.begin(); begin != segments.end();) {
            auto most = std::min<std::ptrdiff_t>(segments.end() - begin, limits::batch);
            auto end = std::find_if(begin, begin + most, [&](const OpenSegment* segment) {
                return segment->connection_ != (*begin)->connection_;
            });
            tell_of_end({begin, end});
            begin = end;
        }
    } catch (const std::exception&) {
        // No memory: each is left to its destructor.
    }
}

// All of one connection. One that has ended needs what the destructor does.
void OpenSegment::tell_of_end(std::span<OpenSegment* const> segments) {
    const std::shared_ptr<Connection> connection = segments.front()->connection_;
    if (!connection->ours()) return;
    std::string calls;
    for (const OpenSegment* segment : segments) {
        if (connection->end_soon(segment->attachment_) && segment->may_end_late()) continue;
        if (!calls.empty()) calls += '\0';
        calls += encode_call(Detach{segment->attachment_}, {.oneway = true});
    }
    if (!calls.empty() && !connection->notify(std::move(calls))) return;
    for (OpenSegment* segment : segments) {
        connection->let_go(segment->attachment_);
        segment->connection_.reset();
    }
}

// The connection that has the grant: the one that gave it, or one that took it up after a restart of the daemon.
Outcome<std::shared_ptr<Connection>> OpenSegment::connection() {
    std::lock_guard lock(connection_mutex_);
    if (!connection_->ours()) return Failure{EPERM, "its grant belongs to the process that this one was forked from"};
    while (connection_->ended()) {
        auto next = connection_->successor();
        if (!next) return next;
        if (!(*next)->holds(attachment_)) {
            return Failure{ECONNRESET,
                           "the connection that it was granted on has ended, and it with it: open or create it again"};
        }
        connection_ = *next;
    }
    return connection_;
}

void OpenSegment::take(Segment&& segment) {
    auto info = make_info(std::move(segment));
    std::lock_guard lock(infos_mutex_);
    infos_.push_back(std::move(info));
    info_ = infos_.back().get();
}

// One that has not reached a daemon is made again, once.
template <typename T>
Outcome<Answer<T>> OpenSegment::ask(const CallBody& call) {
    const std::string message = encode_call(call);
    for (bool last = false;; last = true) {
        auto connected = connection();
        if (!connected) return std::move(connected.failure());
        auto answer = (*connected)->call<T>(message);
        if (answer || answer.failure().lost != Lost::unsent || last) return answer;
    }
}

// A call that answers with what the segment is then.
Outcome<Empty> OpenSegment::change(const CallBody& call) {
    auto answer = ask<SegmentReply>(call);
    if (!answer) return std::move(answer.failure());
    if (!answer->body.segment) return nonsense("it describes no segment");
    take(std::move(*answer->body.segment));
    return Empty{};
}

Outcome<Sync*> OpenSegment::sync() {
    if (Sync* ready = ready_sync()) return ready;
    // Before the lock: another thread of the parent may have had it.
    if (process_ != process_mark()) {
        return Failure{EPERM, "its grant belongs to the process that this one was forked from"};
    }
    std::lock_guard lock(sync_mutex_);
    if (Sync* ready = ready_sync()) return ready;
    // To ask twice is to ask once: an answer that was lost does no harm.
    auto answer = ask<PageReply>(OpenSyncArea{attachment_});
    if (!answer && answer.failure().lost != Lost::no) answer = ask<PageReply>(OpenSyncArea{attachment_});
    if (!answer) return std::move(answer.failure());
    if (!answer->descriptor) return no_descriptor(answer->descriptor_lost);
    auto mapped = Sync::map(answer->descriptor, attachment_, access_);
    if (!mapped) return std::move(mapped.failure());
    syncs_.push_back(std::move(*mapped));
    if (access_ == Access::write) mutex_.ready(syncs_.back()->core);
    sync_.store(syncs_.back().get(), std::memory_order_release);
    return syncs_.back().get();
}

// The daemon does what it must by itself. This finds what it could not know, such as a holder that has gone on after its
// grant had ended; and that there is no daemon any more to do it.
Outcome<int> OpenSegment::wait(Sync& sync, std::int64_t timeout_usec,
                               const std::function<int(Sync&, std::int64_t)>& attempt) {
    constexpr std::int64_t second = 1'000'000'000, longest = 16 * second;
    constexpr int most_refusals = 4;
    // Most need not wait, and so no clock.
    int result = attempt(sync, SHMD_SYNC_NOW);
    if (result != -ETIMEDOUT || timeout_usec == 0) return result;
    const std::int64_t deadline = shmd_sync_deadline(timeout_usec);
    int refusals = 0;
    for (std::int64_t length = second;; length = std::min(2 * length, longest)) {
        std::int64_t until = std::min(deadline, shmd_sync_now() + length);
        do {
            result = attempt(sync, until);
        } while (result == -EINTR);
        if (result != -ETIMEDOUT || until == deadline) return result;
        auto recovered = ask<Empty>(RecoverLocks{sync.core.attachment});
        if (recovered) {
            refusals = 0;
            continue;
        }
        // A daemon that is restarted may be away for a while.
        bool may_come_back = recovered.failure().code == ECONNREFUSED || recovered.failure().lost != Lost::no;
        if (!may_come_back || ++refusals == most_refusals) return std::move(recovered.failure());
    }
}

Outcome<Empty> OpenSegment::publish(const std::optional<std::string>& key, bool replace) {
    return change(Publish{attachment_, key, replace});
}

Outcome<Empty> OpenSegment::resize(std::int64_t size) {
    return change(Resize{{std::nullopt, info().id}, size});
}

Outcome<Empty> OpenSegment::remap() {
    return change(Describe{{std::nullopt, info().id}});
}

Outcome<Answer<Grant>> OpenSegment::grant_again(Connection& connection, Access access) {
    auto answer = connection.call<Grant>(encode_call(Open{{std::nullopt, info().id}, access}));
    if (answer && !answer->descriptor) {
        connection.let_go(answer->body.attachment);
        return no_descriptor(answer->descriptor_lost);
    }
    return answer;
}

// Takes the new grant in place of the one there is.
Outcome<Empty> OpenSegment::exchange_for(Connection& connection, Answer<Grant> answer, Access access) {
    auto replaced = mapping_->replace(answer.descriptor, answer.body.segment, access);
    std::uint32_t unwanted = answer.body.attachment;
    if (replaced) {
        std::scoped_lock lock(connection_mutex_, sync_mutex_);
        std::swap(unwanted, attachment_);
        access_ = access;
        sync_ = nullptr;  // it is of the attachment that ends
        mutex_.gone();
    }
    connection.let_go(unwanted);
    connection.notify(encode_call(Detach{unwanted}, {.oneway = true}));
    return replaced;
}

// The kernel counts every mapping made from a descriptor for writing as one that writes, so ours goes first.
Outcome<Empty> OpenSegment::seal() {
    bool was_writable = access_ == Access::write;
    if (was_writable) {
        // Also finds out whether the connection has ended.
        if (auto known = remap(); !known) return known;
        auto connected = connection();
        if (!connected) return std::move(connected.failure());
        auto reader = grant_again(**connected, Access::read);
        if (!reader) return std::move(reader.failure());
        if (auto done = exchange_for(**connected, std::move(*reader), Access::read); !done) return done;
    }
    auto sealed = change(Seal{{std::nullopt, info().id}});
    if (!sealed && was_writable) {
        auto connected = connection();
        if (!connected) return sealed;
        if (auto writer = grant_again(**connected, Access::write)) {
            (void)exchange_for(**connected, std::move(*writer), Access::write);
        }
    }
    return sealed;
}

}  // namespace shmd::client
