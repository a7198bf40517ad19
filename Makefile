# What people and CI call. `make help` explains each target.

CARGO_DENY := 0.20.2
CARGO_MUTANTS := 27.1.0
MDBOOK := 0.5.4
FILE ?= *
KEEP ?=
MINUTES ?= 10
NAMESPACE ?=
SCENARIO ?=
SECONDS ?= 60
SEED ?= $(shell date +%s)
TARGET ?= import
VALUES ?=

.DEFAULT_GOAL := help
.PHONY: help build test docs reference image chart manifests lint audit fuzz mutants crds pictures tools flux checks cluster cluster-up cluster-down node \
  node-up node-ingress node-down node-packages browser-packages e2e demo soak model bench krew

help: ## Explain every target.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the binary keyset, as a release has it.
	cargo build --release --locked

krew: ## Pack kubectl-keyset for krew, for this machine; krew/release.sh then writes the manifest of a release.
	cargo build --release --locked --bin kubectl-keyset
	@os=$$(uname -s | tr A-Z a-z); arch=$$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/'); \
	archive=target/krew/kubectl-keyset-$$os-$$arch.tar.gz; mkdir -p target/krew/root; \
	cp target/release/kubectl-keyset krew/kubectl_complete-keyset LICENSE target/krew/root; \
	tar -C target/krew/root -czf $$archive kubectl-keyset kubectl_complete-keyset LICENSE; echo $$archive

image: ## Write target/image/keyset.tar, an OCI archive of the static binary; IMAGE=name:tag names it.
	@sh tools/image/build.sh

test: cluster flux checks ## Run all tests; needs Rust and, for the control plane, Go (or KUBEBUILDER_ASSETS).
	cargo test --locked

docs: ## Build the book of all documents into target/book, and follow every link in it.
	@sh tools/docs/build.sh
	cargo test --locked --test book
	@echo 'docs: open target/book/index.html'

lint: ## Check the format, clippy without warnings, and what may be in the dependency tree.
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then \
	  echo cargo deny check bans licenses sources; cargo deny check bans licenses sources; \
	else echo 'lint: the dependency gate is skipped: `make tools` installs cargo-deny'; [ -z "$$CI" ]; fi

fuzz: ## Look for octets that break a reader; TARGET=import SECONDS=60, needs nightly and cargo-fuzz.
	@cargo +nightly fuzz --version >/dev/null 2>&1 || { \
	  echo 'fuzz: install it first: rustup toolchain install nightly, then cargo install --locked cargo-fuzz'; exit 1; }
	@mkdir -p fuzz/corpus/$(TARGET)
	cargo +nightly fuzz run --sanitizer none $(TARGET) fuzz/corpus/$(TARGET) fuzz/seeds/$(TARGET) -- \
	  -dict=fuzz/dictionary -max_total_time=$(SECONDS)

mutants: ## Change the lifecycle in every small way and see its tests notice; FILE=rotate for one file. About an hour.
	@cargo mutants --version 2>/dev/null | grep -qx 'cargo-mutants $(CARGO_MUTANTS)' || { \
	  echo 'mutants: install it first: cargo install --locked --version $(CARGO_MUTANTS) cargo-mutants'; exit 1; }
	@rm -rf target/mutants/src && mkdir -p target/mutants
	@cp -R tools/mutants/. Cargo.lock proptest-regressions target/mutants && cp -R src/lifecycle target/mutants/src
	cd target/mutants && CARGO_TARGET_DIR=$(CURDIR)/target PROPTEST_CASES=4 PROPTEST_RNG_SEED=1 PROPTEST_MAX_SHRINK_ITERS=0 INSTA_UPDATE=no \
	  cargo mutants --in-place --no-shuffle --file 'src/lifecycle/$(FILE).rs'

audit: ## Ask the advisory database about the dependencies; needs the network.
	cargo deny check advisories

crds: ## Write crds/*.yaml from the Rust types.
	UPDATE_CRDS=1 cargo test --locked --test crds committed

pictures: ## Write docs/timeline.svg, as the plugin draws it.
	UPDATE_PICTURES=1 cargo test --locked --lib plugin::timeline

chart: crds ## Write the chart's CRDs and its table of values.
	UPDATE_VALUES=1 cargo test --locked --test values

reference: crds ## Write docs/reference from the CRDs and the command lines.
	UPDATE_REFERENCE=1 cargo test --locked --test reference

manifests: ## Write target/manifests/keyset.yaml, the chart as plain objects; VALUES=file, NAMESPACE=name.
	@VALUES='$(VALUES)' NAMESPACE='$(NAMESPACE)' sh tools/chart/manifests.sh

tools: ## Install the cargo tools that lint and docs need, at pinned versions.
	@if cargo deny --version 2>/dev/null | grep -qx 'cargo-deny $(CARGO_DENY)'; then echo 'tools: cargo-deny $(CARGO_DENY) is there'; \
	else echo cargo install --locked --version $(CARGO_DENY) cargo-deny; cargo install --locked --version $(CARGO_DENY) cargo-deny; fi
	@if mdbook --version 2>/dev/null | grep -qx 'mdbook v$(MDBOOK)'; then echo 'tools: mdbook $(MDBOOK) is there'; \
	else cargo install --locked --version $(MDBOOK) --no-default-features --features search mdbook; fi

cluster: ## Build the control plane for tests if it is not there: the first time takes minutes.
	@sh tools/cluster/build.sh >/dev/null

flux: ## Build the kustomize-controller that the tests run if it is not there: the first time takes minutes.
	@sh tools/flux/build.sh >/dev/null

checks: ## Build what the tests of chart and documents want (both Helms, promtool, linters, jq) if it is not there: the first time takes minutes.
	@sh tools/chart/build.sh checks >/dev/null

cluster-up: cluster ## Start a control plane in the background; prints the export KUBECONFIG=... line.
	@cargo run --quiet --locked --example cluster -- up

cluster-down: ## End the control plane that KUBECONFIG names.
	@cargo run --quiet --locked --example cluster -- down

node: ## Build what a whole node needs (kubelet, containerd, CoreDNS, Helm): the first time takes minutes.
	@sh tools/node/build.sh >/dev/null

node-up: ## Start a Kubernetes of one node in namespaces of its own, and tell how to use it; Linux, root only.
	@bash tools/node/up.sh

node-ingress: ## Start Contour and Envoy in the node, and tell where they listen; needs Python 3 with pip, once.
	@bash tools/node/ingress.sh

node-down: ## End the node that node-up started.
	@bash tools/node/down.sh

node-packages: ## Install the Debian packages that a node needs; root only.
	apt-get update -qq
	apt-get install -qq -y --no-install-recommends runc containernetworking-plugins iptables nftables conntrack iproute2 openssl procps python3-pip

browser-packages: ## Install the browser that the test of the pictures opens; root only.
	apt-get update -qq
	apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core

e2e: ## Install the chart on a real node, and rotate, roll, kill and uninstall under traffic; Linux and root, or E2E_KUBECONFIG.
	@bash tools/e2e/run.sh

demo: cluster ## Watch keys rotate while tokens are signed and verified; KEEP=1 stays up.
	cargo run --locked --example demo -- $(if $(KEEP),--keep)

soak: cluster ## Let users, accidents and SIGKILL at 25 sets for MINUTES=10, from a SEED; 0 failures or exit code 1.
	cargo run --release --locked --example soak -- --minutes $(MINUTES) --seed $(SEED)

model: ## Explore every history of a small world in which the real plan decides; exit code 1 on a violation.
	cargo run --locked --release --example model -- $(SCENARIO)

bench: cluster ## Print what the operator costs: time, API writes, memory.
	cargo bench --locked
