#include "mapping.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>

#include "descriptor.hpp"

namespace shmd::node {
namespace {

// The numbers that lib/segment.js has for them.
enum class Protection {
    read = 0,   // shared; a write ends the process
    write = 1,  // shared
    copy = 2,   // shared as long as nobody here writes: a write makes the page a private one
};

struct Flags {
    int protection;
    int mapping;
};

Flags flags_of(Protection protection) {
    if (protection == Protection::write) return {PROT_READ | PROT_WRITE, MAP_SHARED};
    // Not reserved: what nobody writes, which is all of it, needs no memory of its own.
    if (protection == Protection::copy) return {PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE};
    return {PROT_READ, MAP_SHARED};
}

[[noreturn]] void fail(Napi::Env env, int error) {
    Napi::Error failure = Napi::Error::New(env, std::generic_category().message(error));
    failure.Set("errno", Napi::Number::New(env, error));
    throw failure;
}

// Where to map so much memory, so that huge pages of it, if it has any, are mapped as such and not by 512 page faults
// each: at a multiple of their size. Nowhere in particular for what is smaller.
void* place_for(std::size_t size) {
    constexpr std::size_t huge_page = 2 << 20;
    if (size < huge_page || size > SIZE_MAX - huge_page) return nullptr;
    void* room = ::mmap(nullptr, size + huge_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return nullptr;
    // Only a hint: should another thread take the room meanwhile, the kernel finds some other.
    ::munmap(room, size + huge_page);
    auto address = reinterpret_cast<std::uintptr_t>(room);
    return reinterpret_cast<void*>((address + huge_page - 1) / huge_page * huge_page);
}

// Maps what the arguments say, at this address if it is given.
void* map(const Napi::CallbackInfo& info, void* address, std::size_t size) {
    auto* descriptor = Descriptor::Unwrap(info[0].As<Napi::Object>());
    Flags flags = flags_of(static_cast<Protection>(info[2].As<Napi::Number>().Int32Value()));
    int fixed = address ? MAP_FIXED : 0;
    void* place = address ? address : place_for(size);
    void* data = ::mmap(place, size, flags.protection, flags.mapping | fixed, descriptor->fd(), 0);
    if (data == MAP_FAILED) fail(info.Env(), errno);
    // Only with this does the kernel map huge pages that are there as huge ones.
    if (info[3].ToBoolean()) (void)::madvise(data, size, MADV_HUGEPAGE);
    return data;
}

// What keeps the memory mapped for an ArrayBuffer.
struct Owner {
    std::shared_ptr<Region> region;
    bool* released = nullptr;
};

void release(napi_env, void*, void* hint) {
    auto* owner = static_cast<Owner*>(hint);
    if (owner->released) *owner->released = true;
    delete owner;
}

}  // namespace

Region::~Region() {
    ::munmap(data_, size_);
}

void Region::bury() noexcept {
    constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (::mmap(data_, size_, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED) return;
    // Where the kernel counts every page that could be written.
    (void)::mmap(data_, size_, PROT_READ, flags, -1, 0);
}

Napi::Function Mapping::define(Napi::Env env) {
    return DefineClass(env, "Mapping",
                       {InstanceMethod<&Mapping::replace>("replace"), InstanceMethod<&Mapping::buffer>("buffer"),
                        InstanceMethod<&Mapping::detach>("detach"), InstanceMethod<&Mapping::read>("read"),
                        InstanceMethod<&Mapping::write>("write"), InstanceMethod<&Mapping::close>("close")});
}

Mapping::Mapping(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    auto size = static_cast<std::size_t>(info[1].As<Napi::Number>().Int64Value());
    region_ = std::make_shared<Region>(map(info, nullptr, size), size);
}

// As the constructor, with the same memory of another descriptor, at the same address in one step. On failure nothing changes.
void Mapping::replace(const Napi::CallbackInfo& info) {
    map(info, region_->data(), region_->size());
}

// (length): an ArrayBuffer over the first bytes. Undefined where this runtime has none over memory that is not its own; throws
// when there is none of this length.
Napi::Value Mapping::buffer(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    auto length = static_cast<std::size_t>(info[0].As<Napi::Number>().Int64Value());
    // When the buffer cannot be made, Node may or may not have released it.
    bool released = false;
    auto* owner = new Owner{region_, &released};
    napi_value buffer = nullptr;
    napi_status status = napi_create_external_arraybuffer(env, region_->data(), length, release, owner, &buffer);
    if (status != napi_ok) {
        if (!released) delete owner;
        if (env.IsExceptionPending()) throw env.GetAndClearPendingException();
        return env.Undefined();
    }
    owner->released = nullptr;
    // What is done with a view in another thread outlives a detached buffer, but keeps the object.
    auto* second = new Owner{region_};
    if (napi_add_finalizer(env, buffer, nullptr, release, second, nullptr) != napi_ok) delete second;
    return {env, buffer};
}

// (arrayBuffer): its views have no length from now on.
void Mapping::detach(const Napi::CallbackInfo& info) {
    bool detached = false;
    napi_is_detached_arraybuffer(info.Env(), info[0], &detached);
    if (!detached) napi_detach_arraybuffer(info.Env(), info[0]);
}

// JavaScript has looked at the bounds already, but this is where memory would be broken.
Mapping::Range Mapping::range(const Napi::Value& value, std::size_t length) {
    double offset = value.As<Napi::Number>().DoubleValue();
    bool inside = region_ && offset >= 0 && offset <= static_cast<double>(region_->size()) &&
                  length <= region_->size() - static_cast<std::size_t>(offset);
    if (!inside) throw Napi::RangeError::New(Env(), "outside of the mapped memory");
    return {region_, region_->data() + static_cast<std::size_t>(offset)};
}

void Mapping::read(const Napi::CallbackInfo& info) {
    auto target = info[1].As<Napi::Uint8Array>();
    const std::byte* source = range(info[0], target.ByteLength()).data;
    std::copy_n(source, target.ByteLength(), reinterpret_cast<std::byte*>(target.Data()));
}

void Mapping::write(const Napi::CallbackInfo& info) {
    auto source = info[1].As<Napi::Uint8Array>();
    std::byte* target = range(info[0], source.ByteLength()).data;
    // The source may be a view of the same memory.
    if (source.ByteLength() > 0) std::memmove(target, source.Data(), source.ByteLength());
}

void Mapping::close(const Napi::CallbackInfo&) {
    if (region_ && region_.use_count() > 1) region_->bury();
    region_.reset();
}

}  // namespace shmd::node
