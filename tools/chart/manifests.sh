#!/bin/sh
# Writes target/manifests/keyset.yaml: what the chart installs, with its namespace, for `kubectl apply --server-side -f`.
# VALUES names a file with values, NAMESPACE another namespace.
set -eu
cd "$(dirname "$0")/../.."

namespace=${NAMESPACE:-keyset-system}
file=target/manifests/keyset.yaml
helm=$(sh tools/chart/build.sh)/helm
mkdir -p target/manifests
trap 'rm -f $file.$$' EXIT
cat >"$file.$$" <<YAML
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels:
    pod-security.kubernetes.io/enforce: restricted
YAML
"$helm" template keyset charts/keyset --namespace "$namespace" ${VALUES:+--values "$VALUES"} >>"$file.$$"
mv "$file.$$" "$file"
echo "$file"
