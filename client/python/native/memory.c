/* The memory of a segment: what mmap.mmap is for, but that this keeps no copy of the descriptor, as that does before 3.13, and is
 * made in one go. Unmapped when nobody has it or a view of it any more, before weak references to it call back. */
#include "sync_python.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#define F_SEAL_SHRINK 2
#endif

#if defined(Py_LIMITED_API) && Py_LIMITED_API + 0 < 0x030b0000
/* In the stable ABI from 3.11 on, and the same ever since 3.0: shmd/_buffer.py counts on it too. */
typedef struct {
    void *buf;
    PyObject *obj;
    Py_ssize_t len, itemsize;
    int readonly, ndim;
    char *format;
    Py_ssize_t *shape, *strides, *suboffsets;
    void *internal;
} Py_buffer;
PyAPI_FUNC(int) PyBuffer_FillInfo(Py_buffer *view, PyObject *exporter, void *buf, Py_ssize_t len, int readonly, int flags);
#endif
#ifndef Py_bf_getbuffer
#define Py_bf_getbuffer 1
#endif

typedef struct {
    PyObject_HEAD
    void *address;
    Py_ssize_t size;
    int readonly;
    PyObject *references; /* weak ones */
} Memory;

/* It must be as large as was told, and stay so: touching what is not there is a SIGBUS. Huge pages round up. */
static int is_as_told(int descriptor, long long capacity, int rounded, struct stat *status) {
    if (fstat(descriptor, status) < 0 || !S_ISREG(status->st_mode)) return 0;
    if (rounded ? status->st_size < capacity : status->st_size != capacity) return 0;
    int seals = fcntl(descriptor, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK);
}

/* ValueError: the memory is not what was told of it. OSError: it cannot be mapped. The descriptor stays the caller's. */
static PyObject *memory_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    int descriptor, rounded, writable, transparent;
    long long capacity;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "iLppp", &descriptor, &capacity, &rounded, &writable, &transparent)) return NULL;
    struct stat status;
    if (!is_as_told(descriptor, capacity, rounded, &status)) {
        PyErr_SetString(PyExc_ValueError, "the memory is not what was told of it");
        return NULL;
    }
    Memory *self = (Memory *)PyType_GenericAlloc(type, 0);
    if (!self) return NULL;
    void *address = MAP_FAILED;
    errno = ENOMEM;
    if (status.st_size <= PY_SSIZE_T_MAX)
        address = mmap(NULL, (size_t)status.st_size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, descriptor, 0);
    if (address == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    self->address = address;
    self->size = (Py_ssize_t)status.st_size;
    self->readonly = !writable;
    if (transparent) (void)madvise(address, (size_t)status.st_size, MADV_HUGEPAGE);
    return (PyObject *)self;
}

static void memory_dealloc(Memory *self) {
    PyTypeObject *type = Py_TYPE(self);
    if (self->address) munmap(self->address, (size_t)self->size);
    if (self->references) PyObject_ClearWeakRefs((PyObject *)self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static int memory_buffer(Memory *self, Py_buffer *view, int flags) {
    return PyBuffer_FillInfo(view, (PyObject *)self, self->address, self->size, self->readonly, flags);
}

static Py_ssize_t memory_length(Memory *self) { return self->size; }

static PyMemberDef memory_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Memory, references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot memory_slots[] = {
    {Py_tp_new, (void *)memory_new},          {Py_tp_dealloc, (void *)memory_dealloc}, {Py_tp_members, memory_members},
    {Py_bf_getbuffer, (void *)memory_buffer}, {Py_sq_length, (void *)memory_length},   {0, NULL},
};

PyType_Spec memory_spec = {"shmd._sync.Memory", sizeof(Memory), 0, Py_TPFLAGS_DEFAULT, memory_slots};
