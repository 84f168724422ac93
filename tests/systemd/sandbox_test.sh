#!/usr/bin/env bash
# The sandbox of the service: every line of it by what it forbids.
set -uo pipefail
. "$(dirname "$0")/bed.sh"
bed_start

program=$(bed systemctl cat shmd.service | sed -n 's/^ExecStart=//p')

# A field of /proc/PID/status of the main process: status_of shmd.service CapEff
status_of() {
    bed sed -n "s/^$2:[[:space:]]*//p" "/proc/$(bed_show "$1" MainPID)/status"
}

# namespace_differs TYPE: from that of everybody else.
namespace_differs() {
    local pid
    pid=$(bed_show shmd.service MainPID)
    [ "$(bed readlink "/proc/$pid/ns/$1")" != "$(bed readlink "/proc/1/ns/$1")" ]
}

# What the probe found: "ok" and "not ok" lines.
take_results() {
    local line
    while read -r line; do
        case $line in "not ok"*) bed_failed=1 ;; esac
        echo "$line"
    done
}

check "systemd-analyze finds nothing to warn of in the units" \
    is "" bed systemd-analyze verify --man=no shmd.service shmd.socket shmd-control.socket
check "systemd-analyze calls the exposure 0.5 at most" \
    bed systemd-analyze security --no-pager --threshold=5 shmd.service
bed systemd-analyze security --no-pager shmd.service | tail -n 1

check "the service starts in its sandbox" bed systemctl start shmd.service
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
    check "its $set is empty" is 0000000000000000 status_of shmd.service $set
done
check "it gains no privileges by executing" is 1 status_of shmd.service NoNewPrivs
check "its system calls are filtered" is 2 status_of shmd.service Seccomp
check "it is in no supplementary group" matches "^($(bed id -g shmd) ?)?$" status_of shmd.service Groups
check "what it makes is its own" is 0077 status_of shmd.service Umask
for type in net ipc mnt uts; do
    check "it has a $type namespace of its own" namespace_differs $type
done
check "it shares the user namespace, to tell users apart" fails namespace_differs user
# mount_flags PATH: of the mount that the service has there.
mount_flags() {
    bed awk -v "path=$1" '$5 == path { print $6 }' "/proc/$(bed_show shmd.service MainPID)/mountinfo"
}
for place in / /run /sys/fs/cgroup /usr/lib/*-linux-gnu "$program"; do
    check "it has $place read-only" matches '^ro,' mount_flags "$place"
done
check "its control group lets no network traffic through" \
    matches '^(::/0 0.0.0.0/0|0.0.0.0/0 ::/0)$' bed systemctl show --value --property IPAddressDeny shmd.service
# A machine that keeps systemd from raising the limit has less to give.
most=$(bed sed -n 's/^Max open files  *[^ ]*  *\([^ ]*\) .*/\1/p' /proc/1/limits)
[ "$most" -lt 524288 ] || most=524288
check "it may have as many descriptors as it asks for ($most here)" \
    matches "Max open files +$most +$most" bed cat "/proc/$(bed_show shmd.service MainPID)/limits"

# ---- a probe in the daemon's place ----

bed setpriv --reuid shmd --regid shmd --clear-groups ipcmk --shmem 4096 >/dev/null
bed systemctl stop shmd.socket shmd-control.socket shmd.service
check "System V objects of its user do not outlive it" fails bed sh -c 'ipcs -m | grep shmd'
bed systemctl start shmd.socket shmd-control.socket
for place in /open /run/open /var/open /etc/open /usr/open /home/open /opt/open; do
    bed install -d -m 1777 $place
done
bed mkdir -p /boot /srv /usr/lib/modules
bed install -m 0666 /dev/null /dev/open
bed install -m 0755 /bed/sandbox_probe "$program"
check "the probe runs in the daemon's place" bed systemctl start shmd.service
take_results < <(bed grep ok /run/shmd/state/probe)
check "the probe came to its end" is end bed tail -n 1 /run/shmd/state/probe

# ---- in the service of a user, which can do less ----

bed loginctl enable-linger alice
bed systemctl start "user@$(bed id -u alice).service"
check "the probe runs in the user's daemon's place" bed_as alice systemctl --user start shmd.service
results=/run/user/$(bed id -u alice)/shmd/state/probe
kept='allows: |sockets of family (2|10|16|17) |namespaces|real-time|write and execute|was written|personality|set-user-id'
kept+='|keyrings|System V|32 bits|debugging'
take_results < <(bed grep -E "ok - .*($kept)" "$results" | grep -vE 'reading /proc/1')
check "the probe came to its end" is end bed tail -n 1 "$results"

bed_end
