#include "huge_extents.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>

namespace shmd {
namespace {

#ifndef MADV_COLLAPSE
constexpr int MADV_COLLAPSE = 25;  // from Linux 6.1; glibc 2.36 does not know it
#endif

}  // namespace

// Room for the alignment is looked for first. Should another thread take it before the file is there, the kernel finds
// some other place: only slower.
AlignedMapping::AlignedMapping(int fd, std::int64_t offset, std::int64_t length)
    : length_(static_cast<std::size_t>(length)) {
    constexpr std::size_t extent = HugeExtents::bytes;
    void* hint = nullptr;
    if (length >= HugeExtents::bytes) {
        void* room = ::mmap(nullptr, length_ + extent, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room != MAP_FAILED) {
            ::munmap(room, length_ + extent);
            auto address = reinterpret_cast<std::uintptr_t>(room);
            std::uintptr_t past = (address - static_cast<std::uintptr_t>(offset)) % extent;
            hint = reinterpret_cast<void*>(address + (past == 0 ? 0 : extent - past));
        }
    }
    void* data = ::mmap(hint, length_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    if (data != MAP_FAILED) data_ = static_cast<char*>(data);
}

AlignedMapping::~AlignedMapping() {
    if (data_) ::munmap(data_, length_);
}

// The kernel makes a huge page of an extent of which something is there: one page is enough, and the rest, which is a
// hole, is zeroed a huge page at a time.
int HugeExtents::make(int fd, std::int64_t from, std::int64_t to) {
    from = (from + bytes - 1) / bytes * bytes;
    to = to / bytes * bytes;
    if (from >= to) return 0;
    AlignedMapping mapping(fd, from, to - from);
    if (!mapping) return errno;
    for (std::int64_t at = from; at < to; at += bytes) {
        if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, at, 1) != 0) return errno;
    }
    return ::madvise(mapping.data(), static_cast<std::size_t>(to - from), MADV_COLLAPSE) == 0 ? 0 : errno;
}

}  // namespace shmd
