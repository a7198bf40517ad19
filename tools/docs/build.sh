#!/bin/sh
# Builds the book into target/book. Its pages are the project's own documents, laid out as in the repository, so that a
# link between two of them, or to an example, leads to the same place in both.
set -eu
cd "$(dirname "$0")/../.."
command -v mdbook >/dev/null || { echo 'docs: mdbook is not there: `make tools` installs it' >&2; exit 1; }

stage=target/docs
rm -rf $stage
mkdir -p $stage/src/charts/keyset
cp tools/docs/book.toml tools/docs/book.css $stage
cp -R *.md docs examples crds $stage/src
cp charts/keyset/README.md $stage/src/charts/keyset
# The page of a README.md is index.html, and so is what shows the contents. docs/SUMMARY.md speaks of docs/, the book's of
# the whole.
find $stage/src -name '*.md' | while read -r page; do
  sed -e 's#README\.md\([)#]\)#index.md\1#g' -e 's#(docs/SUMMARY\.md)#(index.md)#g' "$page" >$stage/page
  cp $stage/page "$page"
done
find $stage/src -name README.md | while read -r page; do mv "$page" "${page%README.md}index.md"; done
sed -e 's#](\.\./#](#;t' -e 's#](#](docs/#' $stage/src/docs/SUMMARY.md >$stage/src/SUMMARY.md
rm $stage/src/docs/SUMMARY.md
MDBOOK_LOG=warn mdbook build --dest-dir "$PWD/target/book" $stage
