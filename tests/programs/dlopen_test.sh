#!/usr/bin/env bash
# The drop-in takes dlopen(3) over. A library that is loaded with RTLD_DEEPBIND still gets shmd's calls, and a library that loads
# others by its own RUNPATH still finds them.
. "$(dirname "$0")/bed.sh"
start_daemon
mkdir "$scratch/plugins"
cat >"$scratch/plugin.c" <<'END'
#include <sys/shm.h>
int make(void) { return shmget(0x646c, 10, IPC_CREAT | 0600); }
END
cat >"$scratch/loader.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int load(void) {
    void *plugin = dlopen("plugin.so", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!plugin) return fprintf(stderr, "%s\n", dlerror()), -1;
    return ((int (*)(void))dlsym(plugin, "make"))();
}
END
cat >"$scratch/main.c" <<'END'
int load(void);
int main(void) { return load() < 0; }
END
cc -shared -fPIC -o "$scratch/plugins/plugin.so" "$scratch/plugin.c" &&
    cc -shared -fPIC -o "$scratch/libloader.so" "$scratch/loader.c" -Wl,--enable-new-dtags,-rpath,'$ORIGIN/plugins' &&
    cc -o "$scratch/main" "$scratch/main.c" -L"$scratch" -lloader -Wl,-rpath,"$scratch" || fail "the programs do not build"
is "the plugin is found, and makes a segment" "" "$("$shmdctl" exec -- "$scratch/main" 2>&1 || echo "status $?")"
like "on shmd" '^0x0000646c ' "$(segments)"
is "and none in the kernel" "" "$(ipcs -m | grep 0x0000646c)"
is "exit status" 0 "$("$shmdctl" exec -- ipcrm -M 0x646c; echo $?)"
finish
