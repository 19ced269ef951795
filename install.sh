#!/bin/sh
# Installs plansocket. Piped from the network it fetches the release for this platform and verifies its checksum;
# inside a checkout it builds from source. What follows the options is given to the installed program:
#   sh install.sh demo
set -eu

name=plansocket
# Filled in when a release is built; a checkout names nobody.
repository=
releases=${PLANSOCKET_RELEASES_URL:-${repository:+$repository/releases}}
prefix=${PLANSOCKET_PREFIX:-${HOME:-}/.local}
version=latest
uninstall=no

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "$name: $1"
  [ $# -lt 2 ] || say "  $2"
  exit 1
}
usage() {
  cat <<EOF
Usage: install.sh [--prefix FOLDER] [--version X.Y.Z] [--uninstall] [COMMAND ...]

  --prefix FOLDER   install to FOLDER/bin (default: ~/.local)
  --version X.Y.Z   install this release instead of the newest
  --uninstall       remove the program; logins and settings stay
  COMMAND ...       run the installed program with these arguments
EOF
}

while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ $# -ge 2 ] || fail "--prefix needs a folder"; prefix=$2; shift 2 ;;
    --prefix=*) prefix=${1#*=}; shift ;;
    --version) [ $# -ge 2 ] || fail "--version needs a version"; version=$2; shift 2 ;;
    --version=*) version=${1#*=}; shift ;;
    --uninstall) uninstall=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    -*) usage >&2; say ""; say "$name: unknown option '$1'"; exit 2 ;;
    *) break ;;
  esac
done

case $prefix in
  "" | /.local) fail "HOME is not set" "Choose a folder with --prefix." ;;
esac
target=$prefix/bin/$name

if [ "$uninstall" = yes ]; then
  [ -e "$target" ] || fail "$target is not there" "Give the --prefix that it was installed with."
  rm -f "$target"
  say "Removed $target. The login of the Codex CLI and settings were not touched."
  exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/$name.XXXXXX")
trap 'rm -rf "$work"; rm -f "$target.new.$$"' EXIT
trap 'exit 130' INT TERM

# The platform's name as releases have it.
platform() {
  os=$(uname -s)
  arch=$(uname -m)
  case $arch in
    x86_64 | amd64) arch=x64 ;;
    arm64 | aarch64) arch=arm64 ;;
    *) fail "there is no release for $arch" "Build from source: clone the repository and run sh install.sh there." ;;
  esac
  case $os in
    Linux)
      # musl has no glibc loader; its own names the C library.
      if ls /lib/ld-musl-* >/dev/null 2>&1 && ! ls /lib*/ld-linux-* /lib64/ld-linux-* >/dev/null 2>&1; then
        echo "linux-$arch-musl"
      else
        echo "linux-$arch"
      fi
      ;;
    Darwin)
      # A shell under Rosetta says x86_64 on Apple silicon.
      if [ "$arch" = x64 ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || echo 0)" = 1 ]; then arch=arm64; fi
      echo "darwin-$arch"
      ;;
    *) fail "there is no release for $os" "On Windows use install.ps1 of the release." ;;
  esac
}

fetch() { # $1: URL, $2: file
  # What begins over TLS must not be led elsewhere by a redirect.
  case $1 in
    https://*) protocols='=https' ;;
    *) protocols='=http,https' ;;
  esac
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --proto "$protocols" --retry 2 -o "$2" "$1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1"
  else
    fail "neither curl nor wget was found" "Install one of them."
  fi
}

sha256() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1" | cut -d' ' -f1
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 "$1" | cut -d' ' -f1
  elif command -v openssl >/dev/null 2>&1; then
    openssl dgst -sha256 "$1" | sed 's/.* //'
  else
    fail "no program to verify checksums was found" "Install sha256sum, shasum or openssl; nothing was installed."
  fi
}

from_release() {
  [ -n "$releases" ] ||
    fail "this copy of install.sh names no place for releases" \
      "Run it in a checkout, where it builds from source; or take install.sh from the releases page of an owner you trust."
  target_name=$(platform)
  archive=$name-$target_name.tar.gz
  if [ "$version" = latest ]; then base=$releases/latest/download; else base=$releases/download/v${version#v}; fi
  fetch "$base/SHA256SUMS" "$work/SHA256SUMS" ||
    fail "the release could not be fetched from $base" "Nothing was installed; check the network and the version, then try again."
  expected=$(awk -v file="$archive" '$2 == file || $2 == "*" file { print $1 }' "$work/SHA256SUMS")
  [ -n "$expected" ] ||
    fail "this release has no build for $target_name" "Nothing was installed; build from source: clone the repository and run sh install.sh there."
  say "Fetching $base/$archive …"
  fetch "$base/$archive" "$work/$archive" || fail "the download of $archive broke off" "Nothing was installed; try again."
  actual=$(sha256 "$work/$archive")
  [ "$actual" = "$expected" ] ||
    fail "the checksum of $archive is wrong" "Nothing was installed; the file was damaged or is not what was released."
  tar -xzf "$work/$archive" -C "$work" "$name" || fail "$archive does not hold $name" "Nothing was installed."
  # Cross-built executables for Intel Macs carry a signature that macOS may refuse.
  if [ "$(uname -s)" = Darwin ] && command -v codesign >/dev/null 2>&1; then
    codesign --remove-signature "$work/$name" >/dev/null 2>&1 || true
    codesign --force --sign - "$work/$name" >/dev/null 2>&1 || true
  fi
}

from_source() {
  bun=$(sh "$checkout/test/get-bun.sh") || exit 1
  say "Building $name from $checkout …"
  (
    cd "$checkout"
    "$bun" install --frozen-lockfile --silent
    "$bun" build.ts --out "$work/$name" >/dev/null
  ) || fail "the build failed" "See the lines above."
}

# A checkout is where this script lies beside the project's own manifest; piped, it has no place.
checkout=$(cd "$(dirname "$0")" 2>/dev/null && pwd) || checkout=
if [ -f "$0" ] && grep -q "\"name\": \"$name\"" "$checkout/package.json" 2>/dev/null; then from_source; else from_release; fi

chmod 755 "$work/$name"
if ! "$work/$name" --version >/dev/null 2>&1; then
  # Alpine brings neither of the C++ libraries that musl builds link to.
  if command -v apk >/dev/null 2>&1; then fail "the program does not run on this machine" "Run apk add libstdc++ libgcc, then try again."; fi
  fail "the program does not run on this machine" "Please report your system: $(uname -a)"
fi
mkdir -p "$prefix/bin" || fail "$prefix/bin cannot be made" "Choose another folder with --prefix."
[ ! -d "$target" ] || fail "$target is a folder" "Choose another folder with --prefix."
before=$("$target" --version 2>/dev/null || true)
# In place in one step: a copy that runs is not disturbed, and a broken install leaves the old one.
if ! { mv -f "$work/$name" "$target.new.$$" && mv -f "$target.new.$$" "$target"; }; then
  fail "$target cannot be written" "Choose another folder with --prefix."
fi
say "Installed $("$target" --version) to $target"
[ -z "$before" ] || say "  It replaces $before; a relay that is running goes on as it is until it is started again."
case :$PATH: in
  *":$prefix/bin:"*) ;;
  *) say "  $prefix/bin is not on your PATH; add it: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac

if [ $# -gt 0 ]; then
  rm -rf "$work"
  trap - EXIT INT TERM
  exec "$target" "$@"
fi
say "  Next: $name serve (with a Codex CLI login) or $name demo (without)"
