# Network namespaces for a run script; sourced after checks.sh, not run.
#
# A lab is a user namespace with a network and a mount namespace of its own: in
# it everybody is root, so that interfaces and addresses need no privilege, and
# whatever is done there cannot touch the machine's own network. It ends with
# the process that holds it, and everything in it with it.
#
#   make_lab left right        # two network namespaces, as `ip netns` has them
#   in_lab ip -n left addr add 192.0.2.1/24 dev nic0
#   start_in_lab server ip netns exec right iperf3 -s     # its pid: $pid_server
#
# With lab_as_root=1 there is no user namespace: for what only root of the
# machine may do, such as loading XDP programs.
# shellcheck shell=bash

# Some of the programs are where only root's PATH leads.
PATH=$PATH:/usr/sbin:/sbin

skip() {  # skip REASON: ends the script, loudly, as one that did not run.
  echo "SKIPPED run/$(basename "$0"): $1" >&2
  exit 77
}

# needs PROGRAM…: ends the script, as one that did not run, when one is missing.
needs() {
  local program missing=()
  for program in "$@"; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} -eq 0 ] ||
    skip "there is no ${missing[*]}; run run/setup, which has the packages"
}

make_lab() {
  local name line
  needs unshare nsenter ip
  local user=(--user --map-root-user) enter=(-U --preserve-credentials)
  [ -z "${lab_as_root:-}" ] || user=() enter=()
  if ! unshare "${user[@]}" --net --mount true 2>"$work/lab.err"; then
    skip "no user namespaces ($(tail -1 "$work/lab.err")); allow them (sysctl \
user.max_user_namespaces, kernel.unprivileged_userns_clone, \
kernel.apparmor_restrict_unprivileged_userns) or run as root"
  fi
  [ -c /dev/net/tun ] || skip 'there is no /dev/net/tun; load it: modprobe tun'
  mkfifo "$work/lab.ready"
  # `ip netns` keeps its names in /run/netns.
  unshare "${user[@]}" --net --mount --propagation private sh -c '
    mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up &&
      echo ready && exec sleep 3600' >"$work/lab.ready" 2>"$work/lab.err" &
  lab_pid=$!
  started+=("$lab_pid")
  read -r line <"$work/lab.ready"
  [ "$line" = ready ] || skip "cannot set a lab up: $(cat "$work/lab.err")"
  lab=(nsenter -t "$lab_pid" -n -m "${enter[@]}" --)
  for name in "$@"; do
    "${lab[@]}" ip netns add "$name" && "${lab[@]}" ip -n "$name" link set lo up ||
      skip "cannot make network namespaces in a user namespace"
  done
}

in_lab() { "${lab[@]}" "$@"; }

# start_in_lab NAME COMMAND…: in the background; what it says is in
# $work/NAME.out and $work/NAME.err.
start_in_lab() {
  local name=$1
  shift
  "${lab[@]}" "$@" >"$work/$name.out" 2>"$work/$name.err" &
  started+=($!)
  eval "pid_$name=$!"
}

# until_true SECONDS COMMAND…: repeats COMMAND until it succeeds.
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.05
  done
}

# has_carrier NAMESPACE INTERFACE
has_carrier() { in_lab ip -n "$1" link show "$2" | grep -q LOWER_UP; }
