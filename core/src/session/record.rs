//! The durable record of a session's worker, and the reader of record files.
//!
//! # Invariants
//! 1. Corrupt is never empty: unreadable content is an error of the session, and stays in place.
//! 2. A record of a newer schema is never rewritten; unknown fields survive a rewrite.
//! 3. The state in a record proves nothing alone; [`crate::session::evidence`] judges.
//! 4. Only [`RecordedPlan`] describes the start, and also decides the schema: a record with the whole plan has schema
//!    2. The next start writes schema 2; until then a record of schema 1 keeps schema 1.
//!
//! Checked by `gates/tests/record.rs` and `gates/tests/record_versions.rs`.

use crate::effects::ChildExit;
use crate::prelude::*;
use crate::process::exit;
pub use crate::process::exit::EndedBy;
use crate::process::id::{Generation, Nonce, SessionId};
use crate::process::identity::ProcessIdentity;
use crate::protocol::{Version, WorkerName, pool};
use crate::session::endpoint::Endpoint;
use crate::session::lifeline::{Lifeline, LifelineHistory};
use crate::session::plan::{KillPolicy, Role, SpawnBgPlan};
use crate::session::readiness::Readiness;
use crate::text::byte_text;
use crate::text::shown::Shown;
use crate::text::sift::{Remainder, Sift};
use jiff::Timestamp;
use serde::de::MapAccess;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The schema of a record with the whole plan: the newest schema known to this version. Every start writes this schema.
pub const SCHEMA_VERSION: u32 = 2;

/// The schema of a record with an [`Outline`] of the plan.
const OUTLINE_SCHEMA_VERSION: u32 = 1;

/// The progress of a start when the record was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordState {
    /// A start has begun; written before the process exists.
    Starting,
    /// The socket answered.
    Ready,
    /// The exit was observed.
    Exited,
    /// Neither an answer nor an exit was observed.
    Retained,
}

/// The description of one generation of a session's worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct SessionRecord {
    /// The session.
    pub session: SessionId,
    /// The generation.
    pub generation: Generation,
    /// The worker's nonce, by which the worker identifies itself; not the claim's nonce.
    pub nonce: Nonce,
    /// The progress of the start.
    pub state: RecordState,
    /// The started process; absent until known.
    #[serde(default)]
    pub worker: Option<ProcessIdentity>,
    /// The process that answered when the worker became ready.
    #[serde(default)]
    pub peer: Option<ProcessIdentity>,
    /// The process of the launcher.
    pub launcher: ProcessIdentity,
    /// The plan of the start.
    #[serde(flatten, skip_deserializing, default = "RecordedPlan::unread")]
    pub plan: RecordedPlan,
    /// The endpoint: the plan's, until the worker was seen to listen at another spelling of it. Absent in a record of an
    /// older version.
    #[serde(default, rename = "address", skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Endpoint>,
    /// The version reported by the worker, if any.
    #[serde(default)]
    pub worker_version: Option<Version>,
    /// The worker's name of the session; absent until a pool's session was fed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_name: Option<WorkerName>,
    /// Whether the lifeline was held when the worker became ready. A worker that closed the lifeline is not recognised
    /// by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifeline_held_when_ready: Option<bool>,
    /// The worker's socket file, as `{device, inode}`: no other file may be removed on the worker's behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_file: Option<SocketFile>,
    /// The time of the start.
    pub started_at: Timestamp,
    /// The time when the worker became ready.
    #[serde(default)]
    pub ready_at: Option<Timestamp>,
    /// The time when the exit was observed.
    #[serde(default)]
    pub exited_at: Option<Timestamp>,
    /// The exit.
    #[serde(default, with = "exit::stored")]
    pub exit: Option<ChildExit>,
    /// The cause of the end; absent in the record of a start that failed under an older version, and of a worker that
    /// never existed.
    #[serde(default, skip_serializing_if = "is_unknown_to_older_versions")]
    pub ended_by: Option<EndedBy>,
    /// The unknown fields of a later version.
    #[serde(flatten, skip_deserializing)]
    pub unknown: Map<String, Value>,
}

impl Serialize for SessionRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dumped = matches!(self.exit, Some(ChildExit::CoreDumped(_)));
        let framed = Framed {
            schema_version: self.schema_version(),
            record: self,
            core_dumped: dumped.then_some(true),
            start_ended_by: self.ended_by.filter(|by| !by.is_known_to_older_versions()),
        };
        framed.serialize(serializer)
    }
}

/// A record, with the schema as the first field. The last fields refine `exit` and `ended_by`: a reader without them
/// would refuse another value of `exit` or `ended_by`, and keeps a field that it does not know.
#[derive(Serialize)]
struct Framed<'r> {
    schema_version: u32,
    #[serde(flatten, serialize_with = "serialize_fields")]
    record: &'r SessionRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    core_dumped: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_ended_by: Option<EndedBy>,
}

/// The derived serializer; `remote` makes the derived function inherent.
fn serialize_fields<S: Serializer>(record: &&SessionRecord, serializer: S) -> Result<S::Ok, S::Error> {
    SessionRecord::serialize(record, serializer)
}

impl<'de> Deserialize<'de> for SessionRecord {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        let mut rest = Rest::default();
        let record = Self::deserialize(Sift { object, rest: &mut rest })?;
        let plan = rest.recorded_plan(&record.session)?;
        let exit = match (record.exit, rest.core_dumped) {
            (Some(ChildExit::Signal(signal)), Some(true)) => Some(ChildExit::CoreDumped(signal)),
            (exit, _) => exit,
        };
        let ended_by = record.ended_by.or(rest.start_ended_by);
        Ok(Self { plan, exit, ended_by, unknown: rest.unknown, ..record })
    }
}

/// The fields that decide how to read the plan, and that are not fields of the record.
#[derive(Default)]
struct Rest {
    schema_version: Option<u32>,
    plan: Option<Box<SpawnBgPlan>>,
    core_dumped: Option<bool>,
    start_ended_by: Option<EndedBy>,
    unknown: Map<String, Value>,
}

impl Remainder for Rest {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, object: &mut A) -> Result<(), A::Error> {
        match name.as_str() {
            SCHEMA => once(SCHEMA, &mut self.schema_version, object.next_value()?),
            PLAN => once(PLAN, &mut self.plan, object.next_value()?),
            CORE_DUMPED => once(CORE_DUMPED, &mut self.core_dumped, object.next_value()?),
            START_ENDED_BY => once(START_ENDED_BY, &mut self.start_ended_by, object.next_value()?),
            _ => self.unknown.take(name, object),
        }
    }
}

fn once<T, E: serde::de::Error>(name: &'static str, slot: &mut Option<T>, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

impl Rest {
    fn recorded_plan<E: serde::de::Error>(&mut self, session: &SessionId) -> Result<RecordedPlan, E> {
        match (self.schema_version, self.plan.take()) {
            (Some(SCHEMA_VERSION), Some(plan)) if plan.session_id != *session => {
                Err(E::custom(format_args!("its plan is of session `{}`", plan.session_id)))
            }
            (Some(SCHEMA_VERSION), Some(plan)) => {
                // A copy of the plan's socket, for versions that only know schema 1.
                self.unknown.remove(SOCKET);
                Ok(RecordedPlan::Whole(plan))
            }
            (Some(OUTLINE_SCHEMA_VERSION), None) => {
                let taken = Outline::FIELDS.iter().filter_map(|name| self.unknown.remove_entry(*name));
                serde_json::from_value(Value::Object(taken.collect()))
                    .map(RecordedPlan::Outline)
                    .map_err(|error| E::custom(unreadable(&error)))
            }
            (Some(SCHEMA_VERSION), None) => Err(E::missing_field(PLAN)),
            (Some(OUTLINE_SCHEMA_VERSION), Some(_)) => Err(E::custom("a record of schema 1 has no plan")),
            (Some(version), _) => Err(E::custom(format_args!("schema_version {version} is not known"))),
            (None, _) => Err(E::missing_field(SCHEMA)),
        }
    }
}

/// The field with the schema.
const SCHEMA: &str = "schema_version";

/// The field with the whole plan, since schema 2.
const PLAN: &str = "plan";

/// The field beside `exit` that says whether the kernel wrote a core dump; absent if not.
pub const CORE_DUMPED: &str = "core_dumped";

/// The field with the cause of an end that older versions do not know.
pub const START_ENDED_BY: &str = "start_ended_by";

/// The field with the path of the worker's socket, in every schema.
const SOCKET: &str = "socket";

/// The field with the worker's endpoint.
const ADDRESS: &str = "address";

/// The recorded part of the start's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RecordedPlan {
    /// The whole plan without withheld values: enough to start the worker again.
    #[serde(serialize_with = "serialize_whole")]
    Whole(Box<SpawnBgPlan>),
    /// The fields of schema 1, also known from a lifeline's mark if the record was lost.
    Outline(Outline),
}

fn serialize_whole<S: Serializer>(plan: &SpawnBgPlan, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Whole<'p> {
        #[serde(skip_serializing_if = "Option::is_none")]
        socket: Option<byte_text::ByteText<'p>>,
        plan: &'p SpawnBgPlan,
    }
    let socket = plan.expected_socket_path().map(|path| byte_text::ByteText(path.as_os_str()));
    Whole { socket, plan }.serialize(serializer)
}

/// A part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// The program, absolute if found.
    #[serde(with = "byte_text")]
    pub program: PathBuf,
    /// The arguments, as passed to the program.
    #[serde(with = "byte_text")]
    pub arguments: Vec<OsString>,
    /// The working directory.
    #[serde(with = "byte_text")]
    pub cwd: PathBuf,
    /// The socket of the worker, if the endpoint is a Unix socket.
    #[serde(default, with = "byte_text", skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The condition for ready.
    pub readiness: Readiness,
    /// The version spoken by the host, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speak: Option<Version>,
}

impl Outline {
    const FIELDS: [&'static str; 6] = ["program", "arguments", "cwd", SOCKET, "readiness", "speak"];
}

impl RecordedPlan {
    /// A placeholder until the plan is read.
    fn unread() -> Self {
        Self::Outline(Outline {
            program: PathBuf::new(),
            arguments: Vec::new(),
            cwd: PathBuf::new(),
            socket: None,
            readiness: Readiness::default(),
            speak: None,
        })
    }
}

impl SessionRecord {
    /// The record of a start that begins now. Written before the process exists.
    pub fn starting(
        plan: &SpawnBgPlan,
        generation: Generation,
        nonce: Nonce,
        launcher: ProcessIdentity,
        started_at: Timestamp,
    ) -> Self {
        Self {
            session: plan.session_id.clone(),
            generation,
            nonce,
            state: RecordState::Starting,
            worker: None,
            peer: None,
            launcher,
            answered_at: Some(plan.target().clone()),
            plan: RecordedPlan::Whole(Box::new(plan.for_record())),
            worker_version: None,
            worker_name: None,
            lifeline_held_when_ready: None,
            socket_file: None,
            started_at,
            ready_at: None,
            exited_at: None,
            exit: None,
            ended_by: None,
            unknown: Map::new(),
        }
    }

    /// The schema of the written record.
    pub fn schema_version(&self) -> u32 {
        match self.plan {
            RecordedPlan::Whole(_) => SCHEMA_VERSION,
            RecordedPlan::Outline(_) => OUTLINE_SCHEMA_VERSION,
        }
    }

    /// The whole plan without withheld values; `None` for a record of schema 1.
    pub fn whole_plan(&self) -> Option<&SpawnBgPlan> {
        match &self.plan {
            RecordedPlan::Whole(plan) => Some(plan),
            RecordedPlan::Outline(_) => None,
        }
    }

    /// The program, absolute if found.
    pub fn program(&self) -> &Path {
        match &self.plan {
            RecordedPlan::Whole(plan) => Path::new(plan.program().unwrap_or_default()),
            RecordedPlan::Outline(outline) => &outline.program,
        }
    }

    /// The arguments, as passed to the program.
    pub fn arguments(&self) -> &[OsString] {
        match &self.plan {
            RecordedPlan::Whole(plan) => plan.launch_args.get(1..).unwrap_or_default(),
            RecordedPlan::Outline(outline) => &outline.arguments,
        }
    }

    /// The working directory.
    pub fn cwd(&self) -> &Path {
        match &self.plan {
            RecordedPlan::Whole(plan) => &plan.cwd,
            RecordedPlan::Outline(outline) => &outline.cwd,
        }
    }

    /// The endpoint of the worker.
    pub fn endpoint(&self) -> Endpoint {
        let planned = || match &self.plan {
            RecordedPlan::Whole(plan) => plan.target().clone(),
            RecordedPlan::Outline(outline) => outline.socket.clone().map_or(Endpoint::None, Endpoint::Unix),
        };
        self.answered_at.clone().unwrap_or_else(planned)
    }

    /// The path of the worker's socket, if the endpoint is a Unix socket.
    pub fn socket(&self) -> Option<&Path> {
        match &self.plan {
            RecordedPlan::Whole(plan) => plan.expected_socket_path(),
            RecordedPlan::Outline(outline) => outline.socket.as_deref(),
        }
    }

    /// The condition for ready.
    pub fn readiness(&self) -> &Readiness {
        match &self.plan {
            RecordedPlan::Whole(plan) => &plan.ready,
            RecordedPlan::Outline(outline) => &outline.readiness,
        }
    }

    /// The version spoken by the host, if any.
    pub fn speak(&self) -> Option<&Version> {
        match &self.plan {
            RecordedPlan::Whole(plan) => plan.speaking.as_ref().map(|speaking| &speaking.version),
            RecordedPlan::Outline(outline) => outline.speak.as_ref(),
        }
    }

    /// The way to end the worker; the default policy if the policy is not recorded.
    pub fn kill_policy(&self) -> KillPolicy {
        self.whole_plan().map(|plan| plan.kill_policy).unwrap_or_default()
    }

    /// The role of the worker. If the role is not recorded, the session's name identifies a pool's worker.
    pub fn role(&self) -> Role {
        match &self.plan {
            RecordedPlan::Whole(plan) => plan.role,
            RecordedPlan::Outline(_) if pool::is_generated(&self.session) => Role::PoolWorker,
            RecordedPlan::Outline(_) => Role::Service,
        }
    }

    /// The part of the plan that every schema has.
    pub fn outline(&self) -> Outline {
        Outline {
            program: self.program().to_owned(),
            arguments: self.arguments().to_vec(),
            cwd: self.cwd().to_owned(),
            socket: self.socket().map(ToOwned::to_owned),
            readiness: self.readiness().clone(),
            speak: self.speak().cloned(),
        }
    }

    /// The same start after an answer; `peer` is the answering process.
    #[must_use]
    pub fn into_ready(self, at: Timestamp, peer: Option<ProcessIdentity>) -> Self {
        let ready_at = self.ready_at.or(Some(at));
        let peer = peer.or_else(|| self.peer.clone());
        Self { state: RecordState::Ready, ready_at, peer, ..self }
    }

    /// The same start, with the facts about lifeline and socket from the moment of ready.
    #[must_use]
    pub fn guarded_by(self, lifeline: Lifeline, socket_file: Option<SocketFile>) -> Self {
        let held = Some(lifeline == Lifeline::Held);
        let socket_file = socket_file.or(self.socket_file);
        Self { lifeline_held_when_ready: held, socket_file, ..self }
    }

    /// The same start, with the endpoint at which the worker was seen to listen, if any.
    #[must_use]
    pub fn answering_at(self, endpoint: Option<Endpoint>) -> Self {
        Self { answered_at: endpoint.or(self.answered_at), ..self }
    }

    /// The same start, with the version reported by the worker, if any.
    #[must_use]
    pub fn reporting(self, version: Option<Version>) -> Self {
        Self { worker_version: version.or(self.worker_version), ..self }
    }

    /// The same start after an observed exit.
    #[must_use]
    pub fn into_exited(self, at: Timestamp, exit: ChildExit) -> Self {
        Self { state: RecordState::Exited, exited_at: Some(at), exit: Some(exit), ..self }
    }

    /// The same start, with the process that ended the worker.
    #[must_use]
    pub fn ended_by(self, who: EndedBy) -> Self {
        Self { ended_by: Some(who), ..self }
    }

    /// The record of a provably gone worker; `None` if the record is complete already. A launcher or watcher between a
    /// stop and the stop's record may have found the worker gone without knowing about the stop; the stop then corrects
    /// the record. If the recorded exit is unknown, a known exit takes its place.
    pub fn after_end(self, at: Timestamp, exit: ChildExit, by: EndedBy) -> Option<Self> {
        match self.state {
            RecordState::Starting | RecordState::Ready | RecordState::Retained => {
                return Some(self.into_exited(at, exit).ended_by(by));
            }
            RecordState::Exited => {}
        }
        let is_learned = self.exit == Some(ChildExit::Unknown) && exit.is_known();
        let is_corrected = self.ended_by == Some(EndedBy::Worker) && by == EndedBy::Stop;
        let exit = if is_learned { Some(exit) } else { self.exit };
        let ended_by = if is_corrected { Some(by) } else { self.ended_by };
        (is_learned || is_corrected).then_some(Self { exit, ended_by, ..self })
    }

    /// Whether [`Self::after_end`] with this exit would change the record of an end without a stop.
    pub fn lacks_end(&self, exit: ChildExit) -> bool {
        match self.state {
            RecordState::Starting | RecordState::Ready | RecordState::Retained => true,
            RecordState::Exited => self.exit == Some(ChildExit::Unknown) && exit.is_known(),
        }
    }

    /// The reason why the logs of a gone worker may still be wanted; `None` if the worker was stopped, or ended with
    /// status 0.
    ///
    /// An exited record with `ready_at` but without `ended_by` comes from an older version. In that version only a stop
    /// wrote `exited`.
    pub fn failure(&self) -> Option<&'static str> {
        match (self.state, self.ended_by, self.exit) {
            (_, Some(EndedBy::Stop), _) => None,
            (RecordState::Exited, _, _) if self.ready_at.is_none() => {
                Some("its last start ended before it was ready")
            }
            (RecordState::Exited, None, _)
            | (RecordState::Exited, Some(EndedBy::Worker), Some(ChildExit::Code(0))) => None,
            (RecordState::Exited, Some(EndedBy::Worker), Some(ChildExit::Code(_))) => {
                Some("its worker ended by itself with another status than 0")
            }
            (
                RecordState::Exited,
                Some(EndedBy::Worker),
                Some(ChildExit::Signal(_) | ChildExit::CoreDumped(_)),
            ) => Some("its worker was ended by a signal, and not by a stop"),
            (RecordState::Exited, Some(EndedBy::Worker), Some(ChildExit::Unknown) | None)
            | (RecordState::Ready, _, _) => Some("its worker ended by itself, and how is not known"),
            (RecordState::Exited, Some(EndedBy::Timeout | EndedBy::WatchFailed), _) => {
                Some("its last start was given up by its launcher")
            }
            (RecordState::Starting | RecordState::Retained, _, _) => {
                Some("its last start was never finished")
            }
        }
    }

    /// The same start, which created no process.
    #[must_use]
    pub fn into_never_started(self, at: Timestamp) -> Self {
        Self { state: RecordState::Exited, exited_at: Some(at), exit: None, ..self }
    }

    /// The same start, without an observation.
    #[must_use]
    pub fn into_retained(self) -> Self {
        Self { state: RecordState::Retained, ..self }
    }

    /// The same start, with the version reported by the worker and the worker's name of the session.
    #[must_use]
    pub fn into_fed(self, version: Option<Version>, name: WorkerName) -> Self {
        Self { worker_version: version.or(self.worker_version), worker_name: Some(name), ..self }
    }

    /// Whether the lifeline was held when the worker became ready; `None` for a start that was not observed.
    pub fn lifeline_history(&self) -> Option<LifelineHistory> {
        self.ready_at?;
        let held = self.lifeline_held_when_ready == Some(true);
        Some(if held { LifelineHistory::WasHeld } else { LifelineHistory::NotKnown })
    }

    /// Whether the worker of this start has answered.
    pub fn start_observed(&self) -> bool {
        self.ready_at.is_some()
    }

    /// Whether `plan` has another program or other arguments than the record.
    pub fn differs_from(&self, plan: &SpawnBgPlan) -> bool {
        plan.program().map(Path::new) != Some(self.program())
            || plan.launch_args.get(1..) != Some(self.arguments())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_unknown_to_older_versions(by: &Option<EndedBy>) -> bool {
    !by.is_some_and(EndedBy::is_known_to_older_versions)
}

/// The identity of a socket file, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SocketFile {
    /// The device of the file.
    pub device: u64,
    /// The inode number on the device.
    pub inode: u64,
}

/// The content of a record file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFile {
    /// No file, or an empty file after a power cut.
    Absent,
    /// A readable record that may be rewritten.
    Whole(Box<SessionRecord>),
    /// A record of a later version: the worker can be attached to, and the record is never rewritten.
    Newer(NewerRecord),
    /// Not a record. The file stays in place.
    Corrupt {
        /// The problem with the content.
        why: String,
    },
}

/// The readable part of a later version's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerRecord {
    /// The schema.
    pub schema_version: u32,
    /// The whole content, unchanged.
    pub content: Map<String, Value>,
    /// The endpoint of the worker, if readable.
    endpoint: Option<Endpoint>,
}

impl NewerRecord {
    /// A record with the given schema and content.
    pub fn new(schema_version: u32, content: Map<String, Value>) -> Self {
        let text = |name| content.get(name).and_then(byte_text::from_value);
        let address = text(ADDRESS).and_then(|address| Endpoint::from_text(&address).ok());
        let endpoint = address.or_else(|| text(SOCKET).map(PathBuf::from).map(Endpoint::Unix));
        Self { schema_version, content, endpoint }
    }

    /// The endpoint of the worker, if readable.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// The role of the worker, if the plan has the role in a form known to this version.
    pub fn role(&self) -> Option<Role> {
        let plan = self.content.get(PLAN)?.as_object()?;
        plan.get("role").map_or(Some(Role::default()), |role| Role::deserialize(role).ok())
    }

    /// The generation of the start.
    pub fn generation(&self) -> Option<Generation> {
        self.content.get("generation").and_then(Value::as_u64).map(Generation::new)
    }
}

/// The time when a file was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// During this boot.
    ThisBoot,
    /// Before this boot.
    BeforeThisBoot,
}

impl RecordFile {
    /// Reads the content of a session's record file; `None` means no file.
    ///
    /// An empty file older than the boot is a record that never reached the disk. A younger empty file is corrupt,
    /// since a record is always written whole.
    pub fn read(content: Option<&[u8]>, written: Written, session: &SessionId) -> Self {
        match (content, written) {
            (None, _) | (Some([]), Written::BeforeThisBoot) => Self::Absent,
            (Some(content), _) => Self::parse(content, session).unwrap_or_else(|why| Self::Corrupt { why }),
        }
    }

    fn parse(content: &[u8], session: &SessionId) -> Result<Self, String> {
        // Nearly every record belongs to this session and has this schema; only other records are read a second time.
        match serde_json::from_slice::<SessionRecord>(content) {
            Ok(record) if record.session == *session => {
                return Ok(Self::Whole(Box::new(record)));
            }
            Ok(_) | Err(_) => {}
        }
        let head: Head = serde_json::from_slice(content).map_err(|error| unreadable(&error))?;
        let version = head.schema_version.as_u64().ok_or("it has no schema_version")?;
        let named = head.session.as_str().ok_or("it names no session")?;
        if named != session.as_str() {
            return Err(format!("it describes session `{}`", Shown(named)));
        }
        match u32::try_from(version) {
            Ok(version) if version <= SCHEMA_VERSION => {}
            Ok(schema_version) => {
                let content = serde_json::from_slice(content).map_err(|error| unreadable(&error))?;
                return Ok(Self::Newer(NewerRecord::new(schema_version, content)));
            }
            Err(_) => return Err(format!("schema_version {version} is out of range")),
        }
        let record = serde_json::from_slice(content).map_err(|error| unreadable(&error))?;
        Ok(Self::Whole(Box::new(record)))
    }
}

/// An error text of serde may quote the content, so control characters are escaped.
fn unreadable(error: &serde_json::Error) -> String {
    Shown(&error.to_string()).to_string()
}

/// The field that decides how to read the rest of a record.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    schema_version: Value,
    #[serde(default)]
    session: Value,
}
