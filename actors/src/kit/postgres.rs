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

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use tokio_postgres::Row;
use tokio_postgres::config::Host;
use tokio_postgres::types::ToSql;

use super::error::{Dependency, Fault};
use super::metrics::Operations;
use super::readers::Readers;
use super::sql::Statement;
use super::sqlstate::{Meaning, meaning};
use super::trace::{Scope, Span};
use super::writers::{Lent, Standing, Writers};

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
        // A server that is cut off gives no sign: the network's own limits end such a connection.
        config.connect_timeout(connect_within).tcp_user_timeout(statement_within).keepalives_idle(statement_within);
        if config.get_application_name().is_none() {
            config.application_name("callboard");
        }
        Ok(Self { config, readers, writers, connect_within, statement_within })
    }

    /// The same for connections whose statements look up what they need by key: one loop over indexes within another is
    /// right for all of them, however large the tables are and were when the plan was made.
    fn by_key(&self) -> Self {
        let mut settings = self.clone();
        let options = settings.config.get_options().unwrap_or("").to_owned();
        settings
            .config
            .options(format!("{options} -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"));
        settings
    }
}

/// The database, as every store knows it. Cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    readers: Arc<Readers>,
    scanners: Arc<Readers>,
    writers: Writers,
    measured: Arc<Operations>,
}

impl Postgres {
    /// Handles on the database; nothing is connected yet. The readers are kept by the routine that is
    /// given [`Self::readers`].
    ///
    /// # Errors
    /// When the pool's settings contradict one another.
    pub fn new(settings: &Settings) -> Result<Self, Fault> {
        let readers = |name, settings: &Settings| Arc::new(Readers::new(name, settings));
        Ok(Self {
            readers: readers("readers", &settings.by_key()),
            scanners: readers("scanners", settings),
            writers: Writers::new("writers", settings, settings.writers)?,
            measured: Arc::new(Operations::of_postgres(whereabouts(&settings.config))),
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

    /// Runs a statement that changes something, in a transaction of its own. It is run once more when
    /// PostgreSQL undid it in favor of another transaction.
    ///
    /// # Errors
    /// When PostgreSQL refuses it or cannot be reached; in the latter case the outcome is unknown.
    pub async fn write(
        &self,
        scope: &Scope,
        statement: &'static Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        let run = Run::begin(&self.measured, scope, statement);
        let mut result = self.write_once(scope, statement, params).await;
        if result.as_ref().is_err_and(Fault::is_about_timing) {
            result = self.write_once(scope, statement, params).await;
        }
        run.end(result)
    }

    /// Reads on shared connections, once more when the connection went away: a read changes nothing.
    async fn read_on(
        &self,
        readers: &Readers,
        scope: &Scope,
        statement: &'static Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        let run = Run::begin(&self.measured, scope, statement);
        let result = within(scope.deadline, async {
            match readers.query(statement, params).await {
                Err(Fault::Unavailable { .. }) => readers.query(statement, params).await,
                result => result,
            }
        });
        run.end(result.await.unwrap_or_else(|| Err(late())))
    }

    async fn write_once(
        &self,
        scope: &Scope,
        statement: &'static Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        let client = self.writers.lend().await?;
        let result = within(scope.deadline, async {
            let prepared = client.prepare_cached(statement.text).await.map_err(|e| classify(statement, e))?;
            client.query(&prepared, params).await.map_err(|e| classify(statement, e))
        });
        match result.await {
            Some(result) => result,
            None => {
                // The statement may be running still: nobody else shall wait behind it.
                client.discard();
                Err(late())
            }
        }
    }

    /// A connection of one's own, for a transaction of several statements (see [`Transaction`]).
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached, or all connections are in use for too long.
    pub async fn connection(&self) -> Result<Connection, Fault> {
        Ok(Connection { lent: self.writers.lend().await?, measured: Arc::clone(&self.measured) })
    }

    /// Closes what is idle and refuses new writes.
    pub fn close(&self) {
        self.writers.close();
    }
}

/// A connection that is one's own until it is dropped.
pub struct Connection {
    lent: Lent,
    measured: Arc<Operations>,
}

impl Connection {
    /// Begins a transaction.
    ///
    /// # Errors
    /// When the connection went away.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        let measured = Arc::clone(&self.measured);
        let inner = self.lent.transaction().await.map_err(|error| lost(&error))?;
        Ok(Transaction { inner, measured })
    }
}

/// Several statements that take effect together. Dropping it without a commit rolls back.
pub struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    measured: Arc<Operations>,
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
        let run = Run::begin(&self.measured, scope, statement);
        let result = within(scope.deadline, async {
            let prepared = self.inner.prepare_cached(statement.text).await.map_err(|e| classify(statement, e))?;
            self.inner.query(&prepared, params).await.map_err(|e| classify(statement, e))
        });
        run.end(result.await.unwrap_or_else(|| Err(late())))
    }

    /// Makes it all true.
    ///
    /// # Errors
    /// When the connection went away: the outcome is unknown.
    pub async fn commit(self) -> Result<(), Fault> {
        self.inner.commit().await.map_err(|error| lost(&error))
    }
}

/// What `work` comes to, unless the deadline passes first.
async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline.into(), work).await.ok()
}

fn late() -> Fault {
    Fault::unavailable(Dependency::Postgres, "no answer before the deadline")
}

/// One run of a statement: its span, its count, its duration.
struct Run<'a> {
    measured: &'a Operations,
    scope: &'a Scope,
    statement: &'static Statement,
    span: Span,
    started: Instant,
}

impl<'a> Run<'a> {
    fn begin(measured: &'a Operations, scope: &'a Scope, statement: &'static Statement) -> Self {
        scope.count(statement.summary);
        let span = scope.client(|| {
            let mut attributes = Vec::with_capacity(5);
            attributes.push(KeyValue::new("db.system.name", "postgresql"));
            attributes.push(KeyValue::new("db.query.text", statement.text));
            attributes.push(KeyValue::new("db.query.summary", statement.summary));
            if scope.size() > 1 {
                attributes
                    .push(KeyValue::new("db.operation.batch.size", i64::try_from(scope.size()).unwrap_or(i64::MAX)));
            }
            SpanBuilder::from_name(statement.summary).with_kind(SpanKind::Client).with_attributes(attributes)
        });
        Self { measured, scope, statement, span, started: Instant::now() }
    }

    fn end<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        let took = self.started.elapsed();
        if result.is_ok() {
            self.measured.done(self.statement.summary, took, self.scope.size());
        }
        if let Err(fault) = &result {
            let error_type = match fault {
                Fault::Statement { source, .. } => {
                    source.code().map_or_else(|| "error".to_owned(), |code| code.code().to_owned())
                }
                _ => "unavailable".to_owned(),
            };
            self.measured.failed(self.statement.summary, took, &error_type);
            // The driver's text can repeat values; the code tells enough.
            self.span.fail(error_type, || "the statement failed".to_owned());
        }
        result
    }
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
    Fault::unavailable(Dependency::Postgres, format!("{error}{cause}"))
}

/// Which database it is, and where, as far as the URL says.
fn whereabouts(config: &tokio_postgres::Config) -> Vec<KeyValue> {
    let mut known = Vec::new();
    if let Some(name) = config.get_dbname().or(config.get_user()) {
        known.push(KeyValue::new("db.namespace", name.to_owned()));
    }
    match config.get_hosts().first() {
        Some(Host::Tcp(host)) => known.push(KeyValue::new("server.address", host.clone())),
        #[cfg(unix)]
        Some(Host::Unix(path)) => known.push(KeyValue::new("server.address", path.display().to_string())),
        None => {}
    }
    known
}
