#!/usr/bin/env bash
# What the router costs whoever could have the NIC alone: one client whose frames
# a simulated NIC sends back, over a session with the NIC and over one with the
# router, in turns. At most 512 frames are under way, so that nothing is dropped.
# All that works on a frame shares the machine's cores: with the router there is
# one process more, and each frame passes it twice.
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
cleanup() {
  bulkhead down >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
cat >"$work/hop.yaml" <<'YAML'
apiVersion: bulkhead/v1
simulated:
  - {name: port0, model: 82574l, network: {echo: {}}}
  - {name: port1, model: 82574l, network: {echo: {}}}
drivers:
  - {match: {class: ethernet}, driver: e1000e, instance: "nic{index}", config: {promiscuous: true}}
router:
  domains: [{name: lab, interface: 192.0.2.2/24}]
  uplinks: [{instances: [nic1], domain: lab}]
  policies: [{default: true, domain: lab}]
YAML
bulkhead up "$work/hop.yaml" >/dev/null
# rate INSTANCE BYTES: million frames a second that came back.
rate() {
  bazel-bin/clients/nic_traffic/nic_traffic --json --instance "$1" --mode echo --window 512 \
    --frame-bytes "$2" --duration "${milliseconds}ms" --expect-lossless |
    jq '.received * 1e3 / .elapsed_ns'
}
for bytes in 60 1514; do
  for ((i = 0; i < repetitions; ++i)); do
    rate router "$bytes" >>"$work/routed.$bytes"
    rate nic0 "$bytes" >>"$work/direct.$bytes"
  done
  # Frame sizes with FCS, as everywhere.
  jq -rn --arg bytes "$((bytes + 4))" --argjson json $json \
    --slurpfile routed "$work/routed.$bytes" --slurpfile direct "$work/direct.$bytes" '
    def median: sort | .[(length - 1) / 2 | floor];
    def short: . * 1e4 | round / 1e4;
    ($direct | median) as $against | "hop_nic_\($bytes)B" as $case |
    {bench: "router", case: $case, value: ($routed | median | short), unit: "Mframes/s",
     min: ($routed | min | short), max: ($routed | max | short),
     against: "direct session with the NIC", against_value: ($against | short),
     ratio: (($routed | median) / $against | short)} |
    if $json == 1 then tojson
    else "\(.case)  \(.value) \(.unit)  \(.min) … \(.max)  \(.against) \(.against_value) (\(.ratio)×)" end'
done
