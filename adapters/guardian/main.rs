//! The guardian: a program of a few pages that starts one child and ends it, with all that the child started, when its
//! supervisor says so or is gone.
//!
//! The library carries it as bytes, puts it into a file in memory and executes that file, so that it stands on nothing
//! on the disk and shares no memory with the supervisor: neither a large supervisor makes it large, nor does a core
//! dump or the out-of-memory killer, which end everybody who shares a memory, take it along. It is the child's parent.
//! So nobody but it can reap the child, and until it does, the child's pid, which names the child's group, cannot
//! become a stranger's.
//!
//! ```text
//! guardian TERM_GRACE_MS KILL_GRACE_MS E|L DIRECTORY PROGRAM ARGV0 [ARG]...
//!    0, 1, 2   the child's; closed here once the child has them
//!    3         the connection to the supervisor (`wire`)
//!    4         the supervisor's pidfd
//! ```
//!
//! # Invariants
//! 1. The guardian is there before the child, and the child runs its program only once it is tied to the guardian: it
//!    is killed when the guardian is.
//! 2. No signal reaches the guardian but SIGKILL and SIGSTOP: all others are blocked, and it leads a session that has
//!    no terminal.
//! 3. Everything is signalled while its name is held: the group before the child is reaped, others through a pidfd.
//! 4. No descendant is lost or stays a zombie: the guardian is a child subreaper, so the kernel hands it each orphan
//!    below it, and it reaps the orphans as they end.
//! 5. It ends when no process is left that belongs to the child (`kin`), and then nothing of it stays. Once the
//!    supervisor is gone it ends those processes: SIGTERM and SIGCONT, the grace, SIGKILL until the last has gone.
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
/// The pause before the next look at the processes that are left: the first and the longest.
const PAUSE_FIRST_MS: u64 = 2;
const PAUSE_LONGEST_MS: u64 = 200;
/// The longest pause while SIGKILL has its grace: a process that keeps forking has to be met between two forks.
const PAUSE_KILLING_MS: u64 = 16;
/// How many looks through `/proc` in a row have to find no process: one look may miss a process that was just born.
const EMPTY_LOOKS: u32 = 2;
/// The most processes that are named as left running: more could fill the connection, and block.
const LEFT_MAX: u32 = 64;
/// How often a program that is being written is tried again, and the pause between two tries.
const BUSY_TRIES_MAX: u32 = 50;
const BUSY_PAUSE_MS: u64 = 1;
/// What the guardian returns when it could not end them all.
const GAVE_UP: i32 = 1;

/// A guardian that panics is gone, and the kernel ends the child.
#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    sys::exit(GAVE_UP)
}

/// Compiled code of `core` names it; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// What the guardian was given.
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
/// `stack` is what the kernel gives a program: the number of its arguments, they, a null, its variables, a null.
#[unsafe(no_mangle)]
unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: as the kernel lays it out. Fewer arguments than our own come from nobody who knows us.
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
/// A string that ends with a NUL.
unsafe fn milliseconds(text: *const c_char) -> u64 {
    let mut number = 0_u64;
    let mut at = text.cast::<u8>();
    // SAFETY: the caller's; what is no digit, such as the NUL, ends it.
    while let digit @ b'0'..=b'9' = unsafe { *at } {
        number = number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        // SAFETY: not the NUL yet.
        at = unsafe { at.add(1) };
    }
    number
}

/// How far an end without a supervisor has come, and when its present step is over.
#[derive(Clone, Copy)]
enum Orphaned {
    No,
    Terminated { until_ms: u64 },
    Killed { until_ms: u64 },
}

/// Whether the child runs its program yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Birth {
    /// What it writes here is why it does not; that it closes means that it does.
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
    /// How the child ended, once it has.
    end: Option<End>,
    orphaned: Orphaned,
    /// SIGKILL was sent, and is sent again to processes that were born meanwhile; until when it has its grace.
    killing_until_ms: Option<u64>,
    empty_looks: u32,
    /// When the processes that are left are looked at next, and the pause after that.
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
        // Both do it: whoever comes second finds it done, and no signal to the group finds none.
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

    /// Waits for one thing to happen, and does what follows from it.
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

    /// How long nothing may happen; for ever, unless something is due.
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
        // It may have ended while its birth was being told.
        self.hear_of_birth();
        self.end = Some(end);
        self.look_soon();
        match end {
            End::Returned(status) => tell([wire::RETURNED, status, 0]),
            End::Signalled(signal) => tell([wire::SIGNALLED, signal, 0]),
            End::Unknown => {}
        }
        // From now on the zombie of the child hides them.
        self.reap_orphans();
    }

    /// Reaps the orphans that have ended.
    fn hear_of_deaths(&self) {
        // One read takes the signal: of one kind no more than one is pending.
        sys::read(self.deaths, &mut [0; sys::SIGNAL_LEN]);
        self.reap_orphans();
    }

    fn reap_orphans(&self) {
        let child = self.members.child;
        while let Some(pid) = sys::ended_child().filter(|pid| *pid != child) {
            sys::reap(pid);
        }
        // The zombie of the child stays, and hides the orphans behind it: so each is tried, until a list has none.
        let mut reaped = self.end.is_some();
        while core::mem::take(&mut reaped) {
            let mut reap = |pid| reaped |= pid != child && sys::reap_if_ended(pid);
            let _listed = members::for_each_child(&mut reap).or_else(|| members::for_each_process(reap));
        }
    }

    /// Does what the supervisor says. That it has nothing more to say is the end of the supervision.
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
            // What the kernel cannot end, nobody can.
            Orphaned::Killed { until_ms } if sys::now_ms() >= until_ms => sys::exit(GAVE_UP),
            Orphaned::No | Orphaned::Terminated { .. } | Orphaned::Killed { .. } => {}
        }
    }

    /// Leaves once no process of the child is left. Until then the name of the child is held.
    fn look_at_the_rest(&mut self) {
        // For certain: a process runs below this one only if a child of this one runs.
        if self.end.is_some() && !sys::has_running_children() {
            self.leave();
        }
        if !self.is_looking() || sys::now_ms() < self.look_at_ms {
            return;
        }
        // The processes that run may be workers, or left alone.
        match self.members.is_populated() {
            Some(false) if self.end.is_some() => self.empty_looks += 1,
            // Where `/proc` cannot be read, the kernel's word is all there is.
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

    /// Whether the processes that are left are looked at from time to time.
    fn is_looking(&self) -> bool {
        self.killing_until_ms.is_some() || self.end.is_some()
    }

    fn look_soon(&mut self) {
        self.look_at_ms = sys::now_ms() + PAUSE_FIRST_MS;
        self.pause_ms = PAUSE_FIRST_MS * 2;
    }

    /// Names the processes that are left alone, reaps all others, and ends.
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

/// A message as it is sent. Both ends are on one machine, in its own byte order.
fn encode(message: wire::Message) -> [u8; wire::MESSAGE_LEN] {
    let [[a, b, c, d], [e, f, g, h], [i, j, k, l]] = message.map(i32::to_ne_bytes);
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

fn tell(message: wire::Message) {
    sys::write(CONTROL_FD, &encode(message));
}

/// There is no child, and nothing to guard.
fn fail(stage: i32, errno: isize) -> ! {
    tell([wire::FAILED, stage, -errno as i32]);
    sys::exit(0)
}

/// The child, which is tied to its guardian and then becomes its program.
fn become_child(arguments: &Arguments, guardian: i32, tell: i32) -> ! {
    let (stage, errno) = try_to_become(arguments, guardian);
    sys::write(tell, &encode([wire::FAILED, stage, -errno as i32]));
    sys::exit(127)
}

/// Returns only why it could not.
fn try_to_become(arguments: &Arguments, guardian: i32) -> (i32, isize) {
    match (sys::new_group(0), sys::die_with_parent()) {
        (0, 0) => {}
        (errno, 0) | (_, errno) => return (wire::STAGE_TIE, errno),
    }
    // Had the guardian gone before it could be tied to, somebody else would be the parent by now.
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
        // SAFETY: a path and two arrays that the kernel put there when this program began.
        errno = unsafe { sys::execute(arguments.program, arguments.argv, arguments.envp) };
        // Somebody who forked while writing it still has it open; that passes.
        if errno != sys::ETXTBSY {
            break;
        }
        sys::poll(&mut [], Some(BUSY_PAUSE_MS));
    }
    (wire::STAGE_EXEC, errno)
}
