//! A program that only imports `rekindle::`: starts a worker or attaches to a running worker, and prints the outcome.
//!
//! ```sh
//! cargo run -p rekindle --example first_program -- python3 -c '
//! import os, socket
//! listener = socket.socket(socket.AF_UNIX)
//! listener.bind(os.environ["REKINDLE_SOCKET"])
//! listener.listen()
//! while True: listener.accept()'
//! ```

use rekindle::{
    ChildExit, Connection, Ensured, Generation, KillPolicy, Launch, Pid, Readiness, RejectReason, SessionId,
    Sessions, StopSignal,
};
use std::error::Error;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let session: SessionId = "first".parse()?;
    let launch = Launch::new(words.next().ok_or("name a program")?)
        .args(words)
        .ready(Readiness::Connect)
        .timeout(Duration::from_secs(10))
        .kill_policy(KillPolicy::TermOnly { grace: Duration::from_secs(5), signal: StopSignal::TERM });
    match Sessions::open_default()?.ensure(&session, launch).await? {
        Ensured::Running(worker) => {
            let (pid, generation): (Option<Pid>, Generation) = (worker.pid, worker.generation);
            let connection: Connection = worker.connection;
            println!("{pid:?} of start {generation} answers on {}", connection.endpoint());
        }
        Ensured::Exited(exited) if exited.exit == ChildExit::Code(0) => println!("it had nothing to do"),
        Ensured::Rejected(it) if it.reason == RejectReason::TargetLocked => println!("not now: {it}"),
        other => return Err(format!("no worker: {other}").into()),
    }
    Ok(())
}
