#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/../../.."
bin=$PWD/bazel-bin
exec "$bin/tests/bench/idle/idle" --bin_dir "$bin" "$@"
