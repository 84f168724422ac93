// Who wants to hear what happens to which segments. Every watcher has a queue of bounded length, and what waits in all of
// one user's is bounded in bytes: a watcher that does not keep up loses what it holds and is told so; it never makes the
// daemon grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "messages.hpp"
#include "policy.hpp"
#include "quota.hpp"

namespace shmd {

struct Entry;
class Watchers;

/// What happened, the same for all who hear of it.
struct Happening : WatchReply {
    /// Its message, once somebody has needed it: a cache for who sends it.
    mutable std::string text{};
};

/// One watch. Hears of the segments that its peer may describe and whose keys begin with its prefix.
class Watcher {
  public:
    /// Events that it may be behind.
    static constexpr std::size_t most_events = 1024;

    /// quota: what waits to be read is on the peer's account there. peer: borrowed. wake: called when there is something
    /// where nothing was.
    Watcher(Watchers& watchers, Quota& quota, std::string prefix, const Peer& peer, std::function<void()> wake);
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher();

    [[nodiscard]] const std::string& prefix() const { return prefix_; }
    [[nodiscard]] bool idle() const { return queue_.empty() && !lost_; }
    /// True, once, when events were left out; then the queue is empty.
    bool take_lost();
    /// The oldest event, or null.
    std::shared_ptr<const Happening> take();

  private:
    friend class Watchers;
    struct Waiting {
        std::shared_ptr<const Happening> event;
        Charge charge;
    };
    /// event: null when there was no memory for it.
    void push(const std::shared_ptr<const Happening>& event, std::int64_t bytes) noexcept;

    Watchers& watchers_;
    Quota& quota_;
    std::string prefix_;
    const Peer& peer_;
    std::function<void()> wake_;
    std::deque<Waiting> queue_;
    bool lost_ = false;
};

/// All of them, by prefix. Outlives each.
class Watchers {
  public:
    /// Tells those whom it concerns. Costs next to nothing when nobody's prefix fits. An event that there is no memory
    /// for is lost to its watchers, and they are told.
    void tell(Event event, const Entry& entry) noexcept;

    /// True when somebody is told of what happens to this segment.
    [[nodiscard]] bool concerns(const Entry& entry) const;
    [[nodiscard]] bool empty() const { return by_prefix_.empty(); }

  private:
    friend class Watcher;
    template <typename Found>
    void find(const Entry& entry, const Found& found) const;
    std::map<std::string, std::vector<Watcher*>, std::less<>> by_prefix_;
};

}  // namespace shmd
