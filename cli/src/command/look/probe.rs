//! `rekindle probe`

use crate::command::verdict;
use crate::report::{Exit, Report};
use rekindle::frontend::{ByteText, Shown, port_holder};
use rekindle::json::Next;
use rekindle::json::look::ProbeJson;
use rekindle::{Advice, Endpoint, Liveness, Probed, Step, probe, probe_port};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) async fn run(target: &OsStr, report: &Report) -> Exit {
    if !target.as_bytes().starts_with(b"tcp:") {
        let path = target.as_bytes().strip_prefix(b"unix:").unwrap_or(target.as_bytes());
        return of_path(Path::new(OsStr::from_bytes(path)), report).await;
    }
    match Endpoint::from_text(target) {
        Ok(Endpoint::Tcp(at)) if at.port() != 0 => of_port(at, report),
        Ok(Endpoint::Unix(_) | Endpoint::Tcp(_) | Endpoint::None) => {
            let message = format!("`{}` names no port", Shown(target));
            report.failure("usage", &message, &Step::Help(Some("probe")).into(), Exit::Usage)
        }
        Err(error) => {
            report.failure("usage", &error.to_string(), &Step::Help(Some("probe")).into(), Exit::Usage)
        }
    }
}

/// Any user may listen on a port, so the verdict tells who listens.
fn of_port(at: SocketAddr, report: &Report) -> Exit {
    let probed = probe_port(at);
    let liveness = probed.liveness();
    let why = match (&probed, port_holder(at)) {
        (Probed::Live(_), Some(who)) => format!("{who} listens, and accepts connections"),
        (probed, _) => probed.why().to_owned(),
    };
    let next = Next::default();
    show(
        &ProbeJson { path: None, address: &Endpoint::Tcp(at), verdict: verdict(liveness), why: &why, next },
        liveness,
        &Advice::nothing(),
        report,
    )
}

async fn of_path(path: &Path, report: &Report) -> Exit {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let probed = probe(&absolute).await;
    tracing::info!(socket = %Shown(&absolute), liveness = ?probed.liveness(), "looked at the socket");
    // An absent file is dead, not forged; an untrusted directory is mentioned besides.
    let is_absent =
        std::fs::symlink_metadata(&absolute).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let (liveness, why) = match probed.liveness() {
        Liveness::Forged if is_absent => {
            (Liveness::Dormant, format!("nothing is there; besides, {}", probed.why()))
        }
        liveness => (liveness, probed.why().to_owned()),
    };
    // Only a forged place needs advice: no socket can be trusted there.
    let advice = match probed.liveness() {
        Liveness::Forged => Advice::of_socket_place(&absolute),
        Liveness::Live | Liveness::Dormant | Liveness::Indeterminate => Advice::nothing(),
    };
    let (path, address) = (Some(ByteText(path.as_os_str())), Endpoint::Unix(absolute));
    show(
        &ProbeJson {
            path,
            address: &address,
            verdict: verdict(liveness),
            why: &why,
            next: report.next(&advice),
        },
        liveness,
        &advice,
        report,
    )
}

/// A script can ask: 0 for alive, 1 for dead, 3 for an address that is not to be trusted or cannot be judged.
fn exit_of(liveness: Liveness) -> Exit {
    match liveness {
        Liveness::Live => Exit::Done,
        Liveness::Dormant => Exit::Failed,
        Liveness::Indeterminate | Liveness::Forged => Exit::Refused,
    }
}

fn show(probed: &ProbeJson<'_>, liveness: Liveness, advice: &Advice, report: &Report) -> Exit {
    let verdict = format!("{}: {}", probed.verdict, probed.why);
    let lines = std::iter::once(verdict).chain(report.advice_lines(advice));
    report.answer(&lines.collect::<Vec<_>>().join("\n"), probed);
    exit_of(liveness)
}
