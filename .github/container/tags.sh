#!/bin/sh
# The image's tags for what was pushed, one a line: tags.sh GITHUB_REF COMMIT
#   refs/heads/main → main, sha-…;   refs/tags/v1.2.3 → v1.2.3, latest, sha-…, where previews are not latest
set -eu

ref=$1 commit=$2
case $ref in
  refs/heads/main) echo main ;;
  refs/tags/v*-*) echo "${ref#refs/tags/}" ;;
  refs/tags/v*) printf '%s\nlatest\n' "${ref#refs/tags/}" ;;
  *)
    echo "No image is published for $ref." >&2
    exit 1
    ;;
esac
printf 'sha-%.7s\n' "$commit"
