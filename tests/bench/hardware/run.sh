#!/usr/bin/env bash
# Bulkhead's drivers beside Linux's and DPDK's on the same emulated cards, one
# after another in the same guest: frames a second and CPU per frame.
#   run/bench hardware [--json] [--rounds N] [--milliseconds N] [--seconds N]
#                      [--kinds "e1000e igb virtio"] [--drivers "bulkhead linux dpdk"]
#                      [--modes "tx rx forward"] [--bytes "64 1500"]
# About eight minutes; `--rounds 1 --kinds igb --bytes 64` takes one and a half.
# README.md says what is measured and what the figures mean.
set -euo pipefail
cd "$(dirname "$0")/../../.."
json=() rounds=2 milliseconds=500 seconds=900
kinds='e1000e igb virtio' drivers='bulkhead linux dpdk' modes='tx rx forward' bytes='64 1500'
while [ $# -gt 0 ]; do
  name=${1%%=*}
  case $name in
    --json) json=(--json); shift; continue ;;
    --rounds | --milliseconds | --seconds | --kinds | --drivers | --modes | --bytes) ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  if [ "$1" != "$name" ]; then value=${1#*=}; else shift; value=${1?$name wants a value}; fi
  printf -v "${name#--}" %s "$value"
  shift
done
run/build //tests/hardware/...
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
# Linux's own drivers, the generator's too, at their best: without a call of the
# emulated IOMMU for each frame. VFIO's cards stay behind it.
tests/hardware/testbed --topology three_nics --append iommu=pt --seconds "$seconds" \
  tests/bench/hardware/measure.sh "$rounds" "$milliseconds" "$kinds" "$drivers" "$modes" "$bytes" |
  tee "$lines" | grep --line-buffered -v '^measured ' >&2 || [ "${PIPESTATUS[0]}" = 0 ]
python3 tests/bench/hardware/rows.py "${json[@]}" <"$lines"
