//! Runs tests one after the other, each within a bound, and prints the counts.
//!
//! # Invariants
//! 1. A test is skipped only for a declared [`Need`]. As root, no test is skipped for a missing privilege.
//! 2. A skipped test is named at the end, with the reason, and counted in the last line.
//!
//! Checked by `tests/smoke/harness/samples.rs`.

use crate::account::Root;
use crate::cli::Reply;
use crate::{TestEnv, programs, test_env};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::any::Any;
use std::env;
use std::process::{Command, ExitCode, Output};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The time limit of one test; a longer test counts as hanging.
const TEST_TIMEOUT: Duration = Duration::from_secs(150);

/// Names the script of a real MCP server.
pub const MCP_SERVER: &str = "REKINDLE_MCP_SERVER";

/// Names the directory with `node_modules/@modelcontextprotocol/sdk` and `python/mcp`.
pub const MCP_SDKS: &str = "REKINDLE_MCP_SDKS";

/// The options of `unshare` that make a user root of a user namespace, with new mounts.
const ROOT_OF_A_NAMESPACE: [&str; 3] = ["--user", "--map-root-user", "--mount"];

/// Makes `tests()` out of functions: all tests of a file, in order. `name needs TwoUsers` declares a [`Need`], and the
/// function receives a [`Root`].
#[macro_export]
macro_rules! tests {
    (@test $test:ident) => {
        $crate::suite::test(module_path!(), stringify!($test), $test)
    };
    (@test $test:ident needs TwoUsers) => {
        $crate::suite::test_of_root(module_path!(), stringify!($test), $test)
    };
    (@test $test:ident needs $need:ident) => {
        $crate::suite::test_with($crate::suite::Need::$need, module_path!(), stringify!($test), $test)
    };
    ($($test:ident $(needs $need:ident)?),* $(,)?) => {
        pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
            vec![$($crate::tests!(@test $test $(needs $need)?)),*]
        }
    };
}

/// Makes `tests()` out of modules: the tests of each, in this order.
#[macro_export]
macro_rules! rooms {
    ($($room:ident),* $(,)?) => {
        pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
            [$($room::tests),*].iter().flat_map(|tests| tests()).collect()
        }
    };
}

/// A need of a test, not met for every user or machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Root's rights over new mounts and pids. For an ordinary user, the suite runs the test in a new process inside a
    /// user namespace.
    NamespaceRoot,
    /// Namespaces made by the test; an ordinary user makes them inside a user namespace.
    Namespaces,
    /// A real MCP server, named by [`MCP_SERVER`].
    McpServer,
    /// The official client SDKs of MCP, in the directory named by [`MCP_SDKS`].
    McpSdks,
}

/// The way of running a test.
enum Way {
    Here,
    InNamespace,
    Skipped { reason: String },
}

impl Need {
    fn way(self) -> Way {
        let is_root = nix::unistd::geteuid().is_root();
        let skipped = |reason| Way::Skipped { reason };
        match self {
            Self::NamespaceRoot | Self::Namespaces if is_root => Way::Here,
            Self::NamespaceRoot => namespace_refusal().map_or(Way::InNamespace, skipped),
            Self::Namespaces => namespace_refusal().map_or(Way::Here, skipped),
            Self::McpServer if is_named(MCP_SERVER) => Way::Here,
            Self::McpSdks if is_named(MCP_SDKS) => Way::Here,
            Self::McpSdks => skipped(format!(
                "${MCP_SDKS} names no directory: npm install --prefix DIR @modelcontextprotocol/sdk, python3 -m pip install \
                 --target DIR/python mcp, then {MCP_SDKS}=DIR"
            )),
            Self::McpServer => skipped(format!(
                "${MCP_SERVER} names no server: npm install --prefix DIR \
                 @modelcontextprotocol/server-everything, then {MCP_SERVER}=\
                 DIR/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
            )),
        }
    }
}

/// Whether a variable is set and not empty.
fn is_named(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|named| !named.is_empty())
}

/// A test of `body`; a panic is a failure.
pub fn test(module: &str, name: &str, body: fn()) -> Trial {
    Trial::test(full_name(module, name), move || within_the_bound(body))
}

/// A test of `body`, run only if `need` is met.
pub fn test_with(need: Need, module: &str, name: &str, body: fn()) -> Trial {
    let name = full_name(module, name);
    Trial::ignorable_test(name.clone(), move || match need.way() {
        Way::Here => within_the_bound(body).map(|()| Completion::Completed),
        Way::InNamespace => {
            within_the_bound(move || passes_in_a_namespace(&name)).map(|()| Completion::Completed)
        }
        Way::Skipped { reason } => skip(&name, reason),
    })
}

/// A test of `body` with files and processes of a second user. Only root can make them.
pub fn test_of_root(module: &str, name: &str, body: fn(Root)) -> Trial {
    let name = full_name(module, name);
    Trial::ignorable_test(name.clone(), move || match Root::ours() {
        Some(root) => within_the_bound(move || body(root)).map(|()| Completion::Completed),
        None => skip(&name, "needs root: only root can act for two users".to_owned()),
    })
}

fn skip(name: &str, reason: String) -> Result<Completion, Failed> {
    skipped().push(format!("{name}: {reason}"));
    Ok(Completion::ignored_with(reason))
}

/// The path below the suite's name: `stdio::child::an_echo_goes_round` for a test in `stdio/child.rs`.
fn full_name(module: &str, name: &str) -> String {
    let module = module.split_once("::").map_or(module, |(_suite, rooms)| rooms);
    format!("{module}::{name}")
}

/// The skipped tests, with the reasons.
fn skipped() -> MutexGuard<'static, Vec<String>> {
    static SKIPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    SKIPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `body` on a new thread, so a hanging test fails instead of blocking the suite.
fn within_the_bound(body: impl FnOnce() + Send + 'static) -> Result<(), Failed> {
    let (done, ended) = channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        body();
    });
    match ended.recv_timeout(TEST_TIMEOUT) {
        Err(RecvTimeoutError::Timeout) => Err(format!("it hangs: not done after {TEST_TIMEOUT:?}").into()),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            thread.join().map_err(|panic| said_by(panic.as_ref()).into())
        }
    }
}

fn said_by(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

/// Why this user cannot be root of a namespace; `None` if possible.
fn namespace_refusal() -> Option<String> {
    let tried = in_a_namespace(&TestEnv::new()).arg("true").output().expect("`unshare` can be started");
    let why = String::from_utf8_lossy(&tried.stderr);
    (!tried.status.success()).then(|| format!("needs root, or user namespaces: {}", why.trim()))
}

fn in_a_namespace(env: &TestEnv) -> Command {
    let mut command = env.command(programs::find("unshare", "util-linux"));
    command.args(ROOT_OF_A_NAMESPACE);
    command
}

/// Runs one test of this program again, as root of a namespace.
fn passes_in_a_namespace(name: &str) {
    let env = TestEnv::new();
    let mut command = in_a_namespace(&env);
    command.arg(env::current_exe().expect("this program knows where it is"));
    let reply = only(command.env("TMPDIR", env.dir()), name);
    assert!(reply.stdout.ends_with("\n1 passed, 0 failed\n"), "as root of a user namespace: {reply}");
}

/// The reply of the suite when `command` starts the suite with this test only.
///
/// # Panics
/// If the suite cannot be started.
pub fn only(command: &mut Command, name: &str) -> Reply {
    let output: Output = command.args(["--exact", name]).output().expect("the suite can be started");
    Reply::of(None, &output)
}

/// Runs the tests if LIVE=1. The last line has the counts.
pub fn main(tests: Vec<Trial>) -> ExitCode {
    let mut args = Arguments::from_args();
    if !args.list && env::var_os("LIVE").is_none_or(|live| live != "1") {
        println!(
            "nothing was run: these tests start processes and open sockets. To run them: LIVE=1 just smoke"
        );
        return ExitCode::SUCCESS;
    }
    // One test at a time: some tests count the descriptors and the zombies of this process.
    args.test_threads = Some(1);
    let list = args.list;
    let conclusion = libtest_mimic::run(&args, tests);
    if list {
        return ExitCode::SUCCESS;
    }
    let left = test_env::end_all_of_this_run();
    left.iter().for_each(|process| println!("left behind: {process}"));
    skipped().iter().for_each(|test| println!("skipped: {test}"));
    let failed = conclusion.num_failed + u64::from(!left.is_empty());
    let skipped = match conclusion.num_ignored {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    println!("{} passed, {failed} failed{skipped}", conclusion.num_passed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
