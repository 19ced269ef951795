#!/bin/sh
# `npm test`: gets Bun and the dependencies if they are missing, checks the code, runs every test, and prints the count
# as the last line. With Bun at hand `bun run test` is the same.
set -u
cd "$(dirname "$0")/.." || exit 1

bun=$(sh test/get-bun.sh) || exit 1
PATH=$(dirname "$bun"):$PATH
export PATH

"$bun" install --frozen-lockfile --silent || exit 1
"$bun" run check || exit 1

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
"$bun" test "$@" >"$log" 2>&1
status=$?
# Passing tests are many; what a reader needs is everything else.
grep -v '^(pass)' "$log"

# Bun's own closing lines, in the form that CI systems count.
count() { sed -n "s/^ *\([0-9][0-9]*\) $1\$/\1/p" "$log" | tail -n 1; }
passed=$(count pass)
failed=$(count fail)
skipped=$(count skip)
[ "$status" -eq 0 ] || [ "${failed:-0}" -gt 0 ] || failed=1
line="${passed:-0} passed, ${failed:-0} failed"
[ "${skipped:-0}" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
exit "$status"
