// Descriptors of small segments, kept after they were mapped: attaching one again then needs only the daemon's word, not
// another descriptor. The daemon is asked every time, so permissions are those of the moment. A kept descriptor holds memory
// that may be deleted by others meanwhile: so they are few, of small segments, and go as soon as a reply tells that something
// has been deleted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "link.hpp"

namespace shmd::sysv {

inline constexpr std::size_t most_kept = 8;
inline constexpr std::int64_t most_kept_bytes = std::int64_t{1} << 20;

struct KeptDescriptor {
    Descriptor descriptor;
    std::int32_t id = 0;       // the shmid
    std::int64_t segment = 0;  // the id in io.shmd.Segments, which is never another's
    bool writable = false;
    std::int64_t size_bytes = 0;
};

/// Takes it out: nobody else uses it meanwhile.
[[nodiscard]] std::optional<KeptDescriptor> take_kept_descriptor(std::int32_t id, bool writable);

/// The id in io.shmd.Segments of the one that would be taken.
[[nodiscard]] std::optional<std::int64_t> kept_segment(std::int32_t id, bool writable);

/// Puts it in, or closes it.
void keep_descriptor(const KeptDescriptor& kept);

/// Closes those of this segment; of all.
void drop_kept_descriptors(std::int32_t id);
void drop_kept_descriptors();

}  // namespace shmd::sysv
