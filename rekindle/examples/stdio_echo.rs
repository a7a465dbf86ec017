//! A conversation with a child over its standard streams: a line there and back, then the end.
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

    // Closing the input ends cat. `stop` alone would close the input too, and would then send signals.
    drop(stdin);
    println!("it returned {:?}", child.wait().await?.code());
    println!("nothing of it is left: {:?}", child.stop(&StopPolicy::default()).await.end);
    Ok(())
}
