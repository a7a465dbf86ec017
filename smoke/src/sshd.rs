//! A real sshd for this user, on a port of the loopback device, with keys and settings of its own.
//!
//! # Invariants
//! 1. The port is bound before anybody is told of it: the suite listens, and starts `sshd -i` for each connection.
//! 2. Every process of a connection has the test environment's directory in its environment.

use crate::cli::Launcher;
use crate::programs;
use crate::test_env::{CANARY, TestEnv};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// The directory that sshd wants before it gives up root's rights. Debian's unit makes the same.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// A server for ssh. When dropped, no connection is taken any more.
#[derive(Debug)]
pub struct Sshd {
    at: SocketAddr,
    dir: PathBuf,
    /// The connections whose first process runs.
    open: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    taker: Option<JoinHandle<()>>,
}

impl Sshd {
    /// Starts a server; a command there has the test environment's state directory as `$REKINDLE_DIR`.
    ///
    /// # Panics
    /// If OpenSSH's server is not installed, or cannot be set up.
    pub fn start(env: &TestEnv) -> Self {
        let dir = env.path("sshd");
        fs::create_dir(&dir).expect("the test environment is writable");
        for key in ["host", "user"] {
            let keygen = programs::find("ssh-keygen", "openssh-client");
            let made =
                env.command(keygen).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)).status();
            assert!(made.expect("ssh-keygen can be started").success());
        }
        let config = format!(
            "HostKey {dir}/host\nAuthorizedKeysFile {dir}/user.pub\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             PermitRootLogin yes\nPidFile none\nSetEnv {CANARY}={canary} REKINDLE_DIR={state}\n",
            dir = dir.display(),
            canary = env.dir().display(),
            state = env.state().display()
        );
        fs::write(dir.join("config"), config).expect("the test environment is writable");
        if nix::unistd::geteuid().is_root() {
            fs::create_dir_all(PRIVILEGE_SEPARATION).expect("root can make the directory");
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port can be bound");
        let at = listener.local_addr().expect("it is bound");
        let (open, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let taker = thread::spawn({
            let (open, is_over, command) = (Arc::clone(&open), Arc::clone(&is_over), Server::new(env, &dir));
            move || {
                for connection in listener.incoming() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    command.serve(connection, &open);
                }
            }
        });
        Self { at, dir, open, is_over, taker: Some(taker) }
    }

    /// `ssh` with options, for a command line of the other side's shell.
    pub fn ssh(&self, env: &TestEnv, options: &[&str], line: &str) -> Command {
        let mut ssh = env.command(programs::find("ssh", "openssh-client"));
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"]);
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i"]);
        ssh.arg(self.dir.join("user")).arg("-p").arg(self.at.port().to_string()).args(options);
        ssh.arg(self.at.ip().to_string()).arg(line).env_remove("SSH_AUTH_SOCK");
        ssh
    }

    /// Starts a command on the other side.
    pub fn launch(&self, env: &TestEnv, line: &str) -> Launcher {
        Launcher::start(self.ssh(env, &[], line))
    }

    /// The number of connections that are served.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread. If that fails, the thread is left to the end of the suite.
        if TcpStream::connect(self.at).is_ok()
            && let Some(taker) = self.taker.take()
        {
            let _ = taker.join();
        }
    }
}

/// The command line of `sshd -i`.
#[derive(Debug)]
struct Server {
    sshd: String,
    config: PathBuf,
    log: PathBuf,
    env: PathBuf,
}

impl Server {
    fn new(env: &TestEnv, dir: &Path) -> Self {
        let sshd = programs::find("sshd", "openssh-server");
        Self { sshd, config: dir.join("config"), log: dir.join("log"), env: env.dir().to_owned() }
    }

    fn serve(&self, connection: io::Result<TcpStream>, open: &Arc<AtomicUsize>) {
        let connection = OwnedFd::from(connection.expect("a connection can be taken"));
        let copy = connection.try_clone().expect("a descriptor is free");
        let mut sshd = Command::new(&self.sshd);
        sshd.args(["-i", "-f"]).arg(&self.config).arg("-E").arg(&self.log).env(CANARY, &self.env);
        sshd.stdin(Stdio::from(connection)).stdout(Stdio::from(copy)).stderr(Stdio::null());
        let mut child = sshd.spawn().expect("sshd can be started");
        open.fetch_add(1, Ordering::SeqCst);
        let open = Arc::clone(open);
        thread::spawn(move || {
            let _ = child.wait();
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
