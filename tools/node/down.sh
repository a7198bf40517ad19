#!/bin/bash
# Ends the node that up.sh started in KEYSET_NODE, and nothing else. The logs stay until the next one starts.
set -eu

KEYSET_NODE=${KEYSET_NODE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/node/run}
say() { echo "node: $*" >&2; }
fail() { say "$*"; exit 1; }

[ -e "$KEYSET_NODE/cgroup" ] || { say "there is none in $KEYSET_NODE"; exit; }
# The number may be another process's by now: only unshare with this very directory is the node.
if pid=$(cat "$KEYSET_NODE/pid" 2>/dev/null) &&
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "^unshare .*/init.sh $KEYSET_NODE "; then
  kill -9 "$pid"
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
fi

# Everything else went with the namespaces, but a cgroup has to be empty before it can be removed, the deepest first.
cgroup=$(cat "$KEYSET_NODE/cgroup")
case $cgroup in keyset-node-[0-9]*) ;; *) fail "$KEYSET_NODE/cgroup has no name of a cgroup: remove the directory by hand" ;; esac
cgroups() { find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "$cgroup"; }
for _ in $(seq 50); do
  [ -n "$(cgroups)" ] || break
  cgroups | while read -r directory; do find "$directory" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
  sleep 0.1
done
[ -z "$(cgroups)" ] || fail "cgroups are left: $(cgroups | tr '\n' ' '); try make node-down again"
rm -rf --one-file-system "$KEYSET_NODE/state" "$KEYSET_NODE"/{pid,path,ready,cgroup}
say 'ended'
