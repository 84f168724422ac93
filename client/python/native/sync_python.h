/*
 * shmd._sync: what Python cannot do in a sync area and in a detach queue, atomic operations and futexes, the former on top of
 * sync_core.h, and what it does slowly, mapping. It raises no errors of this package's and makes no calls: for both it asks the
 * segment, whose class is in shmd/_locks.py:
 *   segment._recover_locks()          a second of waiting is over
 *   segment._sync_error(code, kind)   raises what stands for a negative code
 */
#ifndef SHMD_PYTHON_SYNC_H
#define SHMD_PYTHON_SYNC_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>

#include "sync_core.h"

/* In place of a code: an exception is set. */
enum { RAISED = INT_MIN };

/* A lock, or what else somebody waits for. shmd/_locks.py has the same numbers. */
enum { MUTEX = 0, SECTION = 1, READ = 2, WRITE = 3, BEGIN_READ = 4, SNAPSHOT = 5, VERSION = 6, NOTIFY = 7 };

enum { OPEN = 0, CLOSED = 1, RELEASED = 2 };

/* In a capsule, and mapped as long as that lives: whoever is inside keeps it. */
typedef struct {
    shmd_sync sync;
    unsigned generation; /* of which process it is */
    int state;           /* CLOSED: no lock is taken any more. RELEASED: its grant has ended too */
    /* Threads that hold a lock, so that they need not wait for themselves. 0: none. */
    unsigned long mutex_thread, writer_thread;
    PyObject *readers; /* a dict, thread: True */
} Area;

typedef struct {
    Area *area;
    int kind;
    uint64_t after;  /* VERSION */
    uint32_t *stop;  /* VERSION: what ends it with -ECANCELED, or NULL */
    uint64_t result; /* VERSION, BEGIN_READ */
    void *to;        /* SNAPSHOT */
    const void *from;
    size_t length;
    int closed; /* of a write lock: the word is taken, and readers are kept out */
} Request;

/* NULL, with an exception, when it is none. */
Area *area_of(PyObject *capsule);

/* Of this process, or one forked from the process that has the area. */
int is_inherited(const Area *area);

/* 0; -ECHILD: it is another process's; -EBADF: it has been closed. */
int usable(const Area *area);

int state_of(const Area *area);

/* Begins without the GIL's release, and goes on with it. RAISED, or what the algorithm gives; -EINTR never. */
int carry_out(Request *request, PyObject *segment, int64_t timeout_usec);

/* Has the segment raise what stands for the code. Gives NULL. */
PyObject *fail(PyObject *segment, int code, int kind);

/* Counts forks from here on. */
void watch_forks(void);

/* How many forks lie between the process that the module was loaded in and this one. */
unsigned fork_generation(void);

extern PyMethodDef area_functions[];
extern PyMethodDef queue_functions[];
extern PyMethodDef word_functions[];
extern PyType_Spec lock_spec;
extern PyType_Spec memory_spec;

#endif
