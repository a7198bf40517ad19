#!/bin/bash
# Starts the ingress controller Contour and its Envoy in the node that up.sh started, as processes beside kubelet: they
# see every pod, and end with the node. Ingresses of the class contour, and HTTPRoutes of the Gateway contour in the
# namespace contour, are served at http://10.99.0.1:8080, inside.
set -eu
cd "$(dirname "$0")"

export KEYSET_NODE=${KEYSET_NODE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyset/node/run}
url='http://10.99.0.1:8080/' ready=http://127.0.0.1:8002/ready
bash in.sh true
tell() { echo "tools/node/in.sh curl --header 'Host: HOST' $url"; }
if bash in.sh curl --silent --fail --output /dev/null "$ready"; then
  tell
  exit
fi
node=$(sh build.sh ingress)
log=$KEYSET_NODE/log state=$KEYSET_NODE/state

start() { # COMMAND ARGUMENT...: it has no part of our terminal
  setsid bash in.sh "$@" </dev/null >"$log/$1.log" 2>&1 &
}
await() { # FILE URL
  for _ in $(seq 300); do
    bash in.sh curl --silent --fail --output /dev/null "$2" && return
    sleep 0.1
  done
  echo "node: $1 did not get ready: see $log/$1.log" >&2
  exit 1
}
bash in.sh kubectl apply --server-side -f "$node/contour-crds.yaml" >/dev/null
bash in.sh kubectl apply --server-side -k "$node/gateway-crds" >/dev/null
bash in.sh kubectl wait --for condition=Established --all crd --timeout 30s >/dev/null
bash in.sh kubectl apply -f - <<END >/dev/null
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: contour}
spec: {controller: projectcontour.io/ingress-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: contour}
spec: {controllerName: projectcontour.io/gateway-controller}
---
apiVersion: v1
kind: Namespace
metadata: {name: contour}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: contour, namespace: contour}
spec:
  gatewayClassName: contour
  listeners:
  # Envoy listens at 8000 above the port of a listener.
  - {name: http, protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: All}}}
END
echo 'gateway: {gatewayRef: {namespace: contour, name: contour}}' >"$state/contour.yaml"
start contour serve --kubeconfig "$state/admin.conf" --config-path "$state/contour.yaml" --insecure \
  --xds-address 127.0.0.1 --xds-port 8001 --envoy-service-http-port 8080 --disable-leader-election
await contour http://127.0.0.1:8000/healthz
bash in.sh contour bootstrap --admin-address "$state/envoy.sock" --xds-address 127.0.0.1 --xds-port 8001 \
  "$state/envoy.json" 2>"$log/bootstrap.log"
start envoy --config-path "$state/envoy.json" --service-cluster contour --service-node node --log-level warn
await envoy "$ready"
tell
