# What the tests of this folder share; sourced, not run. In the guest, as root.
#
# A test states what it expects with `expect`, checks with `check`, leaves out
# with `skip`, and ends with `finish`: one line each, counted by run/hardware.
# shellcheck shell=bash

set -uo pipefail
failed=0
checked=0

expect() { printf 'expected: %s\n' "$@"; }

# check TEXT COMMAND…: one line, `ok` when the command succeeds. It runs in this
# shell, which alone can wait for what it started.
check() {
  local text=$1
  shift
  checked=$((checked + 1))
  if "$@" >/run/check.log 2>&1; then
    echo "ok   $text"
  else
    failed=$((failed + 1))
    echo "FAIL $text"
    head -20 /run/check.log | sed 's/^/     /'
  fi
}

# holds_in FILE WHAT: the one JSON document there says so. (To jq 1.6, -e finds
# anything true of an empty file.)
holds_in() { jq -es "length == 1 and (.[0] | $2)" "$1"; }

# skip TEXT REASON: what cannot be checked here, and why.
skip() { echo "skip $1: $2"; }

finish() {
  check 'the kernel saw no fault of a device that is not explained' no_faults
  [ "$failed" = 0 ] && [ "$checked" -gt 0 ]
  exit
}

# eventually COMMAND…: until it succeeds. The bound costs nothing where it does,
# and is what a starved machine may need.
eventually() {
  local end=$((SECONDS + 120))
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      "$@"
      return
    fi
    sleep 0.1
  done
}

# Blocked DMA, machine checks, and what ends a kernel. `explained` is a pattern
# of lines that a test provoked.
explained='^$'
no_faults() {
  ! dmesg | grep -E 'DMAR: \[|Oops|BUG:|Call Trace|soft lockup|general protection' |
    grep -vE "$explained"
}

# The topology by name: ${address[nic0]}, ${kind[nic0]}, ${peer[nic0]}, …
declare -A kind address mac peer peer_kind peer_mac wire
nics=()
while read -r a b c d e f g; do
  wire[$a]=${#nics[@]}
  nics+=("$a")
  kind[$a]=$b address[$a]=$c mac[$a]=$d peer[$a]=$e peer_kind[$a]=$f peer_mac[$a]=$g
done </results/topology

pci() { echo "/sys/bus/pci/devices/${address[$1]}"; }
# driver_of NIC: of the PCI function; empty when none.
driver_of() { basename "$(readlink "$(pci "$1")/driver" 2>/dev/null)" 2>/dev/null; }
group_of() { basename "$(readlink "$(pci "$1")/iommu_group")"; }
# interface_of NIC: the kernel's name of it; empty without a kernel driver.
interface_of() {
  local path
  for path in "$(pci "$1")"/net/* "$(pci "$1")"/virtio*/net/*; do
    [ -e "$path" ] && echo "${path##*/}" && return
  done
}
# kernel_driver NIC: what Linux drives such a card with.
kernel_driver() { case ${kind[$1]} in virtio*) echo virtio-pci ;; *) echo "${kind[$1]}" ;; esac; }
has_kernel_driver() { [ "$(driver_of "$1")" = "$(kernel_driver "$1")" ] && [ -n "$(interface_of "$1")" ]; }
# is_back NIC: as it was before it was taken; settings of its interface follow its name.
is_back() { has_kernel_driver "$1" && [ "$(interface_of "$1")" = "$1" ]; }
# are_gone PID…: none of these processes is left.
are_gone() {
  local pid
  for pid in "$@"; do [ ! -e "/proc/$pid" ] || return 1; done
}

# patient FILE: that scenario for an emulated machine on a busy one. It pauses for
# seconds, which must not count as a hang.
patient() { sed 's/^    instance: .*/&\n    heartbeat: {interval: 1s, misses: 10}/' "$1"; }

peer_has_link() { ip -n "${peer[$1]}" link show "${peer[$1]}" | grep -q LOWER_UP; }
# reflect NIC: from now on its peer sends each test frame back; `reflector` is
# the pid.
reflect() {
  peer reflect "$1" >"/run/reflect.$1" 2>"/run/reflect.$1.log" &
  reflector=$!
  eventually grep -q ready "/run/reflect.$1.log"
  eventually peer_has_link "$1"
}

# frames_return INSTANCE NIC COUNT OPTION…: so many frames go to the peer of the
# NIC, which reflects, and each comes back once.
frames_return() {
  nic_traffic --json --instance "$1" --mode echo --to "${peer_mac[$2]}" --count "$3" \
    --link-ms 60000 --duration 300 --drain-ms 60000 "${@:4}" >/run/frames.json &&
    holds_in /run/frames.json ".received == $3 and .lost + .duplicated + .corrupted == 0" && return
  jq -c 'del(.long_gaps, .recoveries, .latency)' /run/frames.json
  bulkhead status --json | jq -c --arg i "$1" '.instances[] | select(.name == $i) | .counters'
  ip -n "${peer[$2]}" -s link show "${peer[$2]}"
  return 1
}

# ping_wire NIC: Linux's driver of the NIC reaches its peer. Afterwards nothing
# uses the NIC any more.
ping_wire() {
  local interface
  interface=$(interface_of "$1")
  [ -n "$interface" ] || { echo "$1 has no interface"; return 1; }
  ip link set "$interface" up
  ip address replace "10.0.${wire[$1]}.1/24" dev "$interface"
  eventually grep -q 1 "/sys/class/net/$interface/carrier"
  eventually /bin/ping -c 1 -W 2 "10.0.${wire[$1]}.2" >"/run/ping.$1"
  local status=$?
  ip address flush dev "$interface"
  ip link set "$interface" down
  [ $status = 0 ] || cat "/run/ping.$1"
  return $status
}

# ping_wires WHEN: all wires at once, then a line for each.
ping_wires() {
  local nic pids=()
  for nic in "${nics[@]}"; do
    ping_wire "$nic" >"/run/result.$nic" 2>&1 &
    pids+=($!)
  done
  for nic in "${nics[@]}"; do
    wait "${pids[${wire[$nic]}]}"
    echo $? >"/run/status.$nic"
  done
  for nic in "${nics[@]}"; do
    check "$1: $nic ($(kernel_driver "$nic")) reaches ${peer[$nic]} (${peer_kind[$nic]})" \
      passed "$nic"
  done
}
passed() { cat "/run/result.$1"; return "$(cat "/run/status.$1")"; }
