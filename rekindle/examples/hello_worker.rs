//! A program with itself as background worker: run the program twice, and the second run talks to the worker of the
//! first.
//!
//! ```sh
//! cargo run --example hello_worker           # starts the worker, talks to the worker
//! cargo run --example hello_worker           # attaches to the worker, talks to the worker
//! cargo run --example hello_worker -- stop   # ends the worker
//! ```

use rekindle::{Ensured, Launch, Sessions, StopPolicy};
use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

fn main() -> Result<(), Box<dyn Error>> {
    // Rekindle gives its worker the socket's path in a variable.
    match env::var_os("REKINDLE_SOCKET") {
        Some(socket) => be_the_worker(&UnixListener::bind(socket)?),
        None => tokio::runtime::Runtime::new()?.block_on(be_the_host()),
    }
}

async fn be_the_host() -> Result<(), Box<dyn Error>> {
    let sessions = match env::var_os("HELLO_DIR") {
        Some(dir) => Sessions::open(dir)?,
        None => Sessions::open(env::temp_dir().canonicalize()?.join(format!("hello-worker-{}", whoami())))?,
    };
    let session = "hello".parse()?;
    if env::args().nth(1).as_deref() == Some("stop") {
        println!("{:?}", sessions.stop(&session, &StopPolicy::default()).await?.outcome);
        return Ok(());
    }
    let program = env::current_exe()?.to_str().ok_or("not UTF-8")?.to_owned();
    match sessions.ensure(&session, Launch::new(program)).await? {
        Ensured::Running(worker) => {
            println!("{:?}, pid {:?}", worker.kind, worker.pid);
            let mut stream = worker.connection.into_std()?;
            writeln!(stream, "hello")?;
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer)?;
            println!("it says: {}", answer.trim_end());
            Ok(())
        }
        other => Err(format!("no worker: {other:?}").into()),
    }
}

/// Two users must not use the same directory.
fn whoami() -> String {
    env::var("USER").unwrap_or_else(|_| "me".to_owned())
}

fn be_the_worker(listener: &UnixListener) -> Result<(), Box<dyn Error>> {
    for (count, client) in (1..).zip(listener.incoming()) {
        let mut client = client?;
        let mut line = String::new();
        BufReader::new(client.try_clone()?).read_line(&mut line)?;
        // A probe connects and sends nothing.
        if !line.is_empty() {
            writeln!(client, "{} to you, my caller number {count}", line.trim_end())?;
        }
    }
    Ok(())
}
