# Sourced: copies the core and the gates to a workspace of its own, so that what is broken there is built by nobody else.

# copy_gates ROOT COPY
copy_gates() {
    local root=$1 copy=$2 file name
    # Pages are read by the gates that compare them with a table.
    cp -rL "$root/core" "$root/gates" "$root/docs" "$root"/*.md "$root/.cargo" "$root/Cargo.lock" "$copy"
    # Two members, and no optimisation: a mutant is built once and run once. A lint is no reason why it would not be built.
    sed -e 's/^members = .*/members = ["core", "gates"]/' -e '/^rekindle\(-adapters\)\? = /d' \
        -e '/^\[profile\.dev\.package\.rekindle/,/^$/d' -e 's/"deny"/"warn"/' "$root/Cargo.toml" >"$copy/Cargo.toml"
    printf '\n[profile.mutants]\ninherits = "dev"\ndebug = false\n' >>"$copy/Cargo.toml"
    # Neither crate has unit tests: without their empty programs each mutant is compiled once.
    printf '\n[lib]\ntest = false\ndoctest = false\n' | tee -a "$copy/core/Cargo.toml" >>"$copy/gates/Cargo.toml"
    # One program of all gates is linked once. Gates that read the repository's files say nothing of a mutant; the walk needs
    # minutes without optimisation, and the tables of its machines catch what it would.
    sed -i 's/^publish = false/&\nautotests = false\n\n[[test]]\nname = "all"\npath = "tests\/all.rs"/' "$copy/gates/Cargo.toml"
    for file in "$root"/gates/tests/*.rs; do
        name=$(basename "$file" .rs)
        case $name in books | house | transactions) ;; *) printf '#[path = "%s.rs"]\nmod %s;\n' "$name" "$name" ;; esac
    done >"$copy/gates/tests/all.rs"
}

# run_gates [TEST_OPTION]...
run_gates() {
    cargo test --offline --quiet --profile mutants --test all -- "$@"
}
