#!/usr/bin/env bash
# install_test.sh PACKAGES: installs, upgrades, removes and purges the packages in this machine's own files, in an overlay of a
# mount namespace that is thrown away: nothing of it stays. systemd does not run there; a script in its place notes what the
# maintainer scripts ask of it.
set -u

if [ "${INSIDE_NAMESPACE:-}" != yes ]; then
    [ "$(id -u)" -eq 0 ] || {
        echo "SKIPPED: this needs root"
        exit 0
    }
    unshare --mount --pid --fork true 2>/dev/null || {
        echo "SKIPPED: this machine allows no mount namespaces"
        exit 0
    }
    INSIDE_NAMESPACE=yes exec unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
fi

packages=$1
failures=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# ---- The root that is thrown away ----

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

inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot $root "$@"; }

# succeeds COMMAND...: what it said is shown when it does not.
succeeds() {
    local said
    said=$(inside "$@" 2>&1) || fail "$*: $said"
}

# Containers have one that lets no service start.
rm -f $root/usr/sbin/policy-rc.d
# What takes long and is nobody's business here.
rm -f $root/var/lib/man-db/auto-update
echo force-unsafe-io >$root/etc/dpkg/dpkg.cfg.d/unsafe-io

units=(shmd.socket shmd-control.socket shmd.service)
mv $root/usr/bin/systemctl $root/usr/bin/systemctl.real
cat >$root/usr/bin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/systemctl.log
case "$*" in
    *preset* | *is-enabled*) SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real --root=/ "$@" ;;
    *is-active*) [ -e /units-are-active ] ;;
esac
END
chmod 755 $root/usr/bin/systemctl

# asked ACTION: the units that systemd was asked to do this to, since the log was emptied.
asked() { sed -nE "s/^(--[a-z]+ )*$1 //p" $root/systemctl.log | xargs -n1 2>/dev/null | sort -u | xargs; }
forget() { : >$root/systemctl.log; }
links() { (cd $root/etc/systemd/system && find . -name '*shmd*' | sort | xargs); }
both="./sockets.target.wants/shmd-control.socket ./sockets.target.wants/shmd.socket"

# What there is of shmd in this root besides the documents of the machine and this build.
traces() {
    inside find /etc /run /usr /var -xdev \( -path /var/lib/dpkg/info -o -path "${packages%/build/*}" \) -prune -o \
        \( -name 'shmd*' -o -name '*libshmd*' \) -print | sort
}

before=$(traces)
all=(/packages/{libshmd0,shmd,libshmd-dev,libshmd-sysv}.deb)

# ---- Where systemd does not run ----

forget
succeeds dpkg -i "${all[@]}"
[ -z "$(asked '(start|stop|restart|try-restart|daemon-reload)')" ] || fail "without systemd the installation asks it to act"
[ "$(links)" = "$both" ] || fail "installed, the links are: $(links)"
inside getent passwd shmd >/dev/null || fail "there is no user shmd"
inside getent group shmd-admin >/dev/null || fail "there is no group shmd-admin"
[ "$(inside dpkg -s shmd libshmd0 libshmd-dev libshmd-sysv | grep -c '^Status: install ok installed')" = 4 ] || fail "a package is not installed"
inside ldconfig -p | grep -q 'libshmd.so.0 .*=> /.*lib/' || fail "the loader does not know libshmd.so.0"
succeeds dpkg --verify shmd libshmd0 libshmd-dev libshmd-sysv

# What was installed does its work, as the user that it is meant for.
inside sh -c 'mkdir /run/try && chown shmd /run/try'
inside setpriv --reuid=shmd --regid=shmd --clear-groups sh -c '
    shmd --socket /run/try/io.shmd.Segments 2>/run/try/log &
    daemon=$!
    export SHMD_SOCKET=/run/try/io.shmd.Segments
    until grep -q " ready$" /run/try/log; do kill -0 $daemon || exit; done
    shmdctl create greeting --size 5 && echo hello | head -c 5 | shmdctl write greeting && shmdctl read greeting >/run/try/read
    shmdctl exec -- ipcmk --shmem 7 >/dev/null && shmdctl ls --sysv | grep -qw 7 && echo served >>/run/try/read
    kill $daemon; wait $daemon' || fail "the installed daemon does not work: $(cat $root/run/try/log)"
[ "$(cat $root/run/try/read)" = $'helloserved' ] || fail "the installed shmdctl does not work: $(cat $root/run/try/read)"
rm -r $root/run/try

# A program that is linked with the library depends on its package.
cat >$root/tmp/program.c <<'END'
#include <shmd/shmd.h>
int main(void) { return shmd_version()[0] == 0; }
END
inside sh -c 'cd /tmp && mkdir -p debian && printf "Source: x\n\nPackage: x\nArchitecture: any\n" >debian/control &&
    gcc -o program program.c $(pkg-config --cflags --libs shmd) && ./program && dpkg-shlibdeps -O program 2>/dev/null' |
    grep -q 'libshmd0 (>= ' || fail "a program that is linked with libshmd does not depend on libshmd0"

# ---- Where systemd runs ----

mkdir -p $root/run/systemd/system
forget
succeeds dpkg --remove shmd
[ "$(asked stop)" = "$(printf '%s\n' "${units[@]}" | sort | xargs)" ] || fail "removal stops: $(asked stop)"
[ -z "$(links)" ] || fail "removed, there are links: $(links)"

forget
succeeds dpkg -i /packages/shmd.deb
[ "$(links)" = "$both" ] || fail "installed again, the links are: $(links)"
[ "$(asked start)" = "shmd-control.socket shmd.socket" ] || fail "installation starts: $(asked start)"
grep -q daemon-reload $root/systemctl.log || fail "installation does not have systemd read the units"

forget
touch $root/units-are-active
succeeds dpkg -i "${all[@]}"
[ -z "$(asked '(stop|restart|reload|kill|disable)')" ] || fail "an upgrade asks systemd: $(cat $root/systemctl.log)"
[ "$(asked try-restart)" = shmd.service ] || fail "an upgrade restarts: $(asked try-restart)"
[ "$(asked start)" = "shmd-control.socket shmd.socket" ] || fail "an upgrade starts: $(asked start)"
# New units are known before the daemon is restarted by them.
[ "$(grep -nE 'daemon-reload|try-restart' $root/systemctl.log | tail -2 | grep -c daemon-reload)" = 1 ] ||
    fail "systemd reads the units after the restart: $(cat $root/systemctl.log)"
[ "$(links)" = "$both" ] || fail "upgraded, the links are: $(links)"

# An administrator's decisions: no service may be started, one socket is disabled.
printf '#!/bin/sh\nexit 101\n' >$root/usr/sbin/policy-rc.d
chmod 755 $root/usr/sbin/policy-rc.d
inside systemctl.real --root=/ disable shmd-control.socket 2>/dev/null
forget
succeeds dpkg -i /packages/shmd.deb
[ -z "$(asked '(start|try-restart)')" ] || fail "policy-rc.d is not obeyed: $(cat $root/systemctl.log)"
rm $root/usr/sbin/policy-rc.d
succeeds dpkg --remove shmd
succeeds dpkg -i /packages/shmd.deb
[ "$(links)" = ./sockets.target.wants/shmd.socket ] || fail "what was disabled is enabled by an installation: $(links)"

# ---- Purge ----

rm $root/units-are-active
mkdir -p $root/etc/shmd $root/run/shmd $root/etc/systemd/system/shmd.service.d
touch $root/etc/shmd/shmd.conf $root/run/shmd/journal $root/etc/systemd/system/shmd.service.d/mine.conf
touch $root/etc/shmd/of-somebody-else
succeeds dpkg --purge shmd
[ "$(ls $root/etc/shmd)" = of-somebody-else ] || fail "purge leaves in /etc/shmd: $(ls $root/etc/shmd 2>&1)"
[ -e $root/run/shmd ] && fail "purge leaves /run/shmd"
[ -e $root/etc/systemd/system/shmd.service.d/mine.conf ] || fail "purge takes an administrator's own unit settings away"
rm -r $root/etc/shmd $root/etc/systemd/system/shmd.service.d

succeeds dpkg --purge libshmd-dev libshmd-sysv libshmd0
[ "$(traces)" = "$before" ] || fail "purge leaves: $(diff <(echo "$before") <(traces))"
inside find /var/lib/systemd /etc/systemd -name '*shmd*' | grep . && fail "purge leaves state of systemd"
inside getent passwd shmd >/dev/null || fail "purge takes the user away, who may own files"

[ $failures -eq 0 ] && echo "Installing, upgrading, removing and purging do what they should."
exit $((failures > 0))
