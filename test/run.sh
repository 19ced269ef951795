#!/bin/sh
# `npm test`: gets Bun and the dependencies if they are missing, checks the code, and runs every test in groups, a line
# each with its counts. The last line is the count of all. `npm test -- WORDS` gives WORDS to `bun test` instead.
# With Bun at hand `bun run test` is the same.
set -u
cd "$(dirname "$0")/.." || exit 1

bun=$(sh test/get-bun.sh) || exit 1
PATH=$(dirname "$bun"):$PATH
export PATH

# Seconds between two signs of life of a group that takes long.
beat=15
# Milliseconds that a test may take unless it says otherwise: for property tests on a machine that has other work too.
limit=20000
passed=0 failed=0 skipped=0 status=0
work=$(mktemp -d) || exit 1
log=$work/log
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A command in the background with a line whenever it has run for another while; its exit code. Output goes to $log.
watched() { # $1: group, then the command
  name=$1
  shift
  began=$(date +%s) next=$beat
  rm -f "$work/code"
  : >"$log"
  {
    # Commands in the background do not get the terminal's interrupt: it is passed on.
    trap 'kill "$own"; exit 130' TERM
    "$@" >"$log" 2>&1 </dev/null &
    own=$!
    wait "$own"
    echo $? >"$work/code"
  } &
  child=$!
  until [ -s "$work/code" ]; do
    sleep 0.2
    seconds=$(($(date +%s) - began))
    if [ "$seconds" -ge "$next" ]; then
      next=$((next + beat))
      printf '%-12s %s s …  %s\n' "$name" "$seconds" "$(grep -c '^(pass)' "$log" | sed '/^0$/d;s/$/ passed so far/')"
    fi
  done
  wait "$child"
  child=
  seconds=$(($(date +%s) - began))
  return "$(cat "$work/code")"
}

# Bun's own closing lines.
count() { # $1: its word
  found=$(sed -n "s/^ *\([0-9][0-9]*\) $1\$/\1/p" "$log" | tail -n 1)
  echo "${found:-0}"
}

group() { # $1: its name, then what `bun test` gets
  name=$1
  shift
  watched "$name" "$bun" test --timeout "$limit" "$@"
  code=$?
  fails=$(count fail)
  # A file that cannot be loaded, or a run that dies, is a failure that Bun does not count.
  if [ "$code" -ne 0 ] && [ "$fails" -eq 0 ]; then fails=1; fi
  printf '%-12s %s passed, %s failed, %s skipped  (%s s)\n' "$name" "$(count pass)" "$fails" "$(count skip)" "$seconds"
  passed=$((passed + $(count pass))) failed=$((failed + fails)) skipped=$((skipped + $(count skip)))
  [ "$code" -eq 0 ] || {
    status=1
    # Passing tests are many; what a reader needs is everything else.
    grep -v '^(pass)' "$log"
  }
}

step() { # $1: its name, then a command that must succeed
  watched "$@" || {
    cat "$log"
    echo "$1 failed"
    echo "$passed passed, $((failed + 1)) failed, $skipped skipped"
    exit 1
  }
  printf '%-12s done  (%s s)\n' "$1" "$seconds"
}

if [ $# -gt 0 ]; then
  "$bun" install --frozen-lockfile --silent || exit 1
  exec "$bun" test "$@"
fi

step packages "$bun" install --frozen-lockfile --silent
step check "$bun" run check

quick="lib codex protocols config auth upstream server"
# shellcheck disable=SC2046,SC2086 # a list of folders
group unit $(printf 'test/%s ' $quick)
group golden test/*.test.ts
step build "$bun" build.ts --out "$work/plansocket"
for folder in test/*/; do
  folder=$(basename "$folder")
  case " $quick " in *" $folder "*) continue ;; esac
  [ -n "$(find "test/$folder" -name '*.test.ts')" ] || continue
  case $folder in
    # They run the executable, which is built once for all.
    binary | install) PLANSOCKET_BINARY=$work/plansocket && export PLANSOCKET_BINARY ;;
    *) unset PLANSOCKET_BINARY ;;
  esac
  case $folder in
    # Commands are processes that wait for each other most of the time.
    cli) group "$folder" --parallel=4 "test/$folder/" ;;
    e2e) group "$folder" --parallel=2 "test/$folder/" ;;
    *) group "$folder" "test/$folder/" ;;
  esac
done

echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
