// The names that the drop-in takes over from the C library.
#include <dlfcn.h>

#include "shmd/sysv.h"

extern "C" {

SHMD_SYSV_API int shmget(key_t key, size_t size, int flags) {
    return shmd_shmget(key, size, flags);
}

SHMD_SYSV_API void* shmat(int id, const void* address, int flags) {
    return shmd_shmat(id, address, flags);
}

SHMD_SYSV_API int shmdt(const void* address) {
    return shmd_shmdt(address);
}

SHMD_SYSV_API int shmctl(int id, int command, struct shmid_ds* buffer) {
    return shmd_shmctl(id, command, buffer);
}

// A library that is loaded with RTLD_DEEPBIND, as PHP loads its extensions, would find the C library's names before these.
// Compiled to a jump, so that the C library still sees who is calling: it looks for libraries where that one says.
SHMD_SYSV_API [[gnu::optimize("O2"), gnu::no_stack_protector]] void* dlopen(const char* file, int mode) {
    using Function = void* (*)(const char*, int);
    static Function next = nullptr;
    Function known = __atomic_load_n(&next, __ATOMIC_RELAXED);
    if (!known) {
        known = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "dlopen"));
        __atomic_store_n(&next, known, __ATOMIC_RELAXED);
    }
    return known(file, mode & ~RTLD_DEEPBIND);
}

}  // extern "C"
