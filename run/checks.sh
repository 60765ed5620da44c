# What the scenario scripts of this folder share; sourced, not run.
#
# Builds what they need, gives each a run directory of its own, and takes
# everything down again however the script ends. A script states what it
# expects with `expect`, checks with `check`, and ends with `finish`.
# shellcheck shell=bash

set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
"$top/run/build" || exit 1
bin=$top/bazel-bin
work=$(mktemp -d /tmp/bulkhead-run.XXXXXX)
export BULKHEAD_RUN_DIR=$work/run
passed=0
failed=0
started=()  # Pids of programs in the background.

bulkhead() { "$bin/clients/bulkhead/bulkhead" "$@"; }

clean_up() {
  local pid
  # First, while the lab that it may be in is there.
  bulkhead down >/dev/null 2>&1
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Says before the run what has to come out of it.
expect() { printf 'expected: %s\n' "$@"; }

# check TEXT COMMAND…: one line, `ok` when the command succeeds; when it does
# not, what it said follows.
check() {
  local text=$1
  shift
  if "$@" >"$work/check.out" 2>&1; then
    passed=$((passed + 1))
    echo "ok   $text"
  else
    failed=$((failed + 1))
    echo "FAIL $text"
    tail -n 20 "$work/check.out" | cut -c 1-400 | sed 's/^/     /'
  fi
}

# holds FILE FILTER: whether jq's FILTER is true of the JSON in FILE.
holds() { jq -e "$2" "$1"; }
# value FILE FILTER: what jq's FILTER gives.
value() { jq -r "$2" "$1"; }

# up FILE: brings the scenario up, or ends the script with the reason.
up() {
  if ! bulkhead up "$1" >"$work/up.txt" 2>"$work/up.err"; then
    cat "$work/up.txt" "$work/up.err" >&2
    check "bulkhead up $1" false
    finish
  fi
  check "bulkhead up $1: $(tail -1 "$work/up.txt")" true
}

# traffic NAME ARGUMENTS…: nic_traffic in the background; its report becomes
# $work/NAME.json, and its exit status that of `report NAME`.
traffic() {
  local name=$1
  shift
  "$bin/clients/nic_traffic/nic_traffic" --json "$@" \
    >"$work/$name.json" 2>"$work/$name.err" &
  started+=($!)
  eval "pid_$name=$!"
}
# report NAME…: waits for the ends of these; shows what a failed one said.
report() {
  local name pid status=0
  for name in "$@"; do
    eval "pid=\$pid_$name"
    if ! wait "$pid"; then
      cat "$work/$name.err" >&2
      status=1
    fi
  done
  return $status
}

# accounted BEFORE AFTER REPORT INSTANCE: checks S8 for an echoing link: every
# frame of the session is acknowledged, dropped with a name, or indeterminate,
# and three witnesses agree: the session (the client counts), the driver, and
# the NIC. A driver counts a batch of at most 64 frames right after it handed it
# over; one that is killed between leaves that batch uncounted. BEFORE and AFTER
# are `status --json` around the run.
accounted() {
  local link=$4 counts
  counts=$(jq -n --slurpfile before "$1" --slurpfile after "$2" \
    --slurpfile report "$3" --arg link "$link" '
    def instance($status): $status[0].instances[] | select(.name == $link);
    def delta($group; $name):
      ((instance($after)[$group][$name] // 0)
        - (instance($before)[$group][$name] // 0));
    $report[0] as $r | $r.session as $s | {
      sent: $r.sent, submitted: $s.tx_submitted, done: $s.tx_done,
      dropped: ($s.tx_dropped_invalid + $s.tx_dropped_no_link
        + $s.tx_dropped_device),
      indeterminate: $s.tx_indeterminate, in_flight: $r.in_flight,
      deaths: $s.recoveries,
      received: $s.rx_received, back: ($r.received + $r.corrupted + $r.foreign),
      nic_tx: delta("model_counters"; "tx_frames"),
      nic_dropped: delta("model_counters"; "network_dropped"),
      nic_missed: (delta("model_counters"; "rx_missed")
        + delta("model_counters"; "rx_disabled")
        + delta("model_counters"; "rx_filtered")
        + delta("model_counters"; "rx_oversize")),
      nic_rx: delta("model_counters"; "rx_frames"),
      driver_rx: delta("counters"; "rx_packets"),
      driver_rx_dropped: (delta("counters"; "rx_errors")
        + delta("counters"; "rx_too_long")
        + delta("counters"; "rx_no_session"))
    }')
  local file=$work/$link.accounts.json
  echo "$counts" >"$file"
  check "$link: S8 client: $(value "$file" \
    '"\(.sent) sent = \(.done) done + \(.dropped) dropped + \(.indeterminate) indeterminate"')" \
    holds "$file" '.sent == .submitted and .in_flight == 0
      and .submitted == .done + .dropped + .indeterminate'
  check "$link: S8 NIC: $(value "$file" \
    '"\(.done) done ≤ \(.nic_tx) sent ≤ \(.done + .indeterminate) done or indeterminate; \(.nic_tx) sent = \(.nic_rx) received + \(.nic_missed) missed + \(.nic_dropped) dropped"')" \
    holds "$file" '.done <= .nic_tx and .nic_tx <= .done + .indeterminate
      and .nic_tx == .nic_rx + .nic_missed + .nic_dropped'
  check "$link: S8 driver: $(value "$file" \
    '"\(.driver_rx) handed over = \(.received) received by the client; \(.nic_rx - .received - .driver_rx_dropped) died in its rings"')" \
    holds "$file" '.driver_rx <= .received and .received == .back
      and .received <= .driver_rx + 64 * .deaths
      and .nic_rx >= .received + .driver_rx_dropped'
  check "$link: S8 together: $(value "$file" \
    '"\(.sent) − \(.received) lost = \(.sent - .nic_tx) not sent + \(.nic_missed + .nic_dropped) missed or dropped + \(.nic_rx - .received) dropped by or with the driver"')" \
    holds "$file" '.sent - .received ==
      (.sent - .nic_tx) + .nic_missed + .nic_dropped + (.nic_rx - .received)'
}

# Takes everything down, checks that nothing is left (S10), counts, exits.
finish() {
  if [ -e "$BULKHEAD_RUN_DIR" ]; then
    check "bulkhead down" bulkhead down
    check "S10: nothing is left of the run directory" test ! -e "$BULKHEAD_RUN_DIR"
  fi
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
  exit
}
