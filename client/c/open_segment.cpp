#include "open_segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <exception>
#include <limits>
#include <system_error>

namespace shmd::client {
namespace {

std::string words_of(int error) {
    return std::generic_category().message(error);
}

// The memory must be as large as we were told, and stay so: touching what is not there is a SIGBUS.
std::optional<Failure> check(int memory, std::int64_t size) {
    struct stat status {};
    if (::fstat(memory, &status) != 0) return nonsense("its memory cannot be looked at: " + words_of(errno));
    if (!S_ISREG(status.st_mode)) return nonsense("its descriptor is not memory");
    if (size <= 0 || status.st_size != size) {
        return nonsense("it tells of " + std::to_string(size) + " bytes and passes memory of " +
                        std::to_string(status.st_size));
    }
    int seals = ::fcntl(memory, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return nonsense("its memory may shrink");
    return std::nullopt;
}

Failure no_descriptor(bool dropped_by_kernel) {
    if (!dropped_by_kernel) return nonsense("the descriptor that it names did not come with it");
    return {EMFILE, "this process may open no more files: close some, or raise its limit"};
}

}  // namespace

Outcome<Mapping> Mapping::of(const UniqueFd& memory, std::int64_t size, Access access) {
    if (auto failure = check(memory.get(), size)) return std::move(*failure);
    if (static_cast<std::uint64_t>(size) > std::numeric_limits<std::size_t>::max()) {
        return Failure{ENOMEM, "it is larger than this process's address space"};
    }
    auto bytes = static_cast<std::size_t>(size);
    int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
    void* data = ::mmap(nullptr, bytes, protection, MAP_SHARED, memory.get(), 0);
    int error = errno;
    if (data == MAP_FAILED) return Failure{error, "its memory cannot be mapped: " + words_of(error)};
    return Mapping(data, bytes);
}

Outcome<Empty> Mapping::replace(const UniqueFd& memory, Access access) {
    if (auto failure = check(memory.get(), static_cast<std::int64_t>(size_))) return std::move(*failure);
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
                                                       Outcome<Answer<Grant>> answer, Access access) {
    if (!answer) return std::move(answer.failure());
    const Grant& grant = answer->body;
    auto mapping = answer->descriptor ? Mapping::of(answer->descriptor, grant.segment.size_bytes, access)
                                      : no_descriptor(answer->descriptor_lost);
    if (mapping) return std::make_unique<OpenSegment>(connection, std::move(answer->body), std::move(*mapping), access);

    if (mapping.failure().code == EPROTO) {
        connection->give_up();
    } else {
        const Target by_id{std::nullopt, grant.segment.id};
        if (grant.created == true) connection->notify(encode_call(Delete{by_id}, {.oneway = true}));
        connection->notify(encode_call(Detach{grant.attachment}, {.oneway = true}));
    }
    return std::move(mapping.failure());
}

OpenSegment::OpenSegment(std::shared_ptr<Connection> connection, Grant grant, Mapping mapping, Access access)
    : connection_(std::move(connection)),
      mapping_(std::move(mapping)),
      access_(access),
      created_(grant.created == true),
      attachment_(grant.attachment),
      granted_(make_info(std::move(grant.segment))),
      info_(granted_.get()) {}

OpenSegment::~OpenSegment() {
    mapping_.reset();
    if (!connection_->ours()) return;
    try {
        connection_->notify(encode_call(Detach{attachment_}, {.oneway = true}));
    } catch (const std::exception&) {
        // No memory: the grant ends with the connection.
    }
}

Outcome<Empty> OpenSegment::publish(const std::optional<std::string>& key, bool replace) {
    if (!connection_->ours()) return Failure{EPERM, "its grant belongs to the process that this one was forked from"};
    auto answer = connection_->call<SegmentReply>(encode_call(Publish{attachment_, key, replace}));
    if (!answer && answer.failure().lost == Lost::unsent) {
        answer.failure().message = "the connection that it was granted on has ended, and it with it: create it again";
    }
    if (!answer) return std::move(answer.failure());
    if (!answer->body.segment) return nonsense("it describes no segment");
    published_ = make_info(*answer->body.segment);
    info_ = published_.get();
    return Empty{};
}

Outcome<Answer<Grant>> OpenSegment::grant_again(Access access) {
    auto answer = connection_->call<Grant>(encode_call(Open{{std::nullopt, info_.load()->id}, access}));
    if (answer && !answer->descriptor) return no_descriptor(answer->descriptor_lost);
    return answer;
}

// Takes the new grant in place of the one there is.
Outcome<Empty> OpenSegment::exchange_for(Answer<Grant> answer, Access access) {
    auto replaced = mapping_->replace(answer.descriptor, access);
    std::uint32_t unwanted = answer.body.attachment;
    if (replaced) {
        std::swap(unwanted, attachment_);
        access_ = access;
    }
    connection_->notify(encode_call(Detach{unwanted}, {.oneway = true}));
    return replaced;
}

// The kernel counts every mapping made from a descriptor for writing as one that writes, so ours goes first.
Outcome<Empty> OpenSegment::seal() {
    if (!connection_->ours()) return Failure{EPERM, "its grant belongs to the process that this one was forked from"};
    bool was_writable = access_ == Access::write;
    if (was_writable) {
        auto reader = grant_again(Access::read);
        if (!reader) return std::move(reader.failure());
        if (auto done = exchange_for(std::move(*reader), Access::read); !done) return done;
    }
    auto answer = connection_->call<SegmentReply>(encode_call(Seal{{std::nullopt, info_.load()->id}}));
    if (!answer) {
        Failure why = std::move(answer.failure());
        if (was_writable) {
            if (auto writer = grant_again(Access::write)) (void)exchange_for(std::move(*writer), Access::write);
        }
        return why;
    }
    if (!answer->body.segment) return nonsense("it describes no segment");
    sealed_ = make_info(std::move(*answer->body.segment));
    info_ = sealed_.get();
    return Empty{};
}

}  // namespace shmd::client
