//! What to do next about one session: the advice that depends on its launch or on its snapshot.

use crate::advice::{Advice, Startup, Step};
use crate::launch::{Launch, holds};
use crate::outcome::SaidReady;
use crate::sessions::snapshot::Snapshot;
use rekindle_core::execute::Cause;
use rekindle_core::{ReadyKind, SessionId, WatchError};
use std::ffi::{OsStr, OsString};
use std::path::Path;

impl Advice {
    /// A worker of which it cannot be told whether it runs.
    pub(crate) fn of_unknown(session: &SessionId, snapshot: &Snapshot) -> Self {
        Self::of_unjudged(session, snapshot.evidence.lifeline, snapshot.gap.as_ref())
    }

    /// A worker that ended before it was ready.
    pub(crate) fn of_early_end(
        session: &SessionId,
        cause: Option<&Cause>,
        said: SaidReady,
        launch: &Launch,
    ) -> Self {
        let look = Self::from(Step::Show(session.clone()));
        match (cause, said) {
            (Some(Cause::ObserveTimeout { .. }), _) if launch.leaves_socket_unnamed() => look.knowing(
                "no argument names {socket}, and only REKINDLE_SOCKET told the program where to listen; if it knows, and \
                 needs more time, name a longer --timeout",
            ),
            (Some(Cause::ObserveTimeout { .. }), SaidReady::WithoutListener) => look.knowing(
                "with --ready notify the worker has to listen on its socket when it says READY=1; if it listens later, \
                 name a longer --timeout",
            ),
            (Some(Cause::ObserveTimeout { .. }), SaidReady::No) => {
                look.knowing("name a longer --timeout, if it needs more time to be ready")
            }
            (Some(Cause::Seam(WatchError::Os(failure))), _) => Self::of_failure(failure),
            (Some(Cause::Seam(_)) | None, _) => look,
        }
    }

    /// Starting a session anew, as its record knows how; in words where there is none, or it cannot be typed.
    pub(crate) fn start(session: &SessionId, snapshot: &Snapshot, own_socket: &Path) -> Self {
        match startup(session, snapshot, own_socket) {
            Some(startup) => Self::from(Step::Up(Box::new(startup)))
                .knowing("variables that were set with --env are not recorded: name them again"),
            None => Self::by_hand("start it with `up`, and name its program after `--`"),
        }
    }
}

fn startup(session: &SessionId, snapshot: &Snapshot, own_socket: &Path) -> Option<Startup> {
    let record = snapshot.record.as_ref()?;
    let program = Some(record.program.clone().into_os_string()).filter(|program| !program.is_empty())?;
    let command: Vec<OsString> = std::iter::once(program).chain(record.arguments.iter().cloned()).collect();
    // What was filled in would be filled in once more.
    let is_literal =
        |word: &OsString| !["{session}", "{socket}", "{prompt}"].iter().any(|it| holds(word, OsStr::new(it)));
    let speak = record.speak.clone().filter(|_| record.readiness == ReadyKind::Handshake);
    let can_be_typed = record.readiness != ReadyKind::Handshake || speak.is_some();
    (command.iter().all(is_literal) && can_be_typed).then(|| Startup {
        session: session.clone(),
        command,
        cwd: record.cwd.clone(),
        socket: Some(record.socket.clone()).filter(|socket| socket != own_socket),
        ready: record.readiness,
        speak,
    })
}
