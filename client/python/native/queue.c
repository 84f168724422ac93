/* Detach queues: protocol/PROTOCOL.md, "Detach queue". The caller sees to it that no two threads use one at a time. */
#include <sys/mman.h>

#include "detach_queue.h"
#include "sync_python.h"

#define QUEUE "shmd._sync.Queue"

/* In a capsule. */
typedef struct {
    shmd_detach_queue *page;
    uint32_t put;
    unsigned generation; /* a child of the process does not have the page */
} Queue;

static Queue *queue_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, QUEUE); }

static void free_queue(PyObject *capsule) {
    Queue *queue = queue_of(capsule);
    if (queue->generation == fork_generation()) munmap(queue->page, SHMD_DETACH_QUEUE_BYTES);
    PyMem_Free(queue);
}

static PyObject *open_queue(PyObject *module, PyObject *arguments) {
    int descriptor;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "i", &descriptor)) return NULL;
    void *page = mmap(NULL, SHMD_DETACH_QUEUE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (page == MAP_FAILED) return PyErr_SetFromErrno(PyExc_OSError);
    /* A child would keep it on the account of who is done with it. */
    (void)madvise(page, SHMD_DETACH_QUEUE_BYTES, MADV_DONTFORK);
    Queue *queue = PyMem_Malloc(sizeof *queue);
    PyObject *capsule = NULL;
    if (!queue) {
        PyErr_NoMemory();
    } else {
        *queue = (Queue){.page = page, .generation = fork_generation()};
        if (queue->page->format != SHMD_DETACH_QUEUE_FORMAT) {
            PyErr_Format(PyExc_ValueError, "format %u", (unsigned)queue->page->format);
        } else {
            capsule = PyCapsule_New(queue, QUEUE, free_queue);
        }
    }
    if (!capsule) {
        PyMem_Free(queue);
        munmap(page, SHMD_DETACH_QUEUE_BYTES);
    }
    return capsule;
}

/* False when the daemon must be called all the same: there is no place, or somebody waits to hear of this. */
static PyObject *put(PyObject *module, PyObject *arguments) {
    PyObject *capsule;
    unsigned int attachment;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OI", &capsule, &attachment)) return NULL;
    Queue *queue = queue_of(capsule);
    if (!queue) return NULL;
    if (queue->generation != fork_generation()) Py_RETURN_FALSE;
    shmd_detach_queue *page = queue->page;
    uint32_t taken = __atomic_load_n(&page->taken, __ATOMIC_ACQUIRE);
    if (queue->put - taken >= SHMD_DETACH_QUEUE_PLACES) Py_RETURN_FALSE;
    __atomic_store_n(&page->attachments[queue->put % SHMD_DETACH_QUEUE_PLACES], attachment, __ATOMIC_RELAXED);
    /* The store and the load stay in this order, lest the daemon look before the one and we before the other. */
    __atomic_store_n(&page->put, ++queue->put, __ATOMIC_SEQ_CST);
    return PyBool_FromLong(__atomic_load_n(&page->watched, __ATOMIC_SEQ_CST) == 0);
}

/* What the daemon has not said to have ended. */
static PyObject *left(PyObject *module, PyObject *capsule) {
    (void)module;
    Queue *queue = queue_of(capsule);
    if (!queue) return NULL;
    PyObject *all = PyList_New(0);
    if (!all || queue->generation != fork_generation()) return all;
    uint32_t count = queue->put - __atomic_load_n(&queue->page->taken, __ATOMIC_ACQUIRE);
    if (count > SHMD_DETACH_QUEUE_PLACES) count = SHMD_DETACH_QUEUE_PLACES;
    for (uint32_t i = queue->put - count; i != queue->put; i++) {
        PyObject *each = PyLong_FromUnsignedLong(queue->page->attachments[i % SHMD_DETACH_QUEUE_PLACES]);
        int code = each ? PyList_Append(all, each) : -1;
        Py_XDECREF(each);
        if (code < 0) {
            Py_DECREF(all);
            return NULL;
        }
    }
    return all;
}

PyMethodDef queue_functions[] = {
    {"open_queue", open_queue, METH_VARARGS, NULL},
    {"put", put, METH_VARARGS, NULL},
    {"left", left, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
