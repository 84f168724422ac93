// Mapped memory and the ArrayBuffers over it. Knows mmap(2) and when an address may be given up; knows nothing of segments.
#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>

namespace shmd::node {

/// Mapped addresses. They are free for other use once nobody is left who could touch them: the last owner unmaps.
class Region {
  public:
    Region(void* data, std::size_t size) : data_(data), size_(size) {}
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    ~Region();

    [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(data_); }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Puts zeros in the place of the memory. The addresses stay taken: somebody may still touch them, as an operation does
    /// that a thread of Node's pool has under way.
    void bury() noexcept;

  private:
    void* data_;
    std::size_t size_;
};

class Mapping : public Napi::ObjectWrap<Mapping> {
  public:
    static Napi::Function define(Napi::Env env);
    /// (descriptor, size, protection, advice): maps all of it. Throws an Error with errno.
    explicit Mapping(const Napi::CallbackInfo& info);

    /// Some of the memory, which stays mapped as long as this is there.
    struct Range {
        std::shared_ptr<Region> region;
        std::byte* data = nullptr;
    };
    /// Throws when it is not all inside, or when all is unmapped.
    Range range(const Napi::Value& offset, std::size_t length);

  private:
    void replace(const Napi::CallbackInfo& info);
    Napi::Value buffer(const Napi::CallbackInfo& info);
    void detach(const Napi::CallbackInfo& info);
    void read(const Napi::CallbackInfo& info);
    void write(const Napi::CallbackInfo& info);
    void close(const Napi::CallbackInfo& info);

    std::shared_ptr<Region> region_;
};

}  // namespace shmd::node
