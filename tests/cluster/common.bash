# shellcheck shell=bash
# What the scripts beside this file share: where things are, and how to get into the cluster's namespaces.
#
# A cluster is a control plane and one or two nodes on this machine. Each of the three has network, mount, PID, UTS and
# IPC namespaces of its own, and below `lan`, a bridge in the control plane's network namespace, there is nothing but
# them: no address, route, rule or mount of the machine itself is made or changed. A node is what its PID namespace
# holds; it is killed with its first process.
set -euo pipefail

CLUSTER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# All that a cluster writes; `down` removes it.
STATE=${CLUSTER_STATE:-/var/tmp/sql-edge-supervisor-cluster}
# The programs, built once a version.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/sql-edge-supervisor-cluster
# Of control groups and of this cluster's objects.
NAME=sql-edge-supervisor-cluster
# 10.213.0.1 is the control plane, 10.213.0.11 and .12 are the nodes, 10.213.17.0/24 and 10.213.18.0/24 their pods.
CONTROL=10.213.0.1
PODS=10.213.16.0/20
SERVICES=10.213.128.0/20
DNS=10.213.128.10
export PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin

say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# The node addresses of node-1 and node-2 end so.
host_part() { echo $((10 + ${1#node-})); }
pod_cidr() { echo "10.213.$((16 + ${1#node-})).0/24"; }

# alive PART: the pid of the first process of the namespaces of `control`, `node-1` or `node-2`, where it still runs.
# Its start time is compared too: a pid may be another process's by now.
alive() {
    local pid start
    read -r pid start 2>/dev/null <"$STATE/$1/init" || return 1
    [ "$(started "$pid")" = "$start" ] || return 1
    echo "$pid"
}

# The 22nd field of /proc/PID/stat, behind the name in brackets.
started() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -- ${stat##*) }
    echo "${20}"
}

# inside PART COMMAND...: the command in all namespaces of that part.
inside() {
    local pid
    pid=$(alive "$1") || fail "$1 is not up: tests/cluster/up"
    shift
    nsenter --target "$pid" --mount --net --uts --ipc --pid -- "$@"
}

# network PART COMMAND...: the command in that part's network alone, where this machine's pids mean what they mean here.
network() {
    local pid
    pid=$(alive "$1") || fail "$1 is not up: tests/cluster/up"
    shift
    nsenter --target "$pid" --net -- "$@"
}

# The control groups of one node, or of all: one in each hierarchy of version 1, or the one of version 2.
groups() {
    local hierarchy
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo "/sys/fs/cgroup/$NAME${1:+/$1}"
        return
    fi
    for hierarchy in cpu cpuacct cpuset memory pids devices blkio freezer hugetlb systemd unified; do
        if [ -e "/sys/fs/cgroup/$hierarchy/cgroup.procs" ]; then
            echo "/sys/fs/cgroup/$hierarchy/$NAME${1:+/$1}"
        fi
    done
}

# freeze NODE 1|0: stops all that belongs to the node, or lets it go on.
freeze() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo "$2" >"/sys/fs/cgroup/$NAME/$1/cgroup.freeze"
    elif [ "$2" = 1 ]; then
        echo FROZEN >"/sys/fs/cgroup/freezer/$NAME/$1/freezer.state"
    else
        echo THAWED >"/sys/fs/cgroup/freezer/$NAME/$1/freezer.state"
    fi
}

# until_true SECONDS WHAT COMMAND...: asked ten times a second.
until_true() {
    local tries=$(($1 * 10)) what=$2
    shift 2
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$what did not come to be: see $STATE/*/log"
        sleep 0.1
    done
}
