#!/usr/bin/env bash
# Breaks one promise of the core at a time, in a copy, and checks that the gate that keeps it fails.
#
#   gates/mutants/run.sh [NAME]...      all of them, or those named (corrupt-is-fresh for corrupt-is-fresh.patch)
#
# Only what no operator of cargo-mutants expresses is a patch here: `operators.sh` runs the rest. Each patch names in its
# first line the test that has to fail. A mutant that does not apply, does not compile, or lets that test pass is an error:
# either the core has changed and the patch has to follow, or a gate sleeps.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/mutants/patches}

. "$here/copy.sh"
copy_gates "$root" "$copy"
cd "$copy"

run_gates >"$copy/log" 2>&1 || {
    tail -n 50 "$copy/log"
    echo "the gates are red before anything is broken" >&2
    exit 1
}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in "$here"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

asleep=0
for name in "${names[@]}"; do
    patch=$here/$name.patch
    gate=$(sed -n '1s/^gate: //p' "$patch")
    # The program of one mutant has the files that hold its gate, which are built in less time than all.
    files=$(cd gates/tests && grep -lE "^(    )?fn $gate\(\)" -- *.rs) || { echo "$name names no gate: $gate" >&2; exit 1; }
    sed 's/\(.*\)\.rs/#[path = "\1.rs"]\nmod \1;/' <<<"$files" >gates/tests/all.rs
    rm -rf core && cp -rL "$root/core" core
    patch --silent -p1 <"$patch" || { echo "$name does not apply" >&2; exit 1; }
    cargo test --offline --quiet --profile mutants --test all --no-run 2>"$copy/errors" || { cat "$copy/errors"; echo "$name does not compile" >&2; exit 1; }
    run_gates --format=pretty "$gate" >"$copy/log" 2>/dev/null || true
    failed=$(sed -n 's/^test \(.*::\)\?\([^:]*\) \.\.\. FAILED$/\2/p' "$copy/log" | sort -u)
    if grep -qx "$gate" <<<"$failed"; then
        printf '%-50s caught by %s\n' "$name" "$gate"
    else
        printf '%-50s NOT CAUGHT by %s\n' "$name" "$gate"
        asleep=1
    fi
done
exit $asleep
