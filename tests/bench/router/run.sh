#!/usr/bin/env bash
# The router's forwarding with NAT beside Linux's, with nftables' masquerade
# between network namespaces, in one run of about two minutes.
#   run/bench router [--json] [--repetitions N] [--milliseconds N]
set -euo pipefail
cd "$(dirname "$0")/../../.."
if [ "$(id -u)" -ne 0 ]; then
  echo "run/bench router: namespaces and veth pairs need root; run it with sudo." >&2
  exit 1
fi
prefix=bhbench$$
client=$prefix-client router=$prefix-router outside=$prefix-outside
cleanup() {
  for name in "$client" "$router" "$outside"; do
    ip netns del "$name" 2>/dev/null || true
  done
}
trap cleanup EXIT
for name in "$client" "$router" "$outside"; do ip netns add "$name"; done

# client: in0 ── r0 :router: r1 ── out0 :outside. What arrives there is another
# host's by its MAC, and discarded at once.
ip -n "$router" link add r0 address 02:00:00:00:01:01 type veth \
  peer name in0 address 02:00:00:00:01:02 netns "$client"
ip -n "$router" link add r1 address 02:00:00:00:02:01 type veth \
  peer name out0 address 02:00:00:00:02:02 netns "$outside"
while read -r name end; do
  ip netns exec "$name" sysctl -qw "net.ipv6.conf.$end.disable_ipv6=1"
  ip -n "$name" link set "$end" up
done <<ENDS
$client in0
$router r0
$router r1
$outside out0
ENDS
ip -n "$router" address add 10.0.1.1/24 dev r0
ip -n "$router" address add 10.0.2.1/24 dev r1
ip -n "$router" neighbour add 10.0.2.2 lladdr 02:00:00:00:02:99 dev r1
ip -n "$router" route add default via 10.0.2.2
ip netns exec "$router" sysctl -qw net.ipv4.ip_forward=1
ip netns exec "$router" nft -f - <<'NFT'
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "r1" masquerade
  }
}
NFT

export LINUX_INTERFACE=in0 LINUX_OUTSIDE_NAMESPACE=$outside LINUX_OUTSIDE_INTERFACE=out0
ip netns exec "$client" bazel-bin/tests/bench/router/router_bench "$@"
# And the hop as its user sees it: a whole system.
tests/bench/router/nic_hop.sh "$@"
