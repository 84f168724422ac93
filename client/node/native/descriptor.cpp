#include "descriptor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "instance.hpp"

namespace shmd::node {

void UniqueFd::reset(int fd) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

Napi::Function Descriptor::define(Napi::Env env) {
    return DefineClass(env, "Descriptor",
                       {InstanceMethod<&Descriptor::close>("close"), InstanceMethod<&Descriptor::inspect>("inspect")});
}

Napi::Object Descriptor::make(Napi::Env env, UniqueFd fd) {
    Napi::Object object = Instance::of(env).descriptor.New({});
    Unwrap(object)->fd_ = std::move(fd);
    return object;
}

// {errno, size, regular, fixed}: fixed when nobody can ever make it smaller, which would be a SIGBUS for who has it mapped.
Napi::Value Descriptor::inspect(const Napi::CallbackInfo& info) {
    Napi::Object result = Napi::Object::New(info.Env());
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) {
        result["errno"] = Napi::Number::New(info.Env(), errno);
        return result;
    }
    int seals = ::fcntl(fd_.get(), F_GET_SEALS);
    result["errno"] = Napi::Number::New(info.Env(), 0);
    result["size"] = Napi::Number::New(info.Env(), static_cast<double>(status.st_size));
    result["regular"] = Napi::Boolean::New(info.Env(), S_ISREG(status.st_mode));
    result["fixed"] = Napi::Boolean::New(info.Env(), seals >= 0 && (seals & F_SEAL_SHRINK) != 0);
    return result;
}

}  // namespace shmd::node
