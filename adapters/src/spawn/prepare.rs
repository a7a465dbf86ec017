//! Lays out everything for a child in memory before the child exists: between clone and exec nothing may allocate.

use super::request::{Provision, SpawnRequest};
use crate::logs::index_file::IndexFile;
use crate::logs::names::{INDEXES, LOGS, PREVIOUS_INDEXES, PREVIOUS_LOGS};
use crate::store::lifeline::{RootId, mark};
use crate::store::session_dir::SessionDir;
use crate::sys::linux::failure::During;
use crate::sys::linux::fs::fstat;
use crate::sys::linux::process::clone::{CStrings, PidVariable, Prepared};
use rekindle_core::logs::LogIndex;
use rekindle_core::plan::{Environment, EnvironmentBase};
use rekindle_core::shown::Shown;
use rekindle_core::{Generation, Nonce, OsFailure, SpawnBgPlan, SpawnError};
use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Prepares the child of a start.
///
/// # Errors
/// If a file cannot be opened or resolved, or a text holds a NUL byte.
pub(super) fn prepare(request: &SpawnRequest<'_>, program: &Path) -> Result<Prepared, SpawnError> {
    let plan = request.plan;
    let program = c_string(program.as_os_str(), "the program's path")?;
    let arguments = plan.launch_args.iter().skip(1).map(|arg| c_string(arg, "an argument"));
    let argv = std::iter::once(Ok(program.clone())).chain(arguments).collect::<Result<_, _>>()?;
    let dir = request.claim.dir();
    let [stdout, stderr] = open_logs(dir)?;
    let inode = request.lifeline.inode();
    let root = RootId::of(dir.root_path())?
        .ok_or_else(|| OsFailure::new("resolve", "it is not there").on(dir.root_path()))?;
    let socket = match request.provision {
        Provision::Socket(socket) => Some(socket.as_raw_fd()),
        Provision::Nothing | Provision::NotifySocket(_) => None,
    };
    let listen_pid = socket.map(|_| PidVariable::new());
    Ok(Prepared {
        argv: CStrings::new(argv),
        envp: CStrings::with(environment(request)?, listen_pid.as_ref().map(PidVariable::as_ptr)),
        socket,
        listen_pid,
        cwd: c_string(plan.cwd.as_os_str(), "the working directory")?,
        stdio: [open_null()?, stdout, stderr],
        claim: request.claim.descriptor(),
        lifeline_device: inode.device(),
        lifeline_number: inode.number(),
        session_path: c_string(dir.path().as_os_str(), "the session's directory")?,
        mark_tail: mark::tail(
            plan,
            request.generation,
            request.nonce,
            request.host,
            root,
            request.started_at,
        ),
        program,
    })
}

pub(crate) fn c_string(text: &OsStr, what: &str) -> Result<CString, SpawnError> {
    CString::new(text.as_bytes()).ok().ok_or_else(|| holds_nul(what.to_owned()))
}

fn holds_nul(what: String) -> SpawnError {
    SpawnError::HoldsNul { what }
}

fn open_null() -> Result<OwnedFd, OsFailure> {
    let path = Path::new("/dev/null");
    File::options().read(true).write(true).open(path).map(OwnedFd::from).during("open", path)
}

/// Logs are files, not pipes: a grandchild with an open log delays no reader, and a launcher may end.
fn open_logs(dir: &SessionDir) -> Result<[OwnedFd; 2], OsFailure> {
    for (log, previous) in LOGS.into_iter().zip(PREVIOUS_LOGS) {
        dir.rename(log, previous)?;
    }
    let logs = [dir.create_log(LOGS[0])?, dir.create_log(LOGS[1])?];
    for ((log, index), previous) in logs.iter().zip(INDEXES).zip(PREVIOUS_INDEXES) {
        // A log does without an index: then the times of its lines are not known.
        if let Err(error) = begin_index(dir, log, index, previous) {
            tracing::info!(%error, "the log has no index");
        }
    }
    Ok(logs)
}

/// Begins the index of a fresh log.
fn begin_index(
    dir: &SessionDir,
    log: &OwnedFd,
    index: &'static str,
    previous: &str,
) -> Result<(), OsFailure> {
    dir.rename(index, previous)?;
    let inode = fstat(log).during("inspect", &dir.path_of(index))?.inode;
    IndexFile::create(dir, index, &LogIndex::new(inode.number())).map(drop)
}

/// Variables from our supervisor for us alone. A worker using these would answer in our name, or take descriptors that
/// the worker does not have.
const OURS_ALONE: [&str; 6] =
    ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// The variables of an endpoint. Those of another endpoint are of a session around us, and would mislead the worker.
const OURS_FOR_OTHER_ENDPOINTS: [&str; 2] = ["REKINDLE_SOCKET", "REKINDLE_PORT"];

/// The environment of a worker, without the means of readiness: also for a command that runs in the worker's place.
pub(crate) fn worker_environment(plan: &SpawnBgPlan, generation: Generation, nonce: &Nonce) -> Environment {
    let Environment { base, mut set, mut remove } = plan.env.clone();
    remove.extend(OURS_ALONE.into_iter().chain(OURS_FOR_OTHER_ENDPOINTS).map(str::to_owned));
    if let Some(at) = plan.target().tcp() {
        // Many servers read their port here. A value set by the caller wins.
        set.entry("PORT".to_owned()).or_insert_with(|| at.port().to_string().into());
    }
    set.extend(plan.target().variables().into_iter().map(|(name, value)| (name.to_owned(), value)));
    let ours: [(&str, OsString); 3] = [
        ("REKINDLE_SESSION", plan.session_id.as_str().into()),
        ("REKINDLE_GENERATION", generation.to_string().into()),
        ("REKINDLE_NONCE", nonce.as_str().into()),
    ];
    set.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    Environment { base, set, remove }
}

fn environment(request: &SpawnRequest<'_>) -> Result<Vec<CString>, SpawnError> {
    let plan = request.plan;
    let mut variables = declared(&worker_environment(plan, request.generation, request.nonce));
    match request.provision {
        Provision::Nothing => {}
        Provision::NotifySocket(listener) => {
            variables.insert("NOTIFY_SOCKET".into(), listener.path().into());
        }
        Provision::Socket(_) => {
            // A value set by the caller wins.
            variables.entry("LISTEN_FDNAMES".into()).or_insert_with(|| plan.session_id.as_str().into());
            variables.insert("LISTEN_FDS".into(), "1".into());
            // The child fills in its own pid.
            variables.remove(OsStr::new("LISTEN_PID"));
        }
    }
    to_c_strings(variables)
}

/// Variables in the kernel's form.
pub(crate) fn to_c_strings(variables: BTreeMap<OsString, OsString>) -> Result<Vec<CString>, SpawnError> {
    let join = |(name, value): (OsString, OsString)| {
        // Room for the sign in between and the NUL at the end.
        let mut text = Vec::with_capacity(name.len() + value.len() + 2);
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
        CString::new(text).ok().ok_or_else(|| holds_nul(format!("the variable {}", Shown(&name))))
    };
    variables.into_iter().map(join).collect()
}

/// The variables of an environment: the inherited ones, overridden by the set ones.
pub(crate) fn declared(environment: &Environment) -> BTreeMap<OsString, OsString> {
    let mut variables = inherited(environment);
    variables.extend(environment.set.iter().map(|(name, value)| (name.into(), value.into())));
    variables
}

fn inherited(environment: &Environment) -> BTreeMap<OsString, OsString> {
    let mut variables: BTreeMap<OsString, OsString> = match &environment.base {
        EnvironmentBase::Inherit => env::vars_os().collect(),
        EnvironmentBase::Clear => BTreeMap::new(),
        EnvironmentBase::Only(names) => {
            names.iter().filter_map(|name| Some((name.into(), env::var_os(name)?))).collect()
        }
    };
    for name in &environment.remove {
        variables.remove(OsStr::new(name));
    }
    variables
}
