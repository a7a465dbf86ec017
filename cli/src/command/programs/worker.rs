//! `rekindle worker`: a reference worker, for the demo and to try the other verbs.

mod pool;

use crate::args::{Protocol, WorkerArgs};
use crate::report::{Exit, Report};
use pool::PoolWorker;
use rekindle::SocketFile;
use rekindle::frontend::Shown;
use rekindle::frontend::file_at;
use rekindle::serve::{Ended, Serve, ServeError, Signals};
use rekindle::{Advice, Step};
use std::env;
use std::error::Error;
use std::io;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

/// The session's name without REKINDLE_SESSION.
const SESSION_NAME_DEFAULT: &str = "session";

pub(crate) async fn run(args: &WorkerArgs, report: &Report) -> Exit {
    tracing::info!(socket = %Shown(&args.socket), protocol = ?args.protocol, "answering on the socket");
    let served = match args.protocol {
        Protocol::Echo => serve_echo(args).await.map_err(Into::into),
        Protocol::Pool => serve_pool(args).await,
    };
    match served {
        Ok(()) => {
            tracing::info!(socket = %Shown(&args.socket), "was told to end");
            Exit::Done
        }
        Err(error) => {
            let message = format!("failed to serve on `{}`: {error}", Shown(&args.socket));
            let advice = match error.downcast_ref() {
                Some(ServeError::Untrusted { fault, .. }) => Advice::of_mend(fault.mend()),
                Some(_) | None => Step::Probe(args.socket.clone()).into(),
            };
            report.failure("worker", &message, &advice, Exit::Failed)
        }
    }
}

async fn serve_pool(args: &WorkerArgs) -> Result<(), Box<dyn Error>> {
    let name = env::var("REKINDLE_SESSION").ok().and_then(|name| name.parse().ok());
    let name = name.map_or_else(|| SESSION_NAME_DEFAULT.parse(), Ok)?;
    // The signal is received, and ignored.
    let ignored = args.ignore_term.then(|| signal(SignalKind::terminate())).transpose()?;
    let signals = if ignored.is_some() { Signals::LeftAlone } else { Signals::Heeded };
    let serve = Serve::on(&args.socket).signals(signals);
    let serve = args.idle_timeout.into_iter().fold(serve, Serve::idle_timeout);
    match serve.run(PoolWorker::new(name)).await? {
        Ended::Shutdown | Ended::Terminated | Ended::Idle => Ok(()),
    }
}

async fn serve_echo(args: &WorkerArgs) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    // The launcher has removed a stale socket. Any file at the path now belongs to another process, and `bind` refuses.
    let listener = UnixListener::bind(&args.socket)?;
    // `None` if a file of another kind has taken the name already; such a file is never removed.
    let bound = file_at(&args.socket);
    loop {
        tokio::select! {
            client = listener.accept() => {
                let (client, _) = client?;
                drop(tokio::spawn(echo(client)));
            }
            _ = terminate.recv() => {
                if !args.ignore_term {
                    return remove_socket(&args.socket, bound);
                }
            }
        }
    }
}

/// Removes the bound socket, but no other file under the same name.
fn remove_socket(socket: &Path, bound: Option<SocketFile>) -> io::Result<()> {
    if bound.is_none() || file_at(socket) != bound {
        return Ok(());
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn echo(mut client: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = client.split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        writer.write_all(&line).await?;
        line.clear();
    }
    Ok(())
}
