//! Builds the C part of the floor, the smallest child, and a static hello-world.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a directory to build in"));
    for source in ["src/floor.c", "programs/child.c", "programs/hello.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    cc::Build::new().file("src/floor.c").opt_level(2).compile("floor");
    build_child(&out.join("child"));
    build_hello(&out.join("hello"));
}

fn build_child(child: &Path) {
    let mut compiler = cc::Build::new().get_compiler().to_command();
    compiler.args([
        "-O2",
        "-static",
        "-nostdlib",
        "-fno-stack-protector",
        "-fno-tree-loop-distribute-patterns",
    ]);
    run(compiler.arg("-Wl,--build-id=none,-z,noseparate-code").arg("programs/child.c").arg("-o").arg(child));
    println!("cargo::rustc-env=BENCH_CHILD={}", child.display());
}

/// Builds for musl, static like the command of `just dist`.
fn build_hello(hello: &Path) {
    let host = env::var("TARGET").expect("cargo names the target");
    let target = host.replace("-gnu", "-musl");
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo names the compiler"));
    rustc.args(["--edition", "2024", "--target", &target, "-C", "opt-level=3", "-C", "strip=debuginfo"]);
    run(rustc.arg("programs/hello.rs").arg("-o").arg(hello));
    println!("cargo::rustc-env=BENCH_HELLO={}", hello.display());
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(status.as_ref().is_ok_and(ExitStatus::success), "{command:?} failed: {status:?}");
}
