// Asking the daemon about System V segments, beside programs that use the drop-in; and a client that puts what it likes into its queue.
#pragma once

#include <doctest/doctest.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <time.h>

#include <optional>
#include <string>
#include <thread>

#include "detach_queue.h"
#include "mapping.hpp"
#include "system_v.hpp"
#include "system_v_program.hpp"
#include "varlink_client.hpp"

namespace shmd::test {

inline std::string make(RawClient& client, int mode = 0666) {
    return std::to_string(client.call(system_v::Get{system_v_key, 4096, IPC_CREAT | IPC_EXCL | mode}).value().id);
}

inline system_v::Status status(RawClient& client, const std::string& id) {
    return *client.call(system_v::Stat{std::stoi(id), std::nullopt, std::nullopt}).value().status;
}

// Refused calls are error replies with this errno.
inline int errno_of_stat(RawClient& client, const std::string& id) {
    auto received = client.call(system_v::Stat{std::stoi(id), std::nullopt, std::nullopt});
    return received.is_error() ? static_cast<int>(received.known_error().number.value_or(-1)) : 0;
}

// A program whose shmat after a question is granted with the answer.
inline std::string use_and_ask(Program& program, int attach_flags = 0) {
    return program.use(0, attach_flags, true);
}

/// A client that writes into its queue what it likes.
class RawQueue {
  public:
    explicit RawQueue(const std::string& socket) : client(socket) {
        auto reply = client.call(OpenDetachQueue{});
        REQUIRE_FALSE(reply.is_error());
        memory_.emplace(reply.fds.at(0).get(), SHMD_DETACH_QUEUE_BYTES, Access::write);
        // Only then is anything counted.
        REQUIRE_FALSE(client.call(system_v::Changes{}).is_error());
    }
    void put(std::uint32_t attachment) {
        auto& page = *reinterpret_cast<shmd_detach_queue*>(memory_->data());
        page.attachments[page.put % SHMD_DETACH_QUEUE_PLACES] = attachment;
        __atomic_store_n(&page.put, page.put + 1, __ATOMIC_SEQ_CST);
    }
    /// Puts it there again and again, until this is destroyed.
    std::jthread keep_putting(std::uint32_t attachment) {
        auto& page = *reinterpret_cast<shmd_detach_queue*>(memory_->data());
        for (std::uint32_t& place : page.attachments) place = attachment;
        return std::jthread([&page](const std::stop_token& stop) {
            while (!stop.stop_requested()) __atomic_add_fetch(&page.put, 1, __ATOMIC_SEQ_CST);
        });
    }
    /// What is prepared with an answer about a segment of which it says to have this descriptor.
    std::optional<std::uint32_t> prepare(const std::string& id, std::int64_t segment, int flags = 0) {
        return client.call(system_v::Stat{std::stoi(id), std::nullopt, std::nullopt, segment, flags}).value().prepared;
    }
    /// The segment's id in io.shmd.Segments.
    std::int64_t segment(const std::string& id) {
        return client.call(system_v::Attach{std::stoi(id), SHM_RDONLY, std::nullopt, true}).value().segment_id;
    }

    RawClient client;

  private:
    std::optional<Mapping> memory_;
};

// Of the clock that the daemon and its clients read: time(2) may be a little behind.
inline time_t now_sec() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

inline void remove(RawClient& client, const std::string& id) {
    REQUIRE_FALSE(client.call(system_v::Remove{std::stoi(id)}).is_error());
}

}  // namespace shmd::test
