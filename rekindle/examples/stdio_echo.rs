//! A child that is spoken to over its standard streams: one line there and back, then its end.
//!
//! Run it: `cargo run -p rekindle --example stdio_echo`

use rekindle::{StdioChild, StdioLaunch, StopPolicy};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let launch = StdioLaunch::new("cat").on_stderr_line(|line| eprintln!("cat complains: {line}"));
    let mut child = StdioChild::spawn(launch).await?;
    let (mut stdin, stdout) = child.stdin.take().zip(child.stdout.take()).ok_or("they are there once")?;

    stdin.write_all(b"is anybody there?\n").await?;
    let mut answer = String::new();
    BufReader::new(stdout).read_line(&mut answer).await?;
    println!("pid {} answers: {}", child.pid(), answer.trim_end());

    // Its input ends, and so does cat. `stop` alone would do the same, and would not take no for an answer.
    drop(stdin);
    println!("it returned {:?}", child.wait().await?.code());
    println!("nothing of it is left: {:?}", child.stop(&StopPolicy::default()).await.end);
    Ok(())
}
