//! Replaces an effect of a start, the socket watcher: the new watcher counts its probes. Every effect can be replaced.
//!
//! ```sh
//! cargo run --example replace_a_seam
//! ```

use async_trait::async_trait;
use rekindle::{Sessions, StopPolicy};
use rekindle_adapters::claim_lock::{ClaimAttempt, try_claim};
use rekindle_adapters::probe::{Connection, Probed, probe_once};
use rekindle_adapters::seams::SharedClaim;
use rekindle_adapters::start::Start;
use rekindle_adapters::{ProductionSpawnBgResumeDeps, StateRoot, procfs};
use rekindle_core::seams::SocketWatcher;
use rekindle_core::{Endpoint, Generation, Outcome, SpawnBgPlan, WatchError, execute_spawn_bg_resume};
use std::env;
use std::error::Error;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

/// Probes every 5 ms, and counts.
struct CountingWatcher(Start);

#[async_trait]
impl SocketWatcher<Connection> for CountingWatcher {
    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<Connection, WatchError> {
        let socket = endpoint.socket().expect("this example plans a Unix socket");
        for looks in 1.. {
            match probe_once(socket) {
                Probed::Live(connection) => {
                    println!("it answered at look number {looks}");
                    self.0.note_alive(&connection);
                    return Ok(connection);
                }
                Probed::Forged { why } => return Err(WatchError::Forged { path: socket.to_owned(), why }),
                Probed::Dormant { .. } | Probed::Indeterminate { .. } | Probed::Foreign { .. } => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        unreachable!("nobody looks that often")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    match env::var_os("REKINDLE_SOCKET") {
        Some(socket) => loop {
            // The worker: becomes ready slowly, and then runs forever.
            std::thread::sleep(Duration::from_millis(50));
            let _listener = UnixListener::bind(&socket)?;
            std::thread::park();
        },
        None => tokio::runtime::Runtime::new()?.block_on(launch()),
    }
}

async fn launch() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let root = StateRoot::open(dir.path().join("state"))?;
    let here = Arc::new(procfs::this_host());
    let session = "counted".parse()?;
    let ClaimAttempt::Held(held) = try_claim(&root, &session, &here)? else {
        return Err("claimed already".into());
    };

    let program = env::current_exe()?.to_str().ok_or("not UTF-8")?.to_owned();
    let endpoint = Endpoint::Unix(held.dir().path_of("sock"));
    let plan = SpawnBgPlan::new(session.clone(), endpoint, env::current_dir()?, &[program], None);
    let claim = held.claim().clone();
    let start = Start::new(SharedClaim::new(*held), here, None);
    let deps = ProductionSpawnBgResumeDeps::fresh(&start, Generation::new(1))
        .socket_watcher(CountingWatcher(start.clone()))
        .build();
    match execute_spawn_bg_resume(&plan, Some(&claim), &deps).await? {
        Outcome::SocketAlive { pid, .. } => println!("the worker runs, pid {pid:?}"),
        other => return Err(format!("no worker: {other:?}").into()),
    }
    let stopped = Sessions::open(root.path())?.stop(&session, &StopPolicy::default()).await?;
    println!("and is {:?}", stopped.outcome);
    Ok(())
}
