// What belongs to one environment: the main thread has one, and every worker thread its own.
#pragma once

#include <napi.h>
#include <node_api.h>

#include <memory>
#include <set>

#include "wait.hpp"

namespace shmd::node {

struct Poll;

struct Instance {
    Napi::FunctionReference descriptor;
    std::set<Poll*> polls;  // not yet handed back by libuv
    Waits waits{*this};
    napi_async_cleanup_hook_handle ending = nullptr;
    bool ended = false;

    static Instance& of(Napi::Env env) { return *env.GetInstanceData<Instance>(); }
    /// The environment may go once libuv has handed back everything.
    void end_if_done();
};

}  // namespace shmd::node
