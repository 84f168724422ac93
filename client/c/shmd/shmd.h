/*
 * libshmd: shared memory segments by key, from the shmd service of this machine.
 *
 * A client is one connection to the daemon, a segment one piece of memory mapped into this process. After opening, the
 * memory is plain memory: no call, no copy, no daemon.
 *
 * Errors. Functions that return int return 0, or a negative errno value. shmd_last_error() then says more. The values:
 *   -ENOENT       NoSuchSegment          -EEXIST       SegmentExists
 *   -ERANGE       SizeMismatch: the existing segment is smaller than asked for
 *   -EINVAL       InvalidKey, InvalidParameter, ExpectedMore, or an argument that cannot be: a null pointer, a size
 *                 over 2^53-1, a value that is none of its enum's
 *   -EACCES       PermissionDenied, or the socket's permissions
 *   -EDQUOT       QuotaExceeded
 *   -EROFS        SegmentSealed: it cannot be written any more
 *   -EBADFD       NotSealed, NotSealable, NoLease: the segment is not as this call needs it
 *   -EBUSY        SegmentBusy: somebody has it open for writing, or at all
 *   -EFBIG        CapacityExceeded: it cannot grow so far
 *   -ENODEV       PlacementUnavailable: no huge pages, or no such NUMA binding
 *   -ESHUTDOWN    Draining: the daemon makes no new segments
 *   -ESRCH        NoSuchProcess
 *   -ETIMEDOUT    shmd_watch_next(): nothing has happened in that time; and what waits in <shmd/sync.h>
 *   -ENOMEM       OutOfMemory, or none left in this process
 *   -ENOTSUP      the daemon does not have this method
 *   -EREMOTEIO    an error that this version does not know; its name is in shmd_last_error()
 *   -ECONNREFUSED no daemon answers: the socket is missing (never -ENOENT) or nobody listens there; or, without a path,
 *                 only a user instance is left to try and its directory belongs to another user or others may write it
 *   -ECONNRESET   the daemon went away before it answered: the request may or may not have been carried out
 *   -EPROTO       the answer makes no sense; the connection is given up, and with it the grants made on it
 *   -ENAMETOOLONG the path is longer than a socket's may be
 *   -EMFILE       this process may open no more files
 *   -EPERM        the grant belongs to the process that this one was forked from
 * and whatever else socket(2), connect(2) and mmap(2) give. A call that fails leaves what its last argument points to
 * as it was.
 *
 * Threads. All functions may be called from any thread. Calls on one client wait for each other, except
 * shmd_open_wait(); shmd_close() waits for none. A segment may be used by many threads but must be closed by one, and
 * a client freed by one when no other is in a call on it. No call is a cancellation point.
 *
 * fork(2). The child keeps its parent's mappings; its first call on an inherited client makes a connection of its own.
 * Grants stay with the process that got them: closing an inherited segment in the child only unmaps it there. A child
 * may be made while other threads are in calls.
 *
 * Users. After a change of the effective user or group the next call connects anew, as that user. What was granted
 * before stays granted.
 *
 * Restarts. When the daemon was restarted, the next call connects anew, and takes up the grants of this process where a
 * service manager keeps segments: an open segment then goes on as if nothing had happened. Elsewhere its grant and the
 * segment have ended with the daemon, and calls on it give -ECONNRESET. A call that is under way then is made again,
 * once, if the daemon did not get it or if it opens, describes or lists (shmd_create() with a key and SHMD_CREATE_ANY
 * opens); any other gives -ECONNRESET. Mapped memory stays mapped throughout. No call raises SIGPIPE.
 */
#ifndef SHMD_SHMD_H
#define SHMD_SHMD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SHMD_API __attribute__((visibility("default")))
#else
#define SHMD_API
#endif

/* Bytes that hold any key and its terminating NUL. */
#define SHMD_KEY_SIZE 256

/* A connection to the daemon. */
typedef struct shmd_client shmd_client;

/* A segment mapped into this process. */
typedef struct shmd_segment shmd_segment;

/* What is granted. The kernel enforces it: a write to memory opened with SHMD_READ is a SIGSEGV. */
typedef enum shmd_access { SHMD_READ = 0, SHMD_WRITE = 1 } shmd_access;

/* Whether shmd_create() fails with -EEXIST when the key is taken, or opens that segment. */
typedef enum shmd_create_mode { SHMD_CREATE_NEW = 0, SHMD_CREATE_ANY = 1 } shmd_create_mode;

/* How much of the memory is there after shmd_create(): all of it reserved; also zeroed already; or nothing yet. */
typedef enum shmd_reserve {
    SHMD_RESERVE_ALLOCATE = 0,
    SHMD_RESERVE_POPULATE = 1,
    SHMD_RESERVE_LAZY = 2
} shmd_reserve;

/* How long a segment lasts: until deleted; until the last grant ends; until the process that created it is gone; until its
 * lease runs out. */
typedef enum shmd_lifetime {
    SHMD_LIFETIME_PERSISTENT = 0,
    SHMD_LIFETIME_ATTACHED = 1,
    SHMD_LIFETIME_CREATOR = 2,
    SHMD_LIFETIME_LEASE = 3
} shmd_lifetime;

/* Pages of which memory is made: the usual ones; huge ones where the kernel finds them; huge ones alone, from the pool that
 * the administrator has set aside. */
typedef enum shmd_huge_pages {
    SHMD_HUGE_NONE = 0,
    SHMD_HUGE_TRANSPARENT = 1,
    SHMD_HUGE_2M = 2,
    SHMD_HUGE_1G = 3
} shmd_huge_pages;

typedef enum shmd_acl_kind { SHMD_ACL_USER = 0, SHMD_ACL_GROUP = 1 } shmd_acl_kind;

/* Access beyond what the mode allows, for a user or a group. At most 32 for a segment. */
typedef struct shmd_acl_entry {
    shmd_acl_kind kind;
    uint32_t id; /* the uid or gid */
    shmd_access access;
} shmd_acl_entry;

typedef enum shmd_state { SHMD_STAGED = 0, SHMD_LIVE = 1, SHMD_DELETED = 2 } shmd_state;

/* A name and a text that travel with a segment. UTF-8; bytes that are not become U+FFFD. Name 1 to 63 bytes, value up
 * to 1024, 32 labels of 4096 bytes in all, no name twice. */
typedef struct shmd_label {
    const char *name;
    const char *value;
} shmd_label;

/* A mode of shmd_create_options: the daemon chooses it, as its configuration says (policy.defaultMode); 0600 if that says
 * nothing. */
#define SHMD_MODE_DEFAULT 0xffffffffu

/* Options of shmd_create(). Begin with SHMD_CREATE_OPTIONS_INIT, which holds the defaults, and change what you need.
 * -EINVAL for an option that is set and that a library older than the program does not have. */
typedef struct shmd_create_options {
    size_t struct_size;           /* sizeof(shmd_create_options) of the caller; lets the struct grow */
    unsigned mode;                /* permission bits, 0 to 0777, or SHMD_MODE_DEFAULT; default 0600 */
    shmd_create_mode create_mode; /* default SHMD_CREATE_NEW */
    shmd_access access;           /* default SHMD_WRITE */
    shmd_reserve reserve;         /* default SHMD_RESERVE_ALLOCATE */
    shmd_lifetime lifetime;       /* default SHMD_LIFETIME_PERSISTENT */
    int staged;                   /* not 0: invisible until shmd_publish(); default 0 */
    const shmd_label *labels;     /* borrowed during the call; may be NULL */
    size_t label_count;
    int64_t lease_usec;           /* with SHMD_LIFETIME_LEASE: at least a second; default 0, none */
    int evictable;                /* not 0: may be dropped when memory runs short and nobody has it open; default 0 */
    int sealable;                 /* 0: nobody can ever make it immutable; default 1 */
    const shmd_acl_entry *acl;    /* borrowed during the call; may be NULL */
    size_t acl_count;
    uint64_t capacity_bytes;     /* how far shmd_resize() can grow it; all of it counts against the quota. 0: not at all */
    shmd_huge_pages huge_pages;  /* default SHMD_HUGE_NONE */
    const uint32_t *numa_nodes;  /* its memory comes from these alone; borrowed during the call; NULL: from any */
    size_t numa_node_count;
    int placement_fallback; /* not 0: do without huge pages or nodes that the machine has not; default 0, -ENODEV */
} shmd_create_options;

#define SHMD_CREATE_OPTIONS_INIT                                                                       \
    {                                                                                                  \
        sizeof(shmd_create_options), 0600, SHMD_CREATE_NEW, SHMD_WRITE, SHMD_RESERVE_ALLOCATE,         \
            SHMD_LIFETIME_PERSISTENT, 0, NULL, 0, 0, 0, 1, NULL, 0, 0, SHMD_HUGE_NONE, NULL, 0, 0      \
    }

/* What the daemon knows of a segment. Owned by the library: read it, free it with shmd_info_free(). New fields may come
 * at the end. Sizes are bytes, times microseconds of CLOCK_REALTIME since 1970; a time of -1 means never. */
typedef struct shmd_info {
    const struct shmd_info *next; /* the next one of shmd_list(), or NULL */
    int64_t id;                   /* never reused */
    const char *key;              /* NULL while staged, after deletion, and when the key was taken over */
    uint64_t size_bytes;
    unsigned mode;
    uint32_t owner_uid, owner_gid;
    uint32_t creator_uid, creator_gid;
    int32_t creator_pid;
    shmd_state state;
    int sealed;
    int evictable;
    uint64_t attachments; /* grants that have not ended */
    int64_t created_usec, attached_usec, detached_usec, changed_usec, expires_usec;
    const shmd_label *labels;
    size_t label_count;
    shmd_lifetime lifetime;
    int64_t lease_usec; /* -1: it has no lease */
    const shmd_acl_entry *acl;
    size_t acl_count;
    uint64_t capacity_bytes;
    shmd_huge_pages huge_pages;
    const uint32_t *numa_nodes;
    size_t numa_node_count;
} shmd_info;

/* Tells what happens to segments. */
typedef struct shmd_watch shmd_watch;

/*
 * What happened. CREATED, PUBLISHED: it is live now. REPLACED: its key went to another. CHANGED: its mode, owner, labels,
 * lifetime or entries. DELETED, EXPIRED (its lifetime or lease is over), EVICTED: its key is free, and the info still tells
 * which it was. PRESENT: it was there already. READY: all that were there have been told. LOST: this watch was read too
 * slowly and events are left out; what is there now follows as PRESENT, and READY.
 */
typedef enum shmd_event_kind {
    SHMD_EVENT_PRESENT = 0,
    SHMD_EVENT_READY = 1,
    SHMD_EVENT_CREATED = 2,
    SHMD_EVENT_PUBLISHED = 3,
    SHMD_EVENT_REPLACED = 4,
    SHMD_EVENT_SEALED = 5,
    SHMD_EVENT_RESIZED = 6,
    SHMD_EVENT_CHANGED = 7,
    SHMD_EVENT_ATTACHED = 8,
    SHMD_EVENT_DETACHED = 9,
    SHMD_EVENT_DELETED = 10,
    SHMD_EVENT_EXPIRED = 11,
    SHMD_EVENT_EVICTED = 12,
    SHMD_EVENT_LOST = 13
} shmd_event_kind;

/* New fields may come at the end. */
typedef struct shmd_event {
    shmd_event_kind kind;
    const shmd_info *segment; /* as it was then; NULL for READY and LOST. Owned by the event. */
} shmd_event;

/* Which members of shmd_attributes are meant. */
#define SHMD_SET_MODE 0x1u
#define SHMD_SET_OWNER_UID 0x2u
#define SHMD_SET_OWNER_GID 0x4u
#define SHMD_SET_LIFETIME 0x8u
#define SHMD_SET_EVICTABLE 0x10u
#define SHMD_SET_LABELS 0x20u
#define SHMD_REMOVE_LABELS 0x40u
#define SHMD_SET_ACL 0x80u

/* What shmd_set_attributes() changes. Begin with SHMD_ATTRIBUTES_INIT. Everything pointed to is borrowed. */
typedef struct shmd_attributes {
    size_t struct_size; /* sizeof(shmd_attributes) of the caller */
    unsigned set;       /* SHMD_SET_... of what is to be changed */
    unsigned mode;
    uint32_t owner_uid, owner_gid;
    shmd_lifetime lifetime;
    int64_t lease_usec; /* with SHMD_LIFETIME_LEASE, which begins now */
    int evictable;
    const shmd_label *labels; /* to be added, or changed where the name is there */
    size_t label_count;
    const char *const *remove_labels; /* names */
    size_t remove_label_count;
    const shmd_acl_entry *acl; /* takes the place of all entries */
    size_t acl_count;
} shmd_attributes;

#define SHMD_ATTRIBUTES_INIT                                                                                  \
    {                                                                                                         \
        sizeof(shmd_attributes), 0, 0600, 0, 0, SHMD_LIFETIME_PERSISTENT, 0, 0, NULL, 0, NULL, 0, NULL, 0     \
    }

/* More about an error. Every pointer is valid until the next call of this library in the same thread. */
typedef struct shmd_error {
    int code;               /* what the function returned, negative */
    const char *name;       /* the Varlink error, such as "io.shmd.Segments.NoSuchSegment"; "" when it arose here */
    const char *parameters; /* the Varlink error's parameters, a JSON object; "{}" when it arose here */
    const char *message;    /* what was tried and why it failed, for people */
} shmd_error;

/* The library's version, such as "0.1.0". Static. */
SHMD_API const char *shmd_version(void);

/* The error of the last call that failed in this thread. Never NULL; code is 0 when none has failed. */
SHMD_API const shmd_error *shmd_last_error(void);

/*
 * Connects to the daemon at this path. NULL looks for it: $SHMD_SOCKET, the system instance at
 * /run/shmd/io.shmd.Segments if that is there, the user instance below $XDG_RUNTIME_DIR or /tmp. The same path serves
 * whenever the client connects anew. The caller owns *client. -ECONNREFUSED, -EACCES, -ENAMETOOLONG. A daemon that
 * takes no more connections says so at the first call: -EDQUOT.
 */
SHMD_API int shmd_connect(const char *path, shmd_client **client);

/* The same, for the control socket: shmd_call() is what it is good for. NULL: $SHMD_CONTROL_SOCKET, and so on. */
SHMD_API int shmd_connect_control(const char *path, shmd_client **client);

/* The path that the client is connected to. Valid as long as the client. */
SHMD_API const char *shmd_socket_path(const shmd_client *client);

/* Frees the client. Its open segments stay open. NULL is allowed. */
SHMD_API void shmd_disconnect(shmd_client *client);

/*
 * Creates a segment of size bytes of zeros and maps it. key: NULL makes up one that cannot be guessed. options: NULL for
 * the defaults. The caller owns *segment. A new segment is granted whatever its mode is; the mode decides for all later
 * opens. With SHMD_CREATE_ANY an existing segment is opened, of its own size; see shmd_created().
 * A segment that was made but cannot be mapped is deleted again. -EEXIST, -ERANGE, -EINVAL, -EACCES, -EDQUOT, -ENOMEM.
 */
SHMD_API int shmd_create(shmd_client *client, const char *key, uint64_t size, const shmd_create_options *options,
                         shmd_segment **segment);

/* Maps the segment that has this key or id. The caller owns *segment. -ENOENT, -EACCES, -EINVAL, -EDQUOT. */
SHMD_API int shmd_open(shmd_client *client, const char *key, shmd_access access, shmd_segment **segment);
SHMD_API int shmd_open_id(shmd_client *client, int64_t id, shmd_access access, shmd_segment **segment);

/* As shmd_open() for reading, but only what is sealed: nobody can write it any more, so it needs no lock and no second look.
 * -EBADFD when it still can be written. */
SHMD_API int shmd_open_sealed(shmd_client *client, const char *key, shmd_segment **segment);
SHMD_API int shmd_open_sealed_id(shmd_client *client, int64_t id, shmd_segment **segment);

/*
 * Opens many segments, 250 in one trip to the daemon. segments: room for count; those that cannot be opened become NULL.
 * codes: what shmd_open() would have given for each, room for count; may be NULL. Returns how many were opened, or what is
 * wrong with all of them. shmd_last_error() tells of the last that failed.
 */
SHMD_API int shmd_open_many(shmd_client *client, const char *const *keys, size_t count, shmd_access access,
                            shmd_segment **segments, int *codes);

/* One of those that shmd_create_many() makes, as shmd_create() takes it. Everything is borrowed. */
typedef struct shmd_create_request {
    const char *key;
    uint64_t size;
    const shmd_create_options *options;
} shmd_create_request;

/* Creates 1 to 250 segments in one trip to the daemon, or none of them. No key twice. segments: room for count. Codes of
 * shmd_create(), for the first that cannot be made. */
SHMD_API int shmd_create_many(shmd_client *client, const shmd_create_request *requests, size_t count,
                              shmd_segment **segments);

/*
 * As shmd_open(), but waits up to timeout_usec microseconds for the key to appear; -1 waits without an end. Other calls
 * on this client go on meanwhile: the wait has a connection of its own, which counts as one. Restarts of the daemon do
 * not end it, as long as its socket stays, as it does under systemd. -ENOENT when the time is over.
 */
SHMD_API int shmd_open_wait(shmd_client *client, const char *key, shmd_access access, int64_t timeout_usec,
                            shmd_segment **segment);

/*
 * Gives a staged segment its key, NULL for the one named at shmd_create(), and makes it visible with all that was
 * written before. replace not 0: takes the key over from the segment that has it, whose holders keep its memory.
 * -EEXIST, -EACCES, -EINVAL; -EPERM in a child of the process that created it; -ECONNRESET when the connection that it
 * was granted on has ended: the segment is gone, create it again.
 */
SHMD_API int shmd_publish(shmd_segment *segment, const char *key, int replace);

/*
 * Unmaps a segment, ends its grant and frees it. NULL is allowed. Pointers into its memory are invalid afterwards. The
 * daemon is told without waiting for it: a call on the same client sees the grant ended, another process a moment later.
 */
SHMD_API void shmd_close(shmd_segment *segment);

/* shmd_close() for each, but the daemon is told of all of them at once, 250 at a time. Any of them may be NULL; none may be
 * there twice. Not the array itself is freed. */
SHMD_API void shmd_close_many(shmd_segment *const *segments, size_t count);

/* The first byte. Page-aligned, valid until shmd_close(): resizing does not move it. Writing needs SHMD_WRITE. */
SHMD_API void *shmd_data(const shmd_segment *segment);
/* The size in bytes as this process last heard of it: at the grant, or by shmd_resize_segment() and shmd_remap(). What is
 * mapped is the capacity, so no access below that ever faults, whatever others do. */
SHMD_API uint64_t shmd_size(const shmd_segment *segment);
/* What was granted. */
SHMD_API shmd_access shmd_segment_access(const shmd_segment *segment);
/* Not 0 when shmd_create() made the segment, 0 when it or shmd_open() found it. */
SHMD_API int shmd_created(const shmd_segment *segment);
/* The grant's number, 1 to 2^32-1. */
SHMD_API uint32_t shmd_attachment(const shmd_segment *segment);
/* The daemon's description at the time of the grant, or of the last call on this segment that changed it. Owned by the
 * segment, valid until shmd_close(). */
SHMD_API const shmd_info *shmd_segment_info(const shmd_segment *segment);

/* Describes the segment that has this key or id. Free *info with shmd_info_free(). -ENOENT, -EACCES, -EINVAL. */
SHMD_API int shmd_describe(shmd_client *client, const char *key, shmd_info **info);
SHMD_API int shmd_describe_id(shmd_client *client, int64_t id, shmd_info **info);

/*
 * Lists the live segments that this user may describe and whose key begins with prefix; NULL lists all. *first is the
 * first of a chain along `next`, or NULL when there is none. One shmd_info_free(*first) frees the chain.
 */
SHMD_API int shmd_list(shmd_client *client, const char *prefix, shmd_info **first);

/* Frees an info and the chain that hangs on it. NULL is allowed. */
SHMD_API void shmd_info_free(shmd_info *info);

/*
 * One info as a JSON object, with the field names of the interface description and an indent of 2. *json: UTF-8, ends
 * without a newline; free(3) it.
 */
SHMD_API int shmd_info_json(const shmd_info *info, char **json);

/* The same for a chain, as an array. NULL gives an empty one. */
SHMD_API int shmd_info_list_json(const shmd_info *first, char **json);

/* Deletes a segment. The key is free at once; whoever has it mapped keeps the memory. Only its owner, its creator and
 * root may. -ENOENT, -EACCES, -EINVAL. */
SHMD_API int shmd_delete(shmd_client *client, const char *key);
SHMD_API int shmd_delete_id(shmd_client *client, int64_t id);

/*
 * Changes mode, owner, lifetime, labels and entries. Only the owner, the creator and root may. The memory stays on the
 * account of the user who reserved it. *info: the segment afterwards, free it with shmd_info_free(); info may be NULL.
 * -ENOENT, -EACCES, -EINVAL.
 */
SHMD_API int shmd_set_attributes(shmd_client *client, const char *key, const shmd_attributes *attributes,
                                 shmd_info **info);
SHMD_API int shmd_set_attributes_id(shmd_client *client, int64_t id, const shmd_attributes *attributes,
                                    shmd_info **info);

/* Begins the segment's lease anew, for its full length from now on. Whoever may read the segment may. info as above.
 * -ENOENT, -EACCES; -EBADFD when it has no lease. */
SHMD_API int shmd_renew(shmd_client *client, const char *key, shmd_info **info);
SHMD_API int shmd_renew_id(shmd_client *client, int64_t id, shmd_info **info);

/* Makes the content immutable for ever, by the kernel. Needs the permission to write. info as above. -EBUSY while somebody
 * has it open for writing, this process included: see shmd_seal_segment(). -EBADFD when it was created not to be sealed. */
SHMD_API int shmd_seal(shmd_client *client, const char *key, shmd_info **info);
SHMD_API int shmd_seal_id(shmd_client *client, int64_t id, shmd_info **info);

/*
 * The same for a segment that this process has open for writing. On success it is open for reading from then on, at the
 * same address; when somebody else still has it open for writing, it stays as it was. No other thread may write to it
 * meanwhile. Codes of shmd_seal(); -EPERM in a child of the process that opened it.
 */
SHMD_API int shmd_seal_segment(shmd_segment *segment);

/*
 * Changes a segment's size, within its capacity: key, id, address and content stay, and what is new is zeros. Needs the
 * permission to write. It is made smaller only while nobody else has it open. info as above. -EFBIG beyond the capacity;
 * -EBUSY while somebody else has it open, or resizes it; -EROFS once it is sealed.
 */
SHMD_API int shmd_resize(shmd_client *client, const char *key, uint64_t size, shmd_info **info);
SHMD_API int shmd_resize_id(shmd_client *client, int64_t id, uint64_t size, shmd_info **info);

/* The same for a segment that this process has open. shmd_size() tells the new size then. -EPERM and -ECONNRESET as for
 * shmd_publish(). */
SHMD_API int shmd_resize_segment(shmd_segment *segment, uint64_t size);

/* Learns of a new size that somebody else gave the segment: shmd_size() tells it then. -ENOENT when the segment is gone. */
SHMD_API int shmd_remap(shmd_segment *segment);

/*
 * Tells what happens to the live segments that this user may describe and whose key begins with prefix; NULL means all.
 * First every segment that is there (SHMD_EVENT_PRESENT), then SHMD_EVENT_READY, then everything as it happens. Has a
 * connection of its own, which counts as one. The caller owns *watch. -EINVAL, -EDQUOT.
 */
SHMD_API int shmd_watch_open(shmd_client *client, const char *prefix, shmd_watch **watch);

/*
 * Waits up to timeout_usec microseconds for the next event; -1 waits without an end. *event is valid until the next call
 * on this watch. -ETIMEDOUT when none has come; -ECONNRESET when the daemon has gone: the watch is over, close it and open
 * another; -EPERM in a child of the process that opened it. A watch may be used by one thread at a time.
 */
SHMD_API int shmd_watch_next(shmd_watch *watch, int64_t timeout_usec, const shmd_event **event);

/* A descriptor for poll(2) and the like: readable when more events have come. After opening, and whenever it is readable,
 * call shmd_watch_next() with a timeout of 0 until it gives -ETIMEDOUT. The watch owns it. */
SHMD_API int shmd_watch_fd(const shmd_watch *watch);

/* NULL is allowed. */
SHMD_API void shmd_watch_close(shmd_watch *watch);

/* The name of an event in the interface description, such as "created"; NULL for what is none. Static. */
SHMD_API const char *shmd_event_name(shmd_event_kind kind);

/* Writes the key that stands for a System V integer key: 0xff3 gives "sysv:0x00000ff3". */
SHMD_API void shmd_sysv_key(int32_t key, char out[SHMD_KEY_SIZE]);

/*
 * Any Varlink call that answers once and passes no descriptors: for methods that this library has no function for.
 * parameters: a JSON object, or NULL for none. *reply: the reply's parameters, a JSON object; free(3) it.
 */
SHMD_API int shmd_call(shmd_client *client, const char *method, const char *parameters, char **reply);

/* The same for a call that answers many times, as lists do: *replies is a JSON array of the replies' parameters. Not for
 * calls that never end. */
SHMD_API int shmd_call_many(shmd_client *client, const char *method, const char *parameters, char **replies);

#ifdef __cplusplus
}
#endif

#endif
