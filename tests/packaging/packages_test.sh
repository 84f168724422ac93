#!/usr/bin/env bash
# packages_test.sh BUILD VERSION: what is in the packages, and whether their man pages tell all that the programs can do.
set -u
build=$1 version=$2
source=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d) || exit
trap 'rm -rf "$scratch"' EXIT
failures=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# has WHAT PATTERN TEXT
has() { grep -qE -- "$2" <<<"$3" || fail "$1 lacks $2; it is: $3"; }

for tool in lintian mandoc man dpkg-deb; do
    command -v $tool >/dev/null || {
        echo "SKIPPED: $tool is not installed"
        exit 0
    }
done

arch=$(dpkg --print-architecture)
triplet=$(gcc -print-multiarch 2>/dev/null || uname -m)
declare -A deb
names=(shmd libshmd0 libshmd-dev libshmd-sysv)
[ ! -f "$build/client/php/shmd.so" ] || names+=(php-shmd)
for name in "${names[@]}"; do
    deb[$name]=$build/packages/${name}_$version-1_$arch.deb
    [ -f "${deb[$name]}" ] || {
        fail "there is no ${deb[$name]}"
        exit 1
    }
    dpkg-deb -x "${deb[$name]}" "$scratch/$name"
done

# ---- Contents ----

files_of() { (cd "$scratch/$1" && find . ! -type d | cut -c2- | sort); }

must_have() {
    local name=$1 file
    shift
    for file in "$@"; do
        compgen -G "$scratch/$name$file" >/dev/null || fail "$name lacks $file"
    done
}

must_have shmd /usr/bin/{shmd,shmdctl} /usr/lib/systemd/system/{shmd.service,shmd.socket,shmd-control.socket} \
    /usr/lib/sysusers.d/shmd.conf /usr/share/man/man8/shmd.8.gz /usr/share/man/man1/shmdctl.1.gz \
    /usr/share/man/man5/shmd.conf.5.gz /usr/share/bash-completion/completions/shmdctl \
    /usr/share/zsh/vendor-completions/_shmdctl /usr/share/fish/vendor_completions.d/shmdctl.fish
must_have libshmd0 "/usr/lib/$triplet/libshmd.so.0" "/usr/lib/$triplet/libshmd.so.$version"
must_have libshmd-dev "/usr/lib/$triplet/libshmd.so" /usr/include/shmd/{shmd.h,shmd.hpp,sysv.h} /usr/share/man/man3/libshmd.3.gz \
    /usr/share/man/man3/shmd_open.3.gz "/usr/lib/$triplet/pkgconfig/shmd.pc" "/usr/lib/$triplet/cmake/shmd/shmd-config.cmake"
must_have libshmd-sysv "/usr/lib/$triplet/libshmd-sysv.so"
[ -z "${deb[php-shmd]:-}" ] || must_have php-shmd "/usr/lib/php/*/shmd.so" /usr/share/php-shmd/shmd.ini
for name in "${!deb[@]}"; do
    must_have "$name" "/usr/share/doc/$name/copyright" "/usr/share/doc/$name/changelog.Debian.gz"
    files_of "$name" | grep -v '^/usr/' && fail "$name has files outside /usr"
    [ -z "$(find "$scratch/$name" -type d ! -perm 755)" ] || fail "$name has directories that are not 0755"
    [ -z "$(find "$scratch/$name" -type f ! -perm 755 ! -perm 644)" ] || fail "$name has files that are neither 0755 nor 0644"
done
twice=$( (for name in "${!deb[@]}"; do files_of "$name"; done) | sort | uniq -d)
[ -z "$twice" ] || fail "in more than one package: $twice"
# Nothing that an installation has is left out.
DESTDIR=$scratch/all cmake --install "$build" >/dev/null || fail "cmake --install"
left_out=$(comm -23 <(files_of all) <( (for name in "${!deb[@]}"; do files_of "$name"; done) | sort))
[ -z "$left_out" ] || fail "in no package: $left_out"

grep -q '^ExecStart=/usr/bin/shmd' "$scratch/shmd/usr/lib/systemd/system/shmd.service" || fail "the unit starts another program"
for binary in "$scratch"/shmd/usr/bin/* "$scratch/libshmd0/usr/lib/$triplet/libshmd.so.$version" \
    "$scratch/libshmd-sysv/usr/lib/$triplet/libshmd-sysv.so" "$scratch"/php-shmd/usr/lib/php/*/shmd.so; do
    [ -e "$binary" ] || continue
    file -b "$binary" | grep -q ELF || continue
    file -b "$binary" | grep -q ', stripped' || fail "${binary##*/} has symbols for debuggers"
    readelf -d "$binary" | grep -E 'RPATH|RUNPATH' && fail "${binary##*/} says where libraries are"
done

# ---- What the packages say of themselves ----

field() { dpkg-deb -f "${deb[$1]}" "$2"; }
control() { dpkg-deb -I "${deb[$1]}" "$2" 2>/dev/null; }

for dependency in "libshmd0 \(= $version-1\)" 'libsystemd0' 'libc6 \(' 'libstdc\+\+6' 'systemd \| systemd-standalone-sysusers'; do
    has "Depends of shmd" "$dependency" "$(field shmd Depends)"
done
[[ $(field libshmd0 Depends) =~ ^libc6\ \(\>=\ [0-9.]+\)$ ]] || fail "libshmd0 depends on: $(field libshmd0 Depends)"
[ "$(field libshmd-dev Depends)" = "libshmd0 (= $version-1)" ] || fail "libshmd-dev depends on: $(field libshmd-dev Depends)"
[ "$(control libshmd0 shlibs)" = "libshmd 0 libshmd0 (>= $version)" ] || fail "shlibs: $(control libshmd0 shlibs)"
[ "$(control libshmd0 triggers)" = "activate-noawait ldconfig" ] || fail "triggers: $(control libshmd0 triggers)"
for script in postinst prerm postrm; do
    sh -n <(control shmd $script) || fail "$script"
done

findings=$(lintian --allow-root --tag-display-limit 0 "${deb[@]}" 2>&1)
[ -z "$findings" ] || printf 'lintian:\n%s\n' "$findings"
grep -q '^E:' <<<"$findings" && fail "lintian has errors"

# ---- Man pages ----

plain() { gzip -dc "$scratch/$1" | man --warnings -l - 2>/dev/null | col -b; }

for page in "$scratch"/*/usr/share/man/man*/*.gz; do
    case $page in "$scratch"/all/*) continue ;; esac
    [ -e "$page" ] || fail "${page##*/} leads nowhere"
    [ -L "$page" ] && continue
    name=${page##*/}
    unpacked=$scratch/${name%.gz}
    gzip -dc "$page" >"$unpacked"
    complaints=$({ man --warnings -l "$unpacked" >/dev/null; mandoc -T lint -W warning "$unpacked"; } 2>&1)
    [ -z "$complaints" ] || fail "${page##*/}: $complaints"
done

export MANWIDTH=200
shmdctl=$build/client/cli/shmdctl
text=$(plain shmd/usr/share/man/man1/shmdctl.1.gz)
has "shmdctl(1)" '^NAME' "${text:0:2000}"
# told PAGE TEXT WORD...: that the page has the words.
told() {
    local name=$1 words=$2 word
    shift 2
    [ $# -gt 1 ] || fail "nothing to look for in $name; mend this test"
    for word in "$@"; do
        grep -qF -- "$word" <<<"$words" || fail "$name does not tell of $word"
    done
}
commands=$("$shmdctl" __complete "" | cut -f1)
told "shmdctl(1)" "$text" $commands
for command in $commands; do
    grep -qE "^ +$command( |\$)" <<<"$text" || fail "shmdctl(1) has no entry for $command"
    told "shmdctl(1), $command" "$text" $("$shmdctl" __complete "$command" -- | cut -f1)
done
text=$(plain shmd/usr/share/man/man8/shmd.8.gz)
told "shmd(8)" "$text" $("$build/daemon/shmd" --help | grep -oE '^ *(-h,)?--[a-z-]+' | grep -oE -- '--.*')
told "shmd(8)" "$text" $(sed -n 's/.*string_view .* = "\([0-9a-f]\{32\}\)";/\1/p' "$source/daemon/log/log.hpp")
told "libshmd(3)" "$(plain libshmd-dev/usr/share/man/man3/libshmd.3.gz)" $(sed 's/@.*//' "$source/client/c/libshmd.symbols") \
    $(sed -n 's/^ \*   \(-E[A-Z]*\) .*/\1/p' "$source/client/c/shmd/shmd.h")

# Every option that the daemon knows; it names them all when it is given one that it does not.
options_of() {
    echo "$1" >"$scratch/shmd.conf"
    "$build/daemon/shmd" --config "$scratch/shmd.conf" --socket "$scratch/no/socket" 2>&1 | sed -n 's/.*options here: //p' | tr -d ,
}
conf=$(plain shmd/usr/share/man/man5/shmd.conf.5.gz)
for object in '{"?":1}' '{"limits":{"?":1}}' '{"limits":{"perUid":{"?":1}}}' '{"policy":{"?":1}}' '{"policy":{"reserved":[{"?":1}]}}'; do
    told "shmd.conf(5), $object" "$conf" $(options_of "$object")
done
# Every example is one that the daemon takes.
examples=0
awk -v out="$scratch/example" '/^```/ { inside = !inside; if (inside) n++; next } inside { print > (out n) }' "$source/daemon/config/shmd.conf.5.scd"
for example in "$scratch"/example*; do
    grep -q '^{' "$example" || continue
    sed -i 's/"postgres"/"root"/; s/"dba"/"root"/' "$example"
    said=$("$build/daemon/shmd" --config "$example" --socket "$scratch/no/socket" 2>&1)
    has "an example of shmd.conf(5), which the daemon" 'cannot listen' "$said"
    examples=$((examples + 1))
done
[ $examples -ge 3 ] || fail "only $examples examples were found in shmd.conf(5)"

[ $failures -eq 0 ] && echo "The packages are as they should be."
exit $((failures > 0))
