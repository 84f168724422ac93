#!/usr/bin/env bash
# Programs and languages with System V shared memory of their own, unchanged, on shmd: util-linux, Perl, Python, stress-ng.
. "$(dirname "$0")/bed.sh"
start_daemon
on_shmd() {
    "$shmdctl" exec -- "$@" 2>&1
}

# ---- util-linux ----

like "ipcmk makes a segment" '^Shared memory id: [0-9]+$' "$(on_shmd ipcmk --shmem 4097 --mode 0640)"
id=$(segments | awk '{print $2}')
like "which is listed with its size and mode" '^0x[0-9a-f]{8} +[0-9]+ +root +640 +4097 +0$' "$(segments)"
# ipcs reads /proc/sysvipc/shm, which is the kernel's own.
is "ipcs cannot see it" "" "$(on_shmd ipcs -m | grep -w "$id")"
is "ipcrm removes it" "" "$(on_shmd ipcrm --shmem-id "$id")"
is "and nothing is left" "" "$(segments)"

# ---- Perl ----

if perl -MIPC::SharedMem -MIPC::SysV -e1 2>/dev/null; then
    found=$(on_shmd perl -MIPC::SharedMem -MIPC::SysV=IPC_CREAT,IPC_PRIVATE,S_IRUSR,S_IWUSR -e '
        my $shm = IPC::SharedMem->new(0x5045524c, 4096, IPC_CREAT | S_IRUSR | S_IWUSR) or die "new: $!";
        $shm->attach or die "attach: $!";
        $shm->write(pack("A8", "from-me"), 8, 8) or die "write: $!";
        my $child = fork // die;
        if (!$child) {
            $shm->write(pack("A8", "child"), 16, 8);
            exit($shm->stat->nattch);
        }
        waitpid($child, 0);
        print join(" ", $? >> 8, $shm->stat->nattch, unpack("A8 A8", $shm->read(8, 16))), "\n";
        $shm->detach;
        my $size = 10;
        my $id = shmget(IPC_PRIVATE, $size, 0600) // die "shmget: $!";
        shmwrite($id, "built in", 0, $size) or die "shmwrite: $!";
        shmread($id, my $text, 0, 8) or die "shmread: $!";
        print "$text\n";
        $shm->remove && shmctl($id, 0, 0) or die "remove: $!";')
    is "Perl's IPC::SharedMem and built-ins, and a child of its" $'2 1 from-me child\nbuilt in' "$found"
else
    fail "Perl has no IPC::SharedMem"
fi

# ---- Python ----

found=$(on_shmd python3 -c '
import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
c.shmat.restype = ctypes.c_void_p
c.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
c.shmdt.argtypes = [ctypes.c_void_p]
id = c.shmget(0x5059, 100, 0o1600)
p = c.shmat(id, None, 0)
ctypes.memmove(p, b"from python", 12)
if os.fork() == 0:
    print(ctypes.string_at(p).decode(), flush=True)
    os._exit(0)
os.wait()
print(c.shmctl(id, 0, None), c.shmdt(p), c.shmdt(p), os.strerror(ctypes.get_errno()))')
is "Python by ctypes" $'from python\n0 0 -1 Invalid argument' "$found"

# ---- stress-ng ----

if command -v stress-ng >/dev/null; then
    found=$(cd "$scratch" && on_shmd stress-ng --shm-sysv 2 --shm-sysv-ops 40 --shm-sysv-bytes 1M --shm-sysv-segs 4 --verify \
        --temp-path "$scratch" --timeout 60)
    is "stress-ng --shm-sysv ends well" 0 $?
    is "and has nothing to complain of" "" "$(grep -iE 'fail|error' <<<"$found")"
else
    fail "stress-ng is not installed"
fi
is "nothing is left of any" "" "$(segments)"
finish
