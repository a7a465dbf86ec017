//! The guardian: a program of a few pages that starts one child, and ends the child with all descendants at the
//! supervisor's order or after the supervisor's end.
//!
//! The library carries the program as bytes, puts the bytes into a file in memory and executes the file. So the
//! guardian depends on nothing on the disk and shares no memory with the supervisor: a large supervisor does not make
//! the guardian large, and a core dump or the out-of-memory killer, which end all processes sharing a memory, leave the
//! guardian alive. The guardian is the child's parent. So only the guardian can reap the child, and until then the
//! child's pid, the name of the child's group, cannot be reused.
//!
//! ```text
//! guardian TERM_GRACE_MS KILL_GRACE_MS E|L DIRECTORY PROGRAM ARGV0 [ARG]...
//!    0, 1, 2   the child's; closed here once the child has them
//!    3         the connection to the supervisor (`wire`)
//!    4         the supervisor's pidfd
//! ```
//!
//! # Invariants
//! 1. The guardian exists before the child, and the child executes its program only once tied to the guardian: the
//!    kernel kills the child with the guardian.
//! 2. The guardian receives SIGKILL and SIGSTOP only: all other signals are blocked, and the guardian leads a process
//!    session without a terminal.
//! 3. A process is signalled only while its name is held: the group before the child is reaped, others through a pidfd.
//! 4. No descendant is lost or stays a zombie: the guardian is a child subreaper, so the kernel reparents each orphan
//!    below to the guardian, and the guardian reaps the orphans as they end.
//! 5. The guardian ends when no process of the child (`kin`) is left, and leaves nothing behind. After the supervisor's
//!    end the guardian ends these processes: SIGTERM and SIGCONT, the grace, SIGKILL until the last has gone.
//!
//! Checked by `smoke/tests/smoke/stdio/guardian.rs` and `stdio/detached.rs`.

#![no_std]
#![no_main]
#![no_builtins]

#[path = "../src/stdio/kin.rs"]
mod kin;
mod members;
mod memory;
mod sys;
#[path = "../src/stdio/wire.rs"]
mod wire;

use core::ffi::c_char;
use core::panic::PanicInfo;
use kin::Scope;
use members::Members;
use sys::{End, POLLIN, PollFd, SIGCONT, SIGKILL, SIGTERM};
use wire::{CONTROL_FD, SUPERVISOR_FD};

/// The arguments before those of the child.
const OWN_ARGUMENTS: usize = 6;
/// The pause before the next look at the remaining processes: the first and the longest.
const PAUSE_FIRST_MS: u64 = 2;
const PAUSE_LONGEST_MS: u64 = 200;
/// The longest pause during the grace of SIGKILL: a process that keeps forking has to be caught between two forks.
const PAUSE_KILLING_MS: u64 = 16;
/// How many looks through `/proc` in a row have to be empty: one look may miss a newborn process.
const EMPTY_LOOKS: u32 = 2;
/// The limit of processes reported as left running: more could fill the connection, and block.
const LEFT_MAX: u32 = 64;
/// How often to try a program again that is being written, and the pause between two tries.
const BUSY_TRIES_MAX: u32 = 50;
const BUSY_PAUSE_MS: u64 = 1;
/// The exit status if some processes could not be ended.
const GAVE_UP: i32 = 1;

/// A guardian that panics is gone, and the kernel ends the child.
#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    sys::exit(GAVE_UP)
}

/// Required by the compiled code of `core`; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// The arguments of the guardian.
struct Arguments {
    term_grace_ms: u64,
    kill_grace_ms: u64,
    scope: Scope,
    directory: *const c_char,
    program: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
}

/// # Safety
/// `stack` is the kernel's layout for a program: the number of arguments, the arguments, a null, the variables, a null.
#[unsafe(no_mangle)]
unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: the kernel's layout. A caller with too few arguments does not know this program.
    let arguments = unsafe {
        let count = *stack;
        let argv = stack.add(1).cast::<*const c_char>();
        if count <= OWN_ARGUMENTS {
            sys::exit(GAVE_UP);
        }
        Arguments {
            term_grace_ms: milliseconds(*argv.add(1)),
            kill_grace_ms: milliseconds(*argv.add(2)),
            scope: match *(*argv.add(3)).cast::<u8>() {
                wire::END_DETACHED => Scope::Descendants,
                wire::LEAVE_DETACHED => Scope::Session,
                _ => sys::exit(GAVE_UP),
            },
            directory: *argv.add(4),
            program: *argv.add(5),
            argv: argv.add(OWN_ARGUMENTS),
            envp: argv.add(count + 1),
        }
    };
    sys::set_signal_mask(u64::MAX);
    sys::new_session();
    sys::name_this_process(c"rekindle-guard");
    Guardian::guard(&arguments)
}

/// # Safety
/// `text` ends with a NUL.
unsafe fn milliseconds(text: *const c_char) -> u64 {
    let mut number = 0_u64;
    let mut at = text.cast::<u8>();
    // SAFETY: as promised by the caller; the loop ends at the first non-digit, such as the NUL.
    while let digit @ b'0'..=b'9' = unsafe { *at } {
        number = number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        // SAFETY: not the NUL yet.
        at = unsafe { at.add(1) };
    }
    number
}

/// The step of an end without a supervisor, and the end of the step.
#[derive(Clone, Copy)]
enum Orphaned {
    No,
    Terminated { until_ms: u64 },
    Killed { until_ms: u64 },
}

/// Whether the child runs its program yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Birth {
    /// The child writes a failure here; exec closes the other end.
    Pending {
        news: i32,
    },
    Over,
}

struct Guardian<'a> {
    arguments: &'a Arguments,
    members: Members,
    child_pidfd: i32,
    /// Readable when a child of this process has ended.
    deaths: i32,
    birth: Birth,
    /// The child's exit, once ended.
    end: Option<End>,
    orphaned: Orphaned,
    /// Set once SIGKILL was sent: SIGKILL is repeated for newborn processes until this time.
    killing_until_ms: Option<u64>,
    empty_looks: u32,
    /// The time of the next look at the remaining processes, and the pause after the look.
    look_at_ms: u64,
    pause_ms: u64,
}

impl<'a> Guardian<'a> {
    fn guard(arguments: &'a Arguments) -> ! {
        let guardian = sys::this_process();
        match sys::adopt_orphans() {
            0 => {}
            errno => fail(wire::STAGE_TIE, errno),
        }
        let deaths = match sys::watch_children() {
            fd if fd >= 0 => fd as i32,
            errno => fail(wire::STAGE_CREATE, errno),
        };
        let Some([news, tell]) = sys::pipe() else { fail(wire::STAGE_CREATE, 0) };
        let mut child_pidfd = -1;
        let child = match sys::fork(&mut child_pidfd) {
            0 => become_child(arguments, guardian, tell),
            pid if pid > 0 => pid as i32,
            errno => fail(wire::STAGE_CREATE, errno),
        };
        // Both processes make the group: the second call changes nothing, and a signal to the group always finds the
        // group.
        sys::new_group(child);
        (0..=2).for_each(sys::close);
        sys::close(tell);
        sys::enter(c"/".as_ptr());
        let mut guardian = Guardian {
            arguments,
            members: Members { guardian, child, scope: arguments.scope },
            child_pidfd,
            deaths,
            birth: Birth::Pending { news },
            end: None,
            orphaned: Orphaned::No,
            killing_until_ms: None,
            empty_looks: 0,
            look_at_ms: 0,
            pause_ms: PAUSE_FIRST_MS,
        };
        loop {
            guardian.turn();
        }
    }

    /// Waits for one event, and reacts.
    fn turn(&mut self) {
        let wait = |fd: i32, is_of_interest: bool| PollFd {
            fd: if is_of_interest { fd } else { -1 },
            events: POLLIN,
            revents: 0,
        };
        let supervised = matches!(self.orphaned, Orphaned::No);
        let news = if let Birth::Pending { news } = self.birth { news } else { -1 };
        let mut fds = [
            wait(news, true),
            wait(self.child_pidfd, self.end.is_none()),
            wait(CONTROL_FD, supervised),
            wait(SUPERVISOR_FD, supervised),
            wait(self.deaths, true),
        ];
        sys::poll(&mut fds, self.patience());
        let [news, child, control, supervisor, deaths] = fds.map(|it| it.revents != 0);
        if news {
            self.hear_of_birth();
        }
        if child {
            self.hear_of_end();
        }
        if control {
            self.obey();
        }
        if supervisor {
            self.orphan();
        }
        if deaths {
            self.hear_of_deaths();
        }
        self.escalate();
        self.look_at_the_rest();
    }

    /// The time until the next due step; `None` if no step is due.
    fn patience(&self) -> Option<u64> {
        let due = match self.orphaned {
            Orphaned::No => None,
            Orphaned::Terminated { until_ms } | Orphaned::Killed { until_ms } => {
                Some(until_ms.saturating_sub(sys::now_ms()))
            }
        };
        let pause = self.is_looking().then(|| self.look_at_ms.saturating_sub(sys::now_ms()));
        match (due, pause) {
            (Some(due), Some(pause)) => Some(due.min(pause)),
            (due, pause) => due.or(pause),
        }
    }

    fn hear_of_birth(&mut self) {
        let Birth::Pending { news } = self.birth else { return };
        let mut why = [0_u8; wire::MESSAGE_LEN];
        let len = sys::read(news, &mut why);
        sys::close(news);
        self.birth = Birth::Over;
        if len == why.len() as isize {
            sys::write(CONTROL_FD, &why);
            sys::reap(self.members.child);
            sys::exit(0);
        }
        tell([wire::STARTED, self.members.child, 0]);
    }

    fn hear_of_end(&mut self) {
        let Some(end) = sys::peek(self.members.child) else { return };
        // The child may have ended before its birth was reported.
        self.hear_of_birth();
        self.end = Some(end);
        self.look_soon();
        match end {
            End::Returned(status) => tell([wire::RETURNED, status, 0]),
            End::Signalled(signal) => tell([wire::SIGNALLED, signal, 0]),
            End::Unknown => {}
        }
        // From now on the child's zombie hides the orphans.
        self.reap_orphans();
    }

    /// Reaps the ended orphans.
    fn hear_of_deaths(&self) {
        // One read takes the signal: at most one signal of a kind is pending.
        sys::read(self.deaths, &mut [0; sys::SIGNAL_LEN]);
        self.reap_orphans();
    }

    fn reap_orphans(&self) {
        let child = self.members.child;
        while let Some(pid) = sys::ended_child().filter(|pid| *pid != child) {
            sys::reap(pid);
        }
        // The child's zombie stays, and hides the orphans behind: so each is tried, until a list has none.
        let mut reaped = self.end.is_some();
        while core::mem::take(&mut reaped) {
            let mut reap = |pid| reaped |= pid != child && sys::reap_if_ended(pid);
            let _listed = members::for_each_child(&mut reap).or_else(|| members::for_each_process(reap));
        }
    }

    /// Carries out the supervisor's orders. The end of the connection ends the supervision.
    fn obey(&mut self) {
        let mut commands = [0_u8; 16];
        let len = usize::try_from(sys::read(CONTROL_FD, &mut commands)).unwrap_or(0);
        if len == 0 {
            self.orphan();
        }
        for command in commands.get(..len).unwrap_or_default() {
            match *command {
                wire::TERMINATE => self.members.signal(&[SIGTERM, SIGCONT]),
                wire::KILL => self.kill(),
                _ => {}
            }
        }
    }

    fn orphan(&mut self) {
        if let Orphaned::No = self.orphaned {
            self.members.signal(&[SIGTERM, SIGCONT]);
            self.look_soon();
            self.orphaned = Orphaned::Terminated { until_ms: sys::now_ms() + self.arguments.term_grace_ms };
        }
    }

    fn kill(&mut self) {
        self.members.signal(&[SIGKILL]);
        self.killing_until_ms.get_or_insert(sys::now_ms() + self.arguments.kill_grace_ms);
        self.look_soon();
    }

    fn escalate(&mut self) {
        match self.orphaned {
            Orphaned::Terminated { until_ms } if sys::now_ms() >= until_ms => {
                self.kill();
                self.orphaned = Orphaned::Killed { until_ms: sys::now_ms() + self.arguments.kill_grace_ms };
            }
            // A process that survives the kernel's SIGKILL cannot be ended.
            Orphaned::Killed { until_ms } if sys::now_ms() >= until_ms => sys::exit(GAVE_UP),
            Orphaned::No | Orphaned::Terminated { .. } | Orphaned::Killed { .. } => {}
        }
    }

    /// Leaves once no process of the child is left. Until then the name of the child is held.
    fn look_at_the_rest(&mut self) {
        // Certain: a process below runs only if a child of this process runs.
        if self.end.is_some() && !sys::has_running_children() {
            self.leave();
        }
        if !self.is_looking() || sys::now_ms() < self.look_at_ms {
            return;
        }
        // The running processes may be workers, or left alone.
        match self.members.is_populated() {
            Some(false) if self.end.is_some() => self.empty_looks += 1,
            // If `/proc` cannot be read, only the kernel's answer counts.
            Some(_) | None => self.empty_looks = 0,
        }
        if self.empty_looks >= EMPTY_LOOKS {
            self.leave();
        }
        let mut longest_ms = PAUSE_LONGEST_MS;
        if let Some(until_ms) = self.killing_until_ms {
            self.members.signal(&[SIGKILL]);
            if sys::now_ms() < until_ms {
                longest_ms = PAUSE_KILLING_MS;
            }
        }
        self.look_at_ms = sys::now_ms() + self.pause_ms;
        self.pause_ms = (self.pause_ms * 2).min(longest_ms);
    }

    /// Whether to look at the remaining processes from time to time.
    fn is_looking(&self) -> bool {
        self.killing_until_ms.is_some() || self.end.is_some()
    }

    fn look_soon(&mut self) {
        self.look_at_ms = sys::now_ms() + PAUSE_FIRST_MS;
        self.pause_ms = PAUSE_FIRST_MS * 2;
    }

    /// Reports the processes left alone, reaps all others, and ends.
    fn leave(&self) -> ! {
        if self.members.scope == Scope::Session {
            let mut left = 0;
            let _named = Members { scope: Scope::Descendants, ..self.members }.for_each(|pid| {
                if left < LEFT_MAX {
                    tell([wire::LEFT, pid, 0]);
                }
                left += 1;
            });
        }
        self.reap_orphans();
        sys::reap(self.members.child);
        sys::exit(0);
    }
}

/// The bytes of a message. Both ends are on one machine, with one byte order.
fn encode(message: wire::Message) -> [u8; wire::MESSAGE_LEN] {
    let [[a, b, c, d], [e, f, g, h], [i, j, k, l]] = message.map(i32::to_ne_bytes);
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

fn tell(message: wire::Message) {
    sys::write(CONTROL_FD, &encode(message));
}

/// Reports a failed birth, and ends: no child exists.
fn fail(stage: i32, errno: isize) -> ! {
    tell([wire::FAILED, stage, -errno as i32]);
    sys::exit(0)
}

/// The child: ties itself to its guardian, then executes its program.
fn become_child(arguments: &Arguments, guardian: i32, tell: i32) -> ! {
    let (stage, errno) = try_to_become(arguments, guardian);
    sys::write(tell, &encode([wire::FAILED, stage, -errno as i32]));
    sys::exit(127)
}

/// Returns only on failure, with the stage and the errno.
fn try_to_become(arguments: &Arguments, guardian: i32) -> (i32, isize) {
    match (sys::new_group(0), sys::die_with_parent()) {
        (0, 0) => {}
        (errno, 0) | (_, errno) => return (wire::STAGE_TIE, errno),
    }
    // If the guardian was gone before the tie, the child has another parent by now.
    if sys::parent() != guardian {
        sys::exit(127);
    }
    sys::close(CONTROL_FD);
    sys::close(SUPERVISOR_FD);
    match sys::enter(arguments.directory) {
        0 => {}
        errno => return (wire::STAGE_DIRECTORY, errno),
    }
    sys::set_signal_mask(0);
    let mut errno = 0;
    for _ in 0..BUSY_TRIES_MAX {
        // SAFETY: a path and two arrays, placed by the kernel at the start of this program.
        errno = unsafe { sys::execute(arguments.program, arguments.argv, arguments.envp) };
        // A process forked during the write still has the program open; the state passes soon.
        if errno != sys::ETXTBSY {
            break;
        }
        sys::poll(&mut [], Some(BUSY_PAUSE_MS));
    }
    (wire::STAGE_EXEC, errno)
}
