// Attachments that an earlier daemon granted, whose connections ended with it. They last as their processes do, until
// those take them up on a new connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "process_life.hpp"
#include "registry.hpp"

namespace shmd {

class Orphans {
  public:
    explicit Orphans(Registry& registry) : registry_(registry) {}
    Orphans(const Orphans&) = delete;
    Orphans& operator=(const Orphans&) = delete;

    /// The holder for attachments of this process. life: what watches it; null when it is dead: end() them then.
    HeldAttachments& of(ProcessId process, std::uint32_t uid, std::shared_ptr<ProcessLife> life);
    /// Ends the attachments of processes that died before they could be watched.
    void end_dead();

    /// Gives an attachment of this process to its new connection. False when it has none of this number.
    bool resume(std::uint32_t attachment, ProcessId process, HeldAttachments& to);

    [[nodiscard]] std::size_t processes() const { return held_.size(); }

  private:
    using Key = std::pair<ProcessId, std::uint32_t>;
    struct Held {
        Held(ProcessId process, std::uint32_t uid) : attachments(process, uid) {}
        HeldAttachments attachments;
        std::shared_ptr<ProcessLife> life{};
        std::shared_ptr<void> death_watch{};
    };
    void end(const Key& key);

    Registry& registry_;
    std::map<Key, Held> held_;
};

}  // namespace shmd
