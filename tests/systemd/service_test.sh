#!/usr/bin/env bash
# The life of the service: activation, users, reload, watchdog, what it tells.
set -uo pipefail
. "$(dirname "$0")/bed.sh"
bed_start

# ---- activation ----

check "the sockets listen and the daemon is not running" is inactive bed_show shmd.service ActiveState
check "the first connection starts it" bed_as alice shmdctl create hello --size 4K --mode 0644
check "it is active then" is active bed_show shmd.service ActiveState
check "it runs as its own user" is shmd bed ps -o user= -p "$(bed_show shmd.service MainPID)"
check "another user is told apart" fails bed_as bob shmdctl rm hello

bed_end
