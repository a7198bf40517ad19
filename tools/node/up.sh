#!/bin/bash
# Starts a Kubernetes of one node, with the control plane of tools/cluster, in namespaces of its own: its network, mounts
# and processes are not those of the machine, and end with it. KEYSET_NODE names the directory of the node, so that there
# can be several; it must be on a disk, since cAdvisor does not know a tmpfs.
set -eu
cd "$(dirname "$0")"

say() { echo "node: $*" >&2; }
fail() { say "$*"; exit 1; }

export KEYSET_NODE=${KEYSET_NODE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/node/run}
[ "$(uname)" = Linux ] || fail 'a node needs Linux: use kind, or any cluster that KUBECONFIG names, elsewhere'
[ "$(id -u)" = 0 ] || fail 'a node needs root, for namespaces, mounts and cgroups: run it as root, or use kind'
for tool in runc iptables nft conntrack ip openssl unshare nsenter /usr/lib/cni/ptp; do
  command -v "$tool" >/dev/null || fail "$tool is missing: make node-packages installs it, on a Debian"
done
[ ! -e "$KEYSET_NODE/pid" ] || fail "there is a node in $KEYSET_NODE already: make node-down ends it"

cluster=$(sh ../cluster/build.sh)
node=$(sh build.sh)
began=$(date +%s%N)
rm -rf --one-file-system "$KEYSET_NODE"
mkdir -p "${KEYSET_NODE%/*}"
mkdir -m 700 "$KEYSET_NODE" # the administrator's token is in it
mkdir "$KEYSET_NODE/log" "$KEYSET_NODE/state"
echo "keyset-node-$$" >"$KEYSET_NODE/cgroup"
trap 'bash down.sh' EXIT

# To end unshare is to end everything in it: init.sh is its child and PID 1 of all the others.
setsid unshare --mount --net --pid --ipc --uts --fork --kill-child --propagation private \
  env -i HOME=/root PATH="$node:$cluster:$PATH" bash "$PWD/init.sh" "$KEYSET_NODE" "$node" \
  </dev/null >"$KEYSET_NODE/log/init.log" 2>&1 &
echo $! >"$KEYSET_NODE/pid"
echo "$node:$cluster" >"$KEYSET_NODE/path"
for _ in $(seq 1800); do
  [ ! -e "$KEYSET_NODE/ready" ] || break
  kill -0 "$(cat "$KEYSET_NODE/pid")" 2>/dev/null || break
  sleep 0.1
done
if [ ! -e "$KEYSET_NODE/ready" ]; then
  tail -n 20 "$KEYSET_NODE/log/init.log" >&2
  fail "the node did not become ready in $((($(date +%s%N) - began) / 1000000000)) s: see $KEYSET_NODE/log"
fi
trap - EXIT
say "ready in $((($(date +%s%N) - began) / 1000000)) ms"
cat <<END
tools/node/in.sh kubectl get pods -A           # runs any command inside the node; no port of it is open outside
tools/node/in.sh ctr images import FILE.tar    # brings an image in
make node-down                                 # ends the node; its logs stay in $KEYSET_NODE/log
END
