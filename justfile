# rekindle: run `just` for this list.

[private]
default:
    @just --list --unsorted

# The deterministic gate: formats, lints, dependency rules, gates and docs. No socket, child or sleep.
check: fmt-check lint purity deny gates docs

# Format every file.
fmt:
    cargo fmt --all
    rustfmt --edition 2024 adapters/guardian/main.rs

[private]
fmt-check:
    cargo fmt --all --check
    rustfmt --edition 2024 --check adapters/guardian/main.rs

# Lints, as errors.
lint:
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    # The guardian is a program of its own, which build.rs compiles.
    clippy-driver --edition 2024 --crate-name guardian --crate-type bin -C panic=abort --emit metadata \
        -o "$(mktemp -d)/guardian" -D warnings -W clippy::all -W clippy::undocumented_unsafe_blocks adapters/guardian/main.rs

# The core and the gates know no runtime, no system call and no clock.
purity:
    #!/usr/bin/env bash
    set -euo pipefail
    # Alone, so that no feature another crate turns on can hide a use of it.
    cargo check --quiet --locked -p rekindle-core
    for crate in tokio nix libc rustix mio; do
        if cargo tree --locked -p rekindle-core -e normal --prefix none | grep -q "^$crate v"; then
            echo "rekindle-core depends on $crate; it must not" >&2
            exit 1
        fi
    done
    for crate in tokio nix rekindle-adapters; do
        if cargo tree --locked -p rekindle-gates -e normal,dev --prefix none | grep -q "^$crate v"; then
            echo "rekindle-gates depends on $crate; it must not" >&2
            exit 1
        fi
    done
    grep -q '^#!\[no_std\]' core/src/lib.rs
    if grep -rn 'extern crate std' core/src | grep -v '^core/src/prelude.rs:'; then
        echo "only core/src/prelude.rs may open std" >&2
        exit 1
    fi
    # std::os::unix::ffi only makes text out of bytes.
    if grep -rnE 'thread::sleep|time::sleep|Instant::now|SystemTime::now|std::(net|process|os)::' gates/src gates/tests |
        grep -v 'use std::os::unix::ffi::OsStrExt;$'; then
        echo "gates must not touch the clock, a socket or a process" >&2
        exit 1
    fi

# Licences, sources and doubles of all dependencies, by deny.toml.
deny:
    @command -v cargo-deny >/dev/null || { echo "install cargo-deny first: .ci/run does it, or cargo install cargo-deny --locked" >&2; exit 1; }
    cargo deny --locked check -D warnings bans licenses sources

# Deterministic tests on fakes: properties, the exhaustive walk, every rule. Doc examples too.
gates:
    cargo test --locked -p rekindle-core -p rekindle-gates -p rekindle-adapters -p rekindle -p rekindle-cli --features rekindle/testing,rekindle/schema --lib --bins --tests
    cargo test --locked --workspace --features rekindle/testing --doc

# Write the JSON schemas of the outputs anew, from the types. Refuses what would break a reader.
schemas:
    UPDATE_SCHEMAS=1 cargo test --locked -p rekindle --features schema --test schemas

# API documentation, with broken links as errors. A program needs `rekindle` alone: none of its pages leads to the crates below.
docs:
    rm -rf "${CARGO_TARGET_DIR:-target}/doc/rekindle"
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
    ! grep -rlE 'href="[./]*rekindle_(core|adapters)/' "${CARGO_TARGET_DIR:-target}/doc/rekindle"

# The live suite on real sockets, children and signals: LIVE=1 just smoke
smoke *filter:
    cargo build --locked -p rekindle-cli
    cargo test --locked -p rekindle-smoke --test smoke -- {{filter}}

# The same as an ordinary user, who is made if need be; root starts it: LIVE=1 just smoke-as-user [USER] [FILTER]
smoke-as-user user="rkuser" *filter:
    #!/usr/bin/env bash
    set -euo pipefail
    # What needs root declares it and is skipped by name: see smoke/README.md.
    user={{quote(user)}}
    if [ "${LIVE:-}" != 1 ]; then
        echo "nothing was run: this starts processes, and makes the user $user. To run it: LIVE=1 just smoke-as-user"
        exit 0
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "only root can become $user; as an ordinary user run: LIVE=1 just smoke" >&2
        exit 1
    fi
    id "$user" >/dev/null 2>&1 || useradd --create-home "$user"
    uid=$(id -u "$user") gid=$(id -g "$user") home=$(getent passwd "$user" | cut -d: -f6)
    if [ "$uid" = 0 ]; then
        echo "$user is root; name an ordinary user" >&2
        exit 1
    fi
    cargo build --locked -p rekindle-cli
    suite=$(cargo test --locked -p rekindle-smoke --test smoke --no-run --message-format=json |
        sed -n '/"kind":\["test"\]/s/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    # The user may have no way to the target directory.
    dir=$(mktemp -d /tmp/rk-user-XXXXXX)
    trap 'rm -rf "$dir"' EXIT
    # Cargo builds the scripted worker with the suite.
    install "${CARGO_TARGET_DIR:-target}/debug/rekindle" "${CARGO_TARGET_DIR:-target}/debug/scripted-worker" "$suite" "$dir"
    chown -R "$uid:$gid" "$dir"
    # The environment is the user's: root's PATH and root's runtime directory stay with root.
    as_user=(setpriv "--reuid=$uid" "--regid=$gid" --clear-groups env -i -C "$dir" "HOME=$home" "USER=$user" "LOGNAME=$user"
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "TMPDIR=$dir" LIVE=1 "REKINDLE_BIN=$dir/rekindle"
        ${SEED:+"SEED=$SEED"} ${RUST_BACKTRACE:+"RUST_BACKTRACE=$RUST_BACKTRACE"})
    if "${as_user[@]}" test -r "${REKINDLE_MCP_SERVER:-}"; then
        as_user+=("REKINDLE_MCP_SERVER=$REKINDLE_MCP_SERVER")
    fi
    "${as_user[@]}" "$dir/${suite##*/}" {{filter}}

# Break the core in a copy, and expect a gate to fail: by the operators of cargo-mutants, then by hand. Or one shard alone: just mutants 0/4
mutants shard="" *options:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ -n {{quote(shard)}} ]; then
        exec gates/mutants/operators.sh {{quote(shard)}} {{options}}
    fi
    gates/mutants/operators.sh 0/1
    gates/mutants/run.sh
    # With LIVE=1 a named live test has to fail.
    smoke/mutants/run.sh

# The long walks over the simulated kernel: 123 million states, ten minutes.
walk:
    cargo test --locked --release -p rekindle-gates --test transactions -- --include-ignored --nocapture

# Kill and fail the launcher at every system call: LIVE=1 just crash
crash *filter:
    cargo build --locked -p rekindle-cli
    cargo test --locked -p rekindle-smoke --test crash -- {{filter}}

# Sixteen launchers, then eight daemons for one lifecycle lock, a thousand rounds each; 200 rounds on a port: LIVE=1 just contend
contend *filter:
    cargo build --locked -p rekindle-cli
    cargo test --locked -p rekindle-smoke --test contend -- {{filter}}

# Remove and move files under launchers, stops and collections, 500 rounds for each of two users: LIVE=1 just removal
removal *filter:
    cargo build --locked -p rekindle-cli
    cargo test --locked -p rekindle-smoke --test removal -- {{filter}}

# Run every verb on 3,000 mutated state directories and against 2,000 hostile peers: LIVE=1 just fuzz [state|peer SEED]
fuzz *round:
    cargo build --locked -p rekindle-cli
    cargo test --locked -p rekindle-smoke --test fuzz -- {{round}}

# Start and end ten thousand children in one process, and count what stays: LIVE=1 just soak
soak *filter:
    cargo test --locked -p rekindle-smoke --test soak -- {{filter}}

# One static binary for any Linux of this processor, with its size and what starting it takes.
dist:
    #!/usr/bin/env bash
    set -euo pipefail
    target="$(uname -m)-unknown-linux-musl"
    rustup target add "$target"
    # At a fixed address, like the guardian: docs/departures.md.
    cargo build --locked --profile dist -p rekindle-cli --target "$target" \
        --config "target.$target.rustflags = ['-C', 'relocation-model=static']"
    binary="${CARGO_TARGET_DIR:-target}/$target/dist/rekindle"
    if readelf --program-headers --wide "$binary" | grep -q INTERP; then
        echo "$binary needs a loader; it was to be static" >&2
        exit 1
    fi
    # The shell's own fork is in both figures.
    mean() {
        local began=$EPOCHREALTIME runs=200
        for ((run = 0; run < runs; run++)); do "$@" >/dev/null; done
        echo $(((${EPOCHREALTIME/./} - ${began/./}) / runs))
    }
    echo "$binary: static, $(stat -c %s "$binary") bytes"
    echo "start to end: $(mean "$binary" --version) us for \`rekindle --version\`, $(mean /bin/true) us for /bin/true"

# Side by side with the physical limit and with what people would use instead; see bench/README.md. Takes some minutes.
bench *subjects: dist
    REKINDLE_BIN="${CARGO_TARGET_DIR:-target}/$(uname -m)-unknown-linux-musl/dist/rekindle" \
        cargo run --locked --release --manifest-path bench/Cargo.toml -- \
        --json bench/last.json --plots bench/plots {{subjects}}

# The same, once and shortly: to see that all of it runs.
bench-quick *subjects: dist
    REKINDLE_BIN="${CARGO_TARGET_DIR:-target}/$(uname -m)-unknown-linux-musl/dist/rekindle" \
        cargo run --locked --release --manifest-path bench/Cargo.toml -- --quick {{subjects}}
