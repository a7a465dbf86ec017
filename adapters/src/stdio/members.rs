//! The supervisor's view of the processes that belong to a guarded child.

use super::kin::{self, Foreign, LIFELINE_FD, Look, Scope, Stat, belongs};
use crate::sys::linux::process::pidfd;
use crate::sys::linux::process::signals::Signal;
use crate::sys::linux::procfs;
use rekindle_core::Pid;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// The facts from the kernel.
struct Proc;

impl Look for Proc {
    fn session(&self, pid: i32) -> i32 {
        Pid::new(pid).and_then(procfs::session).unwrap_or(0)
    }

    fn stat(&self, pid: i32) -> Option<Stat> {
        Stat::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn keeps_lifeline(&self, pid: i32) -> bool {
        let target = fs::read_link(format!("/proc/{pid}/fd/{LIFELINE_FD}"));
        target.is_ok_and(|target| kin::is_lifeline(target.as_os_str().as_bytes()))
    }
}

/// The running processes of the child of `guardian`. The guardian's pid must be held.
pub(super) fn running(guardian: Pid, scope: Scope) -> Vec<Pid> {
    let mut foreign = Foreign::new();
    let is_member = |pid: &Pid| belongs(pid.as_raw(), guardian.as_raw(), scope, &Proc, &mut foreign);
    procfs::processes().unwrap_or_default().into_iter().filter(is_member).collect()
}

/// Kills the process session of an ended, unreaped guardian; returns the number of processes left in the session.
///
/// A process with another session cannot be found any more: the kernel gave the process to another parent.
pub(super) fn end_session(guardian: Pid) -> usize {
    let left = running(guardian, Scope::Session);
    for pid in &left {
        let Ok(pidfd) = pidfd::open(*pid) else { continue };
        // Judged again once pinned: if the process ended, the pid may have been reused.
        if belongs(pid.as_raw(), guardian.as_raw(), Scope::Session, &Proc, &mut Foreign::new()) {
            // An ended process needs no signal; a failed signal is repeated after the next look.
            let _ = pidfd::send(&pidfd, Signal::SIGKILL);
        }
    }
    left.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::lifeline::LIFELINE_FILE;
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    const GUARDIAN: i32 = 100;
    const INIT: i32 = 1;

    /// Processes by pid: state, parent, session. Each look at a process may move others.
    #[derive(Default)]
    struct Table {
        processes: RefCell<BTreeMap<i32, (char, i32, i32)>>,
        /// A process changes parents during a walk: after a look at the first pid, the second pid gets the third as its
        /// parent.
        moves: RefCell<Vec<(i32, i32, i32)>>,
        workers: Vec<i32>,
    }

    impl Table {
        fn of(processes: &[(i32, char, i32, i32)]) -> Self {
            let of = |&(pid, state, parent, session): &_| (pid, (state, parent, session));
            Self { processes: RefCell::new(processes.iter().map(of).collect()), ..Self::default() }
        }

        fn belongs(&self, pid: i32, scope: Scope) -> bool {
            belongs(pid, GUARDIAN, scope, self, &mut Foreign::new())
        }
    }

    impl Look for Table {
        fn session(&self, pid: i32) -> i32 {
            self.processes.borrow().get(&pid).map_or(0, |it| it.2)
        }

        fn stat(&self, pid: i32) -> Option<Stat> {
            let (state, parent, session) = *self.processes.borrow().get(&pid)?;
            let mut moves = self.moves.borrow_mut();
            if moves.first().is_some_and(|(seen, _, _)| *seen == pid) {
                let (_, moved, parent) = moves.remove(0);
                self.processes.borrow_mut().get_mut(&moved).expect("it is in the table").1 = parent;
            }
            Stat::parse(format!("{pid} (a) b) {state} {parent} 7 {session} 0").as_bytes())
        }

        fn keeps_lifeline(&self, pid: i32) -> bool {
            self.workers.contains(&pid)
        }
    }

    #[test]
    fn a_descendant_belongs_whatever_its_session() {
        let table = Table::of(&[
            (INIT, 'S', 0, 1),
            (GUARDIAN, 'S', INIT, GUARDIAN),
            (101, 'S', GUARDIAN, GUARDIAN),
            (102, 'S', 101, 102),
            (103, 'S', 102, 103),
            (104, 'Z', 103, 103),
            (105, 'S', GUARDIAN, 105),
            (200, 'S', INIT, 200),
            (201, 'S', 200, 201),
        ]);
        for member in [101, 102, 103, 105] {
            assert!(table.belongs(member, Scope::Descendants), "{member}");
        }
        for other in [INIT, GUARDIAN, 104, 200, 201, 999] {
            assert!(!table.belongs(other, Scope::Descendants), "{other}");
        }
        assert!(table.belongs(101, Scope::Session) && !table.belongs(102, Scope::Session));
    }

    #[test]
    fn a_process_that_loses_its_parent_meanwhile_still_belongs() {
        let table =
            Table::of(&[(GUARDIAN, 'S', INIT, GUARDIAN), (102, 'S', GUARDIAN, 102), (103, 'S', 102, 103)]);
        // 102 ends during the look, so 103 becomes the guardian's child.
        table.moves.borrow_mut().push((102, 103, GUARDIAN));
        assert!(table.belongs(103, Scope::Descendants));
    }

    #[test]
    fn a_pid_that_changes_hands_makes_no_stranger_belong() {
        let table =
            Table::of(&[(GUARDIAN, 'S', INIT, GUARDIAN), (102, 'S', GUARDIAN, 102), (200, 'S', 102, 200)]);
        // The parent of 200 was an earlier 102, which ended after the look: by now 200 is init's child.
        table.moves.borrow_mut().push((200, 200, INIT));
        assert!(!table.belongs(200, Scope::Descendants));
    }

    #[test]
    fn a_foreign_session_is_walked_once() {
        let table =
            Table::of(&[(GUARDIAN, 'S', INIT, GUARDIAN), (200, 'S', INIT, 200), (201, 'S', 200, 200)]);
        let mut foreign = Foreign::new();
        assert!(!belongs(200, GUARDIAN, Scope::Descendants, &table, &mut foreign));
        table.processes.borrow_mut().remove(&200);
        table.moves.borrow_mut().push((201, 201, INIT));
        assert!(!belongs(201, GUARDIAN, Scope::Descendants, &table, &mut foreign));
        assert_eq!(table.moves.borrow().len(), 1, "201 was not looked at");
    }

    /// The worker outlives its launcher, and so do the processes of the worker's session.
    #[test]
    fn a_worker_of_rekindle_belongs_to_nobody() {
        let mut table = Table::of(&[
            (GUARDIAN, 'S', INIT, GUARDIAN),
            (102, 'S', GUARDIAN, 102),
            (103, 'S', 102, 102),
            (104, 'S', 102, 104),
        ]);
        table.workers = vec![102];
        assert!(!table.belongs(102, Scope::Descendants) && !table.belongs(103, Scope::Descendants));
        assert!(table.belongs(104, Scope::Descendants), "it closed the lifeline and began a session");
    }

    #[test]
    fn a_lifeline_is_known_by_its_descriptor_and_name() {
        assert_eq!(LIFELINE_FD, crate::sys::linux::process::clone::LIFELINE_FD);
        for (target, is_lifeline) in [("", true), (" (deleted)", true), ("s", false)] {
            let target = format!("/state/s/{LIFELINE_FILE}{target}");
            assert_eq!(kin::is_lifeline(target.as_bytes()), is_lifeline, "{target}");
        }
    }
}
