#!/bin/sh
# Prints the directory that holds helm, after building it from go.mod if it is not there yet. A helm of version 4 on the
# PATH is not taken: what the tests see must not depend on the machine.
set -eu
cd "$(dirname "$0")"

fail() { echo "chart: $*" >&2; exit 1; }

hash=$(cat go.mod go.sum | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16)
cache=${KEYSET_CHART_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/chart/$hash}
if [ ! -x "$cache/helm" ]; then
  command -v go >/dev/null || fail "Go is not installed: install Go $(sed -n 's/^go //p' go.mod) or newer"
  mkdir -p "$cache" || fail "cannot write to $cache: set KEYSET_CHART_CACHE to a directory that can be written"
  echo "chart: building helm (once; minutes)" >&2
  # Two builds at a time do no harm: each puts a whole file in place.
  trap 'rm -f "$cache"/*.$$' EXIT
  CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$cache/helm.$$" helm.sh/helm/v4/cmd/helm >"$cache/build.log" 2>&1 ||
    fail "building helm failed: $(tail -n 1 "$cache/build.log") (all of it: $cache/build.log)"
  mv "$cache/helm.$$" "$cache/helm"
fi
echo "$cache"
