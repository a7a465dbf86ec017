//! Runs trials one after the other, each within a bound, and closes with the count.

use crate::scene;
use libtest_mimic::{Arguments, Failed, Trial};
use std::any::Any;
use std::env;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long one trial may take. What takes longer hangs.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(150);

/// Makes `trials()` out of functions: all of a file's trials, in order.
#[macro_export]
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$($crate::suite::trial(module_path!(), stringify!($test), $test)),*]
        }
    };
}

/// A trial of `body`, which fails by panicking.
pub fn trial(module: &str, name: &str, body: fn()) -> Trial {
    let module = module.rsplit("::").next().unwrap_or(module);
    Trial::test(format!("{module}::{name}"), move || within_the_bound(body))
}

/// On a thread of its own, so that a trial that hangs fails instead of hanging all.
fn within_the_bound(body: fn()) -> Result<(), Failed> {
    let (done, ended) = channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        body();
    });
    match ended.recv_timeout(TRIAL_TIMEOUT) {
        Err(RecvTimeoutError::Timeout) => Err(format!("it hangs: not done after {TRIAL_TIMEOUT:?}").into()),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            thread.join().map_err(|panic| said_by(panic.as_ref()).into())
        }
    }
}

fn said_by(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

/// Runs the trials if LIVE=1 says so. The last line is the count.
pub fn main(trials: Vec<Trial>) -> ExitCode {
    let mut args = Arguments::from_args();
    if !args.list && env::var_os("LIVE").is_none_or(|live| live != "1") {
        println!(
            "nothing was run: these tests start processes and open sockets. To run them: LIVE=1 just smoke"
        );
        return ExitCode::SUCCESS;
    }
    // One at a time: some count the descriptors and the zombies of this very process.
    args.test_threads = Some(1);
    let list = args.list;
    let conclusion = libtest_mimic::run(&args, trials);
    if list {
        return ExitCode::SUCCESS;
    }
    let left = scene::end_all_of_this_run();
    for process in &left {
        println!("left behind: {process}");
    }
    let failed = conclusion.num_failed + u64::from(!left.is_empty());
    println!("{} passed, {failed} failed", conclusion.num_passed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
