#!/usr/bin/env bash
# Holds the documents against the tree, one line per check:
#   - every rule S1–S10 is cited by code and named by a test;
#   - every test that ARCHITECTURE.md names exists;
#   - every file that a document names exists;
#   - every YAML example is a valid scenario;
#   - docs/events.md has exactly the kinds of events that the code records;
#   - docs/hardware.md has exactly the obstacles that `bulkhead doctor` knows;
#   - the commands of README's "Five minutes" and of docs/hardware.md run, in
#     that order.
# Requires: run/build was run.
set -uo pipefail
cd "$(dirname "$0")/../.."
status=0
report() {  # report STATUS WHAT
  if [ "$1" = 0 ]; then echo "ok   $2"; else echo "FAIL $2"; status=1; fi
}
sources=$(git ls-files --cached --others --exclude-standard -- '*.cc' '*.h')

for n in $(seq 10); do
  # shellcheck disable=SC2086
  grep -lE "\bS$n\b" $(echo "$sources" | grep -vE '_test\.cc$|^tests/') >/dev/null
  report $? "S$n is cited by code"
  # shellcheck disable=SC2086
  grep -lE "TEST(_F|_P)?\(\w+, \w*S${n}_" $sources >/dev/null
  report $? "S$n is named by a test"
done

missing=""
while IFS=. read -r suite name; do
  # shellcheck disable=SC2086
  grep -zqE "TEST(_F|_P)?\(\s*$suite,\s*$name\)" $sources || missing+=" $suite.$name"
done < <(grep -oE '`[A-Z][A-Za-z0-9]+\.S[0-9]+_[A-Za-z0-9_]+`' ARCHITECTURE.md | tr -d '`' | sort -u)
[ -z "$missing" ]
report $? "ARCHITECTURE.md names only tests that exist${missing:+; not these:$missing}"

missing=""
while IFS=: read -r page path; do
  [ -e "$path" ] || missing+=" $path ($page)"
done < <(grep -oHE '(\]\(|`)(base|clients|configs|docs|nic_driver|nic_model|packet_stream|platform_service|run|supervisor|tests|third_party)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' \
  README.md ARCHITECTURE.md docs/*.md | sed -E 's/(\]\(|`)//' | sort -u)
[ -z "$missing" ]
report $? "documents name only files that exist${missing:+; not these:$missing}"

# The words of `bulkhead events`, as the code says them and as the page has them.
recorded=$(echo "$sources" | grep -E '^(supervisor|platform_service)/.*\.cc$' |
  grep -vE '_(test|bench|fuzz)\.cc$|/testing/' | xargs perl -0777 -ne '
    while (/\b(?:Record|record|event|Tell|Kill)\(([^;]*);/g) {
      my $call = $1;
      print "$1\n" while $call =~ /"([a-z]+(?:_[a-z]+)*)"/g;
    }' | sort -u)
described=$(sed -nE 's/^\| (`[^|]*)\|.*/\1/p' docs/events.md | grep -oE '`[a-z_]+`' | tr -d '`' | sort -u)
difference=$(diff <(echo "$recorded") <(echo "$described") | grep '^[<>]')
[ -z "$difference" ]
report $? "docs/events.md has the words that are recorded${difference:+; < only recorded, > only described:
$difference}"

# What `bulkhead doctor` finds.
found=$(grep -ohE '\.?kind = (is_nic \? )?"[a-z-]+"( : "[a-z-]+")?' platform_service/doctor/*.cc |
  grep -oE '"[a-z-]+"' | tr -d '"' | sort -u)
described=$(sed -nE 's/^\| `([a-z-]+)` \|.*/\1/p' docs/hardware.md | sort -u)
difference=$(diff <(echo "$found") <(echo "$described") | grep '^[<>]')
[ -z "$difference" ]
report $? "docs/hardware.md has what doctor finds${difference:+; < only in the code, > only described:
$difference}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for page in README.md docs/*.md; do
  awk -v out="$work/$(basename "$page")" '
    /^```yaml$/ { n++; file = out "." n ".yaml"; next }
    /^```$/ { file = "" }
    file { print > file }' "$page"
done
for example in "$work"/*.yaml; do
  [ -e "$example" ] || continue
  bazel-bin/clients/bulkhead/bulkhead validate "$example" >"$work/log" 2>&1
  result=$?
  [ $result = 0 ] || cat "$work/log"
  report $result "example $(basename "$example") is a valid scenario"
done

# The commands, as a user types them, in a run directory of their own.
export BULKHEAD_RUN_DIR=$work/run
run_commands() {  # run_commands SCRIPT WHAT
  timeout 120 bash -eu "$1" >"$work/log" 2>&1
  local result=$?
  if [ $result != 0 ]; then
    cat "$work/log"
    bazel-bin/clients/bulkhead/bulkhead down >/dev/null 2>&1
  fi
  report $result "$2 run as written"
}
awk '/^## / { on = /Five minutes/ } /^```/ { block = !block; next } on && block' \
  README.md >"$work/five_minutes.sh"
run_commands "$work/five_minutes.sh" "README's five minutes"
awk '/^```/ { on = /^```sh$/; next } on' docs/hardware.md >"$work/hardware.sh"
run_commands "$work/hardware.sh" "docs/hardware.md's commands"
exit $status
