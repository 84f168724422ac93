// The errno that a System V call fails with: the one map from refusals to it.
#pragma once

#include "handlers.hpp"
#include "messages.hpp"
#include "result.hpp"

namespace shmd {

/// io.shmd.SystemV.Failed with this errno.
[[nodiscard]] Error system_v_error(int number);

/// Makes the error that is the outcome of a call of io.shmd.SystemV an errno. One that says that the message was wrong stays,
/// as does every other outcome.
void put_in_terms_of(const Call& call, Outcome& outcome);

}  // namespace shmd
