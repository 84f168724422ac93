// The kernel's own shared memory, for comparison: one segment, opened by name the way programs do it.
#pragma once

#include <sys/types.h>

#include <string>

namespace shmd::bench {

/// A System V segment of one page. Removed at the end of its life.
class SystemVSegment {
  public:
    SystemVSegment();
    SystemVSegment(const SystemVSegment&) = delete;
    SystemVSegment& operator=(const SystemVSegment&) = delete;
    ~SystemVSegment();

    /// shmget by key, shmat for reading, first byte read, shmdt.
    void open() const;

  private:
    key_t key_;
    int id_;
};

/// A POSIX shared memory object of one page. Unlinked at the end of its life.
class PosixSegment {
  public:
    PosixSegment();
    PosixSegment(const PosixSegment&) = delete;
    PosixSegment& operator=(const PosixSegment&) = delete;
    ~PosixSegment();

    /// shm_open by name for reading, mmap, close, first byte read, munmap.
    void open() const;

  private:
    std::string name_;
};

}  // namespace shmd::bench
