//! Chooses the state directory if locks may not hold at the place that was asked for.
//!
//! The place asked for wins wherever its locks hold. Otherwise a directory that was named is refused, and the default
//! directory is replaced by a directory of this host: the *stand-in*.
//!
//! # Invariants
//! 1. A named directory is never replaced.
//! 2. A stand-in in use stays in use: another environment must not choose another stand-in for the same sessions.
//! 3. No worker is started while another directory of the same home may hold a living worker of the session.
//!
//! Every cell is checked by `gates/tests/home.rs`.

use crate::session::lifeline::Lifeline;

/// Whether exclusive flocks exclude one another at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Locks {
    /// Yes: a file system of this machine, or a FUSE file system that was tried.
    Exclude,
    /// Unknown: the file system is shared by several machines, where a flock may hang, or is kept on each machine alone.
    Shared,
    /// No: two descriptors held an exclusive flock at once.
    Overlap,
    /// No answer: a flock did not return in time.
    Hang,
    /// No: the file system refuses a flock.
    Refused,
}

impl Locks {
    /// All verdicts.
    pub const ALL: [Self; 5] = [Self::Exclude, Self::Shared, Self::Overlap, Self::Hang, Self::Refused];

    /// The verdict in one word, as in files and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exclude => "exclude",
            Self::Shared => "shared",
            Self::Overlap => "overlap",
            Self::Hang => "hang",
            Self::Refused => "refused",
        }
    }

    /// The verdict with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|locks| locks.word() == word)
    }

    /// The verdict as a clause about the file system.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Exclude => "its flock excludes",
            Self::Shared => "it is shared by several machines",
            Self::Overlap => "it granted one exclusive flock twice",
            Self::Hang => "its flock did not return in time",
            Self::Refused => "it refuses a flock",
        }
    }
}

/// Who chose the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AskedBy {
    /// The caller: `--dir`, `REKINDLE_DIR`, or a path in the library.
    Name,
    /// Nobody: the default place.
    Default,
}

/// A directory of this host that may stand in for the default state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Candidate {
    /// The directory cannot be used: its parent is missing, it is not trusted, or its locks do not hold either.
    Unusable,
    /// The directory could be made.
    Free,
    /// The directory exists.
    InUse,
}

/// The place of a stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostPlace {
    /// In the runtime directory of the user, which the system empties at each boot.
    Runtime,
    /// In `/var/tmp`.
    VarTmp,
}

/// The chosen state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Home {
    /// The place asked for.
    AsAsked,
    /// A directory of this host.
    StandIn(HostPlace),
    /// None: the caller has to name another place.
    Refused,
}

/// Chooses the state directory.
///
/// ```
/// use rekindle_core::claim::home::{AskedBy, Candidate, Home, HostPlace, Locks, choose};
///
/// let (runtime, var_tmp) = (Candidate::Free, Candidate::InUse);
/// // A stand-in in use wins over a better place for a new one.
/// assert_eq!(choose(AskedBy::Default, Locks::Shared, runtime, var_tmp), Home::StandIn(HostPlace::VarTmp));
/// assert_eq!(choose(AskedBy::Name, Locks::Shared, runtime, var_tmp), Home::Refused);
/// assert_eq!(choose(AskedBy::Default, Locks::Exclude, runtime, var_tmp), Home::AsAsked);
/// ```
pub const fn choose(asked: AskedBy, locks: Locks, runtime: Candidate, var_tmp: Candidate) -> Home {
    use {AskedBy as By, Candidate as C};
    match (asked, locks, runtime, var_tmp) {
        (_, Locks::Exclude, _, _) => Home::AsAsked,
        (By::Name, Locks::Shared | Locks::Overlap | Locks::Hang | Locks::Refused, _, _) => Home::Refused,
        (By::Default, Locks::Shared | Locks::Overlap | Locks::Hang | Locks::Refused, runtime, var_tmp) => {
            match (runtime, var_tmp) {
                (C::InUse, _) | (C::Free, C::Free | C::Unusable) => Home::StandIn(HostPlace::Runtime),
                (C::Free | C::Unusable, C::InUse) | (C::Unusable, C::Free) => {
                    Home::StandIn(HostPlace::VarTmp)
                }
                (C::Unusable, C::Unusable) => Home::Refused,
            }
        }
    }
}

/// Whether the lifeline of the same session in another directory of the same home forbids a start. A lifeline that
/// cannot be asked may be held.
pub const fn forbids_start(elsewhere: Lifeline) -> bool {
    match elsewhere {
        Lifeline::Held | Lifeline::Unreadable => true,
        Lifeline::Free | Lifeline::Missing => false,
    }
}
