# Clients of a router in namespaces, for a run script; sourced after lab.sh.
# shellcheck shell=bash

# at_router LABEL [ADDRESS/BITS [GATEWAY]]: in the namespace LABEL, an interface
# r0 that is a session of that label at the router.
at_router() {
  start_in_lab "$1" "$bin/clients/nic_tap/nic_tap" -i router --label "$1" \
    --tap r0 --netns "$1" --up --json
  check "$1: nic_tap opens a session at the router, with a carrier" \
    until_true 30 has_carrier "$1" r0
  [ -z "${2:-}" ] || in_lab ip -n "$1" addr add "$2" dev r0
  [ -z "${3:-}" ] || in_lab ip -n "$1" route add default via "$3"
}

# at_nic NAMESPACE INSTANCE ADDRESS/BITS: the same of a NIC.
at_nic() {
  start_in_lab "$1" "$bin/clients/nic_tap/nic_tap" -i "$2" --netns "$1" --up --json
  check "$1: nic_tap makes the interface $2, with a carrier" \
    until_true 30 has_carrier "$1" "$2"
  in_lab ip -n "$1" addr add "$3" dev "$2"
}

# inside NAMESPACE COMMAND…
inside() {
  local name=$1
  shift
  in_lab ip netns exec "$name" "$@"
}

listens() { inside "$1" ss -Htln "sport = $2" | grep -q "$2"; }

# ends_well NAMESPACE: nic_tap has had one session all the time, and says so.
ends_well() {
  local pid=pid_$1
  kill -TERM "${!pid}"
  check "$1: nic_tap ends with success" wait "${!pid}"
  check "$1: $(value "$work/$1.out" \
    '"one session, \(.session.recoveries) routers died, at most \(.pauses.longest_ns / 1e6 | round) ms without frames around one"')" \
    holds "$work/$1.out" ".session.recoveries >= ${2:-0}"
}
