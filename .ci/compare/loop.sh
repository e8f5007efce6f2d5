#!/usr/bin/env bash
# What people use instead of ferry: curl in a retry loop, with jq to read the status that the gateway puts in the body.
#   loop.sh URL BODY     the key comes from GATEWAY_KEY
set -u

post() {
  curl --silent --show-error --request POST "$1" --data "$2" \
    --header "x-api-key: $GATEWAY_KEY" --header 'content-type: application/json'
}

give_up() {
  printf 'loop: %s\n' "$1" >&2
  exit "$2"
}

tries=0
while ((tries < 3)); do
  tries=$((tries + 1))
  answer=$(post "$1" "$2") || give_up 'no answer' 1
  pause=
  case "$(printf '%s' "$answer" | jq --raw-output .status)" in
    200)
      printf '%s\n' "$answer"
      exit 0
      ;;
    429) pause=$((tries * 2)) ;;
    502 | 503 | 504) pause=$tries ;;
    *) give_up "$answer" 1 ;;
  esac
  ((tries == 3)) || sleep "$pause"
done
give_up 'no attempt left' 3
