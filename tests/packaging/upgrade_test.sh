#!/usr/bin/env bash
# upgrade_test.sh BUILD: the packages in a real systemd (tests/systemd/bed.sh): an upgrade while clients are at work loses
# nothing and keeps nobody waiting in vain; removal ends what runs.
set -uo pipefail
SHMD_BUILD=$1 SHMD_DEBS=$1/packages
. "$(dirname "$0")/../systemd/bed.sh"
bed_start
share=$bed_directory/share

# The same as the next version.
for file in "$SHMD_DEBS"/*.deb; do
    name=${file##*/}
    name=${name%%_*}
    dpkg-deb -R "$file" "$share/unpacked"
    sed -i -E 's/^((Version|Depends): .*[0-9.]-)[0-9]+/\1next/' "$share/unpacked/DEBIAN/control"
    dpkg-deb -Znone -b "$share/unpacked" "$share/$name-next.deb" >/dev/null
    rm -r "$share/unpacked"
done

install_packages() { bed env DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io -i "$@"; }

sockets_since() { bed systemctl show --value --property ActiveEnterTimestampMonotonic shmd.socket shmd-control.socket; }
socket_inode() { bed stat --format %i /run/shmd/io.shmd.Segments; }
contents() { bed sh -c 'for key in $(shmdctl --json ls | grep -o "app/[0-9]*"); do printf "%s " "$key"; shmdctl read "$key" | sha256sum; done'; }
described() { bed shmdctl --json ls | grep -E '"(id|key|sizeBytes|mode|ownerUid|createdUsec|leaseUsec)"'; }

check "both sockets listen when the packages are installed" is $'active\n\nactive' bed systemctl show --value --property ActiveState shmd.socket shmd-control.socket
check "they are enabled" bed systemctl --quiet is-enabled shmd.socket shmd-control.socket
check "the daemon waits for its first client" is inactive bed_show shmd.service ActiveState

for i in $(seq 20); do
    bed_as alice sh -c "head -c 10000 /dev/urandom | shmdctl publish app/$i --mode 0644 --label number=$i"
done
check "there are segments" is 20 sh -c "$(declare -f bed contents); bed_leader=$bed_leader; contents | wc -l"
check "members of shmd-admin are told that segments survive" matches 'survive a restart' bed_as carol shmdctl status

# ---- Upgrade, while clients read and make segments ----

before_pid=$(bed_show shmd.service MainPID) before_sockets=$(sockets_since) before_inode=$(socket_inode)
before_contents=$(contents) before_described=$(described)
bed shmdctl read app/7 >"$share/seven"
bed_as bob sh -c 'while [ ! -e /bed/enough ]; do shmdctl read app/7 | cmp - /bed/seven || exit 1; done' >"$share/reader.log" 2>&1 &
reader=$!
# Whether it was done is not known to whom the daemon went away before it answered.
bed_as alice sh -c 'made=0
    while [ ! -e /bed/enough ]; do
        shmdctl create load/$made --size 100; status=$?
        [ $status -ne 0 ] || echo load/$made
        [ $status -eq 0 ] || [ $status -eq 3 ] || exit 1
        made=$((made + 1))
    done' >"$share/acknowledged" 2>"$share/maker.log" &
maker=$!
until [ -s "$share/acknowledged" ]; do kill -0 $maker || break; done
check "the packages can be upgraded" install_packages $(cd "$share" && printf '/bed/%s ' *-next.deb)
check "the daemon is another process" fails is "$before_pid" bed_show shmd.service MainPID
check "it is active" is active bed_show shmd.service ActiveState
touch "$share/enough"
wait $reader
check "every read meanwhile gave what was there" sh -c "cat $share/reader.log; exit $?"
wait $maker
check "no create meanwhile was refused" sh -c "cat $share/maker.log; exit $?"

check "the sockets were not restarted" is "$before_sockets" sockets_since
check "nor made anew" is "$before_inode" socket_inode
check "every byte is there" is "$before_contents" contents
after_described=$(described | grep -vFf <(bed shmdctl --json ls load/ | grep -E '"(id|key|createdUsec)"'))
lost() { comm -23 <(grep -E '"(id|key|createdUsec)"' <<<"$before_described" | sort) <(sort <<<"$after_described"); }
check "under the same ids and keys" is "" lost
unkept() { comm -23 <(sort "$share/acknowledged") <(bed shmdctl --json ls load/ | grep -o 'load/[0-9]*' | sort); }
check "every segment that was acknowledged meanwhile is there" is "" unkept

# ---- Removal ----

check "the daemon's package can be removed" bed dpkg --remove libshmd-dev shmd
check "nothing of it runs" is $'inactive\n\ninactive\n\ninactive' \
    bed systemctl show --value --property ActiveState shmd.socket shmd-control.socket shmd.service
check "no socket is left" fails bed test -e /run/shmd/io.shmd.Segments
check "it can be installed again" install_packages /bed/shmd-next.deb
check "and holds nothing then" is '[]' bed shmdctl --json ls
# The others go too, as many as were made.
others=$(bed dpkg-query -W -f '${Package} ' php-shmd libshmd-sysv 2>/dev/null)
check "it can be purged while it runs" bed dpkg --purge shmd libshmd0 $others
check "then /run/shmd is gone" fails bed test -e /run/shmd
check "no unit is left" is "" bed systemctl list-units --all --no-legend 'shmd*'
check "no unit has failed" is "" bed systemctl list-units --failed --no-legend 'shmd*'

bed_end
