#!/usr/bin/env bash
# Nothing is lost in a real systemd: kills under load, restart, daemon-reexec, and what the store holds.
#   SHMD_KILL_ROUNDS=N   how often the daemon is killed (default: 40)
set -uo pipefail
. "$(dirname "$0")/bed.sh"
bed_start
cp "$SHMD_BUILD/tests/integration/kill_test" "$bed_directory/share/"

# The blank descriptors that are stored for segments to come.
blank=64

# ---- one segment, whatever happens to the daemon ----

bed_as alice sh -c 'echo safe | shmdctl publish kept --mode 0640 --label team=billing'
# What a restart may not change: not who looked when.
describe() { bed_as alice shmdctl --json stat kept | grep -vE '"(attachedUsec|detachedUsec)"'; }
before=$(describe)
unchanged() {
    is "$before" describe && is safe bed_as alice shmdctl read kept --length 4
}
check "systemctl restart keeps it" bed systemctl restart shmd.service
check "as it was" unchanged
main=$(bed_show shmd.service MainPID)
bed systemctl kill --signal KILL shmd.service
check "SIGKILL is followed by another daemon" bed_await_property shmd.service MainPID "^[1-9]" 
check "with the segment as it was" unchanged
check "which is another process" fails is "$main" bed_show shmd.service MainPID
bed systemctl kill --signal SEGV shmd.service
check "a crash keeps it" unchanged
check "systemd executes itself anew" bed systemctl daemon-reexec
check "and has it still" unchanged
bed systemctl kill --signal KILL shmd.service
check "also for the next daemon" unchanged
check "and reads its units anew" bed systemctl daemon-reload
bed systemctl restart shmd.service
check "with the same outcome" unchanged
check "the status says so" matches 'segments survive a restart' bed shmdctl status

# ---- kills under load ----

rounds=${SHMD_KILL_ROUNDS:-40}
# As another user than the daemon's; who kills is root.
kill_rounds() {
    bed env SHMD_KILL_SOCKET=/run/shmd/io.shmd.Segments SHMD_KILL_ROUNDS="$rounds" \
        SHMD_KILL_COMMAND='kill -KILL $(systemctl show --value --property MainPID shmd.service) 2>/dev/null; true' \
        /bed/kill_test
}
restarts=$(bed_show shmd.service NRestarts)
check "$rounds kills under load lose nothing" kill_rounds
restarts=$(($(bed_show shmd.service NRestarts) - restarts))
check "each was one ($restarts starts)" [ "$restarts" -ge $((rounds * 9 / 10)) ]
check "systemd did not give up on it" is active bed_await_property shmd.service ActiveState '^active'
check "the segment from before is as it was" unchanged

# ---- what is left ----

bed_as alice shmdctl rm kept
bed systemctl restart shmd.service
check "the store has nothing but blanks" \
    is "$blank" bed_await_property shmd.service NFileDescriptorStore "^$blank\$"
bed_as alice shmdctl create late --size 4K
check "stopping the service empties systemd's store, before 254" bed systemctl stop shmd.service
if [ "$(bed systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" -lt 254 ]; then
    mark=$(bed_mark)
    bed_as alice shmdctl ls >/dev/null
    check "then the log names what is lost" bed_await "$mark" 'late is lost' PRIORITY=3 SHMD_KEY=late
else
    check "from 254 on it keeps it" bed_as alice shmdctl stat late
fi
bed_end
