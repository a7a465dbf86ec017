//! Advice that depends on a session's launch or snapshot.

use crate::advice::{Advice, Startup, Step, as_option};
use crate::launch::{Launch, Unnamed, holds};
use crate::outcome::SaidReady;
use crate::sessions::snapshot::Snapshot;
use rekindle_core::again::NoPlan;
use rekindle_core::execute::Cause;
use rekindle_core::plan::{EnvironmentBase, SETTLE_DEFAULT, Withheld};
use rekindle_core::shown::Shown;
use rekindle_core::{Address, Endpoint, Readiness, SessionId, SessionRecord, WatchError};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The placeholders of a command. Not every endpoint has a value for each.
const PLACEHOLDERS: [&str; 6] = ["{session}", "{socket}", "{address}", "{host}", "{port}", "{prompt}"];

impl Advice {
    /// For a worker if nothing proves whether it runs.
    pub(crate) fn of_unknown(session: &SessionId, snapshot: &Snapshot) -> Self {
        Self::of_unjudged(session, snapshot.evidence.lifeline, snapshot.gap.as_ref())
    }

    /// For a worker that ended before ready.
    pub(crate) fn of_early_end(
        session: &SessionId,
        cause: Option<&Cause>,
        said: SaidReady,
        listened_at: Option<&Endpoint>,
        launch: &Launch,
    ) -> Self {
        let look = Self::from(Step::Show(session.clone()));
        if let (Some(Cause::ObserveTimeout { .. }), Some(port)) = (cause, listened_at) {
            return Self::of_other_port(look, port, launch);
        }
        match (cause, said) {
            (Some(Cause::ObserveTimeout { .. }), _) if launch.leaves_endpoint_unnamed() => {
                let Unnamed { placeholder, variable } = launch.unnamed();
                look.knowing(format!(
                    "no argument names {placeholder}, and only {variable} told the program where to listen; if it knows, \
                     and needs more time, name a longer --timeout"
                ))
            }
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

    /// For a program that listened on a TCP port, and was given a Unix socket.
    fn of_other_port(look: Self, port: &Endpoint, launch: &Launch) -> Self {
        let option = as_option(port);
        let hint =
            format!("the program listens on a TCP port: name the port with --address {}", Shown(&option));
        match launch.address {
            None => Self::from(Step::AgainAt(port.clone())).knowing(hint),
            Some(_) => look.knowing(hint),
        }
    }

    /// For a start as the record says, if the record is not enough.
    pub(crate) fn of_no_plan(
        session: &SessionId,
        why: &NoPlan,
        snapshot: &Snapshot,
        own_socket: &Path,
    ) -> Self {
        match why {
            NoPlan::NoRecord | NoPlan::NoProgram => {
                Self::by_hand("start it with `up`, and name its program after `--`")
            }
            NoPlan::Outline => Self::start(session, snapshot, own_socket),
            NoPlan::Withheld(values) => {
                let of_variable = |value: &Withheld| match value {
                    Withheld::Variable(name) => Some(format!("--env {}=VALUE", Shown(name))),
                    Withheld::Prompt => None,
                };
                // A prompt from a file gives the variable with the prompt, too.
                let options: Vec<String> = if values.contains(&Withheld::Prompt) {
                    vec!["--prompt-file FILE".to_owned()]
                } else {
                    values.iter().filter_map(of_variable).collect()
                };
                let again = format!("`up {session} {}`", options.join(" "));
                Self::by_hand(format!("start it with {again}; if it runs, add --intent restart"))
            }
            NoPlan::OfPool => Self::from(Step::PoolStatus(session.clone()))
                .knowing("`pool continue` starts the worker again, and gives it its work"),
        }
    }

    /// Start the session as recorded; in words if there is no record, or the command cannot be typed.
    pub(crate) fn start(session: &SessionId, snapshot: &Snapshot, own_socket: &Path) -> Self {
        match startup(session, snapshot, own_socket) {
            Some(startup) => Self::from(Step::Up(Box::new(startup))).knowing(named_again(snapshot)),
            None => Self::by_hand("start it with `up`, and name its program after `--`"),
        }
    }
}

/// The settings that the command leaves out: values of variables must not appear on a terminal.
fn named_again(snapshot: &Snapshot) -> String {
    let Some(plan) = snapshot.record.as_ref().and_then(SessionRecord::whole_plan) else {
        return "variables that were set with --env are not recorded: name them again".to_owned();
    };
    let withheld = plan.withheld.iter().filter_map(|withheld| match withheld {
        Withheld::Variable(name) => Some(name),
        Withheld::Prompt => None,
    });
    let variables: BTreeSet<&String> = plan.env.set.keys().chain(withheld).collect();
    let variables: Vec<String> = variables.into_iter().map(|name| format!("`{}`", Shown(name))).collect();
    let base = match plan.env.base {
        EnvironmentBase::Inherit => None,
        EnvironmentBase::Clear => Some("use --clear-env again".to_owned()),
        EnvironmentBase::Only(_) => Some("pass the same variables on again".to_owned()),
    };
    let variables =
        (!variables.is_empty()).then(|| format!("set its variables again: {}", variables.join(", ")));
    base.into_iter().chain(variables).collect::<Vec<_>>().join("; ")
}

fn startup(session: &SessionId, snapshot: &Snapshot, own_socket: &Path) -> Option<Startup> {
    let record = snapshot.record.as_ref()?;
    let program = Some(record.program().as_os_str().to_owned()).filter(|program| !program.is_empty())?;
    let command: Vec<OsString> = std::iter::once(program).chain(record.arguments().iter().cloned()).collect();
    // `up` would replace a placeholder in the recorded command once more.
    let is_literal = |word: &OsString| !PLACEHOLDERS.iter().any(|it| holds(word, OsStr::new(it)));
    let shakes_hands = *record.readiness() == Readiness::Handshake;
    let speak = record.speak().cloned().filter(|_| shakes_hands);
    let can_be_typed = !shakes_hands || speak.is_some();
    // The arguments have the planned port, so the next start has to use the same port.
    let planned = record.whole_plan().map(|plan| plan.target().clone());
    let endpoint = planned.unwrap_or_else(|| record.endpoint());
    let ready = record.readiness();
    let settle = record.whole_plan().map(|plan| plan.settle).filter(|settle| *settle != SETTLE_DEFAULT);
    let foreign_listener = record.whole_plan().map(|plan| plan.foreign_listener).unwrap_or_default();
    let ready = (*ready != Readiness::default_for(endpoint.kind())).then(|| ready.clone());
    (command.iter().all(is_literal) && can_be_typed).then(|| Startup {
        session: session.clone(),
        command,
        cwd: record.cwd().to_owned(),
        address: Some(endpoint).filter(|it| it.socket() != Some(own_socket)).map(Address::from),
        settle: settle.filter(|_| matches!(record.readiness(), Readiness::Running)),
        foreign_listener,
        ready,
        speak,
    })
}
