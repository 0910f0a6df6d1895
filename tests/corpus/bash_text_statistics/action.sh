#!/usr/bin/env bash
# Counts words and lines of a text. No jq in the image, so: sed, tr, sort, uniq.
set -uo pipefail
export LC_ALL=C

# The value of a string parameter, with its escapes undone; status 1 if there is none.
parameter() {
  local text
  text=$(sed -nE 's/.*"'"$1"'" *: *"(([^"\\]|\\.)*)".*/\1/p' <<<"$2")
  [ -n "$text" ] || return 1
  printf '%b' "${text//\\\"/\"}"
}

statistics() {
  local words common
  words=$(tr -cs '[:alnum:]' '\n' <<<"$1" | tr '[:upper:]' '[:lower:]' | sed '/^$/d')
  common=$(sort <<<"$words" | uniq -c | sort -k1,1nr -k2 | head -n 3 |
    awk '{ printf "%s{\"word\": \"%s\", \"count\": %d}", (NR > 1 ? ", " : ""), $2, $1 }')
  printf '{"lines": %d, "words": %d, "longest": %d, "common": [%s]}\n' \
    "$(wc -l <<<"$1")" "$(grep -c . <<<"$words")" "$(wc -L <<<"$1")" "$common"
}

[ -z "${__OW_WAIT_FOR_ACK:-}" ] || echo '{"ok": true}' >&3

runs=0
while IFS= read -r request; do
  runs=$((runs + 1))
  if text=$(parameter text "$request"); then
    echo "run $runs: ${#text} bytes"
    statistics "$text" >&3
  else
    echo "no text in: $(sed -E 's/, *"(namespace|action_name|deadline).*//' <<<"$request")" >&2
    echo '{"error": "text is missing or empty"}' >&3
  fi
done
