#!/bin/sh
# Prints the path of a Bun that can build and test this project: one that is installed, else the pinned one from npm.
set -u

version=1.4.5

if found=$(command -v bun) && case $("$found" --version 2>/dev/null) in 1.[4-9].* | 1.[1-9][0-9].*) true ;; *) false ;; esac; then
  echo "$found"
  exit 0
fi
command -v npm >/dev/null 2>&1 || {
  echo "Neither Bun 1.4 or newer nor npm was found; install one of them." >&2
  exit 1
}

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/plansocket/bun-$version
if [ ! -x "$cache/node_modules/.bin/bun" ] || ! "$cache/node_modules/.bin/bun" --version >/dev/null 2>&1; then
  echo "Getting Bun $version from npm …" >&2
  mkdir -p "$cache" || exit 1
  # Install scripts may be switched off; Bun's is then run by hand, or `bin/bun` stays a stub that only complains.
  npm install --prefix "$cache" --no-save --no-audit --no-fund --ignore-scripts --loglevel=error "bun@$version" >&2 || exit 1
  "$cache/node_modules/.bin/bun" --version >/dev/null 2>&1 || (cd "$cache/node_modules/bun" && node install.js >&2) || exit 1
fi
"$cache/node_modules/.bin/bun" --version >/dev/null 2>&1 || {
  echo "Bun $version from npm does not run on this machine." >&2
  exit 1
}
echo "$cache/node_modules/.bin/bun"
