#!/bin/bash
# Runs a command inside the node that up.sh started: in.sh kubectl get nodes. helm, ctr and kubectl are those of the node.
set -eu

KEYSET_NODE=${KEYSET_NODE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/node/run}
pid=$(cat "$KEYSET_NODE/pid" 2>/dev/null) || true
init=$(tr -d ' ' 2>/dev/null <"/proc/$pid/task/$pid/children") || true
if [ -z "$init" ] || [ ! -e "$KEYSET_NODE/ready" ]; then
  echo "node: there is none in $KEYSET_NODE: make node-up starts one" >&2
  exit 1
fi
exec nsenter --target "$init" --mount --net --pid --ipc --uts env --chdir "$PWD" \
  PATH="$(cat "$KEYSET_NODE/path"):$PATH" KUBECONFIG="$KEYSET_NODE/state/admin.conf" \
  CONTAINERD_ADDRESS=/run/containerd/containerd.sock CONTAINERD_NAMESPACE=k8s.io "$@"
