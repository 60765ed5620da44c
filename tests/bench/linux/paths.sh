# The paths of `run/bench linux`; sourced by run.sh, not run.
#
#   left                                      nics              a
#   peer_west 192.0.2.1 ── west (nic0, af_xdp)    ── nic_tap ── nic0 192.0.2.2
#   peer_east 192.0.3.1 ── east (nic1, af_packet) ── nic_tap ── nic1 192.0.3.2
#   peer_north 192.0.6.1 ── north (nic2, af_xdp, busy polling)
#   peer_dpdk 192.0.4.1 ── dpdk ── testpmd: vdev and net_tap ── tap 192.0.4.2
#   peer_veth 192.0.5.1 ──────────────────────────────────────  veth 192.0.5.2
#
# join_programs and join_frames PATH set `peer`, its `peer_address` and
# `middle`, the processes between the peer and whoever talks to it; `part` ends
# what they began.
# shellcheck shell=bash disable=SC2034,SC2154

pair() {  # pair NAMESPACE NAME NET: the peer without offloads to the wire
  in_lab ip -n "$1" link add "$2" numtxqueues 1 numrxqueues 1 type veth \
    peer name "peer_$2" netns left numtxqueues 1 numrxqueues 1 &&
    in_lab ip -n left addr add "192.0.$3.1/24" dev "peer_$2" &&
    in_lab ip -n left link set "peer_$2" up && in_lab ip -n "$1" link set "$2" up
}

make_the_lab() {
  local name
  lab_as_root=1
  make_lab nics left a
  pair nics west 2 && pair nics east 3 && pair nics north 6 &&
    pair nics dpdk 4 && pair a veth 5 ||
    skip 'cannot make veth pairs; the kernel needs CONFIG_VETH'
  for name in west east north dpdk; do
    in_lab ip netns exec left ethtool -K peer_$name tx off >/dev/null
  done
  in_lab ip -n a addr add 192.0.5.2/24 dev veth
  bulkhead up "$top/tests/bench/linux/linux.yaml" >"$work/up.txt" 2>&1 ||
    { cat "$work/up.txt" >&2; exit 1; }
  for name in 0 1 2; do
    driver[name]=$(bulkhead status --json |
      jq ".instances[] | select(.name == \"nic$name\") | .pid")
  done
}

stop() {  # stop PID: in an orderly way, soon
  kill -TERM "$1" 2>/dev/null
  until_true 5 test ! -e "/proc/$1" || kill -KILL "$1"
  wait "$1" 2>/dev/null
}
part() {
  [ -z "${ours:-}" ] || stop "$ours"
  ours='' middle=()
  [ -z "${spread:-}" ] || taskset -apc "$spread" "${driver[$number]}" >/dev/null
  spread=''
}

choose() {  # choose PATH: peer, its address, and which of the two instances
  middle=() number=''
  case $1 in
    veth) peer=peer_veth peer_address=192.0.5.1 ;;
    bulkhead_af_xdp) peer=peer_west peer_address=192.0.2.1 number=0 ;;
    bulkhead_af_packet) peer=peer_east peer_address=192.0.3.1 number=1 ;;
    bulkhead_af_xdp_busy_poll) peer=peer_north peer_address=192.0.6.1 number=2 ;;
    testpmd*) peer=peer_dpdk peer_address=192.0.4.1 ;;
  esac
}

# Its main thread waits; the one that forwards shares that CPU.
testpmd() {  # testpmd PATH DEVICES…
  local path=$1 vdev=net_af_xdp0,iface=dpdk
  shift
  case $path in
    *_busy_poll) ;; # As it comes: the kernel polls within its calls.
    *_xdp) vdev+=,busy_budget=0 ;;
    *af_packet) vdev=net_af_packet0,iface=dpdk ;;
  esac
  # The program that it leads frames with is kept in a file system.
  RUNTIME_DIRECTORY=$work start_in_lab testpmd ip netns exec nics sh -c '
    mount -t bpf none /sys/fs/bpf && exec dpdk-testpmd "$@"' sh \
    --no-huge --no-pci -m 256 --no-telemetry --lcores="(0,1)@$our_cpu" \
    --main-lcore=0 --vdev="$vdev" "$@" -- --forward-mode=io --auto-start \
    --burst=32 --total-num-mbufs=16384 --stats-period=1
  ours=$pid_testpmd middle=("$pid_testpmd")
  until_true 20 grep -q 'Port statistics' "$work/testpmd.out" ||
    { warn "testpmd: $(tail -3 "$work/testpmd.out" "$work/testpmd.err")"; return 1; }
}

join_programs() {
  choose "$1"
  case $1 in
    veth) return ;;
    testpmd*)
      testpmd "$1" --vdev=net_tap0,iface=tap || return
      in_lab ip -n nics link set tap netns a && in_lab ip -n a link set tap up &&
        in_lab ip -n a addr add "${peer_address%.1}.2/24" dev tap
      ;;
    bulkhead*)
      start_in_lab tap "$bin/clients/nic_tap/nic_tap" -i "nic$number" --netns a --up
      ours=$pid_tap middle=("$pid_tap" "${driver[$number]}")
      until_true 20 has_carrier a "nic$number" &&
        in_lab ip -n a addr add "${peer_address%.1}.2/24" dev "nic$number"
      ;;
  esac
}

join_frames() {
  choose "$1"
  case $1 in
    testpmd*) testpmd "$1" ;;
    veth)
      start_in_lab reflector ip netns exec a taskset -c $our_cpu \
        "$programs/reflector" socket veth
      ours=$pid_reflector middle=("$pid_reflector")
      ;;
    bulkhead*)
      start_in_lab reflector taskset -c $our_cpu "$programs/reflector" session "nic$number"
      ours=$pid_reflector middle=("$pid_reflector" "${driver[$number]}")
      # Where testpmd is; afterwards, where it was.
      spread=$(taskset -pc "${driver[$number]}" | sed 's/.*: //')
      taskset -apc $our_cpu "${driver[$number]}" >/dev/null
      ;;
  esac
}

# Whom a path's frames are held against.
counterpart() {
  case $1 in
    bulkhead_*) echo "testpmd_${1#bulkhead_}" ;;
    *) echo - ;;
  esac
}
