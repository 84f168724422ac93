/*
 * The type Lock. Who takes a lock by `with` never loses it to an exception of a signal handler: from the attempt that succeeds to
 * the end of __enter__() no Python code runs. (Before 3.10 the interpreter may lose one at the end of the block, before it calls
 * __exit__(): any lock.)
 */
#include "sync_python.h"

typedef struct {
    PyObject_HEAD
    PyObject *segment;
    PyObject *capsule;
    Area *area;
    int kind;
    long long timeout_usec;
} Lock;

static PyObject *lock_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    PyObject *segment, *capsule;
    int kind;
    long long timeout_usec;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "OOiL", &segment, &capsule, &kind, &timeout_usec)) return NULL;
    Area *area = area_of(capsule);
    if (!area) return NULL;
    if (!area->sync.writable) return fail(segment, -EROFS, kind);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Lock *self = (Lock *)allocate(type, 0);
    if (!self) return NULL;
    Py_INCREF(segment);
    self->segment = segment;
    Py_INCREF(capsule);
    self->capsule = capsule;
    self->area = area;
    self->kind = kind;
    self->timeout_usec = timeout_usec;
    return (PyObject *)self;
}

static int lock_traverse(Lock *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->segment);
    return 0;
}

static int lock_clear(Lock *self) {
    Py_CLEAR(self->segment);
    return 0;
}

static void lock_dealloc(Lock *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)lock_clear(self);
    Py_CLEAR(self->capsule);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static unsigned long *thread_of(Lock *self) {
    return self->kind == WRITE ? &self->area->writer_thread : &self->area->mutex_thread;
}

static uint64_t *word_of(Lock *self) {
    shmd_sync_area *shared = self->area->sync.area;
    return self->kind == WRITE || self->kind == READ ? &shared->rwlock : &shared->mutex;
}

static int holds_word(Lock *self) {
    return shmd_sync_holder(__atomic_load_n(word_of(self), __ATOMIC_SEQ_CST)) == self->area->sync.attachment;
}

/* 1 when this thread has it, in a way that it would wait for itself. -1: an exception. A lock may have been taken away since. */
static int is_own(Lock *self) {
    unsigned long me = PyThread_get_thread_ident();
    unsigned long holder = __atomic_load_n(self->kind == READ ? &self->area->writer_thread : thread_of(self), __ATOMIC_RELAXED);
    if (holder == me && holds_word(self)) return 1;
    if ((self->kind != READ && self->kind != WRITE) || PyDict_Size(self->area->readers) == 0) return 0;
    PyObject *key = PyLong_FromUnsignedLong(me);
    if (!key) return -1;
    int found = PyDict_Contains(self->area->readers, key);
    Py_DECREF(key);
    return found;
}

static int note_thread(Lock *self) {
    unsigned long me = PyThread_get_thread_ident();
    if (self->kind != READ) {
        __atomic_store_n(thread_of(self), me, __ATOMIC_RELAXED);
        return 0;
    }
    PyObject *key = PyLong_FromUnsignedLong(me);
    int noted = key ? PyDict_SetItem(self->area->readers, key, Py_True) : -1;
    Py_XDECREF(key);
    return noted;
}

/* A thread may give back what another has taken: for reading it is forgotten who that was. */
static void forget_thread(Lock *self) {
    if (self->kind != READ) {
        __atomic_store_n(thread_of(self), 0, __ATOMIC_RELAXED);
        return;
    }
    if (PyDict_Size(self->area->readers) == 0) return;
    PyObject *key = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
    if (!key || PyDict_DelItem(self->area->readers, key) < 0) {
        PyErr_Clear();
        PyDict_Clear(self->area->readers);
    }
    Py_XDECREF(key);
}

static int give_back(Lock *self) {
    shmd_sync *sync = &self->area->sync;
    switch (self->kind) {
        case MUTEX: return shmd_sync_unlock(sync);
        case SECTION: return shmd_sync_end_write(sync);
        case READ: return shmd_sync_read_unlock(sync);
        default: return shmd_sync_write_unlock(sync);
    }
}

/* 0, 1 when a holder died, -ETIMEDOUT and the like, or RAISED. as_thread: it is this thread that holds it then. */
static int take(Lock *self, int64_t timeout_usec, int as_thread) {
    Request request = {.area = self->area, .kind = self->kind};
    if (as_thread) {
        int own = is_own(self);
        if (own < 0) return RAISED;
        if (own && usable(self->area) == 0) return timeout_usec == 0 ? -ETIMEDOUT : -EDEADLK;
    }
    int code = carry_out(&request, self->segment, timeout_usec);
    if (code < 0) return code;
    int since = usable(self->area); /* closed by another thread meanwhile */
    if (since == 0 && as_thread && note_thread(self) < 0) since = RAISED;
    if (since == 0) return code;
    (void)give_back(self);
    return since;
}

static int let_go(Lock *self) {
    if (is_inherited(self->area)) return -ECHILD;
    if (state_of(self->area) == RELEASED) return -EBADF;
    /* Before it is free: afterwards it may be another thread's. */
    if (self->kind == READ || holds_word(self)) forget_thread(self);
    return give_back(self);
}

static PyObject *lock_enter(Lock *self, PyObject *none) {
    (void)none;
    int code = take(self, self->timeout_usec, 1);
    if (code < 0) return fail(self->segment, code, self->kind);
    Py_INCREF(self);
    return (PyObject *)self;
}

static PyObject *lock_exit(Lock *self, PyObject *ignored) {
    (void)ignored;
    int code = let_go(self);
    /* A child that was made within leaves what is its parent's alone. */
    if (code < 0 && code != -ECHILD) return fail(self->segment, code, self->kind);
    Py_RETURN_NONE;
}

static PyObject *lock_release(Lock *self, PyObject *none) {
    (void)none;
    int code = let_go(self);
    if (code < 0) return fail(self->segment, code, self->kind);
    Py_RETURN_NONE;
}

/* _take(timeout_usec, as_thread): whether it is held now. */
static PyObject *lock_take(Lock *self, PyObject *arguments) {
    long long timeout_usec;
    int as_thread;
    if (!PyArg_ParseTuple(arguments, "Lp", &timeout_usec, &as_thread)) return NULL;
    int code = take(self, timeout_usec, as_thread);
    if (code == -ETIMEDOUT) Py_RETURN_FALSE;
    if (code < 0) return fail(self->segment, code, self->kind);
    Py_RETURN_TRUE;
}

static PyObject *lock_owner_died(Lock *self, void *closure) {
    (void)closure;
    return PyBool_FromLong((__atomic_load_n(word_of(self), __ATOMIC_SEQ_CST) & SHMD_SYNC_OWNER_DIED) != 0);
}

/* For this lock alone: shmd_sync_make_consistent() is for all that the attachment holds, thus also for other threads' locks. */
static PyObject *lock_make_consistent(Lock *self, PyObject *none) {
    (void)none;
    Area *area = self->area;
    int code = self->kind == READ ? -EPERM : 0;
    if (is_inherited(area)) code = -ECHILD;
    else if (state_of(area) == RELEASED) code = -EBADF;
    uint64_t seen = __atomic_load_n(word_of(self), __ATOMIC_SEQ_CST);
    while (code == 0) {
        if (shmd_sync_holder(seen) != area->sync.attachment) code = -EPERM;
        else if (__atomic_compare_exchange_n(word_of(self), &seen, seen & ~SHMD_SYNC_OWNER_DIED, 0, __ATOMIC_SEQ_CST,
                                             __ATOMIC_SEQ_CST)) break;
    }
    if (code < 0) return fail(self->segment, code == -EPERM ? -EACCES : code, self->kind);
    if (self->kind == MUTEX) shmd_sync_close_section(&area->sync);
    Py_RETURN_NONE;
}

static PyObject *lock_segment(Lock *self, void *closure) {
    (void)closure;
    PyObject *segment = self->segment ? self->segment : Py_None; /* none once it was garbage */
    Py_INCREF(segment);
    return segment;
}

static PyObject *lock_kind(Lock *self, void *closure) {
    (void)closure;
    return PyLong_FromLong(self->kind);
}

static PyObject *lock_timeout(Lock *self, void *closure) {
    (void)closure;
    return PyLong_FromLongLong(self->timeout_usec);
}

static PyMethodDef lock_methods[] = {
    {"__enter__", (PyCFunction)(void (*)(void))lock_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))lock_exit, METH_VARARGS, NULL},
    {"release", (PyCFunction)(void (*)(void))lock_release, METH_NOARGS,
     "Gives it back. Any thread of the process may. NotHeld when the segment does not hold it, or not any more."},
    {"make_consistent", (PyCFunction)(void (*)(void))lock_make_consistent, METH_NOARGS,
     "Says that what it protects is whole again. NotHeld when it is not held, or held for reading."},
    {"_take", (PyCFunction)(void (*)(void))lock_take, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef lock_properties[] = {
    {"owner_died", (getter)lock_owner_died, NULL,
     "True when a holder died with it, and nobody has called make_consistent() since: what it protects may be half changed.",
     NULL},
    {"_segment", (getter)lock_segment, NULL, NULL, NULL},
    {"_kind", (getter)lock_kind, NULL, NULL, NULL},
    {"_timeout_usec", (getter)lock_timeout, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot lock_slots[] = {
    {Py_tp_new, (void *)lock_new},         {Py_tp_dealloc, (void *)lock_dealloc}, {Py_tp_traverse, (void *)lock_traverse},
    {Py_tp_clear, (void *)lock_clear},     {Py_tp_methods, lock_methods},         {Py_tp_getset, lock_properties},
    {0, NULL},
};

PyType_Spec lock_spec = {
    "shmd._sync.Lock", sizeof(Lock), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, lock_slots,
};
