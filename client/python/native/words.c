/* Words in shared memory, for shmd/ring.py: read and written in one piece, and in their order. The caller keeps what is at the
 * address, which is a multiple of 8. */
#include "sync_python.h"

/* What was read or written before, was so before this. */
static PyObject *load(PyObject *module, PyObject *address) {
    (void)module;
    unsigned long long at = PyLong_AsUnsignedLongLong(address);
    if (at == (unsigned long long)-1 && PyErr_Occurred()) return NULL;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return PyLong_FromUnsignedLongLong(__atomic_load_n((const uint64_t *)(uintptr_t)at, __ATOMIC_ACQUIRE));
}

/* What is read or written afterwards, is so after this, and what was before, before. */
static PyObject *store(PyObject *module, PyObject *arguments) {
    unsigned long long at, value;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "KK", &at, &value)) return NULL;
    __atomic_store_n((uint64_t *)(uintptr_t)at, (uint64_t)value, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    Py_RETURN_NONE;
}

PyMethodDef word_functions[] = {
    {"load", load, METH_O, NULL},
    {"store", store, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
