/* The conformance agent of C: <shmd/shmd.h>, driven by a JSON object a line. README.md has the contract. */
#define _GNU_SOURCE
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmd/shmd.h>

enum { HANDLES = 4096, WATCHES = 64, LABELS = 64 };

static shmd_client *client;
static shmd_segment *segments[HANDLES];
static shmd_watch *watches[WATCHES];

/* Answers. An op gives one of these; whoever gets it owns it. */

static json_t *ok(json_t *value) {
    return json_pack("{s:o}", "ok", value);
}

/* An error of the agent's own: what C leaves to the program. */
static json_t *refusal(const char *name, const char *type, const char *message) {
    return json_pack("{s:{s:s,s:{},s:s,s:s}}", "error", "name", name, "parameters", "class", type, "message", message);
}

static json_t *failure(int code) {
    const shmd_error *error = shmd_last_error();
    json_t *parameters = json_loads(error->parameters, JSON_ALLOW_NUL, NULL);
    const char *type = strerrorname_np(-code);
    return json_pack("{s:{s:s,s:o,s:s,s:s}}", "error", "name", error->name, "parameters",
                     parameters ? parameters : json_object(), "class", type ? type : "unknown errno", "message",
                     error->message);
}

/* What <shmd/shmd.h> says that a code means. shmd_open_many() tells no more of each. */
static const char *name_of(int code) {
    switch (code) {
    case -ENOENT: return "io.shmd.Segments.NoSuchSegment";
    case -EACCES: return "org.varlink.service.PermissionDenied";
    case -EDQUOT: return "io.shmd.Segments.QuotaExceeded";
    case -EROFS: return "io.shmd.Segments.SegmentSealed";
    default: return "";
    }
}

static json_t *info_object(const shmd_info *info) {
    char *text = NULL;
    if (shmd_info_json(info, &text) != 0) return json_null();
    json_t *object = json_loads(text, JSON_ALLOW_NUL, NULL);
    free(text);
    return object;
}

/* Takes the info over, or tells of the error. */
static json_t *described(int result, shmd_info *info) {
    if (result != 0) return failure(result);
    json_t *object = info_object(info);
    shmd_info_free(info);
    return ok(json_pack("{s:o}", "segment", object));
}

static json_t *opened(shmd_segment *segment) {
    int handle = 1;
    while (handle < HANDLES && segments[handle]) handle++;
    if (handle == HANDLES) {
        shmd_close(segment);
        return NULL;
    }
    segments[handle] = segment;
    return json_pack("{s:i,s:o}", "handle", handle, "segment", info_object(shmd_segment_info(segment)));
}

static json_t *granted(int result, shmd_segment *segment) {
    if (result != 0) return failure(result);
    json_t *answer = opened(segment);
    if (!answer) return refusal("TooMany", "", "the agent has no more handles");
    json_object_set_new(answer, "created", json_boolean(shmd_created(segment)));
    return ok(answer);
}

/* Requests. */

static const char *text(const json_t *from, const char *name) {
    return json_string_value(json_object_get(from, name));
}

static json_int_t number(const json_t *from, const char *name, json_int_t otherwise) {
    const json_t *value = json_object_get(from, name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static int flag(const json_t *from, const char *name, int otherwise) {
    const json_t *value = json_object_get(from, name);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

/* NULL when there is none. buffer holds what stands for an integer. */
static const char *key_of(const json_t *key, char buffer[SHMD_KEY_SIZE]) {
    if (!json_is_integer(key)) return json_string_value(key);
    shmd_sysv_key((int32_t)json_integer_value(key), buffer);
    return buffer;
}

static int has_id(const json_t *request) {
    return json_is_integer(json_object_get(request, "id"));
}

static shmd_segment *segment_of(const json_t *request) {
    json_int_t handle = number(request, "handle", 0);
    return handle > 0 && handle < HANDLES ? segments[handle] : NULL;
}

/* The place of a word in a list that ends with NULL; -1, which no enum has, when it is not there. */
static int place(const char *word, const char *const *words, int otherwise) {
    if (!word) return otherwise;
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0) return i;
    }
    return -1;
}

static const char *const accesses[] = {"read", "write", NULL};
static const char *const modes[] = {"new", "any", NULL};
static const char *const reserves[] = {"allocate", "populate", "lazy", NULL};
static const char *const lifetimes[] = {"persistent", "attached", "creator", "lease", NULL};

static size_t labels_of(json_t *from, shmd_label labels[LABELS]) {
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(from, name, value) {
        if (count < LABELS) labels[count++] = (shmd_label){name, json_string_value(value)};
    }
    return count;
}

static json_t *create(json_t *request) {
    char key[SHMD_KEY_SIZE];
    shmd_label labels[LABELS];
    shmd_create_options options = SHMD_CREATE_OPTIONS_INIT;
    options.mode = (unsigned)number(request, "mode", options.mode);
    options.create_mode = (shmd_create_mode)place(text(request, "createMode"), modes, (int)options.create_mode);
    options.access = (shmd_access)place(text(request, "access"), accesses, (int)options.access);
    options.reserve = (shmd_reserve)place(text(request, "reserve"), reserves, (int)options.reserve);
    options.lifetime = (shmd_lifetime)place(text(request, "lifetime"), lifetimes, (int)options.lifetime);
    options.staged = flag(request, "staged", 0);
    options.labels = labels;
    options.label_count = labels_of(json_object_get(request, "labels"), labels);
    options.lease_usec = number(request, "leaseUsec", 0);
    options.evictable = flag(request, "evictable", 0);
    options.sealable = flag(request, "sealable", 1);
    options.capacity_bytes = (uint64_t)number(request, "capacityBytes", 0);
    shmd_segment *segment = NULL;
    int result = shmd_create(client, key_of(json_object_get(request, "key"), key),
                             (uint64_t)number(request, "sizeBytes", 0), &options, &segment);
    return granted(result, segment);
}

static json_t *open_one(json_t *request) {
    char buffer[SHMD_KEY_SIZE];
    const char *key = key_of(json_object_get(request, "key"), buffer);
    shmd_access access = (shmd_access)place(text(request, "access"), accesses, SHMD_READ);
    shmd_segment *segment = NULL;
    int result;
    if (flag(request, "sealed", 0)) {
        result = has_id(request) ? shmd_open_sealed_id(client, number(request, "id", 0), &segment)
                                 : shmd_open_sealed(client, key, &segment);
    } else if (has_id(request)) {
        result = shmd_open_id(client, number(request, "id", 0), access, &segment);
    } else if (json_object_get(request, "waitUsec")) {
        result = shmd_open_wait(client, key, access, number(request, "waitUsec", 0), &segment);
    } else {
        result = shmd_open(client, key, access, &segment);
    }
    return granted(result, segment);
}

static json_t *open_many(json_t *request) {
    json_t *keys = json_object_get(request, "keys");
    size_t count = json_array_size(keys);
    char(*buffers)[SHMD_KEY_SIZE] = calloc(count + 1, sizeof *buffers);
    const char **names = calloc(count + 1, sizeof *names);
    shmd_segment **found = calloc(count + 1, sizeof *found);
    int *codes = calloc(count + 1, sizeof *codes);
    for (size_t i = 0; i < count; i++) names[i] = key_of(json_array_get(keys, i), buffers[i]);
    shmd_access access = (shmd_access)place(text(request, "access"), accesses, SHMD_READ);
    int result = shmd_open_many(client, names, count, access, found, codes);
    json_t *results = json_array();
    for (size_t i = 0; result >= 0 && i < count; i++) {
        const char *type = strerrorname_np(-codes[i]);
        json_array_append_new(results, found[i] ? opened(found[i])
                                                : json_pack("{s:{s:s,s:s}}", "error", "name", name_of(codes[i]),
                                                            "class", type ? type : "unknown errno"));
    }
    free(buffers);
    free(names);
    free(found);
    free(codes);
    if (result >= 0) return ok(json_pack("{s:o}", "results", results));
    json_decref(results);
    return failure(result);
}

/* Memory. A write to what was granted for reading is a SIGSEGV in C: it is caught here and told. */

static sigjmp_buf fault;

static void on_fault(int signal) {
    siglongjmp(fault, signal);
}

static json_t *access_memory(json_t *request, int writing) {
    shmd_segment *segment = segment_of(request);
    if (!segment) return refusal("Closed", "NULL", "no open segment has this handle");
    uint64_t offset = (uint64_t)number(request, "offset", 0);
    const char *hex = writing ? text(request, "hex") : NULL;
    uint64_t length = writing ? strlen(hex) / 2 : (uint64_t)number(request, "length", 0);
    uint64_t size = shmd_size(segment);
    if (offset > size || length > size - offset) return refusal("OutOfRange", "", "beyond the segment's size");
    unsigned char *memory = (unsigned char *)shmd_data(segment) + offset;
    if (sigsetjmp(fault, 1) != 0) return refusal("ReadOnly", "SIGSEGV", "the kernel refuses the access");
    if (writing) {
        for (uint64_t i = 0; i < length; i++) {
            unsigned byte = 0;
            sscanf(hex + 2 * i, "%2x", &byte);
            memory[i] = (unsigned char)byte;
        }
        return ok(json_object());
    }
    char *told = malloc(2 * length + 1);
    for (uint64_t i = 0; i < length; i++) {
        told[2 * i] = "0123456789abcdef"[memory[i] >> 4];
        told[2 * i + 1] = "0123456789abcdef"[memory[i] & 15];
    }
    json_t *answer = json_pack("{s:s#}", "hex", told, (int)(2 * length));
    free(told);
    return ok(answer);
}

static json_t *write_memory(json_t *request) {
    return access_memory(request, 1);
}

static json_t *read_memory(json_t *request) {
    return access_memory(request, 0);
}

static json_t *describe(json_t *request) {
    char key[SHMD_KEY_SIZE];
    shmd_info *info = NULL;
    int result = has_id(request) ? shmd_describe_id(client, number(request, "id", 0), &info)
                                 : shmd_describe(client, key_of(json_object_get(request, "key"), key), &info);
    return described(result, info);
}

static json_t *list(json_t *request) {
    shmd_info *first = NULL;
    int result = shmd_list(client, text(request, "prefix"), &first);
    if (result != 0) return failure(result);
    json_t *all = json_array();
    for (const shmd_info *info = first; info; info = info->next) json_array_append_new(all, info_object(info));
    shmd_info_free(first);
    return ok(json_pack("{s:o}", "segments", all));
}

/* Ops on an open segment answer with its description. */
static json_t *changed(int result, const shmd_segment *segment) {
    if (result != 0) return failure(result);
    return ok(json_pack("{s:o}", "segment", info_object(shmd_segment_info(segment))));
}

static json_t *on_segment(json_t *request) {
    char buffer[SHMD_KEY_SIZE];
    shmd_segment *segment = segment_of(request);
    const char *op = text(request, "op");
    if (!segment) return refusal("Closed", "NULL", "no open segment has this handle");
    if (strcmp(op, "publish") == 0) {
        const char *key = key_of(json_object_get(request, "key"), buffer);
        return changed(shmd_publish(segment, key, flag(request, "replace", 0)), segment);
    }
    if (strcmp(op, "seal") == 0) return changed(shmd_seal_segment(segment), segment);
    if (strcmp(op, "remap") == 0) return changed(shmd_remap(segment), segment);
    return changed(shmd_resize_segment(segment, (uint64_t)number(request, "sizeBytes", 0)), segment);
}

static json_t *set_attributes(json_t *request) {
    char buffer[SHMD_KEY_SIZE];
    shmd_label labels[LABELS];
    const char *removed[LABELS];
    shmd_attributes attributes = SHMD_ATTRIBUTES_INIT;
    json_t *names = json_object_get(request, "removeLabels");
    attributes.set = (json_object_get(request, "mode") ? SHMD_SET_MODE : 0) |
                     (json_object_get(request, "lifetime") ? SHMD_SET_LIFETIME : 0) |
                     (json_object_get(request, "evictable") ? SHMD_SET_EVICTABLE : 0) |
                     (json_object_get(request, "labels") ? SHMD_SET_LABELS : 0) | (names ? SHMD_REMOVE_LABELS : 0);
    attributes.mode = (unsigned)number(request, "mode", 0);
    attributes.lifetime = (shmd_lifetime)place(text(request, "lifetime"), lifetimes, 0);
    attributes.lease_usec = number(request, "leaseUsec", 0);
    attributes.evictable = flag(request, "evictable", 0);
    attributes.labels = labels;
    attributes.label_count = labels_of(json_object_get(request, "labels"), labels);
    attributes.remove_labels = removed;
    while (attributes.remove_label_count < json_array_size(names) && attributes.remove_label_count < LABELS) {
        const json_t *name = json_array_get(names, attributes.remove_label_count);
        removed[attributes.remove_label_count++] = json_string_value(name);
    }
    shmd_info *info = NULL;
    const char *key = key_of(json_object_get(request, "key"), buffer);
    int result = has_id(request) ? shmd_set_attributes_id(client, number(request, "id", 0), &attributes, &info)
                                 : shmd_set_attributes(client, key, &attributes, &info);
    return described(result, info);
}

static json_t *renew(json_t *request) {
    char key[SHMD_KEY_SIZE];
    shmd_info *info = NULL;
    int result = has_id(request) ? shmd_renew_id(client, number(request, "id", 0), &info)
                                 : shmd_renew(client, key_of(json_object_get(request, "key"), key), &info);
    return described(result, info);
}

static json_t *delete_one(json_t *request) {
    char key[SHMD_KEY_SIZE];
    int result = has_id(request) ? shmd_delete_id(client, number(request, "id", 0))
                                 : shmd_delete(client, key_of(json_object_get(request, "key"), key));
    return result == 0 ? ok(json_object()) : failure(result);
}

static json_t *close_one(json_t *request) {
    if (!segment_of(request)) return refusal("Closed", "NULL", "no open segment has this handle");
    json_int_t handle = number(request, "handle", 0);
    shmd_close(segments[handle]);
    segments[handle] = NULL;
    return ok(json_object());
}

static json_t *watch(json_t *request) {
    int place_of = 1;
    while (place_of < WATCHES && watches[place_of]) place_of++;
    if (place_of == WATCHES) return refusal("TooMany", "", "the agent has no more watches");
    int result = shmd_watch_open(client, text(request, "prefix"), &watches[place_of]);
    return result == 0 ? ok(json_pack("{s:i}", "watch", place_of)) : failure(result);
}

static json_t *on_watch(json_t *request) {
    json_int_t number_of = number(request, "watch", 0);
    if (number_of < 1 || number_of >= WATCHES || !watches[number_of]) return refusal("Closed", "NULL", "no such watch");
    if (strcmp(text(request, "op"), "unwatch") == 0) {
        shmd_watch_close(watches[number_of]);
        watches[number_of] = NULL;
        return ok(json_object());
    }
    const shmd_event *event = NULL;
    int result = shmd_watch_next(watches[number_of], -1, &event);
    if (result != 0) return failure(result);
    json_t *answer = json_pack("{s:s}", "event", shmd_event_name(event->kind));
    if (event->segment) json_object_set_new(answer, "segment", info_object(event->segment));
    return ok(answer);
}

static json_t *capabilities(json_t *request) {
    (void)request;
    return ok(json_pack("{s:s,s:s,s:[]}", "language", "C", "version", shmd_version(), "missing"));
}

static const struct {
    const char *name;
    json_t *(*run)(json_t *request);
} ops[] = {{"create", create}, {"open", open_one}, {"openMany", open_many}, {"write", write_memory},
           {"read", read_memory}, {"describe", describe}, {"list", list}, {"publish", on_segment},
           {"seal", on_segment}, {"resize", on_segment}, {"remap", on_segment}, {"setAttributes", set_attributes},
           {"renew", renew}, {"delete", delete_one}, {"close", close_one}, {"watch", watch},
           {"nextEvent", on_watch}, {"unwatch", on_watch}, {"capabilities", capabilities}};

static json_t *answer_to(json_t *request) {
    const char *op = text(request, "op");
    for (size_t i = 0; op && i < sizeof ops / sizeof *ops; i++) {
        if (strcmp(ops[i].name, op) != 0) continue;
        if (!client && strcmp(op, "capabilities") != 0) {
            int result = shmd_connect(NULL, &client);
            if (result != 0) return failure(result);
        }
        return ops[i].run(request);
    }
    return refusal("UnknownOp", "", "the agent does not know this op");
}

int main(void) {
    struct sigaction action = {.sa_handler = on_fault};
    sigaction(SIGSEGV, &action, NULL);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        json_t *request = json_loads(line, JSON_ALLOW_NUL, NULL);
        json_t *answer = request ? answer_to(request) : refusal("BadRequest", "", "this is no JSON");
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(answer);
        json_decref(request);
    }
    for (int i = 0; i < HANDLES; i++) shmd_close(segments[i]);
    for (int i = 0; i < WATCHES; i++) shmd_watch_close(watches[i]);
    shmd_disconnect(client);
    free(line);
    return 0;
}
