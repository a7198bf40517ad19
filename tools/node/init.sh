#!/bin/bash
# PID 1 of the namespaces that up.sh makes: init.sh DIRECTORY BINARIES. What is mounted, started or set up here ends with
# it; what is written stays in DIRECTORY/state, which down.sh removes.
set -eu
trap 'echo "init: failed at line $LINENO" >&2' ERR

run=$1 node=$2 state=$1/state
name=keyset-node address=10.99.0.1 pods=10.244.0.0/24 services=10.96.0.0/16 dns=10.96.0.10
cgroup=$(cat "$run/cgroup")
export CONTAINERD_ADDRESS=/run/containerd/containerd.sock CONTAINERD_NAMESPACE=k8s.io KUBECONFIG=$state/admin.conf
hostname "$name"
cd "$state"

# Mounts: what kubelet, CNI and containerd write below /var and /run is the node's alone. /run is the first, and without a
# note of it, which would be in the machine's /run.
mount --no-mtab -t tmpfs -o mode=755 tmpfs /run
mount -t proc proc /proc
for directory in lib log; do
  mkdir -p "var/$directory" "var/$directory.work"
  layers=lowerdir=/var/$directory,upperdir=$state/var/$directory,workdir=$state/var/$directory.work
  mount -t overlay -o "$layers" overlay "/var/$directory"
done
mkdir -p /run/lock
mount --make-rshared /

# Kubelet insists on these settings of the kernel: it is shown files that hold them, and the machine's stay as they are.
shown() {
  echo "$2" >"$state/sysctl.${1//\//.}"
  mount --bind "$state/sysctl.${1//\//.}" "/proc/sys/$1"
}
shown vm/overcommit_memory 1
shown vm/panic_on_oom 0
shown kernel/panic 10
shown kernel/panic_on_oops 1
shown kernel/keys/root_maxkeys 1000000
shown kernel/keys/root_maxbytes 25000000

# The network: a pair of devices carries the address and the default route, and nothing lies behind it.
ip link set lo up
ip link add node0 type veth peer name node1
ip link set node0 up
ip link set node1 up
ip address add "$address/24" dev node0
ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward

# One root for every cgroup of the node; with version 1 it is in each controller. (Version 2 has not been tried yet.)
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir "/sys/fs/cgroup/$cgroup"
else
  for controller in /sys/fs/cgroup/*/; do
    case $controller in */unified/) ;; *) mkdir -p "$controller$cgroup" ;; esac
  done
  for file in cpus mems; do # a new cpuset has none, and takes no process then
    cat "/sys/fs/cgroup/cpuset/cpuset.$file" >"/sys/fs/cgroup/cpuset/$cgroup/cpuset.$file"
  done
fi

# Who may do what: an administrator and the kubelet, by tokens. The API server makes its own certificate; kubelet's API is
# open, since nobody outside reaches it.
openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
user() { # FILE NAME GROUP
  local token
  token=$(openssl rand -hex 16)
  echo "$token,$2,$2,$3" >>tokens.csv
  cat >"$1" <<END
apiVersion: v1
kind: Config
clusters: [{name: node, cluster: {server: "https://$address:6443", certificate-authority: $state/certificates/apiserver.crt}}]
users: [{name: node, user: {token: $token}}]
contexts: [{name: node, context: {cluster: node, user: node}}]
current-context: node
END
}
user admin.conf admin system:masters
user kubelet.conf "system:node:$name" system:nodes

mkdir cni
cat >cni/node.conflist <<END
{"cniVersion": "0.4.0", "name": "node", "plugins": [
  {"type": "ptp", "ipMasq": false, "mtu": 1400, "ipam": {"type": "host-local", "dataDir": "/var/lib/cni/ipam",
    "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
cat >containerd.toml <<END
version = 3
root = "$state/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"] # it would write below /opt
[grpc]
address = "$CONTAINERD_ADDRESS"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "localhost/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true # a machine that is a container itself may not lower it
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "$state/cni"
END
cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
clusterDNS: [$dns]
clusterDomain: cluster.local
resolvConf: ""
containerRuntimeEndpoint: unix://$CONTAINERD_ADDRESS
syncFrequency: 10s # how late a mounted Secret may change; the default is a minute
failSwapOn: false
protectKernelDefaults: true
shutdownGracePeriod: 0s
# The disk is the machine's, and how full it is does not matter here.
localStorageCapacityIsolation: false
evictionHard: {memory.available: 1Mi, nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
END
cat >audit.yaml <<END
# Who did what, of the service accounts outside kube-system: tests compare it with what they may do.
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, userGroups: ["system:serviceaccounts:kube-system"]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
END
cat >proxy.yaml <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $pods
hostnameOverride: $name
clientConnection: {kubeconfig: $KUBECONFIG}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s} # the machine's stay as they are
oomScoreAdj: 0
END

started=()
start() {
  "$@" >"$run/log/$1.log" 2>&1 &
  started+=("$!:$1")
}
# Waits for a command to succeed, as long as everything that was started lives.
await() {
  until "$@" >/dev/null 2>&1; do
    for process in "${started[@]}"; do
      kill -0 "${process%%:*}" 2>/dev/null || { echo "${process#*:} died: see $run/log/${process#*:}.log" >&2; exit 1; }
    done
    sleep 0.1
  done
}

start containerd --config containerd.toml
start etcd --data-dir etcd --unsafe-no-fsync --log-level warn --listen-peer-urls http://127.0.0.1:2380 \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
start kube-apiserver --etcd-servers http://127.0.0.1:2379 --cert-dir certificates --secure-port 6443 \
  --advertise-address "$address" --service-cluster-ip-range "$services" --allow-privileged \
  --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --token-auth-file tokens.csv \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file sa.pub \
  --service-account-signing-key-file sa.key --kubelet-preferred-address-types InternalIP \
  --audit-policy-file audit.yaml --audit-log-path "$run/log/audit.log"
await ctr version
for image in "$node"/*.tar; do
  ctr images import "$image"
done
await kubectl get --raw /readyz
awk '/BEGIN/ { n++ } n == 2' certificates/apiserver.crt >ca.crt # the second is the one that signed the first

start kube-controller-manager --kubeconfig admin.conf --service-account-private-key-file sa.key --root-ca-file ca.crt \
  --use-service-account-credentials --leader-elect=false --bind-address 127.0.0.1
start kube-scheduler --kubeconfig admin.conf --leader-elect=false --bind-address 127.0.0.1
start kube-proxy --config proxy.yaml
start kubelet --config kubelet.yaml --kubeconfig kubelet.conf --hostname-override "$name" --node-ip "$address" \
  --root-dir "$state/kubelet" --cert-dir kubelet-certificates
await kubectl get node "$name"
kubectl apply -f "${0%/*}/coredns/coredns.yaml"
await kubectl wait --for condition=Ready "node/$name" --timeout 10s
await kubectl rollout status -n kube-system deployment/coredns --timeout 10s
touch "$run/ready"
trap 'exit 0' TERM INT
while :; do
  sleep 3600 &
  wait $!
done
