//! Cuts in passing, with a live writer, on every file system that can be made here: every kept line is whole, and the
//! disk use is bounded.

use rekindle_smoke::account::Root;
use rekindle_smoke::{Launcher, TestEnv, programs, tests};
use std::fs;

tests![
    a_cut_log_keeps_whole_lines,
    a_cut_log_keeps_whole_lines_on_every_file_system needs TwoUsers,
    a_log_that_is_not_ours_alone_is_not_cut,
];

/// The bound of each log.
const LOG_MAX: u64 = 1 << 20;

/// Writes numbered lines of 73 bytes, 32 MiB in all, then a file.
const WRITER: &str = "
import os, sys, time
number, pad = 0, 'x' * 59
while number < 460000:
    os.write(1, ''.join('%012d %s\\n' % (number + k, pad) for k in range(100)).encode())
    number += 100
os.write(2, b'done\\n')
time.sleep(1000)
";

/// Mounts a file system in a mount namespace of its own, starts the writer there, passes by until the writer is done,
/// and keeps what was shown on the way. Arguments: the file system, the command, the directory, the writer.
const TRIAL: &str = r#"
set -eu
fs=$1 rekindle=$2 at=$3 writer=$4
mkdir -p "$at/mnt"
case $fs in
    here) ;;
    tmpfs) mount -t tmpfs -o size=256m tmpfs "$at/mnt" ;;
    overlay)
        mkdir -p "$at/lower" "$at/upper" "$at/work"
        mount -t overlay -o "lowerdir=$at/lower,upperdir=$at/upper,workdir=$at/work" overlay "$at/mnt" ;;
    *)
        truncate -s 400M "$at/image"
        "mkfs.$fs" -q "$at/image"
        mount -o loop "$at/image" "$at/mnt" ;;
esac
run() { "$rekindle" --dir "$at/mnt/state" "$@"; }
run up w --address none --log-max 1m -- python3 -c "$writer" >/dev/null
shown=0 passes=0
until grep -q done "$at/mnt/state/w/stderr.log"; do
    run ls >/dev/null
    passes=$((passes + 1))
    if [ $shown -lt 4 ]; then
        shown=$((shown + 1))
        run logs w --stream stdout >"$at/shown.$shown"
    fi
done
run doctor w >"$at/doctor"
run logs w --stream stdout >"$at/shown.last"
stat -c '%b %s' "$at/mnt/state/w/stdout.log" >"$at/size"
run stop w >/dev/null
"#;

/// The first and the last number. Every line in between is whole, and the next number.
#[track_caller]
fn numbers(shown: &str, what: &str) -> (u64, u64) {
    // The kernel may show a part of a write while the rest is on its way.
    let whole = shown.rfind('\n').map_or("", |end| &shown[..end]);
    let lines: Vec<&str> = whole.lines().collect();
    assert!(!lines.is_empty(), "{what}: nothing is shown");
    let number = |line: &str| line.get(..12).and_then(|digits| digits.parse::<u64>().ok());
    let first = number(lines[0]).unwrap_or_else(|| panic!("{what}: torn: {:?}", lines[0]));
    for (line, wanted) in lines.iter().zip(first..) {
        assert!(line.len() == 72 && number(line) == Some(wanted), "{what}: not {wanted}: {line:?}");
    }
    (first, first + lines.len() as u64 - 1)
}

fn try_on(fs: &str, mounts: bool) {
    let env = TestEnv::new();
    let unshare = programs::find("unshare", "util-linux");
    let mut command = if mounts { env.command(unshare) } else { env.command("sh") };
    if mounts {
        command.args(["--mount", "--propagation", "private", "sh"]);
    }
    let at = env.dir().to_owned();
    command.args(["-c", TRIAL, "sh", fs]).arg(env.binary()).arg(&at).arg(WRITER);
    let reply = Launcher::start(command).finish();
    assert_eq!(reply.code, Some(0), "{fs}: {reply}");
    for shown in fs::read_dir(&at).expect("it is there").flatten() {
        if shown.file_name().to_string_lossy().starts_with("shown.") {
            let text = fs::read_to_string(shown.path()).expect("it can be read");
            if !text.is_empty() {
                numbers(&text, &format!("{fs}, {:?}", shown.file_name()));
            }
        }
    }
    let read = |name: &str| fs::read_to_string(env.path(name)).expect("the trial wrote it");
    let (first, last) = numbers(&read("shown.last"), fs);
    assert!(first > 400_000 && last == 459_999, "{fs}: {first} to {last}");
    // Three quarters of the bound at least: nothing is thrown away before it has to go.
    assert!((last - first + 2) * 73 >= LOG_MAX * 3 / 4, "{fs}: {first} to {last}");
    let size = read("size");
    let blocks: u64 = size.split(' ').next().and_then(|blocks| blocks.parse().ok()).expect("a number");
    assert!(blocks * 512 <= LOG_MAX * 5 / 4, "{fs}: {size}");
    assert!(!read("doctor").contains("is not cut"), "{fs}");
}

fn a_cut_log_keeps_whole_lines() {
    try_on("here", false);
}

fn a_cut_log_keeps_whole_lines_on_every_file_system(_: Root) {
    for fs in ["tmpfs", "overlay", "ext4", "xfs", "btrfs"] {
        try_on(fs, true);
    }
}

/// A second name means that another place has the file too.
fn a_log_that_is_not_ours_alone_is_not_cut() {
    let env = TestEnv::new();
    let writes = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end >&2; exec sleep 1000";
    let options = ["--address", "none", "--ready", "line=^end$", "--log-max", "64k"];
    env.up_with("s", &options, &["sh", "-c", writes]).expect_running("started");
    let (log, kept) = (env.of("s", "stdout.log"), env.path("kept"));
    // The start itself passes by: the log begins again, with a second name.
    env.stop("s").expect(0, "stopped");
    fs::write(&log, vec![b'y'; 300_000]).expect("the log can be written");
    fs::hard_link(&log, &kept).expect("a file can have two names");
    env.rekindle(["ls"]);
    assert_eq!(fs::read(&kept).expect("it is there"), vec![b'y'; 300_000]);
    fs::remove_file(&kept).expect("it can be removed");
    env.rekindle(["ls"]);
    let content = fs::read(&log).expect("it is there");
    assert!(content.len() < 300_000 || content[..4096] == [0; 4096], "it is cut once it is ours alone");
}
