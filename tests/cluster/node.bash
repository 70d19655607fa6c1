# shellcheck shell=bash
# What makes the namespaces of a part of the cluster, and a node in them. Sourced after common.bash.

BIN=$(cat "$STATE/programs")

# namespaces PART: holds its namespaces open by a first process, which also reaps.
namespaces() {
    local part=$1 holder pid
    mkdir -p "$STATE/$part/lib" "$STATE/$part/log" "$STATE/$part/etc"
    setsid unshare --mount --net --uts --ipc --pid --fork --kill-child --mount-proc \
        tini -- sleep infinity </dev/null >/dev/null 2>&1 &
    holder=$!
    until_true 10 "the first process of $part" child "$holder"
    pid=$(child "$holder")
    printf '%s %s\n' "$pid" "$(started "$pid")" >"$STATE/$part/init"
    # Mounts of a node reach its containers, and nobody outside.
    inside "$part" sh -c "mount --make-rshared / && hostname $part && mount -t tmpfs -o mode=0755 tmpfs /run && \
        mount --bind $STATE/$part/lib /var/lib && mount --bind $STATE/$part/log /var/log && \
        ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward"
}

# The only child of unshare, once it has become tini.
child() {
    local pid
    pid=$(cat "/proc/$1/task/$1/children" 2>/dev/null) && pid=${pid%% *}
    [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm")" = tini ] && echo "$pid"
}

# start PART PROGRAM ARGUMENTS...: in that part's namespaces, and where it is a node, in its control group.
start() {
    local part=$1 program=$2 group
    shift 2
    (
        for group in $(groups "$part"); do
            # Of the hierarchies of version 1 those that freeze and count: a node's own programs have no limits here.
            case $group in
            /sys/fs/cgroup/freezer/* | /sys/fs/cgroup/cpuacct/* | "/sys/fs/cgroup/$NAME/"*)
                if [ -d "$group/system" ]; then echo "$BASHPID" >"$group/system/cgroup.procs"; fi
                ;;
            esac
        done
        exec setsid nsenter --target "$(alive "$part")" --mount --net --uts --ipc --pid -- \
            env PATH="$BIN:/usr/sbin:/usr/bin:/sbin:/bin" "$BIN/$program" "$@" \
            </dev/null >>"$STATE/$part/log/$program" 2>&1
    ) &
}

# node_up NODE: from nothing, or after it was killed, with what it had on its disk.
node_up() {
    local node=$1 disk
    node_groups "$node"
    namespaces "$node"
    node_network "$node"
    mkdir -p "$STATE/$node/lib/volumes"
    inside "$node" mount --bind "$STATE/volumes" /var/lib/volumes
    for disk in growing breaking; do
        inside "$node" mount "$(cat "$STATE/$disk.loop")" "/var/lib/volumes/$disk"
    done
    node_containerd "$node"
    node_kubelet "$node"
    node_proxy "$node"
}

node_groups() {
    local group
    for group in $(groups "$1"); do
        mkdir -p "$group/system"
        if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
            # A controller is there for the children of a group that passes it on.
            for above in /sys/fs/cgroup "${group%/*}" "$group"; do
                sed 's/[^ ]\+/+&/g' "$above/cgroup.controllers" >"$above/cgroup.subtree_control"
            done
        fi
    done
}

node_network() {
    local node=$1 host
    host=$(host_part "$node")
    # What a killed node left goes with its namespace, a moment later.
    until_true 10 "an end of $node's old link" no_link "$node"
    network control ip link add name "$node" type veth peer name eth0 netns "$(alive "$node")"
    network control sh -c "ip link set $node master lan && ip link set $node up && ip route replace $(pod_cidr "$node") via 10.213.0.$host"
    network "$node" sh -c "ip addr add 10.213.0.$host/24 dev eth0 && ip link set eth0 up && \
        ip route add default via $CONTROL && ip route add unreachable $(pod_cidr "$node")"
}

no_link() { ! network control ip link show "$1"; }

node_containerd() {
    local node=$1 etc=$STATE/$1/etc archive
    mkdir -p "$etc/cni"
    cat >"$etc/cni/pods.conflist" <<EOF
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": false, "mtu": 1500, "ipam": {
  "type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$(pod_cidr "$node")"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
EOF
    cat >"$etc/containerd.toml" <<EOF
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "localhost/pause:cluster"
[plugins."io.containerd.cri.v1.runtime"]
  # Where this machine's own may not be lowered, a sandbox's can't be either.
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "$etc/cni"
EOF
    start "$node" containerd --config "$etc/containerd.toml" --log-level warn
    until_true 30 "containerd of $node" inside "$node" "$BIN/ctr" version
    for archive in "$STATE"/images/*.tar; do node_load "$node" "$archive"; done
}

# node_load NODE ARCHIVE
node_load() {
    inside "$1" "$BIN/ctr" --namespace k8s.io images import --local "$2" >>"$STATE/$1/log/import" 2>&1 ||
        fail "$2 can't be imported: see $STATE/$1/log/import"
}

node_kubelet() {
    local node=$1
    cat >"$STATE/$node/etc/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
# Nobody but the cluster's own parts reaches it.
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /$NAME/$node
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volume-plugins
clusterDomain: cluster.local
clusterDNS: ["$DNS"]
resolvConf: ""
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
# A node that is gone is noticed in 12 s, by a lease that is renewed every 2.
nodeLeaseDurationSeconds: 8
nodeStatusUpdateFrequency: 2s
EOF
    start "$node" kubelet --config "$STATE/$node/etc/kubelet.yaml" --kubeconfig "$STATE/pki/$node.kubeconfig" \
        --hostname-override "$node" --node-ip "10.213.0.$(host_part "$node")"
}

node_proxy() {
    local node=$1
    cat >"$STATE/$node/etc/kube-proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $STATE/pki/kube-proxy.kubeconfig}
mode: iptables
clusterCIDR: $PODS
hostnameOverride: $node
# Of the whole machine, and not ours to change.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
EOF
    start "$node" kube-proxy --config "$STATE/$node/etc/kube-proxy.yaml"
}

# volume NAME CLASS SIZE: a PersistentVolume that every node has.
volume() {
    cat <<EOF
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1}
spec:
  capacity: {storage: $3}
  accessModes: [ReadWriteOnce, ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: $2
  local: {path: /var/lib/volumes/$1}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [linux]}]}]}}
EOF
}
