# The image, for those who have docker with buildx; `make image` writes one without. It compiles on the machine's own
# architecture, for each that is asked for:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --tag REGISTRY/keyset:0.1.0 --push .
#
# Not run by us as a whole yet: there was no engine. A test holds what it says of the image to what `make image` says.
FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm AS build
ARG TARGETARCH
WORKDIR /keyset
# The toolchain that the image has: rust-toolchain.toml asks for components that a build does not need.
ENV RUSTUP_TOOLCHAIN=1.95.0 \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# A compiler and a C library for the other architecture, of the Debian that the image has.
# hadolint ignore=DL3008
RUN case "$TARGETARCH" in \
      amd64) machine=x86_64 packages="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
      arm64) machine=aarch64 packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
      *) echo "there is no image for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    echo "$machine-unknown-linux-gnu" > /target; \
    rustup target add "$(< /target)"; \
    if ! command -v "$machine-linux-gnu-gcc"; then \
      apt-get update; \
      read -ra packages <<< "$packages"; \
      apt-get install -y --no-install-recommends "${packages[@]}"; \
      rm -rf /var/lib/apt/lists/*; \
    fi
COPY . .
# The paths in the binary are those of `make image`.
RUN RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$CARGO_HOME=/cargo --remap-path-prefix=$(rustc --print sysroot)=/rust" \
    cargo build --release --locked --target "$(< /target)" --bin keyset; \
    cp "target/$(< /target)/release/keyset" /image

FROM scratch
LABEL org.opencontainers.image.title="keyset" \
      org.opencontainers.image.description="Kubernetes operator that rotates JWT signing keys and publishes their JWK Set so that no verifier meets an unknown kid" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /image /keyset
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/keyset"]
