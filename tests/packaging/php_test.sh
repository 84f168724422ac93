#!/usr/bin/env bash
# php_test.sh PACKAGES: an application on PHP's shmop moves to shmd by one package and one line of configuration, and back. In
# this machine's own files, in an overlay of a mount namespace that is thrown away.
set -u

if [ "${INSIDE_NAMESPACE:-}" != yes ]; then
    [ "$(id -u)" -eq 0 ] || {
        echo "SKIPPED: this needs root"
        exit 0
    }
    compgen -G "$1/php-shmd_*.deb" >/dev/null || {
        echo "SKIPPED: there is no package php-shmd: PHP's headers were not installed"
        exit 0
    }
    unshare --mount --pid --fork true 2>/dev/null || {
        echo "SKIPPED: this machine allows no mount namespaces"
        exit 0
    }
    INSIDE_NAMESPACE=yes exec unshare --mount --pid --ipc --fork --kill-child --propagation private "$0" "$@"
fi

packages=$1
failures=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# same WHAT EXPECTED FOUND
same() { [ "$2" = "$3" ] || fail "$1: $3"; }

top=/mnt
mount -t tmpfs tmpfs $top
mkdir $top/{upper,work,root}
mount -t overlay overlay -o lowerdir=/,upperdir=$top/upper,workdir=$top/work $top/root 2>/dev/null || {
    echo "SKIPPED: this machine's files cannot be overlaid"
    exit 0
}
root=$top/root
mount -t tmpfs tmpfs $root/run
mount -t tmpfs tmpfs $root/tmp
mount -t proc proc $root/proc
mount --bind /dev $root/dev
mkdir $root/packages
for file in "$packages"/*.deb; do
    name=${file##*/}
    cp "$file" "$root/packages/${name%%_*}.deb"
done
rm -f $root/var/lib/man-db/auto-update
echo force-unsafe-io >$root/etc/dpkg/dpkg.cfg.d/unsafe-io

inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot $root "$@"; }
succeeds() {
    local said
    said=$(inside "$@" 2>&1) || fail "$*: $said"
}
installed() { [ "$(inside dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

version=$(sed -n 's/^settings=\/etc\/php\/\([0-9.]*\)\/.*/\1/p' < <(dpkg-deb -I "$root/packages/php-shmd.deb" postinst))
for needed in "php$version-cli" php-common ucf; do
    installed "$needed" || {
        echo "SKIPPED: $needed is not installed"
        exit 0
    }
done
php="php$version"
extensions() { inside "$php" -m 2>&1 | grep -E '^shm(d|op)$|arning|rror' | xargs; }
traces() { inside find /etc /usr /var -xdev \( -path /var/lib/dpkg/info -o -path "${packages%/build/*}" \) -prune -o -name '*shmd*' -print | sort; }

cat >$root/tmp/application.php <<'END'
<?php
if (!extension_loaded("shmop")) die("this application needs shmop\n");
$s = shmop_open(0x5a11, "c", 0640, 64);
echo shmop_size($s), " ", shmop_write($s, "hits: 41", 0), " ";
$again = shmop_open(0x5a11, "a", 0, 0);
echo shmop_read($again, 0, 8), " ", get_debug_type(@shmop_open(0x5a12, "a", 0, 0)), "\n";
END
application() { inside "$php" /tmp/application.php 2>&1; }
does="64 8 hits: 41 bool"

before=$(traces)
same "without the package there are" "shmop" "$(extensions)"
same "on the kernel the application says" "$does" "$(application)"

# ---- One package ----

succeeds dpkg -i /packages/{libshmd0,shmd,php-shmd}.deb
same "installed, there are" "shmd shmop" "$(extensions)"
for sapi in cli fpm; do
    [ ! -d "$root/etc/php/$version/$sapi" ] || [ -L "$root/etc/php/$version/$sapi/conf.d/20-shmd.ini" ] || fail "$sapi has no 20-shmd.ini"
done
succeeds dpkg --verify php-shmd
same "the application is still on the kernel, and says" "$does" "$(application)"

inside sh -c 'mkdir -p /run/shmd && exec shmd --socket /run/shmd/io.shmd.Segments --control-socket /run/shmd/io.shmd.Control 2>/run/shmd/log' &
daemon=$!
until grep -q ' ready$' $root/run/shmd/log 2>/dev/null; do kill -0 $daemon 2>/dev/null || {
    fail "the daemon does not start"
    break
}; done
same "shmd has segments of the application before it moved" "" "$(inside shmdctl ls --json | grep '"key"')"

# ---- One line ----

sed -i 's/^extension=shmop/;&/' "$root/etc/php/$version/mods-available/shmop.ini"
same "without extension=shmop there are" "shmd shmop" "$(extensions)"
same "on shmd the application says" "$does" "$(application)"
same "shmd has" "sysv:0x00005a11" "$(inside shmdctl ls --json | sed -n 's/.*"key": "\(.*\)".*/\1/p')"
same "shmdctl reads" "hits: 41" "$(inside shmdctl read --length 8 sysv:0x00005a11)"
same "the classes read" "hits: 41" "$(inside "$php" -r 'echo (new Shmd\Client)->open(0x5a11)->read(0, 8);')"

# ---- And back ----

succeeds dpkg --remove php-shmd
same "removed, there are" "" "$(extensions)"
sed -i 's/^;extension=shmop/extension=shmop/' "$root/etc/php/$version/mods-available/shmop.ini"
same "back on the kernel the application says" "$does" "$(application)"
succeeds dpkg -i /packages/php-shmd.deb
same "installed again, there are" "shmd shmop" "$(extensions)"
# What an administrator has disabled stays disabled when the package is upgraded.
succeeds phpdismod shmd
succeeds dpkg -i /packages/php-shmd.deb
same "disabled and upgraded, there are" "shmop" "$(extensions)"
kill $daemon
wait $daemon
succeeds dpkg --purge php-shmd shmd libshmd0
same "purged, there are" "shmop" "$(extensions)"
[ "$(traces)" = "$before" ] || fail "purge leaves: $(diff <(echo "$before") <(traces))"

[ $failures -eq 0 ] && echo "An application on shmop moves by one package and one line, and back."
exit $((failures > 0))
