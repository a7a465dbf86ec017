#!/usr/bin/env bash
# Breaks one promise of the core at a time, in a copy, and checks that the gate that keeps it fails.
#
#   gates/mutants/run.sh [NAME]...      all of them, or those named (corrupt-is-fresh for corrupt-is-fresh.patch)
#
# Each patch names in its first line the test that has to fail. A mutant that does not apply, does not compile, or
# lets that test pass is an error: either the core has changed and the patch has to follow, or a gate sleeps.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/mutants}

cp -rL "$root/core" "$root/gates" "$copy"
cp "$root/Cargo.lock" "$copy"
# The copy has two members, so that what it breaks is built by nobody else.
sed -e 's/^members = .*/members = ["core", "gates"]/' -e '/^rekindle\(-adapters\)\? = /d' "$root/Cargo.toml" >"$copy/Cargo.toml"
cd "$copy"

# Runs the gates of the test files that are named as `--test FILE`, or all.
gates() {
    cargo test --offline --quiet -p rekindle-gates --no-fail-fast "$@" -- --format=pretty "${walks[@]}" 2>"$copy/errors"
}
# The files that hold a gate: to build all others for each mutant takes many times as long.
files_of() {
    grep -lE "^(    )?fn $1\(\)" gates/tests/*.rs | sed -n 's|^gates/tests/\(.*\)\.rs$|--test \1|p'
}

walks=()
gates >"$copy/log" || {
    grep 'FAILED$' "$copy/log" || tail "$copy/errors"
    echo "the gates are red before anything is broken" >&2
    exit 1
}
# The long walks run once; a mutant of one decision is for the gate of that decision.
walks=(--skip two_launchers --skip three_launchers --skip guarded_twice --skip a_stop_and_a_collection)

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in "$here"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

asleep=0
for name in "${names[@]}"; do
    patch=$here/$name.patch
    gate=$(sed -n '1s/^gate: //p' "$patch")
    rm -rf core && cp -rL "$root/core" core
    patch --silent -p1 <"$patch" || { echo "$name does not apply" >&2; exit 1; }
    read -ra files <<<"$(files_of "$gate" | tr '\n' ' ')"
    [ ${#files[@]} -gt 0 ] || { echo "$name names no gate: $gate" >&2; exit 1; }
    cargo test --offline --quiet -p rekindle-gates "${files[@]}" --no-run 2>"$copy/errors" || { cat "$copy/errors"; echo "$name does not compile" >&2; exit 1; }
    gates "${files[@]}" >"$copy/log" || true
    failed=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$copy/log" | sort -u)
    if grep -qx "$gate" <<<"$failed"; then
        printf '%-40s caught by %s (%d red)\n' "$name" "$gate" "$(wc -l <<<"$failed")"
    else
        printf '%-40s NOT CAUGHT by %s; red: %s\n' "$name" "$gate" "$(tr '\n' ' ' <<<"$failed")"
        asleep=1
    fi
done
exit $asleep
