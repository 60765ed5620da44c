#!/usr/bin/env bash
# What a user sees at the edges of the command line: odd names, full disks,
# readers that go away, directories of somebody else. Over one running system.
#   command_line_test.sh PATH/TO/clients/bulkhead/bulkhead
set -uo pipefail
bin=$(cd "$(dirname "$(readlink -f "$1")")/../.." && pwd)
bulkhead=$bin/clients/bulkhead/bulkhead
work=$(mktemp -d /tmp/bulkhead-cli-XXXXXX)
export BULKHEAD_RUN_DIR=$work/run
status=0
# shellcheck disable=SC2317
finish() {
  "$bulkhead" down >/dev/null 2>&1
  rm -rf "$work"
}
trap finish EXIT

# expect STATUS TEXT COMMAND…: the command ends so, and says so.
expect() {
  local want=$1 text=$2 got=0
  shift 2
  timeout 60 "$@" >"$work/out" 2>&1 </dev/null || got=$?
  if [ "$got" = "$want" ] && { [ -z "$text" ] || grep -qF -- "$text" "$work/out"; }; then
    echo "ok   $*"
  else
    echo "FAIL $* (status $got, wanted $want and \`$text\`):"
    cat "$work/out"
    status=1
  fi
}

cat >"$work/one.yaml" <<'YAML'
apiVersion: bulkhead/v1
simulated:
  - {name: port0, model: 82574l, network: {echo: {}}}
drivers:
  - {match: {class: ethernet}, driver: e1000e}
YAML
sed 's|{echo: {}}|{pcap: {file: nowhere.pcap}}|' "$work/one.yaml" >"$work/no_pcap.yaml"

for program in bulkhead nic_dump nic_traffic; do
  expect 0 "$program 0." "$bin/clients/$program/$program" --version
done
expect 2 "'1x' is no duration; write e.g. 5, 0.5s" "$bin/clients/nic_dump/nic_dump" -t 1x
expect 2 "'x' is no mode; write echo, send or receive" "$bin/clients/nic_traffic/nic_traffic" --mode x

# Said at once, not after the wait for the links, and nothing is left.
expect 1 "nowhere.pcap (the NIC's \`pcap\`" \
  timeout 30 "$bulkhead" up --timeout-ms 3600000 "$work/no_pcap.yaml"
[ ! -e "$work/run" ] || { echo "FAIL the failed up left $work/run"; status=1; }

expect 0 "up in" "$bulkhead" up "$work/one.yaml"
expect 1 "every process ends with it; use \`bulkhead down\`" "$bulkhead" restart supervisor
expect 1 "there are no events of nope" "$bulkhead" events nope
expect 1 "there are no events of nope" "$bulkhead" events -f nope
expect 1 "standard output took no more" bash -c "'$bulkhead' status >/dev/full"
# More than head reads, and then nothing more to come: both end quietly.
expect 0 "spawned" bash -c "set -o pipefail; '$bulkhead' events -f 2>&1 | head -n 1"
expect 0 "" bash -c "set -o pipefail; '$bulkhead' events -f 2>'$work/err' | true"
[ ! -s "$work/err" ] || { echo "FAIL events -f | true said: $(cat "$work/err")"; status=1; }
expect 1 "refused: there is no instance \`nope\`" "$bin/clients/nic_traffic/nic_traffic" -i nope
! grep -q 'session: refused: open a session' "$work/out" || { cat "$work/out"; status=1; }
expect 0 "nothing is left" "$bulkhead" down

# S10: the record of an interface that a killed system took is enough for
# `down`: nobody is left who would give it back. This one is gone altogether.
mkdir -p -m 700 "$work/run/taken_interfaces"
printf '%s\n' namespace=bulkhead-nowhere index=7 name=west up=0 gro=1 lro=0 combined=0 rx=2 \
  >"$work/run/taken_interfaces/7@bulkhead-nowhere"
expect 0 "no Bulkhead runs" "$bulkhead" down
[ ! -e "$work/run" ] || { echo "FAIL down left what was taken: $(ls "$work/run")"; status=1; }

# Another user: sees whose it is, and needs no run directory to look at files.
if [ "$(id -u)" = 0 ]; then
  chmod 755 "$work" && mkdir -m 700 "$work/run" && chmod 644 "$work"/*.yaml
  as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups env -u XDG_RUNTIME_DIR)
  # The programs may lie where nobody may look.
  for file in clients/bulkhead/bulkhead nic_driver/e1000e/{e1000e,driver.yaml} \
    nic_model/82574l/{82574l,model.yaml}; do
    mkdir -p "$work/bin/${file%/*}" && cp -L "$bin/$file" "$work/bin/$file"
  done
  chmod -R a+rX "$work/bin"
  other=$work/bin/clients/bulkhead/bulkhead
  expect 1 "belongs to somebody else" "${as_nobody[@]}" "$other" status
  expect 1 "\$XDG_RUNTIME_DIR" "${as_nobody[@]}" -u BULKHEAD_RUN_DIR "$other" status
  expect 0 "ok: 1 simulated NIC" "${as_nobody[@]}" -u BULKHEAD_RUN_DIR "$other" validate "$work/one.yaml"
  expect 0 "port0" "${as_nobody[@]}" -u BULKHEAD_RUN_DIR "$other" plan "$work/one.yaml"
  rmdir "$work/run"
fi
exit $status
