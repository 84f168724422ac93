# For ./tests/run and ./tests/demo: installs what a fresh Debian 12 lacks. To be sourced.

say() { printf '\033[1m%s\033[0m\n' "$*"; }

# need_packages NAME...: installs those that are missing, as root or through sudo.
need_packages() {
    local missing=() name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "These packages are missing: ${missing[*]}. Install them as root, or install sudo." >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    say "Installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

build_packages=(g++ cmake ninja-build pkg-config libasio-dev nlohmann-json3-dev libspdlog-dev libcli11-dev
                libsystemd-dev zlib1g-dev scdoc)
test_packages=(doctest-dev libbenchmark-dev binutils make procps spin
               systemd-container systemd-sysv dbus libpam-systemd  # a real systemd
               dpkg-dev file lintian man-db mandoc                 # packages
               bash-completion zsh fish                            # completions
               postgresql stress-ng perl python3                   # programs with System V shared memory
               php8.2-cli php8.2-dev php8.2-fpm libfcgi-bin php-parser ucf
               python3-venv python3-dev libjansson-dev golang-github-varlink-go-dev)  # clients and their conformance
# Where a language is installed in another way, Debian's is not needed.
command -v go >/dev/null || test_packages+=(golang-go)
command -v cargo >/dev/null || test_packages+=(cargo-web rustc-web rust-web-clippy rustfmt-web)  # newer than rustc
command -v node >/dev/null || test_packages+=(nodejs)
command -v npm >/dev/null || test_packages+=(npm)
