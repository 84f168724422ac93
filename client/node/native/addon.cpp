// The native part of the package shmd for Node.js: a socket that takes descriptors, mapped memory, and the locks in it. All else
// is JavaScript.
#include <napi.h>
#include <sys/auxv.h>

#include <cerrno>

#include "channel.hpp"
#include "descriptor.hpp"
#include "instance.hpp"
#include "mapping.hpp"
#include "sync_area.hpp"
#include "wait.hpp"

namespace shmd::node {

void Instance::end_if_done() {
    if (ended && polls.empty() && waits.ended() && ending) {
        napi_remove_async_cleanup_hook(std::exchange(ending, nullptr));
    }
}

namespace {

// A thread that ends, or the process: the loop must have all its handles back first.
void end(napi_async_cleanup_hook_handle, void* data) {
    auto* instance = static_cast<Instance*>(data);
    instance->ended = true;
    const std::set<Poll*> polls = instance->polls;
    for (Poll* poll : polls) {
        if (poll->channel) poll->channel->shut();
    }
    instance->waits.end();
    instance->end_if_done();
}

Napi::Object fill(Napi::Env env, Napi::Object exports) {
    auto* instance = new Instance;
    env.SetInstanceData(instance);
    napi_add_async_cleanup_hook(env, end, instance, &instance->ending);

    Napi::Function descriptor = Descriptor::define(env);
    instance->descriptor = Napi::Persistent(descriptor);
    exports["Channel"] = Channel::define(env);
    exports["Mapping"] = Mapping::define(env);
    exports["SyncArea"] = SyncArea::define(env);
    exports["Wait"] = Wait::define(env);
    // Node has no name for it.
    exports["ownerDead"] = Napi::Number::New(env, EOWNERDEAD);
    // A program with the rights of another user than who started it looks at no path that the environment names.
    exports["secure"] = Napi::Boolean::New(env, ::getauxval(AT_SECURE) != 0);
    return exports;
}

}  // namespace
}  // namespace shmd::node

static Napi::Object init_shmd(Napi::Env env, Napi::Object exports) {
    return shmd::node::fill(env, exports);
}
NODE_API_MODULE(shmd, init_shmd)
