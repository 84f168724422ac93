// The C functions of shmd.h: arguments in, negative errno values out, and no exception past this file.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "handles.hpp"
#include "info.hpp"
#include "key.hpp"
#include "limits.hpp"
#include "options.hpp"
#include "shmd/shmd.h"

using shmd::Access;
using shmd::Endpoint;
using shmd::Target;
using shmd::client::Client;
using shmd::client::guarded;
using shmd::client::no_timeout;
using shmd::client::NotCancelled;
using shmd::client::null_pointer;
using shmd::client::OpenSegment;
using shmd::client::Outcome;
using shmd::client::report;

namespace {

constexpr std::uint64_t largest_size = static_cast<std::uint64_t>(shmd::limits::integer);
constexpr const char* too_large = "a segment has at most 2^53-1 bytes";

// Hands out what was made, in its C form.
template <typename Handle, typename T>
int hand_out(Outcome<T> outcome, Handle** out) {
    if (!outcome) return report(outcome.failure());
    *out = new Handle{std::move(*outcome)};
    return 0;
}

int hand_out(const std::string& text, char** out) {
    char* copy = static_cast<char*>(std::malloc(text.size() + 1));
    if (!copy) throw std::bad_alloc();
    std::memcpy(copy, text.c_str(), text.size() + 1);
    *out = copy;
    return 0;
}

std::optional<std::string> optional_text(const char* text) {
    return text ? std::optional<std::string>(text) : std::nullopt;
}

int connect(const char* path, Endpoint endpoint, shmd_client** client) noexcept {
    if (!client) return null_pointer();
    return guarded([&] { return hand_out(Client::connect(path, endpoint), client); });
}

int open_sealed(shmd_client* client, const Target& target, shmd_segment** segment) {
    return hand_out(client->client->open(target, Access::read, true), segment);
}

// For calls that answer with the segment, which the caller may not want.
int hand_out(shmd::client::Outcome<shmd::Segment> segment, shmd_info** info) {
    if (!segment) return report(segment.failure());
    if (info) *info = shmd::client::make_info(std::move(*segment)).release();
    return 0;
}

int set_attributes(shmd_client* client, const Target& target, const shmd_attributes& attributes, shmd_info** info) {
    auto change = shmd::client::attributes_from(target, attributes);
    if (!change) return report(change.failure());
    return hand_out(client->client->set_attributes(*change), info);
}

int resize(shmd_client* client, const Target& target, std::uint64_t size, shmd_info** info) {
    if (size > largest_size) return report(EINVAL, too_large);
    return hand_out(client->client->resize(target, static_cast<std::int64_t>(size)), info);
}

int open(shmd_client* client, const Target& target, const shmd_access& access, shmd_segment** segment) {
    auto wanted = shmd::client::access_from(access);
    if (!wanted) return report(wanted.failure());
    return hand_out(client->client->open(target, *wanted), segment);
}

int describe(shmd_client* client, const Target& target, shmd_info** info) {
    auto described = client->client->describe(target);
    if (!described) return report(described.failure());
    *info = shmd::client::make_info(std::move(*described)).release();
    return 0;
}

int remove(shmd_client* client, const Target& target) {
    auto removed = client->client->remove(target);
    return removed ? 0 : report(removed.failure());
}

Target by_key(const char* key) {
    return {std::string(key), std::nullopt};
}
Target by_id(std::int64_t id) {
    return {std::nullopt, id};
}

}  // namespace

const char* shmd_version(void) {
    return SHMD_VERSION;
}

const shmd_error* shmd_last_error(void) {
    return &shmd::client::last_error();
}

int shmd_connect(const char* path, shmd_client** client) {
    return connect(path, Endpoint::segments, client);
}

int shmd_connect_control(const char* path, shmd_client** client) {
    return connect(path, Endpoint::control, client);
}

const char* shmd_socket_path(const shmd_client* client) {
    return client->client->path().c_str();
}

void shmd_disconnect(shmd_client* client) {
    NotCancelled guard;
    delete client;
}

int shmd_create(shmd_client* client, const char* key, uint64_t size, const shmd_create_options* options,
                shmd_segment** segment) {
    if (!client || !segment) return null_pointer();
    return guarded([&] {
        auto create = shmd::client::create_from(key, size, options);
        if (!create) return report(create.failure());
        return hand_out(client->client->create(*create), segment);
    });
}

int shmd_open(shmd_client* client, const char* key, shmd_access access, shmd_segment** segment) {
    if (!client || !key || !segment) return null_pointer();
    return guarded([&] { return open(client, by_key(key), access, segment); });
}

int shmd_open_id(shmd_client* client, int64_t id, shmd_access access, shmd_segment** segment) {
    if (!client || !segment) return null_pointer();
    return guarded([&] { return open(client, by_id(id), access, segment); });
}

int shmd_open_sealed(shmd_client* client, const char* key, shmd_segment** segment) {
    if (!client || !key || !segment) return null_pointer();
    return guarded([&] { return open_sealed(client, by_key(key), segment); });
}

int shmd_open_sealed_id(shmd_client* client, int64_t id, shmd_segment** segment) {
    if (!client || !segment) return null_pointer();
    return guarded([&] { return open_sealed(client, by_id(id), segment); });
}

int shmd_open_many(shmd_client* client, const char* const* keys, size_t count, shmd_access access,
                   shmd_segment** segments, int* codes) {
    if (!client || (count > 0 && (!keys || !segments))) return null_pointer();
    return guarded([&] {
        auto wanted = shmd::client::access_from(access);
        if (!wanted) return report(wanted.failure());
        for (size_t i = 0; i < count; i++) {
            if (!keys[i]) return null_pointer();
        }
        auto opened = client->client->open_many({keys, keys + count}, *wanted);
        if (!opened) return report(opened.failure());
        std::vector<std::unique_ptr<shmd_segment>> handles(count);
        int successes = 0;
        for (size_t i = 0; i < count; i++) {
            auto& one = (*opened)[i];
            if (one) handles[i].reset(new shmd_segment{std::move(*one)});
            int code = one ? 0 : report(one.failure());
            if (codes) codes[i] = code;
            successes += one ? 1 : 0;
        }
        for (size_t i = 0; i < count; i++) segments[i] = handles[i].release();
        return successes;
    });
}

int shmd_create_many(shmd_client* client, const shmd_create_request* requests, size_t count, shmd_segment** segments) {
    if (!client || !requests || !segments) return null_pointer();
    if (count < 1 || count > shmd::limits::batch) return report(EINVAL, "1 to 250 segments can be created at once");
    return guarded([&] {
        shmd::CreateMany create;
        for (size_t i = 0; i < count; i++) {
            auto one = shmd::client::create_from(requests[i].key, requests[i].size, requests[i].options);
            if (!one) return report(one.failure());
            create.segments.push_back(std::move(*one));
        }
        auto made = client->client->create_many(create);
        if (!made) return report(made.failure());
        std::vector<std::unique_ptr<shmd_segment>> handles;
        for (auto& one : *made) handles.emplace_back(new shmd_segment{std::move(one)});
        for (size_t i = 0; i < count; i++) segments[i] = handles[i].release();
        return 0;
    });
}

int shmd_open_wait(shmd_client* client, const char* key, shmd_access access, int64_t timeout_usec,
                   shmd_segment** segment) {
    if (!client || !key || !segment) return null_pointer();
    if (timeout_usec < -1) return report(EINVAL, no_timeout);
    return guarded([&] {
        auto wanted = shmd::client::access_from(access);
        if (!wanted) return report(wanted.failure());
        auto timeout = timeout_usec < 0 ? std::nullopt : std::optional(timeout_usec);
        return hand_out(client->client->open_wait(key, *wanted, timeout), segment);
    });
}

int shmd_publish(shmd_segment* segment, const char* key, int replace) {
    if (!segment) return null_pointer();
    return guarded([&] {
        auto published = segment->segment->publish(optional_text(key), replace != 0);
        if (published) return 0;
        return report(in_context(std::move(published.failure()), "publish the segment"));
    });
}

void shmd_close(shmd_segment* segment) {
    NotCancelled guard;
    delete segment;
}

void shmd_close_many(shmd_segment* const* segments, size_t count) {
    NotCancelled guard;
    for (size_t begin = 0; begin < count;) {
        std::array<OpenSegment*, shmd::limits::batch> open;
        size_t found = 0, end = begin;
        for (; end < count && found < open.size(); end++) {
            if (segments[end]) open[found++] = segments[end]->segment.get();
        }
        OpenSegment::end({open.data(), found});
        for (; begin < end; begin++) delete segments[begin];
    }
}

void* shmd_data(const shmd_segment* segment) {
    return segment->segment->data();
}

uint64_t shmd_size(const shmd_segment* segment) {
    return segment->segment->size();
}

shmd_access shmd_segment_access(const shmd_segment* segment) {
    return segment->segment->access() == Access::write ? SHMD_WRITE : SHMD_READ;
}

int shmd_created(const shmd_segment* segment) {
    return segment->segment->created() ? 1 : 0;
}

uint32_t shmd_attachment(const shmd_segment* segment) {
    return segment->segment->attachment();
}

const shmd_info* shmd_segment_info(const shmd_segment* segment) {
    return &segment->segment->info();
}

int shmd_describe(shmd_client* client, const char* key, shmd_info** info) {
    if (!client || !key || !info) return null_pointer();
    return guarded([&] { return describe(client, by_key(key), info); });
}

int shmd_describe_id(shmd_client* client, int64_t id, shmd_info** info) {
    if (!client || !info) return null_pointer();
    return guarded([&] { return describe(client, by_id(id), info); });
}

int shmd_list(shmd_client* client, const char* prefix, shmd_info** first) {
    if (!client || !first) return null_pointer();
    return guarded([&] {
        auto segments = client->client->list(optional_text(prefix));
        if (!segments) return report(segments.failure());
        *first = std::move(*segments).take().release();
        return 0;
    });
}

void shmd_info_free(shmd_info* info) {
    shmd::client::FreeInfo{}(info);
}

int shmd_info_json(const shmd_info* info, char** json) {
    if (!info || !json) return null_pointer();
    return guarded([&] { return hand_out(to_json(shmd::client::segment_of(*info)), json); });
}

int shmd_info_list_json(const shmd_info* first, char** json) {
    if (!json) return null_pointer();
    return guarded([&] {
        std::vector<shmd::Segment> segments;
        for (; first; first = first->next) segments.push_back(shmd::client::segment_of(*first));
        return hand_out(to_json(segments), json);
    });
}

int shmd_delete(shmd_client* client, const char* key) {
    if (!client || !key) return null_pointer();
    return guarded([&] { return remove(client, by_key(key)); });
}

int shmd_delete_id(shmd_client* client, int64_t id) {
    if (!client) return null_pointer();
    return guarded([&] { return remove(client, by_id(id)); });
}

int shmd_set_attributes(shmd_client* client, const char* key, const shmd_attributes* attributes, shmd_info** info) {
    if (!client || !key || !attributes) return null_pointer();
    return guarded([&] { return set_attributes(client, by_key(key), *attributes, info); });
}

int shmd_set_attributes_id(shmd_client* client, int64_t id, const shmd_attributes* attributes, shmd_info** info) {
    if (!client || !attributes) return null_pointer();
    return guarded([&] { return set_attributes(client, by_id(id), *attributes, info); });
}

int shmd_renew(shmd_client* client, const char* key, shmd_info** info) {
    if (!client || !key) return null_pointer();
    return guarded([&] { return hand_out(client->client->renew(by_key(key)), info); });
}

int shmd_renew_id(shmd_client* client, int64_t id, shmd_info** info) {
    if (!client) return null_pointer();
    return guarded([&] { return hand_out(client->client->renew(by_id(id)), info); });
}

int shmd_seal(shmd_client* client, const char* key, shmd_info** info) {
    if (!client || !key) return null_pointer();
    return guarded([&] { return hand_out(client->client->seal(by_key(key)), info); });
}

int shmd_seal_id(shmd_client* client, int64_t id, shmd_info** info) {
    if (!client) return null_pointer();
    return guarded([&] { return hand_out(client->client->seal(by_id(id)), info); });
}

int shmd_seal_segment(shmd_segment* segment) {
    if (!segment) return null_pointer();
    return guarded([&] {
        auto sealed = segment->segment->seal();
        return sealed ? 0 : report(in_context(std::move(sealed.failure()), "seal the segment"));
    });
}

int shmd_resize(shmd_client* client, const char* key, uint64_t size, shmd_info** info) {
    if (!client || !key) return null_pointer();
    return guarded([&] { return resize(client, by_key(key), size, info); });
}

int shmd_resize_id(shmd_client* client, int64_t id, uint64_t size, shmd_info** info) {
    if (!client) return null_pointer();
    return guarded([&] { return resize(client, by_id(id), size, info); });
}

int shmd_resize_segment(shmd_segment* segment, uint64_t size) {
    if (!segment) return null_pointer();
    if (size > largest_size) return report(EINVAL, too_large);
    return guarded([&] {
        auto resized = segment->segment->resize(static_cast<std::int64_t>(size));
        return resized ? 0 : report(in_context(std::move(resized.failure()), "resize the segment"));
    });
}

int shmd_remap(shmd_segment* segment) {
    if (!segment) return null_pointer();
    return guarded([&] {
        auto done = segment->segment->remap();
        return done ? 0 : report(in_context(std::move(done.failure()), "learn the segment's size"));
    });
}

int shmd_watch_open(shmd_client* client, const char* prefix, shmd_watch** watch) {
    if (!client || !watch) return null_pointer();
    return guarded([&] { return hand_out(client->client->watch(optional_text(prefix)), watch); });
}

int shmd_watch_next(shmd_watch* watch, int64_t timeout_usec, const shmd_event** event) {
    if (!watch || !event) return null_pointer();
    if (timeout_usec < -1) return report(EINVAL, no_timeout);
    return guarded([&] {
        auto next = watch->watch->next(timeout_usec < 0 ? std::nullopt : std::optional(timeout_usec));
        if (!next) return report(in_context(std::move(next.failure()), "go on watching"));
        *event = *next;
        return 0;
    });
}

int shmd_watch_fd(const shmd_watch* watch) {
    return watch->watch->fd();
}

void shmd_watch_close(shmd_watch* watch) {
    NotCancelled guard;
    delete watch;
}

const char* shmd_event_name(shmd_event_kind kind) {
    return shmd::client::event_name(kind);
}

void shmd_sysv_key(int32_t key, char out[SHMD_KEY_SIZE]) {
    std::string text = shmd::sysv_key(key);  // short: allocates nothing
    std::memcpy(out, text.c_str(), text.size() + 1);
}

int shmd_call(shmd_client* client, const char* method, const char* parameters, char** reply) {
    if (!client || !method || !reply) return null_pointer();
    return guarded([&] {
        auto answer = client->client->call_raw(method, parameters ? parameters : "{}");
        return answer ? hand_out(*answer, reply) : report(answer.failure());
    });
}

int shmd_call_many(shmd_client* client, const char* method, const char* parameters, char** replies) {
    if (!client || !method || !replies) return null_pointer();
    return guarded([&] {
        auto answer = client->client->call_raw_for_many(method, parameters ? parameters : "{}");
        return answer ? hand_out(*answer, replies) : report(answer.failure());
    });
}
