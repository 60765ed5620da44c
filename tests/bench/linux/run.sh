#!/usr/bin/env bash
# Linux programs and 64-byte frames over four kinds of path, side by side in
# one run: a plain veth pair, Bulkhead's af_xdp and af_packet, DPDK's testpmd
# with the drivers of the same name. In namespaces of its own; needs root. It
# takes about four minutes.
#   run/bench linux [--json] [--repetitions=N] [--milliseconds=N] [--only=REGEX]
#
# Each path ends at a Linux peer behind a veth pair with one queue. Rows:
#   tcp_PATH, udp_PATH   iperf3 from a TAP device (a veth end, with `veth`)
#   ping_PATH            the same way, one at a time: median
#   flood64_PATH         frames that come back of a flood, a second
#   flood64_cpu_PATH     the same, for each second of CPU that what stands at
#                        our end used: driver and client, testpmd, the program
#   xdp64_…              the same with a source several times as fast, for
#                        ends with an XDP program: who sends back is the limit
#   paced64_cpu_PATH     CPU of our end for each of 50,000 frames a second,
#                        which all can do
#   echo64_PATH          one frame at a time: median
# tcp_cpu and udp_cpu count all who take part, both iperf3 included, for each
# 1,448 bytes. The kernel charges what it does in interrupts to whoever runs;
# its own threads for that (ksoftirqd) are counted in.
# `veth` at 64 bytes is a program with a packet socket: recvmmsg, sendmmsg.
# testpmd polls its rings as DPDK does, and uses a CPU whatever there is to do.
# With …_busy_poll, the kernel receives within its calls, and Bulkhead'''s.
set -uo pipefail
cd "$(dirname "$0")/../../.."
top=$PWD
bin=$top/bazel-bin
programs=$bin/tests/bench/linux
. "$top/run/lab.sh"
. "$top/tests/bench/linux/paths.sh"

repetitions=3 milliseconds=2000 only=. json=()
for argument in "$@"; do
  case $argument in
    --json) json=(--json) ;;
    --repetitions=*) repetitions=${argument#*=} ;;
    --milliseconds=*) milliseconds=${argument#*=} ;;
    --only=*) only=${argument#*=} ;;
    *)
      echo "usage: run/bench linux [--json] [--repetitions=N] [--milliseconds=N] [--only=REGEX]" >&2
      exit 2
      ;;
  esac
done
[ "$(id -u)" = 0 ] || skip 'only root may take interfaces'
for tool in iperf3 jq dpdk-testpmd; do
  command -v $tool >/dev/null || skip "there is no $tool; run run/setup"
done

work=$(mktemp -d /tmp/bulkhead-bench.XXXXXX)
export BULKHEAD_RUN_DIR=$work/run
started=()
bulkhead() { in_lab "$bin/clients/bulkhead/bulkhead" "$@"; }
clean_up() {
  bulkhead down >/dev/null 2>&1
  # Also what spins: it would outlive the lab.
  for pid in "${started[@]}"; do
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

make_the_lab
samples=$work/samples
sample() { echo "$1 $2 $3 ${4:--}" >>"$samples"; }  # CASE UNIT VALUE [AGAINST]
warn() { echo "run/bench linux: $*" >&2; }

# CPU that these processes and the kernel's interrupt threads have used, in ns.
cpu_of() {
  local pid files=()
  for pid in "$@" $(pgrep -x 'ksoftirqd/.*'); do files+=("/proc/$pid/task/"*/schedstat); done
  cat "${files[@]}" 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f", sum }'
}
# figure JSON FILTER
figure() { jq -r "$2" <<<"$1"; }

# --- Linux programs -----------------------------------------------------------

# iperf NAME PATH UNIT OPTIONS…
iperf() {
  local name=$1 path=$2 before result
  shift 2
  before=$(cpu_of "${middle[@]}")
  result=$(in_lab ip netns exec a timeout 60 iperf3 -c "$peer_address" \
    -t "$seconds" --json "$@") || { warn "$name over $path: $(figure "$result" .error)"; return; }
  sample "${name}_$path" Mbit/s \
    "$(figure "$result" '.end | (.sum_received // .sum).bits_per_second / 1e6')" "${name}_veth"
  # Shares of a CPU, of both ends.
  sample "${name}_cpu_$path" ns/1448B "$(figure "$result" "
    .end | (.sum_received // .sum) as \$got
    | ((.cpu_utilization_percent | .host_total + .remote_total) / 100 * \$got.seconds * 1e9
       + $(cpu_of "${middle[@]}") - $before) / (\$got.bytes / 1448)")" "${name}_cpu_veth"
}

programs_over() {  # programs_over PATH: its interface is there
  local path=$1 server
  until_true 10 in_lab ip netns exec a ping -q -c 1 -W 1 "$peer_address" ||
    { warn "$path: the peer does not answer"; return; }
  start_in_lab iperf ip netns exec left iperf3 -s -B "$peer_address"
  server=$!
  listens() { in_lab ip netns exec left ss -Htln "sport = 5201" | grep 5201; }
  until_true 10 listens
  iperf tcp "$path"
  iperf udp "$path" -u -b 0 -l 1448
  sample "ping_$path" us "$(in_lab ip netns exec a ping -c 200 -i 0.002 "$peer_address" |
    sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n |
    awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] * 1000 }')" ping_veth
  stop "$server"
}

# --- Frames -------------------------------------------------------------------

# The CPUs of the source and of our end.
source_cpu=0
our_cpu=$(($(nproc) > 1 ? 1 : 0))
frame_source() {
  in_lab ip netns exec left taskset -c $source_cpu timeout 60 "$programs/frame_source" "$@"
}

# flood NAME PATH AGAINST HOW OPTIONS…
flood() {
  local name=$1 path=$2 against=$3 before cpu result
  shift 3
  before=$(cpu_of "${middle[@]}")
  result=$(frame_source "$@" "$peer" --milliseconds "$milliseconds") ||
    { warn "$name over $path: no figure"; return; }
  cpu=$(($(cpu_of "${middle[@]}") - before))
  [ "$(figure "$result" .back)" != 0 ] || { warn "$name over $path: nothing came back"; return; }
  if [ "$name" = paced64 ]; then
    sample "${name}_cpu_$path" ns/frame "$(figure "$result" "$cpu / .back")" "${name}_cpu_$against"
    return
  fi
  sample "${name}_$path" frames/s "$(figure "$result" '.back / .seconds')" "${name}_$against"
  sample "${name}_cpu_$path" frames/CPU_s "$(figure "$result" ".back / $cpu * 1e9")" \
    "${name}_cpu_$against"
}

frames_over() {  # frames_over PATH AGAINST: what is at our end sends back
  local path=$1 against=$2
  until_true 10 frame_comes_back || { warn "$path: no frame comes back"; return; }
  flood flood64 "$path" "$against" flood
  case $path in *af_xdp*) flood xdp64 "$path" "$against" xdp_flood ;; esac
  flood paced64 "$path" "$against" flood --rate 50000
  sample "echo64_$path" us "$(figure "$(frame_source ping "$peer")" .p50_us)" "echo64_$against"
}
frame_comes_back() { [ "$(figure "$(frame_source ping "$peer" --count 1)" .lost)" = 0 ]; }

# --- The run ------------------------------------------------------------------

seconds=$(((milliseconds + 999) / 1000))
wanted() { [[ $1 =~ $only ]]; }
for _ in $(seq "$repetitions"); do
  for path in veth bulkhead_af_xdp testpmd_af_xdp bulkhead_af_packet testpmd_af_packet; do
    wanted "programs_$path" || continue
    join_programs $path && programs_over $path
    part
  done
  for path in veth bulkhead_af_xdp testpmd_af_xdp bulkhead_af_xdp_busy_poll \
    testpmd_af_xdp_busy_poll bulkhead_af_packet testpmd_af_packet; do
    wanted "frames_$path" || continue
    join_frames $path && frames_over $path "$(counterpart $path)"
    part
  done
done
"$programs/rows" "${json[@]}" <"$samples"
