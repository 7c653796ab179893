//! PostgreSQL for the actors: reads on shared pipelined connections, writes on a pool of their own.
//!
//! Every statement is prepared once a connection, runs under a client span and is counted to each
//! request it serves. Reads are tried once more when their connection went away, since a read changes
//! nothing; a write whose connection went away has an unknown outcome and is reported as such.
//! A statement's time is bounded on the server (`statement_timeout`), for dropping a future cancels nothing,
//! and by the deadline of those it is run for, for a server that is cut off keeps no limits. Reads that may
//! take long have connections of their own: they hold up nobody but their like.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::types::ToSql;

use super::error::{Dependency, Fault};
use super::metrics::Operations;
use super::peer::Peer;
use super::readers::Readers;
use super::run::{Run, Telling};
use super::scope::Scope;
use super::sql::Statement;
use super::sqlstate::{Meaning, meaning};
use super::writers::{Lent, Standing, Writers};

/// How often a write is tried that others get in the way of. Each time it sees what they did, and few do so at once.
const WRITE_TRIES: usize = 4;

/// Parameters of a statement, in their order.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How the database is reached and what may be asked of it at once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub config: tokio_postgres::Config,
    /// Shared connections for reads.
    pub readers: usize,
    /// Connections for writes.
    pub writers: usize,
    /// How long a statement may wait for a connection.
    pub connect_within: Duration,
    /// How long a statement may run, kept by the server.
    pub statement_within: Duration,
    /// Whether sampled statements carry their `traceparent` in a comment.
    pub comments: bool,
}

impl Settings {
    /// Settings for `url`, with the time limits put into the session's options.
    ///
    /// # Errors
    /// When the URL is not one of PostgreSQL's. The message never repeats the URL, for it holds a password.
    pub fn new(
        url: &str,
        readers: usize,
        writers: usize,
        connect_within: Duration,
        statement_within: Duration,
    ) -> Result<Self, String> {
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| "is not a PostgreSQL URL".to_owned())?;
        let millis = statement_within.as_millis();
        let own = config.get_options().unwrap_or("").to_owned();
        // None of our statements is worth compiling, which takes longer than they may run.
        // A process that stops in the middle of a transaction must not keep its locks.
        let limits =
            format!("-c statement_timeout={millis} -c idle_in_transaction_session_timeout={millis} -c jit=off");
        config.options(format!("{own} {limits}").trim());
        // A standby may be behind, and calls different snapshots by one name.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        // A server that is cut off gives no sign: the network's own limits end such a connection.
        config.connect_timeout(connect_within).tcp_user_timeout(statement_within).keepalives_idle(statement_within);
        if config.get_application_name().is_none() {
            config.application_name("callboard");
        }
        Ok(Self { config, readers, writers, connect_within, statement_within, comments: false })
    }

    /// The same for connections whose statements look up what they need by key: one loop over indexes within another is
    /// right for all of them, however large the tables are and were when the plan was made. A row that was looked up before
    /// is not remembered: of so few that takes longer than to look it up again.
    #[must_use]
    pub fn by_key(&self) -> Self {
        self.planned_once().with("-c enable_hashjoin=off -c enable_mergejoin=off -c enable_memoize=off")
    }

    /// The same for connections whose statements find what they need by key, and are planned once for any number of
    /// messages: left to itself, PostgreSQL plans them anew each time as long as they serve one message each, which takes
    /// several times as long as they run. A bitmap of what an index says has every version of a row read that was there since
    /// the last vacuum, each time; a scan of the index notes which are dead.
    #[must_use]
    pub fn planned_once(&self) -> Self {
        self.with("-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off")
    }

    /// The same for connections whose owner wakes those who move jobs, after each commit that left some
    /// (`V20__rung_for.sql`).
    #[must_use]
    pub fn without_notices(&self) -> Self {
        self.with("-c callboard.notices=off")
    }

    fn with(&self, options: &str) -> Self {
        let mut settings = self.clone();
        let before = settings.config.get_options().unwrap_or("").to_owned();
        settings.config.options(format!("{before} {options}").trim());
        settings
    }
}

/// The database, as every store knows it. Cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    readers: Arc<Readers>,
    scanners: Arc<Readers>,
    writers: Writers,
    telling: Arc<Telling>,
}

impl Postgres {
    /// Handles on the database; nothing is connected yet. The readers are kept by the routine that is
    /// given [`Self::readers`].
    ///
    /// # Errors
    /// When the pool's settings contradict one another.
    pub fn new(settings: &Settings) -> Result<Self, Fault> {
        let readers = |name, settings: &Settings| Arc::new(Readers::new(name, settings));
        let peer = Peer::postgres(&settings.config);
        let measured = Operations::of_postgres(peer.where_it_is());
        Ok(Self {
            readers: readers("readers", &settings.by_key()),
            // What is best depends on what is asked for: a word that is rare, or one that all articles have.
            scanners: readers("scanners", &settings.with("-c plan_cache_mode=force_custom_plan")),
            writers: Writers::new("writers", settings, settings.writers)?,
            telling: Arc::new(Telling { peer, comments: settings.comments, measured }),
        })
    }

    /// The same with `count` writing connections that nobody else uses, under a name of their own: for what must not
    /// wait behind requests and jobs, lest this process be taken for dead.
    ///
    /// # Errors
    /// When the pool's settings contradict one another.
    pub fn apart(&self, name: &'static str, settings: &Settings, count: usize) -> Result<Self, Fault> {
        Ok(Self { writers: Writers::new(name, settings, count)?, ..self.clone() })
    }

    /// The shared reading connections.
    pub fn readers(&self) -> &Arc<Readers> {
        &self.readers
    }

    /// The shared connections for reads that may take long.
    pub fn scanners(&self) -> &Arc<Readers> {
        &self.scanners
    }

    /// Counts up before a shared reading connection is first used: as long as it is the same, all of them lead to the
    /// servers that they led to.
    pub fn epoch(&self) -> u64 {
        self.readers.made()
    }

    /// How the writing connections stand.
    pub fn writers(&self) -> Standing {
        self.writers.standing()
    }

    /// Runs a statement that changes nothing. It is run once more when its connection went away.
    ///
    /// # Errors
    /// When PostgreSQL refuses it or cannot be reached.
    pub async fn read(
        &self,
        scope: &Scope,
        statement: &'static Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        self.read_on(&self.readers, scope, statement, params).await
    }

    /// The same for a statement that may take long, on connections where it holds up only its like.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn scan(
        &self,
        scope: &Scope,
        statement: &'static Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        self.read_on(&self.scanners, scope, statement, params).await
    }

    /// Runs a statement that changes something, in a transaction of its own. It is run again, a few times at most, when
    /// PostgreSQL undid it in favor of another transaction, or when what it refers to went while it ran: then it sees
    /// that it is not there. So nobody gets an error for somebody who leaves.
    ///
    /// # Errors
    /// When PostgreSQL refuses it or cannot be reached; in the latter case the outcome is unknown.
    pub async fn write(
        &self,
        scope: &Scope,
        statement: &'static Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        let run = Run::begin(&self.telling, scope, statement);
        let mut result = self.write_once(&run, scope, params).await;
        for _ in 1..WRITE_TRIES {
            if !result.as_ref().is_err_and(|fault| fault.is_about_timing() || fault.has_lost_what_it_refers_to()) {
                break;
            }
            run.again();
            result = self.write_once(&run, scope, params).await;
        }
        run.end(result)
    }

    async fn write_once(&self, run: &Run<'_>, scope: &Scope, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let client = self.writers.lend().await?;
        match within(scope.deadline, run.ask(&**client, params)).await {
            Some(result) => result,
            None => {
                // The statement may be running still: nobody else shall wait behind it.
                client.discard();
                Err(late())
            }
        }
    }

    /// Reads on shared connections, once more when the connection went away: a read changes nothing.
    async fn read_on(
        &self,
        readers: &Readers,
        scope: &Scope,
        statement: &'static Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        let run = Run::begin(&self.telling, scope, statement);
        let result = within(scope.deadline, async {
            match readers.query(&run, params).await {
                Err(Fault::Unavailable { .. }) => {
                    run.again();
                    readers.query(&run, params).await
                }
                result => result,
            }
        });
        let result = result.await.unwrap_or_else(|| Err(late()));
        run.end(result)
    }

    /// A connection of one's own, for a transaction of several statements (see [`Transaction`]).
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached, or all connections are in use for too long.
    pub async fn connection(&self) -> Result<Connection, Fault> {
        Ok(Connection { client: self.writers.lend().await?, telling: Arc::clone(&self.telling) })
    }

    /// Closes what is idle and refuses new writes.
    pub fn close(&self) {
        self.writers.close();
    }
}

/// A connection that is one's own until it is dropped.
pub struct Connection {
    client: Lent,
    telling: Arc<Telling>,
}

impl Connection {
    /// Begins a transaction.
    ///
    /// # Errors
    /// When the connection went away.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        let Self { client, telling } = self;
        client.transaction().await.map(|open| Transaction { open, telling }).map_err(|error| lost(&error))
    }
}

/// Several statements that take effect together. Dropping it without a commit rolls back.
pub struct Transaction<'a> {
    open: deadpool_postgres::Transaction<'a>,
    telling: &'a Telling,
}

impl Transaction<'_> {
    /// Runs a statement within the transaction.
    ///
    /// # Errors
    /// When PostgreSQL refuses it, which ends the transaction, or cannot be reached.
    pub async fn run(
        &self,
        scope: &Scope,
        statement: &'static Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        let run = Run::begin(self.telling, scope, statement);
        let result = within(scope.deadline, run.ask(&self.open, params)).await;
        run.end(result.unwrap_or_else(|| Err(late())))
    }

    /// Makes it all true.
    ///
    /// # Errors
    /// When the connection went away: the outcome is unknown.
    pub async fn commit(self) -> Result<(), Fault> {
        self.open.commit().await.map_err(|error| lost(&error))
    }
}

/// What `work` comes to, unless the deadline passes first.
async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline.into(), work).await.ok()
}

fn late() -> Fault {
    Fault::late(Dependency::Postgres, "no answer before the deadline")
}

/// Tells a statement that PostgreSQL refused from a connection that went away.
pub(super) fn classify(statement: &'static Statement, error: tokio_postgres::Error) -> Fault {
    match error.code().map(|code| meaning(code.code())) {
        None | Some(Meaning::Gone) => lost(&error),
        Some(_) => Fault::Statement { statement: statement.summary, source: Arc::new(error) },
    }
}

pub(super) fn lost(error: &dyn std::error::Error) -> Fault {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Fault::unavailable_for(Dependency::Postgres, "connection", format!("{error}{cause}"))
}
