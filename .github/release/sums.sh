#!/bin/sh
# Writes what depends on the files of a release once all are final: sums.sh DIST REPOSITORY_URL VERSION makes the
# checksums and the Homebrew formula.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
rm -f SHA256SUMS plansocket.rb
sha256sum ./*.tar.gz ./*.zip install.sh install.ps1 VERSION | sed 's|\./||' >SHA256SUMS
sh "$here/../homebrew/render.sh" "$2" "$3" SHA256SUMS >plansocket.rb
sha256sum plansocket.rb >>SHA256SUMS
sha256sum --check --strict --quiet SHA256SUMS
