/* Areas: mapping them, and waiting in them. */
#include "sync_python.h"

#include <pthread.h>
#include <sys/mman.h>

#define AREA "shmd._sync.Area"

#define LOOK_AGAIN INT64_C(1000000000) /* nanoseconds; doubled each time */
#define LOOK_AGAIN_AT_MOST (16 * LOOK_AGAIN)
enum { LOOK_FOR_SIGNALS = 20000000 };     /* where a signal ends no sleep */
enum { COPIED_WITH_THE_GIL = 64 * 1024 }; /* letting others run would take longer */

/* Counts the forks between the process that the module was loaded in and this one. */
static unsigned generation;

static void in_child(void) { generation++; }

static void register_at_fork(void) { (void)pthread_atfork(NULL, NULL, in_child); }

unsigned fork_generation(void) { return generation; }

void watch_forks(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, register_at_fork);
}

static void free_area(PyObject *capsule) {
    Area *area = PyCapsule_GetPointer(capsule, AREA);
    if (!area) {
        PyErr_Clear();
        return;
    }
    munmap(area->sync.area, SHMD_SYNC_BYTES);
    Py_DECREF(area->readers);
    PyMem_Free(area);
}

Area *area_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, AREA); }

static PyObject *open_area(PyObject *module, PyObject *arguments) {
    int descriptor, writable;
    unsigned int attachment;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "iIp", &descriptor, &attachment, &writable)) return NULL;
    void *data = mmap(NULL, SHMD_SYNC_BYTES, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, descriptor, 0);
    if (data == MAP_FAILED) return PyErr_SetFromErrno(PyExc_OSError);
    Area *area = PyMem_Malloc(sizeof *area);
    PyObject *readers = PyDict_New();
    PyObject *capsule = NULL;
    if (!area || !readers) {
        PyErr_NoMemory();
    } else {
        memset(area, 0, sizeof *area);
        area->sync.area = data;
        area->sync.attachment = attachment;
        area->sync.writable = writable;
        area->generation = generation;
        area->readers = readers;
        if (area->sync.area->format != SHMD_SYNC_FORMAT) {
            PyErr_Format(PyExc_ValueError, "format %u", (unsigned)area->sync.area->format);
        } else {
            capsule = PyCapsule_New(area, AREA, free_area);
        }
    }
    if (!capsule) {
        Py_XDECREF(readers);
        PyMem_Free(area);
        munmap(data, SHMD_SYNC_BYTES);
    }
    return capsule;
}

int is_inherited(const Area *area) { return area->generation != generation; }

int state_of(const Area *area) { return __atomic_load_n(&area->state, __ATOMIC_RELAXED); }

int usable(const Area *area) {
    if (is_inherited(area)) return -ECHILD;
    return state_of(area) == OPEN ? 0 : -EBADF;
}

/* No lock is taken any more. released: the grant has ended, so what is held has ended too. */
static PyObject *end(PyObject *module, PyObject *arguments) {
    PyObject *capsule;
    int released;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "Op", &capsule, &released)) return NULL;
    Area *area = area_of(capsule);
    if (!area) return NULL;
    __atomic_store_n(&area->state, released ? RELEASED : CLOSED, __ATOMIC_RELAXED);
    Py_RETURN_NONE;
}

/* Whether the attachment holds a lock. */
static PyObject *holds(PyObject *module, PyObject *capsule) {
    (void)module;
    Area *area = area_of(capsule);
    if (!area) return NULL;
    shmd_sync_area *shared = area->sync.area;
    uint32_t me = area->sync.attachment;
    int held = shmd_sync_holder(__atomic_load_n(&shared->mutex, __ATOMIC_SEQ_CST)) == me ||
               shmd_sync_holder(__atomic_load_n(&shared->rwlock, __ATOMIC_SEQ_CST)) == me;
    for (uint32_t i = 0; i < SHMD_SYNC_SLOTS && !held; i++) held = __atomic_load_n(&shared->slots[i], __ATOMIC_SEQ_CST) == me;
    return PyBool_FromLong(held);
}

static int attempt(Request *request, int64_t deadline) {
    shmd_sync *sync = &request->area->sync;
    switch (request->kind) {
        case MUTEX: return shmd_sync_lock(sync, deadline);
        case SECTION: return shmd_sync_begin_write(sync, deadline);
        case READ: return shmd_sync_read_lock(sync, deadline);
        case WRITE: {
            /* Readers are kept out from the first attempt on that could do so, until the wait is over. */
            int locked = request->closed ? 0 : shmd_sync_close_to_readers(sync, deadline);
            if (locked < 0) return locked;
            if (!request->closed) request->result = (uint64_t)locked;
            request->closed = 1;
            int alone = shmd_sync_await_readers(sync, deadline);
            return alone < 0 ? alone : (int)request->result;
        }
        case BEGIN_READ: return shmd_sync_begin_read(sync, deadline, &request->result);
        case SNAPSHOT: return shmd_sync_snapshot(sync, request->to, request->from, request->length, deadline);
        default: break;
    }
    if (!request->stop) return shmd_sync_wait(sync, request->after, deadline, &request->result);
    return shmd_sync_wait_cancellable(sync, request->after, deadline, request->stop, &request->result);
}

static int64_t earlier(int64_t one, int64_t other) { return one < other ? one : other; }

/* Sleeps as long as it takes, without the GIL. RAISED, or what the attempt gives. */
static int wait_for(Request *request, PyObject *segment, int64_t deadline) {
    int sleeps_through_signals = request->kind == BEGIN_READ || request->kind == SNAPSHOT;
    int64_t patience = LOOK_AGAIN, ask = shmd_sync_now() + patience;
    for (;;) {
        int64_t until = earlier(deadline, ask);
        if (sleeps_through_signals) until = earlier(until, shmd_sync_now() + LOOK_FOR_SIGNALS);
        int code;
        Py_BEGIN_ALLOW_THREADS
        code = attempt(request, until);
        Py_END_ALLOW_THREADS
        if (code != -EINTR && !(code == -ETIMEDOUT && until < deadline)) return code;
        if (PyErr_CheckSignals() < 0) return RAISED;
        if (shmd_sync_now() >= ask) {
            PyObject *asked = PyObject_CallMethod(segment, "_recover_locks", NULL);
            if (!asked) return RAISED;
            Py_DECREF(asked);
            patience = earlier(2 * patience, LOOK_AGAIN_AT_MOST);
            ask = shmd_sync_now() + patience;
        }
        code = usable(request->area);
        if (code < 0) return code;
    }
}

int carry_out(Request *request, PyObject *segment, int64_t timeout_usec) {
    int code = usable(request->area);
    if (code < 0) return code;
    if (request->kind != SNAPSHOT || request->length <= COPIED_WITH_THE_GIL) {
        code = attempt(request, SHMD_SYNC_NOW);
        if (code == -ETIMEDOUT && timeout_usec != 0) code = wait_for(request, segment, shmd_sync_deadline(timeout_usec));
    } else {
        code = wait_for(request, segment, shmd_sync_deadline(timeout_usec));
    }
    if (code < 0 && request->closed) (void)shmd_sync_write_unlock(&request->area->sync);
    return code;
}

PyObject *fail(PyObject *segment, int code, int kind) {
    if (code == RAISED) return NULL;
    PyObject *none = PyObject_CallMethod(segment, "_sync_error", "ii", code, kind);
    if (none) {
        Py_DECREF(none);
        PyErr_Format(PyExc_SystemError, "code %d was not raised", code);
    }
    return NULL;
}

PyMethodDef area_functions[] = {
    {"open_area", open_area, METH_VARARGS, NULL},
    {"end", end, METH_VARARGS, NULL},
    {"holds", holds, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
