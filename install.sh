#!/bin/sh
{ # One command to its end: of a script that was cut off on its way nothing runs, and the shell fails.

# Installs plansocket. Piped from the network it fetches the release for this platform and verifies its checksum;
# inside a checkout it builds from source. What follows the options is given to the installed program:
#   sh install.sh demo
set -eu
# zsh fails over a pattern that names no file, and does not split words.
[ -z "${ZSH_VERSION-}" ] || emulate sh

name=plansocket
# Filled in when a release is built; a checkout names nobody.
repository=
releases=${PLANSOCKET_RELEASES_URL:-${repository:+$repository/releases}}
releases=${releases%/}
version=latest
action=install
undo=ask
work='' child='' made=''

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "$name: $1"
  [ $# -lt 2 ] || say "  $2"
  exit 1
}
usage() {
  cat <<EOF
Usage: install.sh [--prefix FOLDER] [--version X.Y.Z] [--uninstall [--undo]] [COMMAND ...]

  --prefix FOLDER   install to FOLDER/bin (default: ~/.local)
  --version X.Y.Z   install this release instead of the newest
  --uninstall       remove the program; logins and settings stay
  --undo            with --uninstall: first stop the relay, remove the service and take back clients' settings
  COMMAND ...       run the installed program with these arguments
EOF
}
has() { command -v "$1" >/dev/null 2>&1; }

main() {
  prefix=${PLANSOCKET_PREFIX:-'~/.local'}
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix) [ $# -ge 2 ] || fail "--prefix needs a folder"; prefix=$2; shift 2 ;;
      --prefix=*) prefix=${1#*=}; shift ;;
      --version) [ $# -ge 2 ] || fail "--version needs a version"; version=$2; shift 2 ;;
      --version=*) version=${1#*=}; shift ;;
      --uninstall) action=uninstall; shift ;;
      --undo) undo=yes; shift ;;
      -h | --help) usage; exit 0 ;;
      --) shift; break ;;
      -*) usage >&2; say ""; say "$name: unknown option '$1'"; exit 2 ;;
      *) break ;;
    esac
  done
  set_target
  if [ "$action" = uninstall ]; then
    uninstall
    exit 0
  fi

  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP
  make_room
  # A checkout is where this script lies beside the project's own manifest; piped, it has no place.
  checkout=$(cd "$(dirname "$0")" 2>/dev/null && pwd) || checkout=
  if [ -f "$0" ] && grep -q "\"name\": \"$name\"" "$checkout/package.json" 2>/dev/null; then from_source; else from_release; fi
  put_in_place
  clean_up
  trap - EXIT INT TERM HUP
  if [ $# -gt 0 ]; then exec "$target" "$@"; fi
  say "  Next: $name serve (with a Codex CLI login) or $name demo (without)"
}

# ---- Places --------------------------------------------------------------------------------------------------------

# The program's path, absolute. A shell does not expand ~ in --prefix=~/x or in a variable from a file.
set_target() {
  # shellcheck disable=SC2088 # a tilde as it was given
  case $prefix in
    "") fail "--prefix needs a folder" ;;
    "~" | "~/"*)
      [ -n "${HOME:-}" ] || fail "HOME is not set" "Choose a folder with --prefix."
      prefix=$HOME${prefix#"~"}
      ;;
    "~"*) fail "the folder $prefix is another user's home" "Write its full path." ;;
    /*) ;;
    *) prefix=$PWD/$prefix ;;
  esac
  prefix=${prefix%/}
  bin=$prefix/bin
  target=$bin/$name
}

# A folder beside the target: temporary folders may forbid running programs, and a rename does not leave a file system.
make_room() {
  folder=$bin
  while [ ! -e "$folder" ]; do
    made="$made$folder
"
    folder=$(dirname "$folder")
  done
  mkdir -p "$bin" 2>/dev/null || fail "$bin cannot be made" "Choose another folder with --prefix."
  [ ! -d "$target" ] || fail "$target is a folder" "Choose another folder with --prefix."
  sweep
  work=$bin/.$name-install.$$
  (umask 077 && mkdir "$work") 2>/dev/null || {
    work=
    fail "$target cannot be written" "Choose another folder with --prefix; no more rights are needed for one of your own."
  }
  printf '#!/bin/sh\nexit 0\n' >"$work/try" || fail "there is no room in $bin" "Make room for about 250 MB, or choose another folder with --prefix."
  chmod 755 "$work/try"
  "$work/try" 2>/dev/null ||
    fail "the file system of $bin forbids running programs (it is mounted noexec)" "Choose another folder with --prefix."
}

# What an installer left that was killed: its folder is named after its process.
sweep() {
  for old in "$bin/.$name-install."*; do
    [ -d "$old" ] || continue
    kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
  done
}

clean_up() {
  [ -z "$child" ] || kill "$child" 2>/dev/null || true
  [ -z "$work" ] || rm -rf "$work"
  # Folders that were made for nothing; those with something in them stay.
  printf '%s' "$made" | while IFS= read -r folder; do rmdir "$folder" 2>/dev/null || true; done
}

# ---- From a release ------------------------------------------------------------------------------------------------

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
        refuse_old_musl
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

# Bun's runtime needs functions that musl has had since 1.2.5.
refuse_old_musl() {
  for loader in /lib/ld-musl-*; do
    musl=$("$loader" --version 2>&1 | sed -n 's/^Version //p') || musl=
    case $musl in
      0.* | 1.0.* | 1.1.* | 1.2.[0-4])
        fail "musl $musl is too old" "plansocket needs musl 1.2.5 or newer, as in Alpine 3.20."
        ;;
    esac
  done
}

need() {
  for tool in "$@"; do
    has "$tool" || fail "$tool was not found" "Install it and try again; nothing was installed."
  done
}

# Becomes the program that fetches. What begins over TLS must not be led elsewhere by a redirect.
download() { # $1: URL, $2: file
  case $1 in
    https://*) protocols='=https' ;;
    *) protocols='=http,https' ;;
  esac
  if has curl; then exec curl -fsSL --proto "$protocols" --proto-redir "$protocols" --retry 2 -o "$2" "$1"; fi
  # The replies' headers go to its error output.
  exec wget -q -S -O "$2" "$1" 2>"$work/headers"
}

# Says how much is there while it is fetched. wget follows every redirect, so where it went is judged afterwards.
fetch() { # $1: URL, $2: file
  rm -f "$work/headers"
  download "$1" "$2" &
  child=$!
  polls=0 pause=0.05
  while kill -0 "$child" 2>/dev/null && { sleep "$pause" || sleep 1; } 2>/dev/null; do
    [ "$polls" -lt 4 ] || pause=0.2
    polls=$((polls + 1))
    if [ $((polls % every)) -eq 0 ] && [ -f "$2" ]; then progress "$2"; fi
  done
  [ ! -t 2 ] || printf '\r%8s\r' '' >&2
  code=0
  wait "$child" || code=$?
  child=
  if [ "$code" -ne 0 ]; then
    [ ! -f "$work/headers" ] || sed -n 's/^ *HTTP\/[0-9.]* /  the server answered: /p' "$work/headers" >&2
    return "$code"
  fi
  case $1 in https://*) only_tls "$1" ;; esac
}

# How much of a file is there: on a terminal in one place.
progress() { # $1: file
  # shellcheck disable=SC2012 # a name of ours
  megabytes=$(ls -ln "$1" | awk '{ printf "%d", $5 / 1000000 }')
  if [ -t 2 ]; then printf '\r  %s MB ' "$megabytes" >&2; else say "  $megabytes MB so far …"; fi
}

only_tls() { # $1: URL
  [ -f "$work/headers" ] || return 0
  if sed -n 's/^ *[Ll][Oo][Cc][Aa][Tt][Ii][Oo][Nn]: *//p' "$work/headers" | grep '^[A-Za-z][A-Za-z0-9+.-]*:' | grep -qiv '^https:'; then
    fail "$1 leads to an address without TLS" "Nothing was installed; ask whoever runs that place."
  fi
}

sha256() {
  if has sha256sum; then
    sha256sum "$1" | cut -d' ' -f1
  elif has shasum; then
    shasum -a 256 "$1" | cut -d' ' -f1
  elif has openssl; then
    openssl dgst -sha256 "$1" | sed 's/.* //'
  else
    fail "no program to verify checksums was found" "Install sha256sum, shasum or openssl; nothing was installed."
  fi
}

from_release() {
  [ -n "$releases" ] ||
    fail "this copy of install.sh names no place for releases" \
      "Run it in a checkout, where it builds from source; or take install.sh from the releases page of an owner you trust."
  case $releases in
    https://* | http://localhost[:/]* | http://127.*[:/]* | "http://[::1]"[:/]*) ;;
    *) fail "$releases is not an https address" "Checksums from an address without TLS prove nothing; nothing was installed." ;;
  esac
  target_name=$(platform)
  has curl || has wget || fail "neither curl nor wget was found" "Install one of them."
  need tar gzip awk
  # Fifths of a second between two figures of progress.
  if [ -t 2 ]; then every=5; else every=50; fi
  portal="A network with a page to sign in on, or a proxy, may answer in its place: open a browser, then try again."
  archive=$name-$target_name.tar.gz
  if [ "$version" = latest ]; then base=$releases/latest/download; else base=$releases/download/v${version#v}; fi

  fetch "$base/SHA256SUMS" "$work/SHA256SUMS" ||
    fail "the release could not be fetched from $base" "Nothing was installed; check the network and the version, then try again."
  grep -q '^[0-9a-fA-F]\{64\} [ *]' "$work/SHA256SUMS" ||
    fail "what came from $base/SHA256SUMS is no list of checksums" "Nothing was installed. $portal"
  expected=$(awk -v file="$archive" '{ sub(/\r$/, "") } $2 == file || $2 == "*" file { print tolower($1) }' "$work/SHA256SUMS")
  [ -n "$expected" ] ||
    fail "this release has no build for $target_name" "Nothing was installed; build from source: clone the repository and run sh install.sh there."
  say "Fetching $base/$archive …"
  fetch "$base/$archive" "$work/$archive" || fail "the download of $archive broke off" "Nothing was installed; try again."
  actual=$(sha256 "$work/$archive")
  if [ "$actual" != "$expected" ]; then
    gzip -t "$work/$archive" 2>/dev/null || fail "what came for $archive is no archive; the checksum of $archive is wrong" "Nothing was installed. $portal"
    fail "the checksum of $archive is wrong" "Nothing was installed; the file was damaged or is not what was released."
  fi
  tar -xzf "$work/$archive" -C "$work" "$name" ||
    fail "$archive does not hold $name, or there is no room for it in $bin" "Nothing was installed."
  rm -f "$work/$archive"
  sign
}

# Apple silicon runs nothing unsigned. Releases are signed; a mirror's own build may not be.
sign() {
  if [ "$(uname -s)" != Darwin ] || ! has codesign; then return 0; fi
  if codesign --verify "$work/$name" >/dev/null 2>&1; then return 0; fi
  # What cannot be verified can often not be replaced either, only removed.
  codesign --remove-signature "$work/$name" >/dev/null 2>&1 || true
  codesign --force --sign - "$work/$name" >/dev/null 2>&1 || true
}

# ---- From a checkout -----------------------------------------------------------------------------------------------

from_source() {
  bun=$(sh "$checkout/test/get-bun.sh") || exit 1
  # What tests need is left out, except where it is there already: it would be taken away.
  only=--production
  [ ! -d "$checkout/node_modules" ] || only=
  say "Building $name from $checkout …"
  (
    cd "$checkout"
    # shellcheck disable=SC2086 # one flag or none
    "$bun" install --frozen-lockfile --silent $only
    "$bun" build.ts --out "$work/$name" >/dev/null
  ) || fail "the build failed" "See the lines above."
}

# ---- In place ------------------------------------------------------------------------------------------------------

put_in_place() {
  chmod 755 "$work/$name"
  "$work/$name" --version >/dev/null 2>"$work/said" || {
    sed 's/^/  /' "$work/said" >&2
    # Alpine brings neither of the C++ libraries that musl builds link to.
    if has apk; then
      fail "the program does not run on this machine" "Run apk add libstdc++ libgcc (musl 1.2.5 or newer, Alpine 3.20), then try again."
    fi
    fail "the program does not run on this machine" "Please report your system: $(uname -a)"
  }
  before=$("$target" --version 2>/dev/null) || before=
  # In one step: a copy that runs is not disturbed, and a broken install leaves the old one.
  mv -f "$work/$name" "$target" || fail "$target cannot be written" "Choose another folder with --prefix."
  made=
  say "Installed $("$target" --version) to $target"
  [ -z "$before" ] || say "  It replaces $before; a relay that is running goes on as it is until it is started again."
  case :$PATH: in
    *":$bin:"*) ;;
    *) say "  $bin is not on your PATH; add it: export PATH=\"$bin:\$PATH\"" ;;
  esac
}

# ---- Uninstall -----------------------------------------------------------------------------------------------------

uninstall() {
  if [ ! -e "$target" ] && [ ! -L "$target" ]; then
    fail "$target is not there" "Give the --prefix that it was installed with."
  fi
  state=${PLANSOCKET_STATE_DIR:-${XDG_STATE_HOME:-${HOME:-}/.local/state}/$name}
  left=$(leftovers)
  if [ -n "$left" ]; then
    say "Still here, each with the command that undoes it:"
    printf '%s\n' "$left" | while IFS='|' read -r what command; do say "  $what: $name $command"; done
    [ "$undo" != ask ] || ask_to_undo
    if [ "$undo" = yes ]; then undo_all; fi
  fi
  rm -f "$target" || fail "$target cannot be removed" "Run this as its owner."
  say "Removed $target. The login of the Codex CLI and settings were not touched."
  if [ -n "$left" ] && [ "$undo" != yes ]; then
    say "  What is listed above stays as it is; to undo it later, install again and run --uninstall --undo."
  fi
  for folder in "${XDG_CONFIG_HOME:-${HOME:-}/.config}/$name" "$state" "${XDG_CACHE_HOME:-${HOME:-}/.cache}/$name"; do
    [ ! -d "$folder" ] || say "  Kept: $folder"
  done
}

# What goes on without the program or needs it, as DESCRIPTION|COMMAND lines.
leftovers() {
  if "$target" service status --json 2>/dev/null </dev/null | grep -q '"installed": true'; then
    echo "the service|service uninstall"
  elif "$target" status >/dev/null 2>&1 </dev/null; then
    echo "a relay that runs in the background|stop"
  fi
  for journal in "$state"/setup/*/journal.json; do
    [ -f "$journal" ] || continue
    client=${journal%/journal.json}
    client=${client##*/}
    echo "settings of $client|setup $client --undo --yes"
  done
}

ask_to_undo() {
  undo=no
  # Piped, the script itself is the input: the terminal is asked.
  if [ ! -t 2 ] || ! (: </dev/tty) 2>/dev/null; then return 0; fi
  printf 'Undo them first? [y/N] ' >&2
  read -r answer </dev/tty || answer=
  case $answer in [yY] | [yY][eE][sS]) undo=yes ;; esac
}

undo_all() {
  printf '%s\n' "$left" | while IFS='|' read -r what command; do
    # shellcheck disable=SC2086 # a command line
    "$target" $command </dev/null >&2 || {
      say "$name: $what could not be undone; nothing was removed"
      exit 1
    }
  done || exit 1
}

main "$@"
exit
}
