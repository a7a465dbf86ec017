//! A child that communicates over its standard streams, such as an MCP server: started, stopped in order,
//! reaped.
//!
//! # What is guaranteed
//! - The child ends with this process, whatever ends this process, SIGKILL and a core dump included, and whichever
//!   thread started the child: a *guardian*, a process of a few pages, is the child's parent and watches this process.
//!   The guardian closes only its own descriptors, so the child reads the end of its input after our end. Then the
//!   child gets SIGTERM and SIGCONT, a grace, and SIGKILL.
//! - The same holds for every descendant of the child: wrappers such as `sh -c` or `npx`, their children, and also
//!   daemons and browsers with their own process session, unless [`StdioLaunch::leave_detached`] is set. A worker
//!   started by a descendant with rekindle does not belong to the child: the worker lives on, as after the end of any
//!   launcher.
//! - A process whose pid may have been reused is never signalled, and every started process is reaped.
//! - Other holders of the child's pipes delay nothing: the child's own output is delivered, and no more.
//!
//! # What the kernel does not allow
//! - If the guardian is killed, the kernel kills the child too, unless the child has changed its user by executing a
//!   set-user-id program. This process then ends the rest of the guardian's process session. Descendants with their own
//!   process session cannot be found any more; a stop reports the loss. If the guardian and this process are killed at
//!   the same instant, only the child is certain to end, and not its descendants.
//! - A guardian stopped by SIGSTOP ends no process until resumed; a stop then reports that it gave up.
//! - A process in uninterruptible sleep ends only when the kernel permits; a stop then reports that it gave up.
//! - If `/proc` cannot be read, only the child and its group are signalled. Whether other processes are left is known
//!   nevertheless, and a stop gives up if so.
//!
//! # Invariants
//! 1. One stop for each child: the second call joins the stop, and the third call requests SIGKILL at once.
//! 2. Nothing waits longer than [`DRAIN_GRACE`] for a pipe that another process holds open.
//! 3. Dropping a child does not block: the guardian ends the child in order, and exits.
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

/// How long other processes may go on writing to an ended child's pipes. The bytes already in the pipes are delivered
/// in any case.
pub const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// The pause between two checks for other holders of a pipe.
const LOOK_PAUSE: Duration = Duration::from_millis(2);
/// The size of one read from stderr.
const CHUNK_LEN: usize = 16 << 10;

/// A child that communicates over its standard streams.
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
/// // The child had ended by itself. After the stop it is certain that no process of the child is left.
/// child.stop(&StopPolicy::default()).await;
/// # Ok(())
/// # }
/// ```
///
/// The same as a program to run: `cargo run -p rekindle --example stdio_echo`.
///
/// The child's tasks live on the runtime of [`Self::spawn`]. If the runtime is shut down, nothing hangs: waiting
/// returns an error, and the guardian ends the child when the value is dropped.
#[derive(Debug)]
pub struct StdioChild {
    /// The child's input, to be taken by the writer. Dropping the stream closes the input; a stop closes the input too.
    pub stdin: Option<ChildStdin>,
    /// The child's output, to be taken by the reader. Without a reader, the child blocks after 64 KiB of output.
    pub stdout: Option<ChildStdout>,
    /// The child's stderr, with [`StderrMode::Stream`].
    pub stderr: Option<ChildStdout>,
    pid: Pid,
    shared: Arc<Shared>,
}

impl StdioChild {
    /// Starts a child. Returns once the child executes its program.
    ///
    /// # Errors
    /// If the child could not be started, with the missing resource. No process of the child is left running.
    ///
    /// # Cancel safety
    /// If dropped, every started process is ended.
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

    /// The child's pid, also the name of the child's process group.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The pid of the guardian: the child's parent and the leader of its process session.
    pub fn guardian_pid(&self) -> Pid {
        self.shared.orders.session()
    }

    /// The child's exit, if ended.
    pub fn exit(&self) -> Option<ChildExit> {
        self.shared.life.borrow().end
    }

    /// Waits until the child has ended and its stderr is read. Any number of callers may wait.
    ///
    /// Descendants may run on; a stop ends them, or the drop of the child.
    ///
    /// # Errors
    /// If the runtime of [`Self::spawn`] was shut down.
    ///
    /// # Cancel safety
    /// Safe; the exit is not lost.
    pub async fn wait(&self) -> Result<ChildExit, WatchError> {
        let mut life = self.shared.life.clone();
        let ended = life.wait_for(|life| life.end.is_some() && life.complaints_read).await;
        Ok(ended.ok().ok_or_else(cut_short)?.end.unwrap_or(ChildExit::Unknown))
    }

    /// Ends the child: stdin is closed, then after each grace all processes get SIGTERM and SIGCONT, and SIGKILL. If
    /// the child has ended already, the stop ends the remaining descendants.
    ///
    /// The first caller's policy holds. The second call joins the first; the third call requests SIGKILL at once.
    ///
    /// # Cancel safety
    /// Safe; the stop continues without its caller.
    ///
    /// # Panics
    /// As [`Self::spawn`].
    pub async fn stop(&self, policy: &StopPolicy) -> StdioStopped {
        stop::stop(&self.shared, *policy).await
    }

    /// The last lines of the child's stderr, oldest first.
    pub fn stderr_tail(&self) -> Vec<String> {
        lock(&self.shared.complaints).kept().map(str::to_owned).collect()
    }

    /// Closes the child's input, even while another task writes.
    pub fn close_stdin(&self) {
        self.shared.input.close();
    }

    /// The number of unread bytes in the child's input; zero once the input is closed.
    pub fn unread_input(&self) -> u64 {
        self.shared.input.unread()
    }
}

/// Publishes a child's state until no process of the child is left.
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

/// Allows other processes the time to write the rest.
async fn drain(taps: &[OutputTap]) {
    let deadline = Instant::now() + DRAIN_GRACE;
    while taps.iter().any(OutputTap::has_writers) && Instant::now() < deadline {
        sleep(LOOK_PAUSE).await;
    }
    taps.iter().for_each(OutputTap::ignore_others);
}

/// Reads stderr to the end.
async fn read_complaints(
    mut stderr: ChildStdout,
    complaints: Arc<Mutex<Lines>>,
    told: Arc<watch::Sender<Life>>,
    mut on_line: Box<dyn FnMut(&str) + Send>,
) {
    // Runs even if the listener panics: nobody may wait forever.
    let _read = Finally(|| told.send_modify(|life| life.complaints_read = true));
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        // A read error is an end too.
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
