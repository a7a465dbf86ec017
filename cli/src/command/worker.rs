//! `rekindle worker`: the reference worker that the demo and the live suite start.

use crate::args::{Protocol, WorkerArgs};
use crate::report::{Exit, Report};
use std::io;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) async fn run(args: &WorkerArgs, report: &Report) -> Exit {
    match serve(args).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            let message = format!("failed to serve on `{}`: {error}", args.socket.display());
            report.failure(
                "worker",
                &message,
                &format!("rekindle probe {}", args.socket.display()),
                Exit::Failed,
            )
        }
    }
}

async fn serve(args: &WorkerArgs) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    // The launcher has removed what was stale; what stands here now is somebody's, and `bind` refuses it.
    let listener = UnixListener::bind(&args.socket)?;
    loop {
        tokio::select! {
            client = listener.accept() => {
                let (client, _) = client?;
                match args.protocol {
                    Protocol::Echo => drop(tokio::spawn(echo(client))),
                }
            }
            _ = terminate.recv() => {
                if !args.ignore_term {
                    return remove_socket(&args.socket);
                }
            }
        }
    }
}

fn remove_socket(socket: &Path) -> io::Result<()> {
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
