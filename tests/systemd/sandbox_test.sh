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
for type in net ipc mnt uts; do
    check "it has a $type namespace of its own" namespace_differs $type
done
check "it shares the user namespace, to tell users apart" fails namespace_differs user
# A machine that keeps systemd from raising the limit has less to give.
most=$(bed sed -n 's/^Max open files  *[^ ]*  *\([^ ]*\) .*/\1/p' /proc/1/limits)
[ "$most" -lt 524288 ] || most=524288
check "it may have as many descriptors as it asks for ($most here)" \
    matches "Max open files +$most +$most" bed cat "/proc/$(bed_show shmd.service MainPID)/limits"

# ---- a probe in the daemon's place ----

bed systemctl stop shmd.service
bed install -m 0755 /bed/sandbox_probe "$program"
check "the probe runs in the daemon's place" bed systemctl start shmd.service
found=$(bed cat /run/shmd/state/probe)
while read -r line; do
    case $line in
        "not ok"*) bed_failed=1 ;;
    esac
    echo "$line"
done <<<"$found"
check "the probe came to its end" is end tail -n 1 <<<"$found"

bed_end
