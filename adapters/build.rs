//! Compiles the guardian: a separate program without std. The library carries the program as bytes.
//!
//! The guardian is no crate, since a program without std cannot be built in a profile with unwinding, and cargo cannot
//! yet pass one crate's program to another.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=guardian");
    println!("cargo::rerun-if-changed=src/stdio/kin.rs");
    println!("cargo::rerun-if-changed=src/stdio/wire.rs");
    if required("CARGO_CFG_TARGET_OS") != "linux" {
        // On other systems the library reports in a separate sentence that Linux is needed.
        return;
    }
    let program = PathBuf::from(required("OUT_DIR")).join("guardian");
    let mut rustc = Command::new(required("RUSTC"));
    rustc.args(["--edition", "2024", "--crate-name", "guardian", "--crate-type", "bin"]);
    rustc.args(["--target", &required("TARGET"), "--cap-lints", "warn"]);
    for option in [
        "opt-level=s",
        "panic=abort",
        "strip=symbols",
        "relocation-model=static",
        "link-arg=-nostartfiles",
        "link-arg=-nostdlib",
        "link-arg=-static",
        "link-arg=-no-pie",
        "link-arg=-Wl,--build-id=none",
    ] {
        rustc.args(["-C", option]);
    }
    if required("CARGO_CFG_TARGET_ENV") == "musl" {
        // On such targets rustc would link the C library's start code.
        rustc.args(["-C", "link-self-contained=no"]);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={}", linker.display()));
    }
    let built = rustc.arg("-o").arg(&program).arg("guardian/main.rs").status();
    assert!(built.is_ok_and(|status| status.success()), "the guardian does not compile; see above");
}

fn required(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("cargo sets {variable} for a build script"))
}
