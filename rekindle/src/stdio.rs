//! A child that is spoken to over its standard streams, such as an MCP server: started, stopped in order, reaped.
//!
//! # What is guaranteed
//! - The child ends when this process ends, however that is, SIGKILL and a core dump included, and whichever thread
//!   started it: a *guardian*, a process of some pages, is its parent and watches us. It closes nothing that is not its
//!   own, so the child reads the end of its input when we are gone; it gets SIGTERM and SIGCONT, its grace, SIGKILL.
//! - That holds for every descendant of the child: wrappers such as `sh -c` or `npx`, their children, and also daemons
//!   and browsers that begin a session of their own, unless [`StdioLaunch::leave_detached`] says otherwise. A worker that
//!   a descendant started with rekindle is not the child's: the worker lives on, as it does after any launcher.
//! - Nothing is signalled that could be a stranger's by then, and every process that was started is reaped.
//! - Whoever holds the child's pipes open keeps nobody waiting: what the child had written is delivered, and no more.
//!
//! # What the kernel does not allow
//! - Should somebody kill the guardian, the kernel kills the child with it, unless that has changed its user by
//!   executing a set-user-id program; we end the rest of its session. Descendants with a session of their own cannot be
//!   found any more then; a stop says so. Should the guardian and we be killed at the same instant, only the child is
//!   ended for certain, and not what it started.
//! - A guardian that somebody puts to sleep (SIGSTOP) ends nobody until it is woken; a stop says then that it gave up.
//! - A process in uninterruptible sleep ends when the kernel lets it; a stop says then that it gave up.
//! - Where `/proc` cannot be read, only the child and its group are signalled. Whether others are left is known even so,
//!   and a stop gives up if they are.
//!
//! # Invariants
//! 1. One stop for each child: later ones join the first, and the third asks for SIGKILL now.
//! 2. Nothing waits for a pipe that somebody else holds open for longer than [`DRAIN_GRACE`].
//! 3. Dropping a child does not block: its guardian ends it in order, and goes.
//!
//! Checked by `smoke/tests/smoke/stdio/child.rs`, `stdio/guardian.rs` and `smoke/tests/soak`.

mod launch;
mod outcome;
mod shared;
mod stop;

pub use launch::{StderrMode, StdioEvent, StdioLaunch};
pub use outcome::{StdioEnd, StdioStopped};
#[doc(inline)]
pub use rekindle_adapters::stdio::{ChildStdin, ChildStdout};
#[doc(inline)]
pub use rekindle_core::lines::LineLimits;

use launch::Listener;
use rekindle_adapters::stdio::{self, Birth, Guardian, OutputTap};
use rekindle_core::lines::Lines;
use rekindle_core::stop::StopPolicy;
use rekindle_core::{ChildExit, Pid, SpawnError, WatchError};
use shared::{Life, Shared, cut_short, lock};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long others may go on writing to a child's pipes once it has ended. What was in the pipes by then is delivered
/// in any case.
pub const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// The pause between two looks at who still holds a pipe.
const LOOK_PAUSE: Duration = Duration::from_millis(2);
/// How much of stderr is read at once.
const CHUNK_LEN: usize = 16 << 10;

/// A child that is spoken to over its standard streams.
///
/// ```no_run
/// use rekindle::{StdioChild, StdioLaunch, StopPolicy};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut child = StdioChild::spawn(StdioLaunch::new("cat")).await?;
/// let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
/// stdin.write_all(b"hello\n").await?;
/// let mut answer = [0; 6];
/// stdout.read_exact(&mut answer).await?;
/// assert_eq!(&answer, b"hello\n");
///
/// drop(stdin);
/// assert_eq!(child.wait().await?.code(), Some(0));
/// // It had ended by itself, so there was nothing to stop; that nothing of it is left is now certain.
/// child.stop(&StopPolicy::default()).await;
/// # Ok(())
/// # }
/// ```
///
/// The same as a program to run: `cargo run -p rekindle --example stdio_echo`.
///
/// Its tasks live on the runtime on which it was started. Where that is shut down, nothing hangs: waiting says so, and
/// dropping the child has its guardian end it.
#[derive(Debug)]
pub struct StdioChild {
    /// Where its input goes; taken by whoever writes. Dropping it closes it, and so does a stop.
    pub stdin: Option<ChildStdin>,
    /// Where its output comes from; taken by whoever reads. A child whose output nobody reads waits once 64 KiB of it
    /// are there.
    pub stdout: Option<ChildStdout>,
    /// Where its complaints come from, with [`StderrMode::Stream`].
    pub stderr: Option<ChildStdout>,
    pid: Pid,
    shared: Arc<Shared>,
}

impl StdioChild {
    /// Starts a child, and returns once it runs its program.
    ///
    /// # Errors
    /// If it could not be started, with what is missing; nothing of it is left running then.
    ///
    /// # Cancel safety
    /// If dropped, whatever was started is ended.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn spawn(launch: StdioLaunch) -> Result<Self, SpawnError> {
        let cwd = launch.absolute_cwd()?;
        let Birth { pid, stdin, stdout, stderr, orders, guardian } = stdio::start(&launch.spec(&cwd)).await?;
        let (told, life) = watch::channel(Life::default());
        let told = Arc::new(told);
        let complaints = Arc::new(Mutex::new(Lines::new(launch.line_limits)));
        let listener = launch.listener;
        listener.tell(StdioEvent::Started { pid });

        let taps = [stdout.tap(), stderr.tap()];
        tokio::spawn(look_after(guardian, taps, Arc::clone(&told), listener.clone()));
        let stderr = match launch.stderr {
            StderrMode::Lines => {
                tokio::spawn(read_complaints(stderr, Arc::clone(&complaints), told, launch.on_line));
                None
            }
            StderrMode::Stream => {
                told.send_modify(|life| life.complaints_read = true);
                Some(stderr)
            }
        };
        let input = stdin.tap();
        let shared = Shared { orders, input, life, complaints, stopping: Mutex::default(), listener };
        Ok(Self { stdin: Some(stdin), stdout: Some(stdout), stderr, pid, shared: Arc::new(shared) })
    }

    /// Its pid. It leads a process group of that name.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The pid of its guardian, which is its parent and leads its session.
    pub fn guardian_pid(&self) -> Pid {
        self.shared.orders.session()
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<ChildExit> {
        self.shared.life.borrow().end
    }

    /// Waits until it has ended and its last complaints are read. Any number of callers may wait.
    ///
    /// What it started may run on, and is ended by a stop, or when the child is dropped.
    ///
    /// # Errors
    /// If the runtime on which it was started was shut down.
    ///
    /// # Cancel safety
    /// Safe; its end is not lost.
    pub async fn wait(&self) -> Result<ChildExit, WatchError> {
        let mut life = self.shared.life.clone();
        let ended = life.wait_for(|life| life.end.is_some() && life.complaints_read).await;
        Ok(ended.ok().ok_or_else(cut_short)?.end.unwrap_or(ChildExit::Unknown))
    }

    /// Ends it: stdin is closed, then after each grace SIGTERM and SIGCONT, and SIGKILL, to all of its processes. If it
    /// had ended by itself, this ends what it left behind.
    ///
    /// The first caller's policy holds. A second call joins the first; a third asks for SIGKILL now.
    ///
    /// # Cancel safety
    /// Safe; the stop goes on without its caller.
    ///
    /// # Panics
    /// As [`Self::spawn`].
    pub async fn stop(&self, policy: &StopPolicy) -> StdioStopped {
        stop::stop(&self.shared, *policy).await
    }

    /// The last lines that it wrote to stderr, the oldest first.
    pub fn stderr_tail(&self) -> Vec<String> {
        lock(&self.shared.complaints).kept().map(str::to_owned).collect()
    }

    /// Closes its input, whoever may be writing to it.
    pub fn close_stdin(&self) {
        self.shared.input.close();
    }

    /// How many bytes of its input it has not read yet; zero once that is closed.
    pub fn unread_input(&self) -> u64 {
        self.shared.input.unread()
    }
}

/// Tells what becomes of a child, until no process of it is left.
async fn look_after(
    mut guardian: Guardian,
    taps: [OutputTap; 2],
    told: Arc<watch::Sender<Life>>,
    listener: Listener,
) {
    let end = guardian.await_end().await;
    taps.iter().for_each(OutputTap::child_ended);
    let tell_end = |exit: ChildExit| {
        listener.tell(StdioEvent::Exited { exit });
        told.send_modify(|life| life.end = Some(exit));
    };
    if let Some(exit) = end {
        tell_end(exit);
    }
    let depart = async {
        let departure = guardian.await_departure().await;
        if end.is_none() {
            tell_end(ChildExit::Unknown);
        }
        told.send_modify(|life| life.departure = Some(departure));
    };
    tokio::join!(depart, drain(&taps));
}

/// Gives others their time to write the rest.
async fn drain(taps: &[OutputTap]) {
    let deadline = Instant::now() + DRAIN_GRACE;
    while taps.iter().any(OutputTap::has_writers) && Instant::now() < deadline {
        sleep(LOOK_PAUSE).await;
    }
    taps.iter().for_each(OutputTap::ignore_others);
}

/// Reads stderr to its end.
async fn read_complaints(
    mut stderr: ChildStdout,
    complaints: Arc<Mutex<Lines>>,
    told: Arc<watch::Sender<Life>>,
    mut on_line: Box<dyn FnMut(&str) + Send>,
) {
    // Also if what listens to the lines panics: nobody may wait for it for ever.
    let _read = Finally(|| told.send_modify(|life| life.complaints_read = true));
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        // What cannot be read will not be: that is an end too.
        match stderr.read(&mut chunk).await.unwrap_or(0) {
            0 => break,
            len => lock(&complaints).push(chunk.get(..len).unwrap_or_default(), &mut on_line),
        }
    }
    lock(&complaints).finish(&mut on_line);
}

struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
