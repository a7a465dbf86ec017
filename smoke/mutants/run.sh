#!/usr/bin/env bash
# Breaks one promise of the adapters at a time, in a copy, and checks that the live test that keeps it fails.
#
#   LIVE=1 smoke/mutants/run.sh [NAME]...      all of them, or those named (no-uid-check for no-uid-check.patch)
#
# Each patch names in its first line the test that has to fail. A mutant that does not apply, does not compile, or
# lets that test pass is an error: either the code has changed and the patch has to follow, or a test sleeps.
set -euo pipefail

if [ "${LIVE:-}" != 1 ]; then
    echo "nothing was done: these are live tests; run LIVE=1 $0"
    exit 0
fi
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/mutants}

live_test() { (cd "$copy" && timeout 300 cargo test --offline --quiet -p rekindle-smoke --test smoke -- --exact "$1"); }

# Every file is as young as the copy, and one that a patch changed as young as its return: an older one is not built again,
# and would leave the last mutant's code where this one is looked for.
(cd "$root" && git ls-files -z -co --exclude-standard | tar -c --null -T -) | tar -x -m -C "$copy"
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in "$here"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

asleep=0
for name in "${names[@]}"; do
    patch=$here/$name.patch
    name_of_test=$(sed -n '1s/^test: //p' "$patch")
    (cd "$copy" && patch --silent -p1 <"$patch") || { echo "$name does not apply" >&2; exit 1; }
    (cd "$copy" && cargo build --offline --quiet -p rekindle-cli && cargo test --offline --quiet -p rekindle-smoke --test smoke --no-run) 2>"$copy/errors" ||
        { cat "$copy/errors"; echo "$name does not compile" >&2; exit 1; }
    if live_test "$name_of_test" >"$copy/log" 2>&1; then
        printf '%-44s NOT CAUGHT by %s\n' "$name" "$name_of_test"
        asleep=1
    elif grep -q '^0 passed, 1 failed$' "$copy/log"; then
        printf '%-44s caught by %s\n' "$name" "$name_of_test"
    else
        tail -5 "$copy/log"
        printf '%-44s NOT RUN: there is no test %s\n' "$name" "$name_of_test"
        asleep=1
    fi
    (cd "$copy" && patch --silent -R -p1 <"$patch")
done
exit $asleep
