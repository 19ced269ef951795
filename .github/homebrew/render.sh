#!/bin/sh
# Fills the formula in from a release's checksums: render.sh REPOSITORY_URL VERSION SHA256SUMS >plansocket.rb
set -eu

[ $# -eq 3 ] || {
  echo "Usage: render.sh REPOSITORY_URL VERSION SHA256SUMS" >&2
  exit 2
}
repository=$1 version=${2#v} sums=$3
text=$(sed -e "s|@REPOSITORY@|$repository|g" -e "s|@VERSION@|$version|g" "$(dirname "$0")/plansocket.rb")
for target in darwin-arm64 darwin-x64 linux-arm64 linux-x64; do
  digest=$(awk -v file="plansocket-$target.tar.gz" '$2 == file || $2 == "*" file { print $1 }' "$sums")
  case $digest in
    *[!0-9a-f]* | "") digest_length=0 ;;
    *) digest_length=${#digest} ;;
  esac
  [ "$digest_length" -eq 64 ] || {
    echo "$sums has no checksum for plansocket-$target.tar.gz" >&2
    exit 1
  }
  text=$(printf '%s\n' "$text" | sed "s|@SHA256:$target@|$digest|")
done
printf '%s\n' "$text"
