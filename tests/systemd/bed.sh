# A test bed: a real systemd with shmd, booted over an overlay of this machine's files. To be sourced by a test script:
#
#   . "$(dirname "$0")/bed.sh"
#   bed_start
#   check "systemd calls it active" bed systemctl is-active shmd.socket
#   bed_end
#
# Wants root, systemd-nspawn, overlay mounts and control groups; where one is missing, bed_start says which and exits
# with status 77, "skipped". Inside there are the users alice, bob, and carol, who is in shmd-admin.
#   SHMD_BUILD   the build tree that is installed, and has the tools of this directory
#   SHMD_DEBS    a directory of .deb files to install instead
# Two beds may exist at once. Nothing is left behind, however the script ends.

bed_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bed_directory=
bed_supervisor=
bed_leader=
bed_failed=0
bed_boot_seconds=120
bed_wait_seconds=60

# Why there can be no bed here; nothing if there can.
bed_obstacle() {
    local name
    [ "$(id -u)" -eq 0 ] || { echo "not root" && return; }
    for name in systemd-nspawn systemd-sysusers systemd-id128 nsenter unshare setpriv dbus-daemon cmake; do
        command -v "$name" >/dev/null || { echo "$name is not installed" && return; }
    done
    unshare --mount --pid --fork --kill-child --mount-proc "$bed_source/boot" probe 2>&1
}

bed_skip() {
    echo "SKIPPED: $*"
    exit 77
}

# Boots, and returns when it is up: the sockets of shmd listen, shmd has not been started.
bed_start() {
    local obstacle event
    obstacle=$(bed_obstacle)
    [ -z "$obstacle" ] || bed_skip "no systemd can be booted here: $obstacle"
    bed_remove_stale
    bed_directory=$(mktemp -d "/tmp/shmd-bed-$$-XXXXXX")
    trap bed_stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    mkdir "$bed_directory/share"
    chmod 0755 "$bed_directory" "$bed_directory/share"
    mkfifo "$bed_directory/share/events"
    cp "${SHMD_BUILD:?names the build tree}"/tests/systemd/{await_property,sandbox_probe} "$bed_directory/share/"
    exec {bed_events}<>"$bed_directory/share/events"
    local build=$SHMD_BUILD
    [ -z "${SHMD_DEBS:-}" ] || build=
    # When this shell dies, so do unshare, the first process of its namespace, and with it all others there.
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
        "$bed_source/boot" "$bed_directory" "$build" >"$bed_directory/boot.log" 2>&1 {bed_events}>&- &
    bed_supervisor=$!
    read -r -t "$bed_boot_seconds" -u "$bed_events" event || event="nothing heard for $bed_boot_seconds s"
    if [ "$event" != ready ]; then
        echo "The bed did not boot: $event"
        bed_show_logs
        exit 1
    fi
    bed_leader=$(bed_child_of "$(bed_child_of "$(bed_child_of "$bed_supervisor" bash)" systemd-nspawn)" systemd)
    [ -z "${SHMD_DEBS:-}" ] || bed_install_debs "$SHMD_DEBS"
}

# The child of a process that runs this program.
bed_child_of() {
    local child
    for child in $(cat "/proc/$1/task/$1/children"); do
        [ "$(cat "/proc/$child/comm")" = "$2" ] && echo "$child" && return
    done
}

bed_install_debs() {
    cp "$1"/*.deb "$bed_directory/share/"
    if ! bed sh -c 'DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io -i /bed/*.deb' \
        >"$bed_directory/install.log" 2>&1; then
        echo "The packages cannot be installed:"
        cat "$bed_directory/install.log"
        exit 1
    fi
    bed gpasswd --add carol shmd-admin >/dev/null
}

# bed COMMAND...: as root, inside.
bed() {
    nsenter --target "$bed_leader" --all -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 "$@"
}

# bed_as USER COMMAND...: as this user, inside.
bed_as() {
    local user=$1 uid
    shift
    uid=$(bed id -u "$user")
    bed setpriv --reuid "$user" --regid "$user" --init-groups \
        env "HOME=/home/$user" "USER=$user" "XDG_RUNTIME_DIR=/run/user/$uid" "$@"
}

# bed_write FILE: standard input becomes this file, inside.
bed_write() {
    bed sh -c 'mkdir -p "${1%/*}" && cat >"$1"' sh "$1"
}

# One property of a unit: bed_show shmd.service MainPID
bed_show() {
    bed systemctl show --value --property "$2" "$1"
}

# bed_await_property UNIT PROPERTY PATTERN: waits for a value that matches, and prints it. For the units of a user:
# bed_as alice /bed/await_property --user UNIT PROPERTY PATTERN.
bed_await_property() {
    bed /bed/await_property "$@"
}

# Where the journal ends now, for bed_await: at an entry of its own, because journalctl 252 may skip one after a cursor.
bed_mark() {
    bed systemd-cat --identifier bed echo mark
    bed journalctl --sync
    bed journalctl --quiet --identifier bed --lines 1 --output cat --show-cursor | sed -n 's/^-- cursor: //p'
}

# bed_await CURSOR PATTERN [ARGUMENTS OF journalctl]: waits for a line of the journal after this cursor that matches,
# and prints it.
bed_await() {
    local cursor=$1 pattern=$2 follower status=0
    shift 2
    exec {bed_journal}< <(exec nsenter --target "$bed_leader" --all -- \
        journalctl --quiet --follow --no-tail --output cat --cursor "$cursor" "$@")
    follower=$!
    timeout "$bed_wait_seconds" grep -m 1 -E -- "$pattern" <&"$bed_journal" || status=$?
    kill "$follower" 2>/dev/null || true
    exec {bed_journal}<&-
    [ $status -eq 0 ] || echo "nothing in the journal matches '$pattern'"
    return $status
}

# check "SENTENCE" COMMAND...: says ok when the command succeeds, else not ok, and what it printed.
check() {
    local sentence=$1 output status=0
    shift
    output=$("$@" 2>&1) || status=$?
    if [ $status -eq 0 ]; then
        echo "ok - $sentence"
    else
        echo "not ok - $sentence (exit status $status of: $*)"
        [ -z "$output" ] || sed 's/^/    /' <<<"$output"
        bed_failed=1
    fi
}

# fails COMMAND...: succeeds when the command does not.
fails() {
    ! "$@"
}

# is WANTED COMMAND...: succeeds when the command prints this.
is() {
    local wanted=$1 found
    shift
    found=$("$@") || return
    [ "$found" = "$wanted" ] || { echo "wanted '$wanted', found '$found'" && return 1; }
}

# matches PATTERN COMMAND...: succeeds when a line that the command prints matches.
matches() {
    local pattern=$1 found
    shift
    found=$("$@") || true
    grep -qE -- "$pattern" <<<"$found" || { printf "nothing matches '%s' in:\n%s\n" "$pattern" "$found" && return 1; }
}

bed_show_logs() {
    [ -z "$bed_leader" ] || bed journalctl --no-pager --lines 80 2>/dev/null || true
    local log
    for log in boot install console; do
        [ -s "$bed_directory/$log.log" ] && echo "$log:" && tail -n 40 "$bed_directory/$log.log"
    done
    return 0
}

# Ends the script: with status 0 if every check was ok.
bed_end() {
    if [ $bed_failed -ne 0 ]; then
        echo "The journal:"
        bed_show_logs
    fi
    exit $bed_failed
}

# For the end of the script, whatever ends it.
bed_stop() {
    trap - EXIT
    trap '' INT TERM HUP
    if [ -n "$bed_supervisor" ]; then
        # The first process of a pid namespace takes all others there with it.
        kill -KILL "$(bed_child_of "$bed_supervisor" bash)" 2>/dev/null || kill -KILL "$bed_supervisor" || true
        wait "$bed_supervisor" 2>/dev/null || true
    fi
    bed_remove "$bed_directory"
}

bed_remove() {
    [ -n "$1" ] || return 0
    rm -rf --one-file-system "$1"
    local cgroup
    for cgroup in /sys/fs/cgroup/"${1##*/}" /sys/fs/cgroup/unified/"${1##*/}"; do
        [ ! -d "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

# What a script that was killed could not remove.
bed_remove_stale() {
    local place owner
    for place in /tmp/shmd-bed-[0-9]*; do
        owner=${place#/tmp/shmd-bed-}
        owner=${owner%%-*}
        [ -d "$place" ] && [ ! -d "/proc/$owner" ] && bed_remove "$place"
    done
    return 0
}
