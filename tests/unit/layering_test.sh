#!/usr/bin/env bash
# System headers cannot be kept from a target by include paths: this checks where they may be used.
set -u
cd "$1" || exit 1
failed=0

# only NAME 'PATTERN' WHERE_IT_MAY_BE DIRECTORIES...: prints every other file that has the pattern.
only() {
    local what=$1 pattern=$2 allowed=$3
    shift 3
    local wrong
    wrong=$(grep -rlE --include='*.cpp' --include='*.hpp' --include='*.h' "$pattern" "$@" | grep -vE "$allowed")
    if ! grep -rqE --include='*.cpp' --include='*.hpp' --include='*.h' "$pattern" "$@"; then
        echo "layering: the pattern for $what matches nothing; mend this test"
        failed=1
    fi
    [ -z "$wrong" ] && return
    printf 'layering: %s does not belong in:\n%s\n' "$what" "$wrong"
    failed=1
}

only JSON '#include <nlohmann' '^(protocol/|daemon/config/|client/cli/)' protocol daemon client
only Asio '#include <asio' '^daemon/(server|session)/' protocol daemon client
only spdlog '#include <spdlog' '^daemon/log/' daemon
only memfds 'memfd_create' '^daemon/segment/' protocol daemon
only users 'uid|Peer' '^daemon/(policy|quota|log|handlers|registry|session|server|config|journal)/|^daemon/main.cpp|^protocol/(as_written|decode_calls|encode_calls|json_reader|json_writer|messages|replies|system_v[a-z_]*|types|paths)\.' protocol daemon
# Include paths are what keeps the layers apart; a path around them would undo that.
around=$(grep -rnE --include='*.cpp' --include='*.hpp' '#include "(\.\./|.*(daemon|client)/)' protocol daemon client)
if [ -n "$around" ]; then
    printf 'layering: includes that go around the targets:\n%s\n' "$around"
    failed=1
fi
exit $failed
