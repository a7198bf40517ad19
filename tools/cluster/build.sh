#!/bin/sh
# Prints the directory that holds etcd, kube-apiserver, kube-controller-manager and kubectl, after
# building from go.mod what is not there yet. KUBEBUILDER_ASSETS names a directory to take instead;
# KEYSET_CLUSTER_CACHE names the directory to build into. Standard output is that one line.
set -eu
cd "$(dirname "$0")"

say() { echo "cluster: $*" >&2; }
fail() { say "$*"; exit 1; }

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  for name in etcd kube-apiserver kube-controller-manager; do
    [ -x "$KUBEBUILDER_ASSETS/$name" ] ||
      fail "KUBEBUILDER_ASSETS ($KUBEBUILDER_ASSETS) has no $name: put it there, or unset the variable to build everything with Go"
  done
  echo "$KUBEBUILDER_ASSETS"
  exit
fi

hash=$(cat go.mod go.sum | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16)
cache=${KEYSET_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/cluster/$hash}
if [ -e "$cache/complete" ]; then
  echo "$cache"
  exit
fi

go_version=$(sed -n 's/^go //p' go.mod)
command -v go >/dev/null ||
  fail "Go is not installed: install Go $go_version or newer, or set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver and kube-controller-manager"

kubernetes=$(sed -n 's/.*k8s\.io\/kubernetes v\([0-9.]*\).*/\1/p' go.mod | head -n 1)
version=k8s.io/component-base/version
minor=${kubernetes#*.}
flags="-s -w -X $version.gitVersion=v$kubernetes -X $version.gitMajor=${kubernetes%%.*} -X $version.gitMinor=${minor%%.*}"
mkdir -p "$cache" 2>/dev/null || fail "cannot write to $cache: set KEYSET_CLUSTER_CACHE to a directory that can be written"
log=$cache/build.log

# Two builds at a time do no harm: each puts whole files in place.
trap 'rm -f "$cache"/*.$$' EXIT
build() {
  say "building $1 (once; minutes)"
  CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$cache/$1.$$" "$2" >"$log" 2>&1 ||
    fail "building $1 failed: $(tail -n 1 "$log") (needs Go $go_version or newer, a Go module proxy and about 5 GB of disk; all of it: $log)"
  mv "$cache/$1.$$" "$cache/$1"
}
build etcd go.etcd.io/etcd/server/v3
for name in kube-apiserver kube-controller-manager kubectl; do
  build "$name" "k8s.io/kubernetes/cmd/$name"
done
touch "$cache/complete"
echo "$cache"
