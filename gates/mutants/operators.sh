#!/usr/bin/env bash
# Mutates the core by every operator of cargo-mutants, in a copy, and runs the gates on each mutant.
#
#   gates/mutants/operators.sh [SHARD [OPTION]...]      0/4 for the first quarter; options go to `cargo mutants`
#
# `.cargo/mutants.toml` says what is mutated and what is not, with reasons. The results are in target/mutants/operators;
# a table of all shards of the same number ends the run. A mutant that no gate notices is an error: a test is missing, or it is equivalent.
set -euo pipefail

command -v cargo-mutants >/dev/null || { echo "install cargo-mutants first: cargo install cargo-mutants --locked" >&2; exit 1; }
root=$(cd "$(dirname "$0")/../.." && pwd)
shard=${1:-0/1}
results=$root/target/mutants/operators/${shard/\//-of-}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$results"

. "$root/gates/mutants/copy.sh"
copy_gates "$root" "$copy"
export CARGO_TARGET_DIR=$results/target PROPTEST_CASES=32
cd "$copy"
# cargo-mutants would run the tests of the mutated crate before it mutates anything, and the gates are another.
run_gates >"$results/log" 2>&1 || {
    tail -n 50 "$results/log"
    echo "the gates are red before anything is broken" >&2
    exit 1
}
# A mutant that loops is caught by the clock: the gates take two seconds, and longer beside other work.
status=0
cargo mutants --package rekindle-core --in-place --baseline skip --timeout 60 --shard "$shard" --output "$results" \
    --cargo-arg=--offline "${@:2}" || status=$?

for kind in caught timeout unviable missed; do
    sed "s|^core/src/\([^:]*\):.*|\1 $kind|" "${results%/*}"/*-of-"${shard#*/}"/mutants.out/$kind.txt
done | sort | awk '
    function row(name, of) { printf "| %s | %d | %d | %d | %d |\n", name, all[of], of_kind[of, "caught"] + of_kind[of, "timeout"], of_kind[of, "unviable"], of_kind[of, "missed"] }
    function count(of, kind) { all[of]++; of_kind[of, kind]++ }
    BEGIN { print "| file | mutants | caught | unviable | missed |\n|---|---|---|---|---|" }
    last != "" && $1 != last { row("`" last "`", last) }
    { last = $1; count($1, $2); count("", $2) }
    END { if (last != "") row("`" last "`", last); row("all", "") }'
exit $status
