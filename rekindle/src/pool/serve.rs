//! Workers in Rust for the pool protocol: implement [`Handler`], call [`serve()`].
//!
//! The socket is bound at rekindle's path (or at the path given to [`Serve::on`]), accessible to this user only, and
//! replaces only the socket of a dead worker. Clients are served concurrently. SIGTERM, a client's `shutdown` or an
//! idle time-out end the worker: the running requests are finished and the socket is removed.
//!
//! ```
//! use rekindle::pool::{Limits, PoolClient};
//! use rekindle::protocol::{
//!     Continue, Feed, FeedResult, Finish, Query, Refusal, Run, Speaking, StatusReport, StatusRequest, Version,
//! };
//! use rekindle::serve::{Ended, Handler, Serve, async_trait};
//! use serde_json::{Value, json};
//!
//! /// Asks for a name, and greets.
//! struct Greeter;
//!
//! #[async_trait]
//! impl Handler for Greeter {
//!     fn version(&self) -> Version {
//!         "1".parse().expect("a short text is a version")
//!     }
//!
//!     async fn run(&self, _run: Run) -> Result<Feed, Refusal> {
//!         let queries = vec![Query::new("q-0", "What is your name?")];
//!         let session = "greeting".parse().expect("a short text is a name");
//!         Ok(Feed::new(session, &FeedResult::Paused { queries }))
//!     }
//!
//!     async fn continue_session(&self, answer: Continue) -> Result<Feed, Refusal> {
//!         let state = Finish::Completed { result: json!(format!("Hello {}", answer.response)) };
//!         Ok(Feed::new(answer.sid, &FeedResult::Finished { state, metrics: Value::Null }))
//!     }
//!
//!     async fn status(&self, _request: StatusRequest) -> Result<StatusReport, Refusal> {
//!         Ok(StatusReport::default())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let socket = dir.path().join("sock");
//! // A worker started by `rekindle up` only calls `serve(Greeter).await?`.
//! let worker = tokio::spawn(Serve::on(&socket).run(Greeter));
//! # while !socket.exists() { tokio::task::yield_now().await }
//!
//! let speaking = Speaking::exactly("1".parse()?);
//! let mut client = PoolClient::connect(&socket, &speaking, Limits::default()).await?;
//! let paused = client.run(Run::default()).await?;
//! let sid = paused.session_id.ok_or("a session without a name")?;
//! let answer = Continue { sid, response: "Ada".into(), query_id: None, usage: Value::Null };
//! let finished = client.continue_session(answer).await?;
//! assert_eq!(finished.feed_result["Finished"]["state"]["Completed"]["result"], "Hello Ada");
//!
//! client.shutdown().await?;
//! assert_eq!(worker.await??, Ended::Shutdown);
//! # Ok(())
//! # }
//! ```

pub use async_trait::async_trait;
pub use rekindle_adapters::serve::*;
#[doc(inline)]
pub use rekindle_core::target::BadTarget;
