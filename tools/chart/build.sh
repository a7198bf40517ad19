#!/bin/sh
# Prints the directory that holds helm, after building it from go.mod if it is not there yet. A helm of version 4 on the
# PATH is not taken: what the tests see must not depend on the machine. `build.sh checks` prints one that holds all that
# the tests of chart and documents want: helm, helm3, helm-unittest, kubeconform, kube-score, promtool, jq, and in apis/ the API
# of each version of Kubernetes and the CRDs that chart and documents speak of. KEYSET_CHART_CACHE names the directory to build into.
set -eu
cd "$(dirname "$0")"

say() { echo "chart: $*" >&2; }
fail() { say "$*"; exit 1; }
hash() { cat "$@" | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16; }

cache=${KEYSET_CHART_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/chart/$(hash go.mod go.sum)}
checks=$cache/checks-$(hash apis.txt checks/go.* score/go.*)
wanted=${1:-helm}
case $wanted in
helm) directory=$cache ;;
checks) directory=$checks ;;
*) fail "there is no $wanted to build: run build.sh, or build.sh checks" ;;
esac
if [ -x "$cache/helm" ] && { [ "$wanted" = helm ] || [ -e "$checks/complete" ]; }; then
  echo "$directory"
  exit
fi

command -v go >/dev/null || fail "Go is not installed: install Go $(sed -n 's/^go //p' go.mod) or newer"
mkdir -p "$directory" || fail "cannot write to $directory: set KEYSET_CHART_CACHE to a directory that can be written"
log=$directory/build.log

# Two builds at a time do no harm: each puts whole files in place.
trap 'rm -rf "$cache"/*.$$ "$directory"/*.$$' EXIT
build() { # MODULE PACKAGE DIRECTORY [NAME]
  name=${4:-${2##*/}}
  [ ! -x "$3/$name" ] || return 0
  say "building $name (once; minutes)"
  # The tag leaves the clouds out of promtool in which Prometheus looks for targets; no other module knows it.
  (cd "$1" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags remove_all_sd -ldflags "-s -w" -o "$3/$name.$$" "$2") >"$log" 2>&1 ||
    fail "building $name failed: $(tail -n 1 "$log") (needs a Go module proxy; all of it: $log)"
  mv "$3/$name.$$" "$3/$name"
}
build . helm.sh/helm/v4/cmd/helm "$cache"
if [ "$wanted" = checks ]; then
  ln -sf ../helm "$checks/helm"
  build checks helm.sh/helm/v3/cmd/helm "$checks" helm3
  build checks github.com/helm-unittest/helm-unittest/cmd/helm-unittest "$checks"
  build checks github.com/yannh/kubeconform/cmd/kubeconform "$checks"
  build checks github.com/prometheus/prometheus/cmd/promtool "$checks"
  build checks github.com/itchyny/gojq/cmd/gojq "$checks" jq
  build score github.com/zegl/kube-score/cmd/kube-score "$checks"
  if [ ! -e "$checks/apis" ]; then
    say "fetching the APIs of apis.txt"
    mkdir "$checks/apis.$$"
    while read -r module version file; do
      # In a module cache of its own: only one file of each is wanted.
      (cd "$checks" && GOMODCACHE=$checks/modules.$$ GOFLAGS=-modcacherw go mod download "$module@$version") >"$log" 2>&1 ||
        fail "fetching $module $version failed: $(tail -n 1 "$log") (needs a Go module proxy)"
      name=${file##*/}
      [ "$name" != swagger.json ] || name=$version.json
      cp "$checks/modules.$$/$module@$version/$file" "$checks/apis.$$/$name"
    done <apis.txt
    [ -e "$checks/apis" ] || mv "$checks/apis.$$" "$checks/apis"
  fi
  touch "$checks/complete"
fi
echo "$directory"
