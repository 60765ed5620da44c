#!/usr/bin/env bash
# Shows with spin that the sleep protocol of doorbell.h loses no wake-up in any
# interleaving, and that doorbell.pml would notice if it did: each variant with
# one step missing or weakened must fail.
set -euo pipefail
model=${1:-packet_stream/doorbell.pml}
model=$(realpath "$model")
command -v spin >/dev/null || {
  echo "spin is not installed: apt install spin, or run/setup" >&2
  exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Prints pan's output for the model with the given defines.
verify() {
  rm -f pan*
  spin -a "$@" "$model" >/dev/null
  gcc -O1 -w -DSAFETY -o pan pan.c
  # A failing assertion is a result here, not an error of pan.
  ./pan -m1000000 || true
}

result=$(verify)
echo "$result" | grep -q "errors: 0" || {
  echo "$result"
  echo "the sleep protocol loses a wake-up"
  exit 1
}
if echo "$result" | grep -q "max search depth too small"; then
  echo "the search was cut off"
  exit 1
fi
echo "$result" | grep -E "states, stored|errors:"
for variant in NO_RECHECK RECHECK_FIRST RELEASE_TAIL RELAXED_ANNOUNCE \
    NO_RING_FOR_ACKS; do
  result=$(verify "-D$variant")
  echo "$result" | grep -q "assertion violated" || {
    echo "$result"
    echo "the model does not notice $variant"
    exit 1
  }
  echo "$variant: a lost wake-up, as it must be"
done
