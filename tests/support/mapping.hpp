// A granted segment mapped into the test, as any client would map it.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "process.hpp"
#include "types.hpp"

namespace shmd::test {

/// FAILs when mmap(2) refuses. Unmaps at the end of its life.
class Mapping {
  public:
    Mapping(int fd, std::int64_t size_bytes, Access access) : size_(static_cast<std::size_t>(size_bytes)) {
        int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
        address_ = ::mmap(nullptr, size_, protection, MAP_SHARED, fd, 0);
        if (address_ == MAP_FAILED) fail(std::string("mmap: ") + std::strerror(errno));
    }
    Mapping(Mapping&& other) noexcept
        : address_(std::exchange(other.address_, MAP_FAILED)), size_(std::exchange(other.size_, 0)) {}
    Mapping& operator=(Mapping&&) = delete;
    ~Mapping() {
        if (address_ != MAP_FAILED) ::munmap(address_, size_);
    }

    [[nodiscard]] char* data() const { return static_cast<char*>(address_); }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<char> bytes() const { return {data(), size_}; }

  private:
    void* address_;
    std::size_t size_;
};

}  // namespace shmd::test
