/* The module: snapshots, versions, and what the other files have. */
#include "sync_python.h"

#define STOP "shmd._sync.Stop"

/* ---- Reading without a lock ---- */

static PyObject *begin_read(PyObject *module, PyObject *arguments) {
    PyObject *capsule, *segment;
    long long timeout_usec;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOL", &capsule, &segment, &timeout_usec)) return NULL;
    Request request = {.area = area_of(capsule), .kind = BEGIN_READ};
    if (!request.area) return NULL;
    int code = carry_out(&request, segment, timeout_usec);
    return code < 0 ? fail(segment, code, BEGIN_READ) : PyLong_FromUnsignedLongLong(request.result);
}

static PyObject *end_read(PyObject *module, PyObject *arguments) {
    PyObject *capsule;
    unsigned long long sequence;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OK", &capsule, &sequence)) return NULL;
    Area *area = area_of(capsule);
    return area ? PyBool_FromLong(shmd_sync_end_read(&area->sync, sequence)) : NULL;
}

/* The caller keeps what is at the address. */
static PyObject *snapshot(PyObject *module, PyObject *arguments) {
    PyObject *capsule, *segment;
    unsigned long long address;
    Py_ssize_t length;
    long long timeout_usec;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOKnL", &capsule, &segment, &address, &length, &timeout_usec)) return NULL;
    Area *area = area_of(capsule);
    PyObject *copy = area ? PyBytes_FromStringAndSize(NULL, length) : NULL;
    if (!copy) return NULL;
    Request request = {.area = area, .kind = SNAPSHOT, .to = PyBytes_AsString(copy),
                       .from = (const void *)(uintptr_t)address, .length = (size_t)length};
    int code = carry_out(&request, segment, timeout_usec);
    if (code >= 0) return copy;
    Py_DECREF(copy);
    return fail(segment, code, SNAPSHOT);
}

/* ---- The version ---- */

static PyObject *version(PyObject *module, PyObject *arguments) {
    PyObject *capsule, *segment;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OO", &capsule, &segment)) return NULL;
    Area *area = area_of(capsule);
    if (!area) return NULL;
    int code = usable(area);
    return code < 0 ? fail(segment, code, VERSION) : PyLong_FromUnsignedLongLong(shmd_sync_version(&area->sync));
}

static PyObject *notify(PyObject *module, PyObject *arguments) {
    PyObject *capsule, *segment;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OO", &capsule, &segment)) return NULL;
    Area *area = area_of(capsule);
    if (!area) return NULL;
    int code = area->sync.writable ? usable(area) : -EROFS;
    return code < 0 ? fail(segment, code, NOTIFY) : PyLong_FromUnsignedLongLong(shmd_sync_notify(&area->sync));
}

static void free_stop(PyObject *capsule) { PyMem_Free(PyCapsule_GetPointer(capsule, STOP)); }

static PyObject *new_stop(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    uint32_t *stop = PyMem_Malloc(sizeof *stop);
    if (!stop) return PyErr_NoMemory();
    *stop = 0;
    PyObject *capsule = PyCapsule_New(stop, STOP, free_stop);
    if (!capsule) PyMem_Free(stop);
    return capsule;
}

/* Ends the waits with this stop, also those that have not begun. */
static PyObject *cancel(PyObject *module, PyObject *capsule) {
    (void)module;
    uint32_t *stop = PyCapsule_GetPointer(capsule, STOP);
    if (!stop) return NULL;
    shmd_sync_cancel(stop);
    Py_RETURN_NONE;
}

/* The version, above `after`. None: the stop ended it. */
static PyObject *wait_version(PyObject *module, PyObject *arguments) {
    PyObject *capsule, *segment, *stop;
    unsigned long long after;
    long long timeout_usec;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOKLO", &capsule, &segment, &after, &timeout_usec, &stop)) return NULL;
    Request request = {.area = area_of(capsule), .kind = VERSION, .after = after};
    if (!request.area) return NULL;
    if (stop != Py_None) {
        request.stop = PyCapsule_GetPointer(stop, STOP);
        if (!request.stop) return NULL;
    }
    int code = carry_out(&request, segment, timeout_usec);
    if (code == -ECANCELED) Py_RETURN_NONE;
    return code < 0 ? fail(segment, code, VERSION) : PyLong_FromUnsignedLongLong(request.result);
}

/* ---- The module ---- */

static PyMethodDef functions[] = {
    {"begin_read", begin_read, METH_VARARGS, NULL},
    {"end_read", end_read, METH_VARARGS, NULL},
    {"snapshot", snapshot, METH_VARARGS, NULL},
    {"version", version, METH_VARARGS, NULL},
    {"notify", notify, METH_VARARGS, NULL},
    {"wait", wait_version, METH_VARARGS, NULL},
    {"new_stop", new_stop, METH_NOARGS, NULL},
    {"cancel", cancel, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static int add_type(PyObject *module, const char *name, PyType_Spec *spec) {
    PyObject *type = PyType_FromSpec(spec);
    if (!type) return -1;
    if (PyModule_AddObject(module, name, type) < 0) {
        Py_DECREF(type);
        return -1;
    }
    return 0;
}

static int execute(PyObject *module) {
    watch_forks();
    if (PyModule_AddFunctions(module, area_functions) < 0 || PyModule_AddFunctions(module, queue_functions) < 0 ||
        PyModule_AddFunctions(module, word_functions) < 0) return -1;
    return add_type(module, "Lock", &lock_spec) < 0 ? -1 : add_type(module, "Memory", &memory_spec);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_sync", NULL, 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__sync(void) { return PyModuleDef_Init(&definition); }
