#!/bin/sh
# Builds the image of the Dockerfile and proves on it what README says of containers. Uses docker or podman; where
# neither runs, root tries the executable with nothing but the image's files, on a read-only root and as the image's
# user. What cannot be proven is skipped, with the reason. Ends with a count, and fails when a check failed.
#
#   CONTAINER_ENGINE        command of the engine, as in "podman --runtime runc"; "none" for the second way
#   CONTAINER_BUILD_FLAGS   more flags for its build, as in "--build-arg BASE_IMAGE=mirror/base"
#   CONTAINER_RUN_FLAGS     more flags for its run
#   CONTAINER_IMAGE         an image that is built already
set -u
cd "$(dirname "$0")/.." || exit 1

passed=0 failed=0 skipped=0
work=$(mktemp -d) || exit 1
name=plansocket-test-$$
image=${CONTAINER_IMAGE:-$name}
key=test-key-$$
started=
trap 'clean_up' EXIT
trap 'exit 130' INT TERM

check() { # $1: what must hold, then the command that shows it
  what=$1
  shift
  if "$@" >"$work/last" 2>&1; then
    passed=$((passed + 1))
    echo "ok    $what"
  else
    failed=$((failed + 1))
    echo "FAIL  $what"
    tail -n 5 "$work/last" | sed 's/^/        /'
  fi
}
skip() { # $1: what was not tried, $2: why
  skipped=$((skipped + 1))
  echo "skip  $1: $2"
}
# Words of a variable become arguments; values hold no spaces.
words() { printf '%s\n' "$@"; }

# ---- Two ways to run the image -------------------------------------------------------------------------------------

engine=${CONTAINER_ENGINE:-}
if [ -z "$engine" ]; then
  for candidate in docker podman; do
    if $candidate info >/dev/null 2>&1; then
      engine=$candidate
      break
    fi
  done
fi
case $engine in none) engine= ;; esac
# Everything taken away that can be: what runs like this runs anywhere.
hard="--read-only --cap-drop=all --security-opt=no-new-privileges --network=host"

# once: a command to its end. Settings are KEY=VALUE words in $settings, the user's number is $user.
once() { run --rm -- "$@"; }
# begin: a command that stays; what it says goes to $work/log, its process is $pid.
begin() {
  : >"$work/log"
  run --stay -- "$@"
  started="$started $name"
}

run() { # --rm or --stay, --, arguments of the executable
  mode=$1
  shift 2
  if [ -n "$engine" ]; then
    # shellcheck disable=SC2046,SC2086 # lists of words
    set -- $hard ${CONTAINER_RUN_FLAGS:-} $(for pair in $settings; do words -e "$pair"; done) --user "$user" \
      -v "$codex:/codex" -v "$work/state:/state" "$image" "$@"
    if [ "$mode" = --rm ]; then
      $engine run --rm "$@"
    else
      $engine run -d --health-interval=2s --name "$name" "$@" >/dev/null || return 1
      $engine logs -f "$name" >"$work/log" 2>&1 &
      pid=$($engine inspect --format '{{.State.Pid}}' "$name")
    fi
  elif [ "$mode" = --rm ]; then
    (confined "$@")
  else
    confined "$@" >"$work/log" 2>&1 &
    pid=$!
  fi
}

# The executable with the image's files and environment alone, in place of this shell.
confined() {
  [ $# -gt 0 ] || set -- serve
  # shellcheck disable=SC2016 # the inner shell expands
  inner='mount --bind "$root" "$root" && mount --bind "$codex" "$root/codex" && mount --bind "$state" "$root/state" &&
    mount --bind /proc "$root/proc" && mount --rbind /dev "$root/dev" && mount -o remount,bind,ro "$root" || exit 125
    exec env -i $environment setpriv --no-new-privs chroot --userspec="$user" "$root" /usr/local/bin/plansocket "$@"'
  root=$work/root state=$work/state environment="PATH=$PATH $(image_environment) $settings"
  export root codex state user environment
  exec unshare --mount sh -c "$inner" sh "$@"
}
image_environment() { sed -n '/^ENV /,/[^\\]$/{s/^ENV//;s/\\$//;p;}' Dockerfile | tr -s ' \n' ' '; }

# A second command beside the one that stays.
inside() {
  if [ -n "$engine" ]; then $engine exec "$name" /usr/local/bin/plansocket "$@"; else (confined "$@"); fi
}

# Ends what stays, as an engine does; its exit code.
finish() {
  if [ -n "$engine" ]; then
    $engine stop -t 10 "$name" >/dev/null 2>&1
    code=$($engine inspect --format '{{.State.ExitCode}}' "$name")
    $engine rm -f "$name" >/dev/null 2>&1
    return "$code"
  fi
  kill -TERM "$pid"
  wait "$pid"
}

clean_up() {
  if [ -n "$engine" ]; then
    for left in $started; do $engine rm -f "$left" >/dev/null 2>&1; done
    [ -n "${CONTAINER_IMAGE:-}" ] || $engine rmi -f "$image" >/dev/null 2>&1
  else
    for left in $(jobs -p); do kill "$left" 2>/dev/null; done
  fi
  rm -rf "$work"
}

# ---- Checks --------------------------------------------------------------------------------------------------------

eventually() { # the command, tried for up to ten seconds
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || return 1
    sleep 0.1
  done
}
fails_with() { # exit code, words that must be said, then the command
  want=$1 said=$2
  shift 2
  "$@"
  got=$?
  [ "$got" -eq "$want" ] && grep -q -- "$said" "$work/last"
}
status_is() { # expected status, URL, then curl's arguments
  want=$1 url=$2
  shift 2
  got=$(curl -s -o /dev/null -w '%{http_code}' --noproxy '*' "$@" "$url")
  echo "$url answered $got"
  [ "$got" = "$want" ]
}
process_is() { # field of /proc/PID/status, expected value
  grep "^$1:" "/proc/$pid/status"
  [ "$(awk -v field="$1:" '$1 == field { print $2 }' "/proc/$pid/status")" = "$2" ]
}
root_is_read_only() { awk '$5 == "/" { print; if ($6 ~ /(^|,)ro(,|$)/) found = 1 } END { exit !found }' "/proc/$pid/mountinfo"; }
owner_and_mode_are() { # numbers of user and mode, then the file
  stat -c '%u %a' "$3"
  [ "$(stat -c '%u %a' "$3")" = "$1 $2" ]
}
if command -v hadolint >/dev/null 2>&1; then
  check "the Dockerfile has no lint" hadolint Dockerfile
else
  skip "lint of the Dockerfile" "hadolint is not installed"
fi

settings='' user=65532:65532 codex=$work/codex
mkdir -m 777 "$work/codex" "$work/state"
chmod 777 "$work/codex" "$work/state"
if [ -n "$engine" ]; then
  echo "engine: $engine"
  # shellcheck disable=SC2086 # lists of flags
  {
    [ -n "${CONTAINER_IMAGE:-}" ] || check "the image is built" $engine build ${CONTAINER_BUILD_FLAGS:-} -t "$image" .
    check "it holds no shell" fails_with 127 /bin/sh $engine run --rm ${CONTAINER_RUN_FLAGS:-} --entrypoint=/bin/sh "$image"
  }
  check "its user is not root" [ "$($engine image inspect --format '{{.Config.User}}' "$image")" = 65532:65532 ]
elif [ "$(uname -s)" = Linux ] && [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null && bun=$(sh test/get-bun.sh); then
  skip "the image itself" "neither docker nor podman runs here; its files are tried without it"
  mkdir -p "$work/root/usr/local/bin" "$work/root/codex" "$work/root/state" "$work/root/tmp" "$work/root/proc" "$work/root/dev"
  check "the executable is built" "$bun" build.ts --out "$work/root/usr/local/bin/plansocket"
  for library in $(ldd "$work/root/usr/local/bin/plansocket" | grep -o '/[^ ]*'); do
    mkdir -p "$work/root$(dirname "$library")"
    cp -L "$library" "$work/root$library"
  done
else
  skip "everything else" "it needs docker, podman, or root on Linux"
  echo "$passed passed, $failed failed, $skipped skipped"
  exit "$failed"
fi
chmod 755 "$work"

port=$((20000 + $$ % 20000))
backend=$((port + 1))
relay_port=$((port + 2))

check "it runs with a read-only root and no rights" once --version
check "without a key it does not start, and says why" fails_with 1 "needs an API key" once
settings="HOST=nowhere.invalid PLANSOCKET_API_KEY=$key"
check "HOST is honoured" fails_with 1 "nowhere.invalid" once

settings="PLANSOCKET_API_KEY=$key PORT=$port"
begin demo --backend-port "$backend"
check "PORT is honoured, and health finds it" eventually inside health
check "health says no where nothing listens" fails_with 1 "Nothing listens" inside health --port "$relay_port"
check "clients reach it" status_is 200 "http://127.0.0.1:$port/v1/models" -H "authorization: Bearer $key"
check "not without the key" status_is 401 "http://127.0.0.1:$port/v1/models"
check "nor under a foreign name" status_is 403 "http://127.0.0.1:$port/health" -H "host: page.example"
check "it answers a chat" status_is 200 "http://127.0.0.1:$port/v1/chat/completions" -H "authorization: Bearer $key" \
  -d '{"model":"gpt-5.5","messages":[{"role":"user","content":"hello"}]}'
if [ -r "/proc/$pid/status" ]; then
  check "its user is 65532" process_is Uid 65532
  check "it has no capabilities" process_is CapEff 0000000000000000
  check "and no way to new ones" process_is NoNewPrivs 1
  check "its root is read-only" root_is_read_only
else
  skip "its user, rights and mounts" "the engine's processes cannot be seen from here"
fi
# The engine's own view of it: podman is asked to look, docker has looked after a while.
health_check() {
  case $engine in
    *podman*) $engine healthcheck run "$name" ;;
    *) [ "$($engine inspect --format '{{.State.Health.Status}}' "$name")" = healthy ] ;;
  esac
}
if [ -n "$engine" ]; then
  check "the engine finds it healthy" eventually health_check
else
  skip "the engine's own health check" "there is no engine"
fi

# It stays, as the login service and backend of the relays below.
standin_name=$name standin_pid=$pid name=$name-relay
issuer=http://127.0.0.1:$backend
upstream="PLANSOCKET_ISSUER=$issuer PLANSOCKET_BASE_URL=$issuer/backend-api/codex"

# Signs in with a device code, as its owner would: the page is opened with curl. Data goes to $work/tokens.
sign_in() {
  rm -f "$work/said"
  once login --device "$@" >"$work/tokens" 2>"$work/said" &
  login=$!
  eventually grep -q '^  code' "$work/said"
  curl -s --noproxy '*' -o /dev/null -d "user_code=$(awk '$1 == "code" { print $2 }' "$work/said")" "$issuer/codex/device"
  wait "$login"
  ended=$?
  cat "$work/said"
  return "$ended"
}

settings=$upstream
check "a login is made in the mounted folder" sign_in
check "by the image's user, for nobody else to read" owner_and_mode_are 65532 600 "$codex/auth.json"
check "and is found there" once whoami

codex=$work/own
mkdir "$codex"
if [ "$(id -u)" -eq 0 ]; then user=4711:4711; else user=$(id -u):$(id -g); fi
chown "$user" "$codex"
check "with --user, a folder of the host's serves as well" sign_in
check "and what is in it stays that user's" owner_and_mode_are "${user%:*}" 600 "$codex/auth.json"
settings="$upstream PLANSOCKET_API_KEY=$key PORT=$relay_port"
begin serve
check "a relay serves with it" eventually status_is 200 "http://127.0.0.1:$relay_port/ready"
finish
settings=$upstream

codex=$work/codex user=65532:65532
check "tokens for a sidecar are printed" sign_in --print
token=$(sed -n 's/.*"refresh_token": *"\([^"]*\)".*/\1/p' "$work/tokens")
settings="$upstream PLANSOCKET_API_KEY=$key PORT=$relay_port OPENAI_REFRESH_TOKEN=$token"
for life in first second; do
  begin serve
  check "in its $life life a sidecar has a login that works" eventually status_is 200 "http://127.0.0.1:$relay_port/ready"
  check "and ends on SIGTERM with 0" finish
done
check "what its token was exchanged for is kept in the state folder" owner_and_mode_are 65532 600 "$work/state/environment-login.json"

name=$standin_name pid=$standin_pid
check "the stand-in ends on SIGTERM with 0 too" finish

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
