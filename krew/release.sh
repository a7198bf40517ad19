#!/bin/sh
# Writes DIRECTORY/keyset.yaml, the krew manifest of a release: release.sh DIRECTORY URL. DIRECTORY has the archive of each
# platform, as `make krew` packs that of the machine that it runs on; URL is where people will find them.
set -eu
[ $# -eq 2 ] || { echo 'usage: krew/release.sh DIRECTORY URL' >&2; exit 2; }
directory=$1
url=${2%/}
here=$(dirname "$0")

digest() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../Cargo.toml" | head -n 1)
script="s#https://example.com/keyset/kubectl#$url/kubectl#; s#v0\.1\.0#v$version#"
for platform in linux-amd64 linux-arm64 darwin-amd64 darwin-arm64; do
  archive=$directory/kubectl-keyset-$platform.tar.gz
  [ -f "$archive" ] || { echo "release.sh: $archive is missing: run \`make krew\` on such a machine and bring it" >&2; exit 1; }
  script="$script
/kubectl-keyset-$platform.tar.gz/{
n
s/0\{64\}/$(digest "$archive")/
}"
done
sed "$script" "$here/keyset.yaml" > "$directory/keyset.yaml"
echo "$directory/keyset.yaml"
