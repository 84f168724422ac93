// A process as the handlers know it: that it may die.
#pragma once

#include <functional>
#include <memory>

#include "records.hpp"

namespace shmd {

/// A process that is watched.
class ProcessLife {
  public:
    virtual ~ProcessLife() = default;
    /// Calls back once, from the event loop, when the process is dead. Dropping what this returns ends it. Null when
    /// nobody could tell of its death: it is dead already, or this pid namespace does not see it.
    virtual std::shared_ptr<void> when_dead(std::function<void()> died) = 0;
    /// Which process it is.
    [[nodiscard]] virtual ProcessId process() const = 0;
};

}  // namespace shmd
