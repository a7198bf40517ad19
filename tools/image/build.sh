#!/bin/sh
# Writes target/image/keyset.tar: an OCI archive of the static binary. IMAGE is its name and tag, TARGET a Rust target.
#
# The binary tells nothing of the machine that built it: the paths of sources are replaced, and what is left (the
# compiler of rust-toolchain.toml, Cargo.lock, the C compiler) decides every octet.
set -eu
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
image=${IMAGE:-localhost/keyset:$version}
host=$(rustc -vV | sed -n 's/^host: //p')
target=${TARGET:-$host}
case $target in
  x86_64-*-linux-*) architecture=amd64 ;;
  aarch64-*-linux-*) architecture=arm64 ;;
  *) echo "image: $target is no Linux: run it on Linux" >&2; exit 1 ;;
esac

cargo_home=${CARGO_HOME:-$HOME/.cargo}
export CFLAGS="-ffile-prefix-map=$PWD=/keyset -ffile-prefix-map=$cargo_home=/cargo"
export RUSTFLAGS="-C target-feature=+crt-static
  --remap-path-prefix=$PWD=/keyset --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$(rustc --print sysroot)=/rust"
RUSTFLAGS=$(echo $RUSTFLAGS)
# With a target named, build scripts and macros are built without these flags.
cargo build --release --locked --target "$target" --target-dir target/image --bin keyset
unset CFLAGS RUSTFLAGS
cargo run --quiet --locked --example image -- "target/image/$target/release/keyset" target/image/keyset.tar "$image" "$architecture"
