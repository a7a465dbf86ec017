//! Callers that come and go: a step of CI, a login over ssh, a unit of systemd. The worker stays, or goes with the caller
//! as `docs/ci.md`, `docs/ssh.md` and `docs/systemd.md` say.

use nix::sys::signal::Signal;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::sshd::Sshd;
use rekindle_smoke::{Launcher, Reply, Root, TestEnv, programs, tests, wait};
use std::fs;
use std::process::Stdio;

tests![
    a_runner_ends_what_a_job_left_and_nothing_else,
    over_ssh_a_worker_outlives_its_connection,
    a_worker_outlives_a_terminal_of_ssh needs TwoUsers,
    a_connection_killed_in_the_middle_of_a_start_is_no_trouble,
    a_supervised_program_ends_with_its_connection,
    a_worker_s_agent_outlives_connections,
    the_unit_on_the_page_is_sound,
];

/// The variable by which GitHub's runner knows the processes of a job.
const TRACKING: &str = "RUNNER_TRACKING_ID";

/// `up` of a worker without an address.
fn up(options: &[&str]) -> Vec<String> {
    let words = [&["up", "--address", "none", "--settle", "1ms"][..], options, &["--", "sleep", "1000"]];
    words.concat().iter().map(|word| (*word).to_owned()).collect()
}

/// What GitHub's runner does as the last step: every process that has the variable with the value of the job is killed.
fn end_what_the_job_left(env: &TestEnv, job: &str) -> Vec<Pid> {
    let is_of_the_job = |pid: &Pid| procs::environment(*pid).get(TRACKING).is_some_and(|value| value == job);
    let left: Vec<Pid> = env.processes().into_iter().filter(is_of_the_job).collect();
    left.iter().for_each(|pid| procs::send(*pid, Signal::SIGKILL));
    wait::until("they have ended", || !left.iter().any(|pid| procs::is_running(*pid)));
    left
}

fn a_runner_ends_what_a_job_left_and_nothing_else() {
    let env = TestEnv::new();
    let step = |args: Vec<String>| {
        let mut command = env.rekindle_command(args);
        command.env(TRACKING, "github_4711");
        Launcher::start(command).finish()
    };
    let taken = step(up(&["taken"])).expect(0, "started").pid();
    let kept = step(up(&["--env", "RUNNER_TRACKING_ID=", "kept"])).expect(0, "started").pid();
    assert_eq!(end_what_the_job_left(&env, "github_4711"), [taken]);
    let next = |args: Vec<String>| env.rekindle(args);
    let again = next(up(&["taken"])).expect(0, "started");
    assert_eq!(again.json["generation"], 2, "the next job starts a fresh one: {again}");
    assert_eq!(next(up(&["--env", "RUNNER_TRACKING_ID=", "kept"])).expect(0, "attached").pid(), kept);
}

/// A command line for the shell on the other side.
fn line(env: &TestEnv, args: &[String]) -> String {
    [env.binary_arg()].iter().chain(args).cloned().collect::<Vec<_>>().join(" ")
}

/// ssh returns only once no process holds the connection's pipes open.
fn over_ssh_a_worker_outlives_its_connection() {
    let env = TestEnv::new();
    let sshd = Sshd::start(&env);
    let words = [vec!["--json".to_owned()], up(&["far"])].concat();
    let first = sshd.launch(&env, &line(&env, &words)).finish().expect(0, "started");
    wait::until("the connection is closed on both sides", || sshd.connections() == 0);
    assert!(procs::is_running(first.pid()), "{first}");
    let second = sshd.launch(&env, &line(&env, &words)).finish().expect(0, "attached");
    assert_eq!(second.pid(), first.pid());
    let stop = ["stop", "far"].map(str::to_owned);
    let stopped = sshd.launch(&env, &line(&env, &stop)).finish();
    assert_eq!(stopped.code, Some(0), "{stopped}");
    let unknown = sshd.launch(&env, &line(&env, &["show".to_owned(), "nobody".to_owned()])).finish();
    assert_eq!(unknown.code, Some(1), "the exit code passes ssh: {unknown}");
}

/// The terminal hangs up when the connection ends. sshd gives the terminal to its user and group, as only root may.
fn a_worker_outlives_a_terminal_of_ssh(_: Root) {
    let env = TestEnv::new();
    let sshd = Sshd::start(&env);
    let line = format!("test -t 0 && {}", line(&env, &up(&["far"])));
    let reply = Launcher::start(sshd.ssh(&env, &["-tt"], &line)).finish();
    assert_eq!(reply.code, Some(0), "{reply}");
    wait::until("the connection is closed on both sides", || sshd.connections() == 0);
    let worker = env.worker_pid("far");
    assert!(procs::is_running(worker), "{reply}");
    assert_eq!(procs::session(worker), Some(worker), "it is in no session of the terminal");
}

fn a_connection_killed_in_the_middle_of_a_start_is_no_trouble() {
    let env = TestEnv::new();
    let sshd = Sshd::start(&env);
    let go = env.path("go");
    let ready = format!("'exec=test -e {}'", go.display());
    let words = ["--json", "up", "--address", "none", "--ready", &ready, "far", "--", "sleep", "1000"];
    let words = words.map(str::to_owned);
    let cut = sshd.launch(&env, &line(&env, &words));
    let worker = env.worker_pid("far");
    cut.signal(Signal::SIGKILL);
    assert_eq!(cut.finish().signal, Some(9));
    fs::write(&go, "").expect("the test environment is writable");
    let next = sshd.launch(&env, &line(&env, &words)).finish();
    assert_eq!((next.code, next.pid()), (Some(0), worker), "{next}");
    assert!(["attached", "adopted"].contains(&next.text("outcome")), "{next}");
}

fn a_supervised_program_ends_with_its_connection() {
    let env = TestEnv::new();
    let sshd = Sshd::start(&env);
    let pid_file = env.path("pid");
    let program = format!("'echo $$ >{0}.new; mv {0}.new {0}; exec cat'", pid_file.display());
    let words = ["supervise", "--", "sh", "-c", &program].map(str::to_owned);
    let mut ssh = sshd.ssh(&env, &[], &line(&env, &words));
    ssh.stdin(Stdio::piped());
    let connection = Launcher::start(ssh);
    wait::until_there(&pid_file);
    let program: Pid =
        fs::read_to_string(&pid_file).expect("it is there").trim().parse().expect("it is a pid");
    assert!(procs::is_running(program));
    connection.signal(Signal::SIGKILL);
    wait::until("the program has ended", || !procs::is_running(program));
    drop(connection);
}

/// Two connections use one agent, whose socket is always at the same path.
fn a_worker_s_agent_outlives_connections() {
    let env = TestEnv::new();
    let sshd = Sshd::start(&env);
    let agent = programs::find("ssh-agent", "openssh-client");
    let words = ["up", "agent", "--", &agent, "-D", "-a", "{socket}"].map(str::to_owned);
    let client = programs::find("ssh-add", "openssh-client");
    let socket = env.socket("agent").display().to_string();
    let key = env.path("sshd/user").display().to_string();
    let add = format!("{} >&2; SSH_AUTH_SOCK={socket} {client} -q {key}", line(&env, &words));
    let added = sshd.launch(&env, &add).finish();
    assert_eq!(added.code, Some(0), "{added}");
    wait::until("the connection is closed on both sides", || sshd.connections() == 0);
    let listed = sshd.launch(&env, &format!("SSH_AUTH_SOCK={socket} {client} -l")).finish();
    assert!(listed.code == Some(0) && listed.stdout.contains("ED25519"), "{listed}");
}

/// No manager is started: `verify` reads the unit as a manager would.
fn the_unit_on_the_page_is_sound() {
    let env = TestEnv::new();
    let page = include_str!("../../../../docs/systemd.md");
    let unit = page.split("```ini\n").nth(1).and_then(|rest| rest.split_once("```")).expect("a unit").0;
    let verify = |unit: &str| {
        let file = env.file("web.service", unit);
        let mut verify = env.command(programs::find("systemd-analyze", "systemd"));
        let verify = verify.args(["verify", "--user"]).arg(file).env("XDG_RUNTIME_DIR", env.dir());
        Reply::of(None, &verify.output().expect("systemd-analyze can be started"))
    };
    let sound = verify(unit);
    assert_eq!((sound.code, sound.stderr.as_str()), (Some(0), ""), "{sound}");
    let unsound = verify(&unit.replace("oneshot", "sometimes"));
    assert!(unsound.stderr.contains("Failed to parse service type"), "a fault is noticed: {unsound}");
}
