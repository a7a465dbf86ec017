//! A reused pid, by force: the kernel is told the next pid.

use rekindle_smoke::{Launcher, TestEnv, cli, programs, tests};

tests![a_stranger_on_the_workers_pid_is_never_signalled needs NamespaceRoot];

/// The init of a pid namespace. Arguments: rekindle, the state directory, the file for notes.
///
/// Starts a worker, has the worker killed and reaped, gives its pid to a sentinel that writes down every signal, and
/// then stops and starts the session again.
const STORY: &str = r#"
import json, os, signal, subprocess, sys, time
rekindle, state, notes = sys.argv[1:]

def run(*args):
    done = subprocess.run([rekindle, "--json", "--dir", state, *args], capture_output=True, text=True)
    return json.loads(done.stdout)

def up():
    return run("up", "s", "--", rekindle, "worker")

worker = up()["pid"]
os.kill(worker, signal.SIGKILL)
while True:
    try:
        if os.waitpid(worker, 0)[0] == worker:
            break
    except ChildProcessError:
        if not os.path.exists(f"/proc/{worker}"):
            break
        time.sleep(0.001)

heard = notes + ".heard"
for _ in range(100):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(worker - 1))
    ready, tell = os.pipe()
    sentinel = os.fork()
    if sentinel == 0:
        def hear(number, frame):
            with open(heard, "a") as file:
                file.write(f"{number}\n")
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, hear)
        os.write(tell, b"x")
        while True:
            signal.pause()
    os.read(ready, 1)
    if sentinel == worker:
        break
    os.kill(sentinel, signal.SIGKILL)
    os.waitpid(sentinel, 0)

stopped = run("stop", "s")
again = up()
stopped_again = run("stop", "s")
lives = os.waitpid(sentinel, os.WNOHANG) == (0, 0)
with open(notes, "w") as file:
    json.dump({
        "reused": sentinel == worker, "stopped": stopped["outcome"], "again": again["outcome"],
        "another": again["pid"] != worker, "stopped_again": stopped_again["outcome"],
        "sentinel_lives": lives, "sentinel_heard": os.path.exists(heard),
    }, file)
"#;

/// T07, L5, P14 (recipe R3).
fn a_stranger_on_the_workers_pid_is_never_signalled() {
    let env = TestEnv::new();
    let notes = env.path("notes");
    let mut command = env.command(programs::find("unshare", "util-linux"));
    command.args(["--fork", "--pid", "--mount-proc", "--kill-child"]);
    command.arg(programs::python()).args(["-c", STORY, &cli::binary_arg()]).arg(env.state()).arg(&notes);
    let reply = Launcher::start(command).finish();
    let told =
        std::fs::read(&notes).unwrap_or_else(|error| panic!("the story came to no end: {error}: {reply}"));
    let told: serde_json::Value = serde_json::from_slice(&told).expect("it is told in JSON");
    let expected = serde_json::json!({
        "reused": true, "stopped": "not-running", "again": "started", "another": true,
        "stopped_again": "stopped", "sentinel_lives": true, "sentinel_heard": false,
    });
    assert_eq!(told, expected, "{reply}");
}
