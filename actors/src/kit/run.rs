//! One run of a statement: its span, its count, its duration, and, where the settings say so, a comment in its text
//! that names the span, for whoever finds it in PostgreSQL's views and logs (sqlcommenter).
//!
//! Statements are prepared once a connection and kept by their text. One with a comment is like no other, so it goes by
//! itself and is kept by nobody; the types of its parameters are those of the prepared one without it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use deadpool_postgres::ClientWrapper;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use super::error::Fault;
use super::metrics::Operations;
use super::peer::Peer;
use super::postgres::{Params, classify};
use super::scope::{Scope, Under};
use super::sql::Statement;
use super::trace::Span;

/// How statements are told of.
pub(super) struct Telling {
    /// What spans say of the database.
    pub(super) peer: Peer,
    /// Whether sampled statements carry their `traceparent` in a comment.
    pub(super) comments: bool,
    /// What is measured of them.
    pub(super) measured: Operations,
}

/// What a statement can be asked of: a connection, or a transaction on one.
pub(super) trait Asked: Sync {
    fn prepared(&self, text: &str) -> impl Future<Output = Result<tokio_postgres::Statement, Error>> + Send;
    fn rows(
        &self,
        prepared: &tokio_postgres::Statement,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;
    fn rows_of_text(&self, text: &str, params: Typed<'_>) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;
}

/// Parameters with their types, in their order.
type Typed<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

macro_rules! asked {
    ($($what:ty),+) => {$(
        impl Asked for $what {
            async fn prepared(&self, text: &str) -> Result<tokio_postgres::Statement, Error> {
                self.prepare_cached(text).await
            }
            async fn rows(&self, prepared: &tokio_postgres::Statement, params: Params<'_>) -> Result<Vec<Row>, Error> {
                self.query(prepared, params).await
            }
            async fn rows_of_text(&self, text: &str, params: Typed<'_>) -> Result<Vec<Row>, Error> {
                self.query_typed(text, params).await
            }
        }
    )+};
}

asked!(ClientWrapper, deadpool_postgres::Transaction<'_>);

/// One run of a statement.
pub(super) struct Run<'a> {
    telling: &'a Telling,
    scope: &'a Scope,
    statement: &'static Statement,
    span: Span,
    started: Instant,
    retries: AtomicI64,
}

impl<'a> Run<'a> {
    pub(super) fn begin(telling: &'a Telling, scope: &'a Scope, statement: &'static Statement) -> Self {
        scope.count(statement.summary);
        let span = scope.client(|| {
            let mut attributes = telling.peer.attributes(4);
            attributes.push(KeyValue::new("db.query.text", statement.text));
            attributes.push(KeyValue::new("db.query.summary", statement.summary));
            if let Some(operation) = statement.operation {
                attributes.push(KeyValue::new("db.operation.name", operation));
            }
            if scope.size() > 1 {
                attributes
                    .push(KeyValue::new("db.operation.batch.size", i64::try_from(scope.size()).unwrap_or(i64::MAX)));
            }
            SpanBuilder::from_name(statement.summary).with_kind(SpanKind::Client).with_attributes(attributes)
        });
        let span = span.owed();
        Self { telling, scope, statement, span, started: Instant::now(), retries: AtomicI64::new(0) }
    }

    /// Asks it of a connection.
    pub(super) async fn ask(&self, client: &impl Asked, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let failed = |error| classify(self.statement, error);
        let prepared = client.prepared(self.statement.text).await.map_err(failed)?;
        let rows = match self.commented() {
            None => client.rows(&prepared, params).await,
            Some(text) => {
                let typed: Vec<_> = params.iter().copied().zip(prepared.params().iter().cloned()).collect();
                client.rows_of_text(&text, &typed).await
            }
        };
        rows.map_err(failed)
    }

    /// Notes that it is asked once more.
    pub(super) fn again(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        let took = self.started.elapsed();
        let retries = self.retries.into_inner();
        if retries > 0 {
            self.span.trace().set(|| [KeyValue::new("callboard.statement.retries", retries)]);
        }
        self.span.settle();
        if result.is_ok() {
            self.telling.measured.done(self.statement.summary, took, self.scope.size());
        }
        if let Err(fault) = &result {
            self.telling.measured.failed(self.statement.summary, took, &fault.error_type());
            if let Fault::Statement { .. } = fault {
                let code = fault.error_type();
                self.span.trace().set(|| [KeyValue::new("db.response.status_code", code)]);
            }
            // The driver's text can repeat values; the code tells enough.
            self.span.fail(fault.error_type(), || "the statement failed".to_owned());
        }
        result
    }

    /// The text with its comment; `None` where there is none.
    fn commented(&self) -> Option<String> {
        let trace = Some(self.span.trace()).filter(|trace| self.telling.comments && trace.is_sampled())?;
        let text = self.statement.text.trim_end_matches([';', ' ', '\n']);
        // Nothing in it has to be encoded; after a line, since the last one may end in a comment of its own.
        trace.traceparent().map(|traceparent| format!("{text}\n/*traceparent='{traceparent}'*/"))
    }
}
