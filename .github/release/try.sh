#!/bin/sh
# Runs an executable as a newcomer would: it says its version, serves a demo, answers a chat, and ends when it is told.
#   try.sh EXECUTABLE VERSION
set -eu

program=$1 version=$2
port=8787
"$program" --version | grep -F " $version"
"$program" demo --port "$port" &
pid=$!
trap 'kill "$pid" 2>/dev/null || true' EXIT
tries=0
until "$program" health --port "$port"; do
  tries=$((tries + 1))
  [ "$tries" -lt 50 ]
  sleep 0.2
done
body='{"model":"gpt-5.5","messages":[{"role":"user","content":"hello"}]}'
url=http://127.0.0.1:$port/v1/chat/completions
# BusyBox brings wget, Git for Windows curl.
if command -v curl >/dev/null 2>&1; then
  reply=$(curl -fsS --noproxy '*' "$url" -d "$body")
else
  reply=$(wget -q -O - --header 'content-type: application/json' --post-data "$body" "$url")
fi
echo "$reply"
echo "$reply" | grep -q '"finish_reason":"stop"'
kill "$pid"
wait "$pid" || [ "$(uname -s)" != Linux ]
