#!/usr/bin/env bash
# The script of the PHP manual, unchanged: stock PHP with its own shmop under shmdctl exec, and a C program that reads what PHP
# has left.
. "$(dirname "$0")/bed.sh"
here=$(cd "$(dirname "$0")" && pwd)
command -v php >/dev/null || skip "PHP is not installed (package php-cli)"
php -m | grep -qx shmop || skip "PHP has no shmop"
start_daemon

expected=$'SHM Block Size: 100 has been created.\nThe data inside shared memory was: my shared memory block'
is "PHP's own shmop on the kernel" "$expected" "$(unshare --ipc php "$here/shmop.php")"
is "PHP's own shmop on shmd" "$expected" "$("$shmdctl" exec -- php "$here/shmop.php")"
is "the script has deleted its segment" "" "$(segments)"

is "the same without deleting" "$expected" "$(KEEP=1 "$shmdctl" exec -- php "$here/shmop.php")"
like "the segment is left, and nobody has it" '^0x00000ff3 +[0-9]+ +root +644 +100 +0$' "$(segments)"
is "shmdctl reads it under its integer key" "my shared memory block" "$("$shmdctl" read 0xff3 --length 22)"
cc -o "$scratch/read_shmop" "$here/read_shmop.c" || fail "the C program does not build"
is "C reads what PHP wrote" "C reads: my shared memory block" "$("$shmdctl" exec -- "$scratch/read_shmop")"
is "and has deleted it" "" "$(segments)"

# The extension in the place of shmop: without ini files nothing else is loaded.
extension=$build/client/php/shmd.so
if [ -f "$extension" ]; then
    with_extension() {
        LD_LIBRARY_PATH=$build/client/c php -n -d extension="$extension" "$here/shmop.php" 2>&1
    }
    is "the extension in the place of shmop" "$expected" "$(with_extension)"
    is "the script has deleted that too" "" "$(segments)"
    is "the same without deleting, by the extension" "$expected" "$(KEEP=1 with_extension)"
    is "C reads what the extension wrote" "C reads: my shared memory block" "$("$shmdctl" exec -- "$scratch/read_shmop")"
fi

# sysvshm puts a header of its own into the segment.
if php -m | grep -qx sysvshm; then
    is "PHP's sysvshm" '["kept"]' "$("$shmdctl" exec -- php -r '
        $shm = shm_attach(0x5368, 2000, 0600);
        shm_put_var($shm, 7, ["kept"]);
        shm_detach($shm);
        $again = shm_attach(0x5368);
        echo json_encode(shm_get_var($again, 7));
        shm_remove($again);')"
fi
is "nothing is left" "" "$(segments)"
finish
