//! What a call reports while it waits.

use crate::report::Report;
use rekindle::frontend::{Shown, as_option};
use rekindle::readiness::ShownBy;
use rekindle::{Address, Endpoint, EndpointKind, Launch, Readiness, SessionId, Sessions, Unnamed};
use std::time::Duration;
use tokio::time::sleep;

/// A call that waits longer than this reports the reason.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// After how long a call warns that no argument names the endpoint. A running worker, or a worker reading its
/// variables, mostly answers sooner; then no warning is needed.
const UNNAMED_AFTER: Duration = Duration::from_millis(200);

/// The looks for a worker on a TCP port instead of its socket; each pause is twice the one before.
const PORT_LOOKS_MAX: u32 = 6;

/// Reports for as long as the call waits: never returns.
pub(super) async fn report(sessions: &Sessions, session: &SessionId, launch: &Launch, report: &Report) {
    sleep(UNNAMED_AFTER).await;
    if launch.leaves_endpoint_unnamed() {
        let Unnamed { placeholder, variable } = launch.unnamed();
        let place = placeholder.trim_matches(['{', '}']);
        report.progress(&format!(
            "no argument names {placeholder}: the program must find its {place} in {variable}, or it is never ready"
        ));
    }
    sleep(PROGRESS_AFTER.saturating_sub(UNNAMED_AFTER)).await;
    report.progress(&format!("waiting for the worker of {session} {}", awaited(launch)));
    if let Some(port) = port_instead(sessions, session, launch).await {
        let option = as_option(&port);
        report.progress(&format!(
            "the worker of {session} listens on {port}, and not at its address: is --address {} meant?",
            Shown(&option)
        ));
    }
    std::future::pending::<()>().await;
}

/// What has to happen before the worker is ready, as the continuation of a sentence.
fn awaited(launch: &Launch) -> String {
    match launch.condition() {
        Readiness::Connect | Readiness::Handshake => "to answer".to_owned(),
        Readiness::Http(path) => format!("to answer GET {}", Shown(path.as_str())),
        Readiness::Notify => "to send READY=1".to_owned(),
        Readiness::Listen => "to run".to_owned(),
        Readiness::Line(regex) => format!("to print a line that matches `{}`", Shown(&regex)),
        Readiness::Exec(command) => format!("until `{}` succeeds", Shown(&command)),
        Readiness::Running => "to settle".to_owned(),
    }
}

/// The TCP port of a worker that has to listen elsewhere. Looks a few times, since programs take their time.
async fn port_instead(sessions: &Sessions, session: &SessionId, launch: &Launch) -> Option<Endpoint> {
    let kind = launch.named_address().map_or(EndpointKind::Unix, Address::kind);
    if launch.condition().kind().shown_by(kind) != ShownBy::Listener {
        return None;
    }
    for look in 0..PORT_LOOKS_MAX {
        if let Some(at) = sessions.port_instead(session) {
            return Some(Endpoint::Tcp(at));
        }
        sleep(PROGRESS_AFTER * 2_u32.pow(look)).await;
    }
    None
}
