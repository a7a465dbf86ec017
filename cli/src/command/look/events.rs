//! `rekindle events`

use crate::args::EventsArgs;
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::frontend::output_hung_up;
use std::path::Path;
use std::pin::pin;

/// Shows events until a signal ends this process, or the reader of stdout leaves.
pub(crate) async fn run(dir: Option<&Path>, args: &EventsArgs, report: &Report) -> Exit {
    let mut events = match sessions(dir).and_then(|sessions| sessions.events(&args.sessions)) {
        Ok(events) if args.since_now => events.since_now(),
        Ok(events) => events,
        Err(error) => return report.error(&error),
    };
    let mut reader_leaves = pin!(output_hung_up());
    while !report.has_lost_output() {
        tokio::select! {
            biased;
            () = &mut reader_leaves => break,
            event = events.next() => match event {
                Ok(event) => report.answer(&event, &event),
                Err(error) => return report.error(&error),
            },
        }
    }
    Exit::Done
}
