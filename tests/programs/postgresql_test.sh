#!/usr/bin/env bash
# PostgreSQL with shared_memory_type = sysv on shmd: initdb, pgbench, kill -9 of the postmaster, and start again.
. "$(dirname "$0")/bed.sh"
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -x "$bin/postgres" ] || skip "PostgreSQL is not installed (package postgresql)"
start_daemon
data=$scratch/data
mkdir "$data" "$scratch/run"
chown nobody "$data" "$scratch/run"

as_nobody() {
    (cd / && exec setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$scratch/run" PGHOST="$scratch/run" \
        PGUSER=nobody PGDATABASE=postgres "$@")
}
postmaster() {
    head -1 "$data/postmaster.pid" 2>/dev/null
}
sql() {
    as_nobody "$bin/psql" -XAtc "$1" 2>&1
}
start() {
    as_nobody "$shmdctl" exec -- "$bin/pg_ctl" -D "$data" -w -t 60 -l "$scratch/run/log" start >/dev/null
}
at_end='[ -z "$(postmaster)" ] || as_nobody "$bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1'

as_nobody "$shmdctl" exec -- "$bin/initdb" -D "$data" -A trust --no-sync -c shared_memory_type=sysv >"$scratch/initdb.log" 2>&1 ||
    as_nobody "$shmdctl" exec -- "$bin/initdb" -D "$data" -A trust --no-sync >"$scratch/initdb.log" 2>&1 || {
    cat "$scratch/initdb.log"
    fail "initdb"
}
cat >>"$data/postgresql.conf" <<END
shared_memory_type = sysv
shared_buffers = 64MB
listen_addresses = ''
unix_socket_directories = '$scratch/run'
fsync = off
END
is "nothing is left of initdb" "" "$(segments)"
start || { cat "$scratch/run/log"; fail "the start"; finish; exit 1; }

like "its memory is shmd's" '^0x[0-9a-f]+ +[0-9]+ +nobody +600 +[0-9]{8,} +[0-9]+' "$(segments)"
like "the kernel has none of it" '^0$' "$(ipcs -m | grep -c nobody)"
is "it says so itself" sysv "$(sql 'show shared_memory_type')"
as_nobody "$bin/pgbench" -i -q -s 1 >"$scratch/pgbench.log" 2>&1 || fail "pgbench -i: $(cat "$scratch/pgbench.log")"
as_nobody "$bin/pgbench" -c 4 -j 2 -t 200 >"$scratch/pgbench.log" 2>&1 || fail "pgbench: $(cat "$scratch/pgbench.log")"
like "pgbench did all of it" 'actually processed: 800/800' "$(cat "$scratch/pgbench.log")"
before=$(sql 'select count(*) from pgbench_history')
is "what pgbench wrote is there" 800 "$before"

# Its children notice and end by themselves; the segment that they leave is known again by its id and has nobody.
pid=$(postmaster)
first=$(segments)
kill -9 "$pid"
tail --pid="$pid" -f /dev/null
start || { cat "$scratch/run/log"; fail "the start after kill -9"; finish; exit 1; }
is "nothing that was committed is lost" 800 "$(sql 'select count(*) from pgbench_history')"
is "the segment of the dead one is gone, and there is one" 1 "$(segments | wc -l)"
[ "$first" != "$(segments)" ] || fail "the new one uses the segment of the dead one"

as_nobody "$bin/pg_ctl" -D "$data" -w -m fast stop >/dev/null || fail "the stop"
is "nothing is left of it" "" "$(segments)"
finish
