#!/bin/sh
# Prints the directory that holds Flux's kustomize-controller, its CRDs and those of its sources (crds.yaml), and kstatus,
# which asks Flux's library about objects, after building from go.mod what is not there yet.
set -eu
cd "$(dirname "$0")"

fail() { echo "flux: $*" >&2; exit 1; }

hash=$(cat build.sh go.mod go.sum kstatus/main.go | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16)
cache=${KEYSET_FLUX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/flux/$hash}
if [ ! -e "$cache/complete" ]; then
  command -v go >/dev/null || fail "Go is not installed: install Go $(sed -n 's/^go //p' go.mod) or newer"
  mkdir -p "$cache" || fail "cannot write to $cache: set KEYSET_FLUX_CACHE to a directory that can be written"
  log=$cache/build.log
  # Two builds at a time do no harm: each puts whole files in place.
  trap 'rm -f "$cache"/*.$$' EXIT
  build() { # PACKAGE
    echo "flux: building ${1##*/} (once; minutes)" >&2
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$cache/${1##*/}.$$" "$1" >"$log" 2>&1 ||
      fail "building ${1##*/} failed: $(tail -n 1 "$log") (needs a Go module proxy and about 3 GB of disk; all of it: $log)"
    mv "$cache/${1##*/}.$$" "$cache/${1##*/}"
  }
  build github.com/fluxcd/kustomize-controller
  build keyset.dev/tools/flux/kstatus
  for module in github.com/fluxcd/kustomize-controller github.com/fluxcd/source-controller; do
    go mod download "$module" >"$log" 2>&1 || fail "$module is not to be had: $(tail -n 1 "$log")"
    # Each file begins with the line that parts it from the one before.
    cat "$(go list -m -f '{{.Dir}}' "$module")"/config/crd/bases/*.yaml
  done >"$cache/crds.yaml.$$"
  mv "$cache/crds.yaml.$$" "$cache/crds.yaml"
  touch "$cache/complete"
fi
echo "$cache"
