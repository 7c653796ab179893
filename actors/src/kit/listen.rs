//! A connection on which PostgreSQL says that something happened: kept, looked at, and made anew when it is lost.
//!
//! ```text
//! wanted ─▶ connect ─▶ listen ─▶ begun ─▶ heard, heard, … ─▶ it ends, or answers no more ─▶ a pause, and again
//! ```
//!
//! What is said while nobody listens is lost: whoever hears follows a slow clock of their own as well. What must stay
//! true: `begun` is told after the listening began, since what committed before gave no notice to us; a connection
//! that is dead without a sign is given up within [`LOOK_EVERY`] and twice the connect timeout.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Socket};

use super::error::{Dependency, Fault};
use super::postgres::{Postgres, lost};
use super::retry::Backoff;
use super::routine::{Routine, Stopping};

/// Between two looks whether the server still answers: the network's own limits see a link that is cut, and not a
/// server or a proxy that keeps it open and says nothing any more.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// While PostgreSQL is away.
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };

/// Who is told of what happens on a channel.
pub(crate) trait Hear: Send + Sync + 'static {
    /// The channel: a name that needs no quotes.
    const CHANNEL: &'static str;

    /// Completes when there is a reason to listen. Cancel-safe.
    fn wanted(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// From here on nothing is missed; anything may have happened before.
    fn begun(&self);

    /// Something happened.
    fn heard(&self, payload: &str);
}

/// Keeps the connection.
pub(crate) struct Listener<H> {
    /// Where it leads.
    pub(crate) postgres: Postgres,
    /// Who is told.
    pub(crate) hear: Arc<H>,
}

impl<H: Hear> Routine for Listener<H> {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let mut failures = 0;
        while stopping.unless(self.hear.wanted()).await.is_some() {
            let Some(Err(fault)) = stopping.unless(self.listen(&mut failures)).await else { break };
            failures += 1;
            if failures == 1 {
                tracing::warn!(exception.message = %fault, channel = H::CHANNEL, "cannot listen to the database; slow clocks go on");
            }
            if stopping.unless(tokio::time::sleep(RETRY.draw(failures))).await.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl<H: Hear> Listener<H> {
    /// Listens until the connection is lost.
    async fn listen(&self, failures: &mut u32) -> Result<Infallible, Fault> {
        let readers = self.postgres.readers();
        // The driver limits only the way to the server, and not what that then takes to let us in or to answer.
        let patience = readers.connect_within() * 2;
        let (client, connection) = within(patience, readers.config().connect(NoTls)).await?;
        tokio::select! {
            fault = self.hear(connection) => Err(fault),
            ended = self.attend(&client, patience, failures) => ended,
        }
    }

    /// Tells what is said, and how that came to its end.
    async fn hear(&self, mut connection: Connection<Socket, NoTlsStream>) -> Fault {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(notice))) => self.hear.heard(notice.payload()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return lost(&error),
                None => return Fault::unavailable(Dependency::Postgres, "the connection ended"),
            }
        }
    }

    /// Begins to listen, and sees to it that the server is still there.
    async fn attend(&self, client: &Client, patience: Duration, failures: &mut u32) -> Result<Infallible, Fault> {
        within(patience, client.batch_execute(&format!("listen {}", H::CHANNEL))).await?;
        self.hear.begun();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            within(patience, client.check_connection()).await?;
            // One that ends as soon as it is made does not count as mended.
            *failures = 0;
        }
    }
}

/// What `work` comes to, unless it takes too long.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done.map_err(|error| lost(&error)),
        Err(_) => Err(Fault::unavailable(Dependency::Postgres, "no answer in time")),
    }
}
