#!/usr/bin/env bash
# What the router costs whoever could have the NIC alone: a client's frames over
# a session with a simulated NIC, and over one with the router, in turns.
#   stream: as many as go, to a client at the other end of the NIC's cable;
#   echo: the NIC sends each back; at most 512 are under way. Each passes the
#         router twice, and the machine's cores are shared by one process more.
#   nic_hop.sh [--json] [--repetitions N] [--milliseconds N]
set -euo pipefail
cd "$(dirname "$0")/../../.."
json=0 repetitions=5 milliseconds=1000
while [ $# -gt 0 ]; do
  case $1 in
    --json) json=1 ;;
    --repetitions) repetitions=$2; shift ;;
    --milliseconds) milliseconds=$2; shift ;;
    *) echo "usage: nic_hop.sh [--json] [--repetitions N] [--milliseconds N]" >&2; exit 2 ;;
  esac
  shift
done
work=$(mktemp -d)
export BULKHEAD_RUN_DIR=$work/run
bulkhead() { bazel-bin/clients/bulkhead/bulkhead "$@"; }
receiver=
cleanup() {
  [ -z "$receiver" ] || kill -TERM "$receiver" 2>/dev/null || true
  bulkhead down >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
cat >"$work/hop.yaml" <<'YAML'
apiVersion: bulkhead/v1
simulated:
  - {name: port0, model: 82574l, mac: "02:00:00:00:00:01", network: {cable: direct}}
  - {name: port1, model: 82574l, mac: "02:00:00:00:00:02", network: {cable: direct}}
  - {name: port2, model: 82574l, mac: "02:00:00:00:00:03", network: {cable: routed}}
  - {name: port3, model: 82574l, mac: "02:00:00:00:00:04", network: {cable: routed}}
  - {name: port4, model: 82574l, mac: "02:00:00:00:00:05", network: {echo: {}}}
  - {name: port5, model: 82574l, mac: "02:00:00:00:00:06", network: {echo: {}}}
drivers:
  - {match: {class: ethernet}, driver: e1000e, instance: "nic{index}", config: {promiscuous: true}}
router:
  domains:
    - {name: stream, interface: 192.0.2.2/24}
    - {name: echo, interface: 198.51.100.2/24}
  uplinks:
    - {instances: [nic2], domain: stream}
    - {instances: [nic5], domain: echo}
  policies:
    - {label: stream, domain: stream}
    - {label: echo, domain: echo}
YAML
bulkhead up "$work/hop.yaml" >/dev/null
nic_traffic=bazel-bin/clients/nic_traffic/nic_traffic
# Both say million frames a second that arrived.
echo_rate() {  # echo_rate INSTANCE BYTES
  "$nic_traffic" --json --instance "$1" --label echo --mode echo --window 512 --frame-bytes "$2" \
    --duration "${milliseconds}ms" --expect-lossless | jq '.received * 1e3 / .elapsed_ns'
}
stream_rate() {  # stream_rate INSTANCE BYTES RECEIVING_INSTANCE ITS_MAC
  "$nic_traffic" --json --instance "$3" --mode receive --stream 7 --duration 0 >"$work/received" &
  receiver=$!
  local tries=100
  until bulkhead status --json | jq -e --arg nic "$3" '.sessions[] | select(.instance == $nic)' >/dev/null; do
    [ $((--tries)) -gt 0 ] || { echo "nic_hop.sh: no session at $3" >&2; return 1; }
  done
  "$nic_traffic" --json --instance "$1" --label stream --mode send --stream 7 --to "$4" --frame-bytes "$2" \
    --duration "${milliseconds}ms" >"$work/sent"
  kill -TERM $receiver
  wait $receiver
  receiver=
  jq --slurpfile sent "$work/sent" '.received * 1e3 / $sent[0].elapsed_ns' "$work/received"
}
for bytes in 60 1514; do
  for ((i = 0; i < repetitions; ++i)); do
    stream_rate router "$bytes" nic3 02:00:00:00:00:04 >>"$work/routed.stream_$bytes"
    stream_rate nic0 "$bytes" nic1 02:00:00:00:00:02 >>"$work/direct.stream_$bytes"
    echo_rate router "$bytes" >>"$work/routed.echo_$bytes"
    echo_rate nic4 "$bytes" >>"$work/direct.echo_$bytes"
  done
done
for case in stream_60 stream_1514 echo_60 echo_1514; do
  # Frame sizes with FCS, as everywhere.
  jq -rn --arg case "${case%_*}_$((${case#*_} + 4))" --argjson json $json \
    --slurpfile routed "$work/routed.$case" --slurpfile direct "$work/direct.$case" '
    def median: sort | .[(length - 1) / 2 | floor];
    def short: . * 1e4 | round / 1e4;
    ($direct | median) as $against | "hop_nic_\($case)B" as $case |
    {bench: "router", case: $case, value: ($routed | median | short), unit: "Mframes/s",
     min: ($routed | min | short), max: ($routed | max | short),
     against: "direct session with the NIC", against_value: ($against | short),
     ratio: (($routed | median) / $against | short)} |
    if $json == 1 then tojson
    else "\(.case)  \(.value) \(.unit)  \(.min) … \(.max)  \(.against) \(.against_value) (\(.ratio)×)" end'
done
