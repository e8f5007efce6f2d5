#!/usr/bin/env bash
# What people use instead of ferry: curl in a retry loop, with jq to read the status that the gateway puts in the body.
#   loop.sh URL BODY     reads the key from GATEWAY_KEY
set -u
for try in 1 2 3; do
  answer=$(curl --silent --show-error --request POST "$1" --data "$2" \
    --header "x-api-key: $GATEWAY_KEY" --header 'content-type: application/json') || exit 1
  pause=$try
  case "$(printf '%s' "$answer" | jq --raw-output .status)" in
    200) printf '%s\n' "$answer" && exit 0 ;;
    429) pause=$((try * 2)) ;;
    502 | 503 | 504) ;;
    *) printf 'loop: %s\n' "$answer" >&2 && exit 1 ;;
  esac
  ((try == 3)) || sleep "$pause"
done
exit 3
