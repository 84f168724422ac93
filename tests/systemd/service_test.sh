#!/usr/bin/env bash
# The life of the service: activation, users, what it tells, reload, watchdog, stop.
set -uo pipefail
. "$(dirname "$0")/bed.sh"
bed_start

alice=$(bed id -u alice)
carol=$(bed id -u carol)

# ---- activation ----

check "the sockets listen and the daemon is not running" is inactive bed_show shmd.service ActiveState
check "everybody may connect to the one" is "666 root" bed stat -c '%a %G' /run/shmd/io.shmd.Segments
check "administrators alone to the other" is "660 shmd-admin" bed stat -c '%a %G' /run/shmd/io.shmd.Control
check "the first connection starts it" bed_as alice shmdctl create hello --size 4K --mode 0644
check "it is active then" is active bed_show shmd.service ActiveState
check "it runs as its own user" is shmd bed ps -o user= -p "$(bed_show shmd.service MainPID)"
check "its state is for itself alone" is "700 shmd" bed stat -c '%a %U' /run/shmd/state
check "another user is told apart" fails bed_as bob shmdctl rm hello
check "who owns a segment is seen" matches "\"ownerUid\": ?$alice" bed_as bob shmdctl --json stat hello
[ $bed_failed -eq 0 ] || bed_end  # all that follows would wait for nothing

# ---- what a sandbox could break ----

check "memory is reserved and populated" bed_as alice shmdctl create big --size 64M --reserve populate
check "segments are resized" bed sh -c 'shmdctl create grow --size 4K --capacity 16M && shmdctl resize grow 16M'
check "content is sealed and published" bed_as alice sh -c 'echo table | shmdctl publish table --seal --mode 0644'
check "and read by others" is table bed_as bob shmdctl read table --length 5
check "huge pages are asked for" bed_as alice shmdctl create huge --size 2M --huge-pages transparent --fallback
check "a node of memory is asked for" bed_as alice shmdctl create node --size 1M --numa-nodes 0 --fallback
check "leases are kept" bed_as alice shmdctl create leased --size 4K --lease 1h
bed_as alice shmdctl rm hello big table huge node leased
bed shmdctl rm grow

# ---- administrators ----

check "a member of shmd-admin administers it" bed_as carol shmdctl status
check "nobody else does" fails bed_as alice shmdctl status
# While a writer waits for more than the pipe holds, it has the segment open.
holders='mkfifo /tmp/pipe && chmod 666 /tmp/pipe
    setpriv --reuid alice --regid alice --clear-groups shmdctl write held </tmp/pipe & exec 3>/tmp/pipe
    head -c 1M /dev/zero >&3; shmdctl who held; exec 3>&-; wait'
bed_as alice shmdctl create held --size 2M
check "who has a segment open is seen, by name, out of a sandbox that hides names" \
    matches '^shmdctl +[0-9]+ +alice +write' bed bash -c "$holders"
bed_as alice shmdctl rm held

# ---- what it tells ----

# entry PATTERN MATCH...: the one entry of the journal with these fields has a line that matches, in its export format.
entry() {
    local pattern=$1
    shift
    matches "$pattern" bed journalctl --quiet --output export --lines 1 "$@"
}

bed_as alice shmdctl create app/table --size 1M
check "its status tells how much it keeps" \
    is "1 segment, 1.0 MiB" bed_await_property shmd.service StatusText '^1 segment, 1[.]0 MiB'
check "an administrator deletes it" bed_as carol shmdctl rm --force app/table
check "its status follows" is "0 segments, 0 B" bed_await_property shmd.service StatusText '^0 segments, 0 B'
bed journalctl --sync
deleted=(SHMD_KEY=app/table "SHMD_UID=$carol" MESSAGE_ID=b1ad972d250a4448b6e4059771b56aea)
check "the journal has who deleted it, to search for by key and user" \
    entry "^MESSAGE=uid $carol pid [0-9]+: deleted segment [0-9]+ \(app/table\) of uid $alice$" "${deleted[@]}"
check "with the process" entry '^SHMD_PID=[0-9]+$' "${deleted[@]}"
check "as a notice" entry '^PRIORITY=5$' "${deleted[@]}"
check "of the service" entry '^_SYSTEMD_UNIT=shmd.service$' "${deleted[@]}"
check "without a second time stamp in the text" \
    entry '^MESSAGE=ready$' _SYSTEMD_UNIT=shmd.service MESSAGE=ready

mark=$(bed_mark)
check "the log level is set" bed_as carol shmdctl log-level debug
bed_as bob shmdctl stat app/nothing 2>/dev/null
check "a refusal is told at debug level" \
    bed_await "$mark" 'refused: io.shmd.Segments.NoSuchSegment \(app/nothing\)' PRIORITY=7 SHMD_KEY=app/nothing
bed_as carol shmdctl log-level info
mark=$(bed_mark)
# What is no Varlink, from a program that is no client.
bed_as bob perl -MIO::Socket::UNIX -e '
    my $socket = IO::Socket::UNIX->new("/run/shmd/io.shmd.Segments") or die;
    print $socket "garbage\0";
    $socket->flush;
    readline $socket'
check "a client that breaks the protocol is told of, as a warning" \
    bed_await "$mark" 'connection closed' PRIORITY=4 "SHMD_UID=$(bed id -u bob)" \
    MESSAGE_ID=e3c18dba6c534b24bc174d18d276a351

# ---- reload ----

# limit_is N: of segments.
limit_is() {
    matches "\"segmentsLimit\": ?$1\b" bed_as carol shmdctl --json status
}

bed_write /etc/shmd/shmd.conf <<<'{ "limits": { "segments": 1234 } }'
check "systemctl reload takes the configuration up" bed systemctl reload shmd.service
check "it is in force when systemctl returns" limit_is 1234
bed_write /etc/shmd/shmd.conf <<<'{ "limits": { "segmants": 1 } }'
check "systemctl reload fails when the configuration cannot be used" fails bed systemctl reload shmd.service
bed journalctl --sync
check "the journal has file and line" entry '^MESSAGE=.*/etc/shmd/shmd.conf:1: limits.segmants' \
    MESSAGE_ID=e26086fa2eb84f5ea639242412756af2 PRIORITY=3
check "all stays as it was" limit_is 1234
check "it is active again" is active bed_await_property shmd.service ActiveState '^active'
bed_write /etc/shmd/shmd.conf <<<'{ "limits": { "segments": 4321 } }'
mark=$(bed_mark)
bed systemctl kill --signal HUP shmd.service
check "SIGHUP reloads as well" bed_await "$mark" '^configuration reloaded$' -u shmd.service
check "with the same effect" limit_is 4321
bed rm /etc/shmd/shmd.conf

# ---- restart, in a sandbox that hides the client's process ----

restart='mkfifo /tmp/late && chmod 666 /tmp/late
    setpriv --reuid alice --regid alice --clear-groups shmdctl write kept </tmp/late & exec 3>/tmp/late
    head -c 1M /dev/zero >&3; systemctl restart shmd.service && shmdctl who kept; status=$?
    exec 3>&-; wait; exit $status'
bed_as alice shmdctl create kept --size 2M
check "who has a segment open still has it after a restart of the daemon" \
    matches '^shmdctl +[0-9]+ +alice +write' bed bash -c "$restart"
bed_as alice shmdctl rm kept

# ---- the watchdog ----

bed_write /run/systemd/system/shmd.service.d/watchdog.conf <<<'[Service]
WatchdogSec=1s
TimeoutAbortSec=100ms'
bed systemctl daemon-reload
check "it restarts" bed systemctl restart shmd.service
stopped=$(bed_show shmd.service MainPID)
mark=$(bed_mark)
bed kill -STOP "$stopped"
check "a client that comes while the daemon is stuck is served" bed_as alice shmdctl create late --size 4K
check "systemd noticed" bed_await "$mark" 'Watchdog timeout' -u shmd.service
check "the stuck one was killed and another started" \
    fails is "$stopped" bed_await_property shmd.service MainPID '^[1-9]'
check "once" is 1 bed_show shmd.service NRestarts
bed_as alice shmdctl wait nothing --timeout 3s 2>/dev/null
check "the watchdog leaves a daemon alone that works" is 1 bed_show shmd.service NRestarts
bed rm -r /run/systemd/system/shmd.service.d
bed systemctl daemon-reload

# ---- the service of a user ----

bed loginctl enable-linger alice
bed systemctl start "user@$alice.service"
runtime=/run/user/$alice/shmd
as_alice=(bed_as alice env "SHMD_SOCKET=$runtime/io.shmd.Segments")
check "a user enables a service of the user's own" \
    bed_as alice systemctl --user enable --now shmd.socket shmd-control.socket
check "its sockets listen" is $'active\nactive' bed_as alice systemctl --user is-active shmd.socket shmd-control.socket
check "for that user alone" is "600 alice" bed stat -c '%a %U' "$runtime/io.shmd.Segments"
check "its daemon does not run yet" is inactive bed_as alice systemctl --user show --value -P ActiveState shmd.service
check "its first connection starts it" "${as_alice[@]}" shmdctl create mine --size 4K
check "it is the user's own" is alice "${as_alice[@]}" ps -o user= -p \
    "$(bed_as alice systemctl --user show --value -P MainPID shmd.service)"
check "the system's daemon knows nothing of it" fails bed_as alice shmdctl stat mine
check "its user administers it" "${as_alice[@]}" shmdctl status
check "it tells how much it keeps" is "1 segment, 4.0 KiB" \
    bed_as alice /bed/await_property --user shmd.service StatusText '^1 segment'
check "it reloads" bed_as alice systemctl --user reload shmd.service
check "it stops" bed_as alice systemctl --user stop shmd.service

# ---- stop ----

check "it stops" bed systemctl stop shmd.service
check "cleanly" is success bed_show shmd.service Result
check "the sockets go on listening" is active bed_show shmd.socket ActiveState
check "and start it again" bed_as alice shmdctl ls
check "stopping the socket stops it too" bed systemctl stop shmd.socket shmd-control.socket
check "the daemon is gone" is inactive bed_await_property shmd.service ActiveState '^inactive'
check "and so are the socket files" fails bed sh -c 'ls /run/shmd/io.shmd.*'

bed_end
