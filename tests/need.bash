# shellcheck shell=bash
# What the scripts of this folder share: how they fail, and how they get what they lack. Sourced.

fail() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

# need COMMAND PACKAGE: the command, or the file, is there, or Debian's package brings it.
need() {
    there "$1" && return
    package "$2" "$1"
    there "$1" || fail "$2 was installed and brought no $1"
}

there() { PATH=$PATH:/usr/sbin:/sbin type -P "$1" >/dev/null || [ -e "$1" ]; }

# package NAME FOR: installs Debian's package.
package() {
    type -P apt-get >/dev/null || fail "$2 is needed and apt-get is not here: install $1"
    [ "$(id -u)" -eq 0 ] || fail "$2 is needed: as root, apt-get install $1"
    printf '== installing %s (for %s)\n' "$1" "$2"
    if [ -z "${APT_UPDATED:-}" ]; then
        apt-get update -qq
        APT_UPDATED=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$1" >/dev/null
}
