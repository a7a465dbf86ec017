//! What is remembered about a session's worker: the durable description, and how it is read.
//!
//! # Invariants
//! 1. Corrupt is never empty: content that cannot be read is an error on that session, and stays where it is.
//! 2. A record of a newer schema is never rewritten; unknown fields survive a rewrite.
//! 3. The state in a record proves nothing by itself; [`crate::session::evidence`] judges.
//! 4. What was started is said once, by [`RecordedPlan`], which also decides the schema: a record with the whole plan is of
//!    schema 2. The next start writes one; until then a record of schema 1 stays as it is.
//!
//! Checked by `gates/tests/record.rs` and `gates/tests/record_versions.rs`.

use crate::effects::ChildExit;
use crate::prelude::*;
use crate::process::id::{Generation, Nonce, SessionId};
use crate::process::identity::ProcessIdentity;
use crate::protocol::{Version, WorkerName, pool};
use crate::session::lifeline::{Lifeline, LifelineHistory};
use crate::session::plan::{KillPolicy, ReadyKind, Role, SpawnBgPlan};
use crate::text::byte_text;
use crate::text::shown::Shown;
use crate::text::sift::{Remainder, Sift};
use jiff::Timestamp;
use serde::de::MapAccess;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The schema of a record with the whole plan: the newest that this version knows, which every start writes.
pub const SCHEMA_VERSION: u32 = 2;

/// The schema of a record with an [`Outline`] of the plan.
const OUTLINE_SCHEMA_VERSION: u32 = 1;

/// How far a start had come when it was last written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordState {
    /// A start was begun; written before the process exists.
    Starting,
    /// Its socket answered.
    Ready,
    /// Its end was observed.
    Exited,
    /// Nothing could be observed of it.
    Retained,
}

/// The description of one generation of a session's worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct SessionRecord {
    /// The session.
    pub session: SessionId,
    /// Which start of it.
    pub generation: Generation,
    /// What the worker was told to know itself by; not the claim's nonce.
    pub nonce: Nonce,
    /// How far the start had come.
    pub state: RecordState,
    /// The process that was started; absent until it is known.
    #[serde(default)]
    pub worker: Option<ProcessIdentity>,
    /// The process that answered when the worker became ready.
    #[serde(default)]
    pub peer: Option<ProcessIdentity>,
    /// The process that started it.
    pub launcher: ProcessIdentity,
    /// What was started, and how.
    #[serde(flatten, skip_deserializing, default = "RecordedPlan::unread")]
    pub plan: RecordedPlan,
    /// The version that the worker reported, where it did.
    #[serde(default)]
    pub worker_version: Option<Version>,
    /// The name by which the worker knows the session; absent until a pool's session was fed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_name: Option<WorkerName>,
    /// Whether the lifeline was held when the worker became ready. A worker that closed it is not known by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifeline_held_when_ready: Option<bool>,
    /// The socket file that the worker answered on, as `{device, inode}`: the only one that may be removed in its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_file: Option<SocketFile>,
    /// When the start began.
    pub started_at: Timestamp,
    /// When it became ready.
    #[serde(default)]
    pub ready_at: Option<Timestamp>,
    /// When its end was observed.
    #[serde(default)]
    pub exited_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default)]
    pub exit: Option<ChildExit>,
    /// Who ended it, once it had been ready or was stopped; absent in a record of a start that came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// What a later version wrote and this one does not know.
    #[serde(flatten, skip_deserializing)]
    pub unknown: Map<String, Value>,
}

impl Serialize for SessionRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Framed { schema_version: self.schema_version(), record: self }.serialize(serializer)
    }
}

/// A record with its schema in front.
#[derive(Serialize)]
struct Framed<'r> {
    schema_version: u32,
    #[serde(flatten, serialize_with = "serialize_fields")]
    record: &'r SessionRecord,
}

/// What was derived, which `remote` makes an inherent function.
fn serialize_fields<S: Serializer>(record: &&SessionRecord, serializer: S) -> Result<S::Ok, S::Error> {
    SessionRecord::serialize(record, serializer)
}

impl<'de> Deserialize<'de> for SessionRecord {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        let mut rest = Rest::default();
        let record = Self::deserialize(Sift { object, rest: &mut rest })?;
        let plan = rest.recorded_plan(&record.session)?;
        Ok(Self { plan, unknown: rest.unknown, ..record })
    }
}

/// What decides how the plan is to be read, and what no field of a record names.
#[derive(Default)]
struct Rest {
    schema_version: Option<u32>,
    plan: Option<Box<SpawnBgPlan>>,
    unknown: Map<String, Value>,
}

impl Remainder for Rest {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, object: &mut A) -> Result<(), A::Error> {
        match name.as_str() {
            SCHEMA => once(SCHEMA, &mut self.schema_version, object.next_value()?),
            PLAN => once(PLAN, &mut self.plan, object.next_value()?),
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
                // Repeated from the plan for versions that know schema 1 only.
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

/// The field that says how a record is to be read.
const SCHEMA: &str = "schema_version";

/// The field with the whole plan, since schema 2.
const PLAN: &str = "plan";

/// The field that says where a worker answers, in every schema.
const SOCKET: &str = "socket";

/// What a record says of the start's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RecordedPlan {
    /// All of it, but what is withheld: enough to start the worker again.
    #[serde(serialize_with = "serialize_whole")]
    Whole(Box<SpawnBgPlan>),
    /// The part that schema 1 has, or that a lifeline's mark says of a worker whose record was lost.
    Outline(Outline),
}

fn serialize_whole<S: Serializer>(plan: &SpawnBgPlan, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Whole<'p> {
        socket: byte_text::ByteText<'p>,
        plan: &'p SpawnBgPlan,
    }
    Whole { socket: byte_text::ByteText(plan.expected_socket_path.as_os_str()), plan }.serialize(serializer)
}

/// A part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// The program, absolute where it was found.
    #[serde(with = "byte_text")]
    pub program: PathBuf,
    /// Its arguments, as it got them.
    #[serde(with = "byte_text")]
    pub arguments: Vec<OsString>,
    /// The directory in which it started.
    #[serde(with = "byte_text")]
    pub cwd: PathBuf,
    /// Where it answers.
    #[serde(with = "byte_text")]
    pub socket: PathBuf,
    /// What counted as ready.
    pub readiness: ReadyKind,
    /// The version in which its host began to speak to it, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speak: Option<Version>,
}

impl Outline {
    const FIELDS: [&'static str; 6] = ["program", "arguments", "cwd", SOCKET, "readiness", "speak"];
}

impl RecordedPlan {
    /// In place of a plan that is read right afterwards.
    fn unread() -> Self {
        Self::Outline(Outline {
            program: PathBuf::new(),
            arguments: Vec::new(),
            cwd: PathBuf::new(),
            socket: PathBuf::new(),
            readiness: ReadyKind::default(),
            speak: None,
        })
    }
}

impl SessionRecord {
    /// The record of a start that begins now, written before its process exists.
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

    /// The schema in which this record is written.
    pub fn schema_version(&self) -> u32 {
        match self.plan {
            RecordedPlan::Whole(_) => SCHEMA_VERSION,
            RecordedPlan::Outline(_) => OUTLINE_SCHEMA_VERSION,
        }
    }

    /// The whole plan, without what is withheld; `None` of a record of schema 1.
    pub fn whole_plan(&self) -> Option<&SpawnBgPlan> {
        match &self.plan {
            RecordedPlan::Whole(plan) => Some(plan),
            RecordedPlan::Outline(_) => None,
        }
    }

    /// The program, absolute where it was found.
    pub fn program(&self) -> &Path {
        match &self.plan {
            RecordedPlan::Whole(plan) => Path::new(plan.program().unwrap_or_default()),
            RecordedPlan::Outline(outline) => &outline.program,
        }
    }

    /// Its arguments, as it got them.
    pub fn arguments(&self) -> &[OsString] {
        match &self.plan {
            RecordedPlan::Whole(plan) => plan.launch_args.get(1..).unwrap_or_default(),
            RecordedPlan::Outline(outline) => &outline.arguments,
        }
    }

    /// The directory in which it started.
    pub fn cwd(&self) -> &Path {
        match &self.plan {
            RecordedPlan::Whole(plan) => &plan.cwd,
            RecordedPlan::Outline(outline) => &outline.cwd,
        }
    }

    /// Where it answers.
    pub fn socket(&self) -> &Path {
        match &self.plan {
            RecordedPlan::Whole(plan) => &plan.expected_socket_path,
            RecordedPlan::Outline(outline) => &outline.socket,
        }
    }

    /// What counted as ready.
    pub fn readiness(&self) -> ReadyKind {
        match &self.plan {
            RecordedPlan::Whole(plan) => plan.ready,
            RecordedPlan::Outline(outline) => outline.readiness,
        }
    }

    /// The version in which its host began to speak to it, where it did.
    pub fn speak(&self) -> Option<&Version> {
        match &self.plan {
            RecordedPlan::Whole(plan) => plan.speaking.as_ref().map(|speaking| &speaking.version),
            RecordedPlan::Outline(outline) => outline.speak.as_ref(),
        }
    }

    /// How the worker is ended where it has to go; the default policy, if the record does not say.
    pub fn kill_policy(&self) -> KillPolicy {
        self.whole_plan().map(|plan| plan.kill_policy).unwrap_or_default()
    }

    /// What the worker is for. Where the record does not say, the name of its session tells a pool's worker.
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
            socket: self.socket().to_owned(),
            readiness: self.readiness(),
            speak: self.speak().cloned(),
        }
    }

    /// The same start, observed to answer; `peer` is the process that did.
    #[must_use]
    pub fn into_ready(self, at: Timestamp, peer: Option<ProcessIdentity>) -> Self {
        let ready_at = self.ready_at.or(Some(at));
        let peer = peer.or_else(|| self.peer.clone());
        Self { state: RecordState::Ready, ready_at, peer, ..self }
    }

    /// The same start, with what was seen of its lifeline and its socket when it became ready.
    #[must_use]
    pub fn guarded_by(self, lifeline: Lifeline, socket_file: Option<SocketFile>) -> Self {
        let held = Some(lifeline == Lifeline::Held);
        let socket_file = socket_file.or(self.socket_file);
        Self { lifeline_held_when_ready: held, socket_file, ..self }
    }

    /// The same start, with the version that its worker reported, if it did.
    #[must_use]
    pub fn reporting(self, version: Option<Version>) -> Self {
        Self { worker_version: version.or(self.worker_version), ..self }
    }

    /// The same start, observed to have ended.
    #[must_use]
    pub fn into_exited(self, at: Timestamp, exit: ChildExit) -> Self {
        Self { state: RecordState::Exited, exited_at: Some(at), exit: Some(exit), ..self }
    }

    /// The same start, with who ended it.
    #[must_use]
    pub fn ended_by(self, who: EndedBy) -> Self {
        Self { ended_by: Some(who), ..self }
    }

    /// The record of a worker that is provably gone; `None` if it says so already. Somebody who came in between a stop and
    /// its record found the worker gone, and could not know by whom.
    pub fn after_end(self, at: Timestamp, exit: ChildExit, by: EndedBy) -> Option<Self> {
        match (self.state, by, self.ended_by) {
            (RecordState::Starting | RecordState::Ready | RecordState::Retained, ..) => {
                Some(self.into_exited(at, exit).ended_by(by))
            }
            (RecordState::Exited, EndedBy::Stop, Some(EndedBy::Worker)) => Some(self.ended_by(by)),
            (RecordState::Exited, EndedBy::Stop, Some(EndedBy::Stop) | None)
            | (RecordState::Exited, EndedBy::Worker, _) => None,
        }
    }

    /// Why its logs may still be wanted, for a worker that is gone; `None` if it was stopped, or ended well by itself.
    ///
    /// A record without `ended_by` that had been ready and is marked exited is of a version that did not write it: there only
    /// a stop marked it.
    pub fn failure(&self) -> Option<&'static str> {
        match (self.state, self.ended_by, self.exit) {
            (_, Some(EndedBy::Stop), _) => None,
            (RecordState::Exited, _, _) if self.ready_at.is_none() => {
                Some("its last start ended before it was ready")
            }
            (RecordState::Exited, None, _)
            | (RecordState::Exited, Some(EndedBy::Worker), Some(ChildExit::Code(0))) => None,
            (RecordState::Exited, Some(EndedBy::Worker), _) | (RecordState::Ready, _, _) => {
                Some("its worker ended by itself, and how is not known")
            }
            (RecordState::Starting | RecordState::Retained, _, _) => {
                Some("its last start was never finished")
            }
        }
    }

    /// The same start, which never came to a process.
    #[must_use]
    pub fn into_never_started(self, at: Timestamp) -> Self {
        Self { state: RecordState::Exited, exited_at: Some(at), exit: None, ..self }
    }

    /// The same start, of which nothing could be observed.
    #[must_use]
    pub fn into_retained(self) -> Self {
        Self { state: RecordState::Retained, ..self }
    }

    /// The same start, whose worker said which version it is and by which name it knows the session.
    #[must_use]
    pub fn into_fed(self, version: Option<Version>, name: WorkerName) -> Self {
        Self { worker_version: version.or(self.worker_version), worker_name: Some(name), ..self }
    }

    /// Whether the lifeline was held when the worker became ready; `None` of a start that nobody observed.
    pub fn lifeline_history(&self) -> Option<LifelineHistory> {
        self.ready_at?;
        let held = self.lifeline_held_when_ready == Some(true);
        Some(if held { LifelineHistory::WasHeld } else { LifelineHistory::NotKnown })
    }

    /// Whether this start came to answer on its socket.
    pub fn start_observed(&self) -> bool {
        self.ready_at.is_some()
    }

    /// Whether `plan` would run something else than what this record describes.
    pub fn differs_from(&self, plan: &SpawnBgPlan) -> bool {
        plan.program().map(Path::new) != Some(self.program())
            || plan.launch_args.get(1..) != Some(self.arguments())
    }
}

/// Who ended a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// A stop of ours.
    Stop,
    /// The worker itself, or somebody who is not us.
    Worker,
}

/// Which file a socket is, whatever stands under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SocketFile {
    /// The device that it is on.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
}

/// What a record file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFile {
    /// There is none, or an empty one that a power cut left behind.
    Absent,
    /// A record that can be read and rewritten.
    Whole(Box<SessionRecord>),
    /// A record of a later version: it can be attached to, and is never rewritten.
    Newer(NewerRecord),
    /// No record. It stays where it is.
    Corrupt {
        /// What is wrong with it.
        why: String,
    },
}

/// What can be said of a record that a later version wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerRecord {
    /// Its schema.
    pub schema_version: u32,
    /// All of it, as it stands.
    pub content: Map<String, Value>,
    /// Where its worker answers, as its content says.
    socket: Option<PathBuf>,
}

impl NewerRecord {
    /// A record of this schema with this content.
    pub fn new(schema_version: u32, content: Map<String, Value>) -> Self {
        let socket = content.get(SOCKET).and_then(byte_text::from_value).map(PathBuf::from);
        Self { schema_version, content, socket }
    }

    /// Where its worker answers.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// What its worker is for, where its plan says that in a way that this version knows.
    pub fn role(&self) -> Option<Role> {
        let plan = self.content.get(PLAN)?.as_object()?;
        plan.get("role").map_or(Some(Role::default()), |role| Role::deserialize(role).ok())
    }

    /// Which start it describes.
    pub fn generation(&self) -> Option<Generation> {
        self.content.get("generation").and_then(Value::as_u64).map(Generation::new)
    }
}

/// When a file was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// During this boot.
    ThisBoot,
    /// Before this boot.
    BeforeThisBoot,
}

impl RecordFile {
    /// Reads the content of a session's record file; `None` where there is no file.
    ///
    /// An empty file is a record that never reached the disk, if it is older than the boot; a younger one is
    /// corrupt, since a record is put in place whole.
    pub fn read(content: Option<&[u8]>, written: Written, session: &SessionId) -> Self {
        match (content, written) {
            (None, _) | (Some([]), Written::BeforeThisBoot) => Self::Absent,
            (Some(content), _) => Self::parse(content, session).unwrap_or_else(|why| Self::Corrupt { why }),
        }
    }

    fn parse(content: &[u8], session: &SessionId) -> Result<Self, String> {
        // Nearly every record is one of ours and of this schema; only another is looked at a second time.
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

/// What serde says of a content may quote it.
fn unreadable(error: &serde_json::Error) -> String {
    Shown(&error.to_string()).to_string()
}

/// What decides how the rest of a record is to be read.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    schema_version: Value,
    #[serde(default)]
    session: Value,
}
