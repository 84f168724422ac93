// The errno that a System V call fails with: the one map from refusals to it.
#pragma once

#include "handlers.hpp"
#include "messages.hpp"
#include "result.hpp"

namespace shmd {

/// io.shmd.SystemV.Failed with this errno.
[[nodiscard]] Error system_v_error(int number);

/// The outcome of this call with its error, if it is one and the call is of io.shmd.SystemV, as an errno. One that says that
/// the message was wrong stays.
[[nodiscard]] Outcome in_terms_of(const Call& call, Outcome outcome);

}  // namespace shmd
