//! Starts and ends all sessions of a project. The schedule of the core decides; this loop performs.

use super::Project;
use super::happening::Happening;
use crate::error::Error;
use crate::outcome::{Ensured, StopOutcome, Stopped, Tidied};
use crate::sessions::Sessions;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rekindle_core::SessionId;
use rekindle_core::plan::KillChange;
use rekindle_core::project::{Direction, Effect, Ended, Order, Schedule, Summary};
use std::time::Instant;

/// How many sessions start or end at the same time, at most.
const AT_WORK_MAX: usize = 8;

impl Project {
    /// Starts or attaches to every session: a session after all sessions of its `after`, the others side by side. What needs
    /// a failed session is skipped; the others go on. Reports each step to `on`.
    ///
    /// A live worker costs one attach, without a claim.
    ///
    /// # Cancel safety
    /// If dropped, starts in progress continue while the runtime lives, and no other start begins. The next call adopts the
    /// workers.
    ///
    /// ```no_run
    /// use rekindle::project::{Happening, Project};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let project = Project::read("rekindle.toml".as_ref())?;
    /// let sessions = Project::open(project.file())?;
    /// let summary = project.up(&sessions, |happening| {
    ///     if let Happening::Ended { session, outcome: Ok(ensured), .. } = happening {
    ///         println!("{session}: {ensured}");
    ///     }
    /// }).await;
    /// println!("{} of {} run", summary.done, project.sequence().len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn up(&self, sessions: &Sessions, on: impl FnMut(Happening<'_, Ensured>)) -> Summary {
        let work = async |session: SessionId| {
            let launch = self.sessions[&session].clone();
            let outcome = sessions.ensure(&session, launch).await;
            (session, outcome)
        };
        let judge = |outcome: &Result<Ensured, Error>| match outcome {
            Ok(Ensured::Running(_)) => Ended::Well,
            Ok(Ensured::Exited(_) | Ensured::NotStarted(_) | Ensured::Retained(_) | Ensured::Rejected(_))
            | Err(_) => Ended::Badly,
        };
        drive(self.order.clone(), Direction::Up, work, judge, on).await
    }

    /// Ends every session of the file, and every one of `more`: a session before all sessions of its `after`, the others side
    /// by side. A session that never ran has nothing to end. Reports each step to `on`.
    ///
    /// Each worker is ended as its record says, but for the parts of `change`.
    ///
    /// # Cancel safety
    /// If dropped, workers may have been signalled and may still run; a second call is safe.
    pub async fn down(
        &self,
        sessions: &Sessions,
        more: impl IntoIterator<Item = SessionId>,
        change: &KillChange,
        on: impl FnMut(Happening<'_, Stopped>),
    ) -> Summary {
        let work = async |session: SessionId| {
            let outcome = sessions.stop_as_recorded(&session, change).await;
            (session, outcome)
        };
        let judge = |outcome: &Result<Stopped, Error>| match outcome {
            Ok(Stopped { outcome: StopOutcome::GaveUp, .. } | Stopped { tidied: Tidied::No(_), .. }) => {
                Ended::Badly
            }
            Ok(_) | Err(Error::UnknownSession { .. }) => Ended::Well,
            Err(_) => Ended::Badly,
        };
        drive(self.order.clone().with(more), Direction::Down, work, judge, on).await
    }
}

/// Performs the effects of a schedule until every session is settled.
async fn drive<T>(
    order: Order,
    direction: Direction,
    work: impl AsyncFn(SessionId) -> (SessionId, Result<T, Error>),
    judge: impl Fn(&Result<T, Error>) -> Ended,
    mut on: impl FnMut(Happening<'_, T>),
) -> Summary {
    let mut at_work = FuturesUnordered::new();
    let (mut schedule, mut effects) = Schedule::begin(order, direction, AT_WORK_MAX);
    loop {
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::Begin(session) => {
                    on(Happening::Begun(&session));
                    let began = Instant::now();
                    let work = work(session);
                    at_work.push(async move { (work.await, began.elapsed()) });
                }
                Effect::Skip { session, because } => {
                    on(Happening::Skipped { session: &session, because: &because });
                }
            }
        }
        let Some(((session, outcome), elapsed)) = at_work.next().await else {
            return schedule.summary();
        };
        on(Happening::Ended { session: &session, outcome: &outcome, elapsed });
        (schedule, effects) = schedule.ended(&session, judge(&outcome));
    }
}
