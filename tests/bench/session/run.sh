#!/usr/bin/env bash
# Session throughput beside a naive ring and DPDK's memif, in one run; with
# memif it takes about two minutes.
#   run/bench session [--json] [--no-memif] [--repetitions=N] [--milliseconds=N]
set -euo pipefail
cd "$(dirname "$0")/../../.."
exec bazel-bin/tests/bench/session/session_bench "$@"
