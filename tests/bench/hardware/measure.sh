# Runs in the guest; see run.sh. Prints `measured KIND DRIVER MODE BYTES
# PER_SECOND CPU_NS` for each round, the CPU being what the guest spent on a
# frame, of user and kernel, but for the generator at the other end of the wire.
. checks.sh
rounds=$1 milliseconds=$2 kinds=$3 drivers=$4 modes=$5 sizes=$6
export BULKHEAD_RUN_DIR=/run/bulkhead
# Nobody's address: a card drops what is for it at once, which is what a wire
# without anybody costs. The generator's own, too, for what comes back.
nowhere=02:00:00:00:00:99
cpus=$(nproc)
modprobe -a vfio-pci pktgen
echo 64 >/proc/sys/vm/nr_hugepages
mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages
window() { sleep "$((milliseconds / 1000)).$(printf %03d $((milliseconds % 1000)))"; }

# --- CPU. idle_ns and generator_ns: since boot.
idle_ns() { awk -v hz="$(getconf CLK_TCK)" '/^cpu / { printf "%.0f", ($5 + $6) * 1e9 / hz; exit }' /proc/stat; }
generator_ns() {
  local pid total=0 ns rest
  for pid in $generators; do
    read -r ns rest <"/proc/$pid/schedstat" && total=$((total + ns))
  done
  echo $total
}
generators=
clock() { begun=${EPOCHREALTIME/./} idle=$(idle_ns) spent=$(generator_ns); }
# busy_ns: of all CPUs since `clock`, less the generator's; and `elapsed_us`.
stop_clock() {
  local idle_now
  idle_now=$(idle_ns)
  elapsed_us=$((${EPOCHREALTIME/./} - begun))
  busy_ns=$((cpus * elapsed_us * 1000 - (idle_now - idle) - ($(generator_ns) - spent)))
  [ $busy_ns -gt 0 ] || busy_ns=0
}
# told DRIVER MODE BYTES PER_SECOND: of the window that stop_clock ended.
told() {
  awk -v head="measured ${kind[$nic]} $1 $2 $3" -v rate="$4" -v busy=$busy_ns -v us=$elapsed_us \
    'BEGIN { frames = rate * us / 1e6; printf("%s %.0f %.0f\n", head, rate, (frames > 0 ? busy / frames : 0)) }'
}

# --- The generator: Linux's pktgen on the peer, on CPU 0.
pktgen() {  # pktgen NAMESPACE INTERFACE THREAD DESTINATION BYTES
  pktgen_enter=()
  [ -z "$1" ] || pktgen_enter=(ip netns exec "$1")
  "${pktgen_enter[@]}" bash -c '
    cd /proc/net/pktgen
    for thread in kpktgend_*; do echo rem_device_all >$thread; done
    echo "add_device $1" >kpktgend_$2
    for word in "count 0" "clone_skb 100000" "burst 32" "delay 0" "pkt_size $4" \
      "dst_mac $3" "src_mac $5" "dst 10.99.99.99"; do echo "$word" >$1; done 2>/dev/null
    echo start >pgctrl' pktgen "$2" "$3" "$4" "$5" "$nowhere" &
  pktgen=$!
}
end_pktgen() { "${pktgen_enter[@]}" sh -c 'echo stop >/proc/net/pktgen/pgctrl'; wait $pktgen; }
# It keeps its CPU whoever polls beside it.
generate() {  # generate BYTES: to the card under test.
  generators=$(pgrep kpktgend)
  renice -n -19 -p $generators >/dev/null
  pktgen "${peer[$nic]}" "${peer[$nic]}" 0 "${mac[$nic]}" "$1"
}

# --- Programs that run until SIGTERM and then print their rate.
begin() {  # begin COMMAND…: in the background, until it listens.
  : >/run/program.log
  "$@" >/run/program 2>/run/program.log &
  program=$!
  eventually grep -q ready /run/program.log || cat /run/program.log
}
end() {  # end: its rate, in `rate`.
  kill $program
  wait $program
  rate=$(jq -r .per_second /run/program)
}
# by_program DRIVER MODE BYTES COMMAND…: with the generator, unless MODE is tx.
by_program() {
  local driver=$1 mode=$2 bytes=$3
  shift 3
  generators=
  begin "$@"
  [ "$mode" = tx ] || generate "$bytes"
  sleep 0.2
  clock
  window
  stop_clock
  [ "$mode" = tx ] || end_pktgen
  end
  told "$driver" "$mode" "$bytes" "$rate"
}

# --- Bulkhead: a program on the card's session.
declare -A program_of=([rx]=receive [forward]=forward)
bulkhead_begin() {
  all_nics_yaml >/run/nics.yaml
  bulkhead up /run/nics.yaml >/dev/null
}
bulkhead_end() { bulkhead down >/dev/null; }
bulkhead_measures() {
  case $1 in
    tx) by_program bulkhead tx "$2" client send "$nic" $nowhere "$2" ;;
    *) by_program bulkhead "$1" "$2" client "${program_of[$1]}" "$nic" ;;
  esac
}

# --- Linux: pktgen sends; a program on a packet socket receives and forwards.
linux_begin() {
  local irq
  for nic in "${nics[@]}"; do
    eventually is_back "$nic"
    sysctl -q "net.ipv6.conf.$nic.disable_ipv6=1"
    ip link set "$nic" up
    eventually grep -q 1 "/sys/class/net/$nic/carrier"
    # Its interrupts leave the generator's CPU alone.
    for irq in "$(pci "$nic")"/msi_irqs/*; do echo 2 >"/proc/irq/${irq##*/}/smp_affinity"; done 2>/dev/null
  done
}
linux_end() { for nic in "${nics[@]}"; do ip link set "$nic" down; done; }
sent_by() { cat "/sys/class/net/$1/statistics/tx_packets"; }
linux_measures() {
  local before
  case $1 in
    rx) by_program linux rx "$2" "$BULKHEAD_TREE/bazel-bin/tests/hardware/peer/peer" count "$nic" ;;
    forward) by_program linux forward "$2" "$BULKHEAD_TREE/bazel-bin/tests/hardware/peer/peer" forward "$nic" ;;
    tx)
      generators=
      pktgen '' "$nic" 1 $nowhere "$2"
      sleep 0.5
      before=$(sent_by "$nic")
      clock
      window
      stop_clock
      told linux tx "$2" $((($(sent_by "$nic") - before) * 1000000 / elapsed_us))
      end_pktgen
      ;;
  esac
}

# --- DPDK: testpmd, one for each card, told by its prompt what to do.
declare -A engine_of=([tx]=txonly [rx]=rxonly [forward]=macswap)
to_driver() {  # to_driver NAME: of the card; empty: the kernel's.
  echo "$1" >"$(pci "$nic")/driver_override"
  echo "${address[$nic]}" >"$(pci "$nic")/driver/unbind"
  echo "${address[$nic]}" >/sys/bus/pci/drivers_probe
}
say() { printf '%s\n' "$@" >&8; }
dpdk_begin() { :; }
dpdk_end() { :; }
dpdk_take() {
  to_driver vfio-pci
  mkfifo -m 600 "/run/testpmd.$nic" 2>/dev/null
  timeout 600 stdbuf -oL dpdk-testpmd -l 0,1 --in-memory -m 96 -a "${address[$nic]}" -- -i \
    --total-num-mbufs=8192 --burst=64 <"/run/testpmd.$nic" >/run/testpmd.log 2>&1 &
  testpmd=$!
  exec 8<>"/run/testpmd.$nic"
  eventually grep -q 'testpmd>' /run/testpmd.log || cat /run/testpmd.log
  say "set eth-peer 0 $nowhere"
  eventually linked
}
linked() { say 'show port summary all'; sleep 0.5; grep -qE '^0 .* up' /run/testpmd.log; }
dpdk_leave() {
  say stop quit
  wait $testpmd
  exec 8>&-
  to_driver ''
}
is_shown() { [ "$(grep -c 'Tx-pps' /run/testpmd.log)" -ge "$1" ]; }
show() {
  local next=$(($(grep -c 'Tx-pps' /run/testpmd.log) + 1))
  say 'show port stats 0'
  until is_shown $next; do sleep 0.02; done
}
dpdk_measures() {
  local field=Tx-pps
  [ "$1" != rx ] || field=Rx-pps
  generators=
  say "set fwd ${engine_of[$1]}" "set txpkts $2" start
  [ "$1" = tx ] || generate "$2"
  sleep 0.3
  show
  clock
  window
  stop_clock
  show
  [ "$1" = tx ] || end_pktgen
  say stop
  told dpdk "$1" "$2" "$(sed -n "s/.*$field: *\([0-9]*\).*/\1/p" /run/testpmd.log | tail -1)"
}

each_case() {  # each_case DRIVER: of the present card.
  local mode bytes round
  for mode in $modes; do
    for bytes in $sizes; do
      for ((round = 0; round < rounds; round++)); do "$1_measures" "$mode" "$bytes"; done
    done
  done
}
selected() { [[ " $kinds " == *" ${kind[$1]} "* ]]; }
[[ $drivers != *dpdk* ]] || command -v dpdk-testpmd >/dev/null || {
  echo 'no dpdk-testpmd here; run/setup installs it: without DPDK'
  drivers=${drivers/dpdk/}
}
for driver in $drivers; do
  "${driver}_begin"
  for nic in "${nics[@]}"; do
    selected "$nic" || continue
    [ "$driver" != dpdk ] || dpdk_take
    each_case "$driver"
    [ "$driver" != dpdk ] || dpdk_leave
  done
  "${driver}_end"
done
exit 0
