// Attachments that an earlier daemon granted, whose connections ended with it. They last as their processes do, until
// those take them up on a new connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "process_life.hpp"
#include "registry.hpp"

namespace shmd {

class Orphans {
  public:
    explicit Orphans(Registry& registry) : registry_(registry) {}
    Orphans(const Orphans&) = delete;
    Orphans& operator=(const Orphans&) = delete;

    /// The holder for what this connection of this process had. life: what watches the process; null when it is dead:
    /// end_dead() ends them then.
    HeldAttachments& of(ProcessId process, std::uint32_t uid, std::uint64_t connection, std::shared_ptr<ProcessLife> life);
    /// Ends the attachments of processes that died before they could be watched.
    void end_dead();

    /// Gives those of these attachments that the process of `to` had to its new connection. Those that it now has.
    std::vector<std::uint32_t> resume(const std::vector<std::uint32_t>& attachments, HeldAttachments& to);
    /// Ends what is left of the connections of which this one has taken up something.
    void end_rest(const HeldAttachments& to);

  private:
    using Key = std::pair<ProcessId, std::uint64_t>;  // and the connection
    struct Held {
        Held(ProcessId process, std::uint32_t uid, std::uint64_t connection) : attachments(process, uid, connection) {}
        HeldAttachments attachments;
        std::uint64_t taken_up_by = 0;  // a connection
        std::shared_ptr<ProcessLife> life{};
        std::shared_ptr<void> death_watch{};
    };
    void end(const Key& key);

    Registry& registry_;
    std::map<Key, Held> held_;
};

}  // namespace shmd
