# For the tests of this directory: a daemon of their own, and what they check with. To be sourced; $1 is the build directory.
set -u
build=$(cd "$1" && pwd)
shmdctl=$build/client/cli/shmdctl
scratch=$(mktemp -d /tmp/shmd-programs.XXXXXX)
chmod 755 "$scratch"
failures=0
passed=0
daemon_pid=

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# is WHAT EXPECTED FOUND
is() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        fail "$1: expected '$2', found '$3'"
    fi
}

# like WHAT PATTERN FOUND
like() {
    if [[ $3 =~ $2 ]]; then
        passed=$((passed + 1))
    else
        fail "$1: '$3' does not match '$2'"
    fi
}

# Ends with the status 77, by which ctest knows a test that was not run.
skip() {
    echo "SKIPPED: $*"
    exit 77
}

# Returns when it says that it is ready.
start_daemon() {
    mkfifo "$scratch/daemon.says"
    "$build/daemon/shmd" --socket "$scratch/io.shmd.Segments" --control-socket "$scratch/io.shmd.Control" \
        2>"$scratch/daemon.says" &
    daemon_pid=$!
    exec 9<"$scratch/daemon.says"
    rm "$scratch/daemon.says"
    local line
    while read -r line <&9; do
        echo "$line" >>"$scratch/daemon.log"
        [[ $line == *" ready" ]] && break
    done
    cat <&9 >>"$scratch/daemon.log" &
    exec 9<&-
    export SHMD_SOCKET=$scratch/io.shmd.Segments
    kill -0 "$daemon_pid" 2>/dev/null || { cat "$scratch/daemon.log"; exit 1; }
}

stop_daemon() {
    [ -n "$daemon_pid" ] || return
    kill "$daemon_pid" 2>/dev/null
    wait "$daemon_pid" 2>/dev/null
    daemon_pid=
}

# What the test itself has started goes first.
at_end=
end() {
    [ -z "$at_end" ] || eval "$at_end"
    stop_daemon
    rm -rf "$scratch"
}
trap end EXIT
trap 'exit 1' INT TERM

# The words of a System V listing of shmd without its header.
segments() {
    "$shmdctl" ls --sysv | tail -n +2
}

finish() {
    echo "$passed checks passed, $failures failed"
    [ "$failures" -eq 0 ]
}
