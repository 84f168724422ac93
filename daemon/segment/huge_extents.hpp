// Usual memory in huge pages, without anybody's asking: a large new segment is there, and its first writes are through,
// many times as fast. Knows nothing of segments; huge pages that somebody asks for are the placement's matter.
#pragma once

#include <cstdint>

#include "unique_fd.hpp"

namespace shmd {

/// A part of a file, mapped for writing as long as this object is there, at an address where huge pages fit.
class AlignedMapping {
  public:
    /// offset and length in whole pages. Not there on failure, with errno set.
    AlignedMapping(int fd, std::int64_t offset, std::int64_t length);
    ~AlignedMapping();
    AlignedMapping(const AlignedMapping&) = delete;
    AlignedMapping& operator=(const AlignedMapping&) = delete;

    explicit operator bool() const { return data_ != nullptr; }
    [[nodiscard]] char* data() const { return data_; }

  private:
    char* data_ = nullptr;
    std::size_t length_;
};

struct HugeExtents {
    /// One of the processors with pages of 4 KiB. Where they are larger, so are the huge ones, and nothing is done
    /// here.
    static constexpr std::int64_t bytes = 2 << 20;

    /// Has the extents that lie wholly within [from, to), of which at most single pages are reserved, be of huge pages.
    /// What was in them stays; the rest is zeros. 0, or the errno of why it could not for some: no huge pages free, a
    /// kernel before 6.1, or an administrator who denies them ("deny" in
    /// /sys/kernel/mm/transparent_hugepage/shmem_enabled). EAGAIN: it may for others.
    static int make(int fd, std::int64_t from, std::int64_t to);
};

}  // namespace shmd
