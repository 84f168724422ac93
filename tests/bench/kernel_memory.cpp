#include "kernel_memory.hpp"

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "process.hpp"
#include "unique_fd.hpp"

namespace shmd::bench {
namespace {

constexpr std::size_t page = 4096;

void check(bool done, const char* what) {
    if (!done) test::fail(std::string(what) + ": " + std::strerror(errno));
}

void read_first(const void* address) {
    (void)*static_cast<const volatile char*>(address);
}

}  // namespace

// ---- System V ----

SystemVSegment::SystemVSegment() : key_(0x5b000000 | (::getpid() & 0xffffff)) {
    id_ = ::shmget(key_, page, IPC_CREAT | IPC_EXCL | 0600);
    check(id_ >= 0, "shmget");
    void* address = ::shmat(id_, nullptr, 0);
    check(address != reinterpret_cast<void*>(-1), "shmat");
    *static_cast<volatile char*>(address) = 1;
    ::shmdt(address);
}

SystemVSegment::~SystemVSegment() {
    ::shmctl(id_, IPC_RMID, nullptr);
}

void SystemVSegment::open() const {
    void* address = ::shmat(::shmget(key_, 0, 0), nullptr, SHM_RDONLY);
    check(address != reinterpret_cast<void*>(-1), "shmat");
    read_first(address);
    ::shmdt(address);
}

// ---- POSIX ----

PosixSegment::PosixSegment() : name_("/shmd-bench-" + std::to_string(::getpid())) {
    UniqueFd fd(::shm_open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
    check(bool(fd), "shm_open");
    check(::posix_fallocate(fd.get(), 0, page) == 0, "posix_fallocate");
}

PosixSegment::~PosixSegment() {
    ::shm_unlink(name_.c_str());
}

void PosixSegment::open() const {
    UniqueFd fd(::shm_open(name_.c_str(), O_RDONLY, 0));
    check(bool(fd), "shm_open");
    void* address = ::mmap(nullptr, page, PROT_READ, MAP_SHARED, fd.get(), 0);
    check(address != MAP_FAILED, "mmap");
    fd.reset();
    read_first(address);
    ::munmap(address, page);
}

}  // namespace shmd::bench
