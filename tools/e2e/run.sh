#!/bin/bash
# Tells the story of tools/e2e on a real cluster, and leaves nothing behind: on a node of the project's own, which needs
# Linux and root, or on the cluster that E2E_KUBECONFIG names. That one needs an ingress controller, and to be told:
#
#   E2E_INGRESS_URL       http://ADDRESS:PORT where Ingresses are served
#   E2E_INGRESS_CLASS     their class
#   E2E_IMAGE             REPOSITORY:TAG of the operator, that the cluster has or can pull
#   E2E_SIGNER_IMAGE      the same of the issuer
#   E2E_PULL_POLICY       Never, if the nodes have them already [default: IfNotPresent]
#   E2E_GATEWAY           NAMESPACE/NAME of a Gateway that is served at the same URL, if there is one
#   E2E_AUDIT_LOG         file of the API server's audit log, if it can be read here
#   E2E_STOP_KUBELET, E2E_CONTINUE_KUBELET   shell commands for the kubelets, if somebody can stop them
#
# `run.sh images` only writes the archives of both images, target/image/keyset.tar and target/e2e/signer.tar. So with kind:
# kind create cluster, kind load image-archive for each of them, any ingress controller, and the above.
set -eu
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
image=localhost/keyset:$version signer=localhost/keyset-signer:1
images() {
  IMAGE=$image sh tools/image/build.sh
  mkdir -p target/e2e
  (cd tools/e2e/signer && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o ../../../target/e2e/signer .)
  cargo run --quiet --locked --example image -- target/e2e/signer target/e2e/signer.tar "$signer" "$(go env GOARCH)" signer
}
if [ "${1:-}" = images ]; then
  images
  exit
fi

# jq, for what documents say to type.
PATH=$PATH:$(sh tools/chart/build.sh checks)
cargo build --quiet --locked --example e2e
program=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/examples/e2e
if [ -n "${E2E_KUBECONFIG:-}" ]; then
  KUBECONFIG=$E2E_KUBECONFIG exec "$program"
fi

images
export KEYSET_NODE=$PWD/target/e2e/node
bash tools/node/down.sh
trap 'bash tools/node/down.sh' EXIT
bash tools/node/up.sh >/dev/null
bash tools/node/ingress.sh >/dev/null
for archive in target/image/keyset.tar target/e2e/signer.tar; do
  bash tools/node/in.sh ctr images import "$archive" >/dev/null
done
bash tools/node/in.sh env E2E_IMAGE="$image" E2E_SIGNER_IMAGE="$signer" E2E_PULL_POLICY=Never \
  E2E_INGRESS_URL=http://10.99.0.1:8080 E2E_INGRESS_CLASS=contour E2E_GATEWAY=contour/contour \
  E2E_AUDIT_LOG="$KEYSET_NODE/log/audit.log" \
  E2E_STOP_KUBELET='pkill -STOP -x kubelet' E2E_CONTINUE_KUBELET='pkill -CONT -x kubelet' "$program"
