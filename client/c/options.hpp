// The arguments of the C functions, checked and in the protocol's types.
#pragma once

#include <cstdint>

#include "failure.hpp"
#include "messages.hpp"
#include "shmd/shmd.h"

namespace shmd::client {

/// EINVAL for what is no value of shmd_access. By reference: C may pass any int, and a bad one must not be read as what
/// it is not.
[[nodiscard]] Outcome<Access> access_from(const shmd_access& access);

/// Null pointers as for shmd_create(). EINVAL for values that are none of their type's, and for options of a later
/// version that this one does not have.
[[nodiscard]] Outcome<Create> create_from(const char* key, std::uint64_t size, const shmd_create_options* options);

/// The same for a change.
[[nodiscard]] Outcome<SetAttributes> attributes_from(const Target& target, const shmd_attributes& attributes);

}  // namespace shmd::client
