//! Redis for the actors: one multiplexed connection that heals, and connections of their own for
//! commands that block. Every command runs under a client span and within a time limit.
//!
//! Redis only moves work: whatever is in it may vanish at any moment.

use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue};
use tokio::sync::OnceCell;

use super::error::{Dependency, Fault};
use super::metrics::Operations;
use super::trace::Trace;

/// How long a command may take, on a connection that answers at once.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_millis(1000);

/// Where Redis is. It can hold a password, and so never shows itself.
#[derive(Clone)]
pub struct Url(Client);

impl Url {
    /// Checks a URL.
    ///
    /// # Errors
    /// When it is not one of Redis'. The message does not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Client::open(text).map(Self).map_err(|_| "is not a Redis URL".to_owned())
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Url(***)")
    }
}

/// Redis, as the job actors know it.
pub struct Redis {
    client: Client,
    shared: OnceCell<ConnectionManager>,
    measured: Operations,
}

impl Redis {
    /// A handle; nothing is connected yet.
    pub fn new(Url(client): &Url) -> Self {
        Self { client: client.clone(), shared: OnceCell::new(), measured: Operations::of_redis(whereabouts(client)) }
    }

    /// Runs `command` under a span named `operation`.
    ///
    /// # Errors
    /// When Redis cannot be reached, refuses, or takes too long.
    pub async fn run<T: FromRedisValue>(
        &self,
        trace: &Trace,
        operation: &'static str,
        command: &redis::Cmd,
    ) -> Result<T, Fault> {
        self.observed(trace, operation, async |mut connection| command.query_async(&mut connection).await).await
    }

    /// Runs `pipeline` in one round trip under a span named `operation`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn pipeline<T: FromRedisValue>(
        &self,
        trace: &Trace,
        operation: &'static str,
        pipeline: &redis::Pipeline,
    ) -> Result<T, Fault> {
        self.observed(trace, operation, async |mut connection| pipeline.query_async(&mut connection).await).await
    }

    /// Runs `script` atomically under a span named `operation`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn script<T: FromRedisValue>(
        &self,
        trace: &Trace,
        operation: &'static str,
        script: &redis::ScriptInvocation<'_>,
    ) -> Result<T, Fault> {
        self.observed(trace, operation, async |mut connection| script.invoke_async(&mut connection).await).await
    }

    /// A connection of one's own for commands that block: it waits for its answers as long as they take.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn blocking(&self) -> Result<MultiplexedConnection, Fault> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_WITHIN)).set_response_timeout(None);
        Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
    }

    async fn observed<T>(
        &self,
        trace: &Trace,
        operation: &'static str,
        work: impl AsyncFnOnce(ConnectionManager) -> redis::RedisResult<T>,
    ) -> Result<T, Fault> {
        let span = trace.child(|| {
            SpanBuilder::from_name(operation).with_kind(SpanKind::Client).with_attributes([
                KeyValue::new("db.system.name", "redis"),
                KeyValue::new("db.operation.name", operation),
            ])
        });
        let started = Instant::now();
        let answer = async { Ok(work(self.connection().await?).await?) };
        let result = match tokio::time::timeout(CONNECT_WITHIN, answer).await {
            Ok(result) => result,
            Err(_) => Err(Fault::unavailable(Dependency::Redis, "no answer in time")),
        };
        match &result {
            Ok(_) => self.measured.done(operation, started.elapsed(), 1),
            Err(_) => self.measured.failed(operation, started.elapsed(), "unavailable"),
        }
        if result.is_err() {
            span.fail("unavailable", || "the command failed".to_owned());
        }
        result
    }

    async fn connection(&self) -> Result<ConnectionManager, Fault> {
        let connect = async || {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(CONNECT_WITHIN))
                .set_response_timeout(Some(ANSWER_WITHIN))
                .set_number_of_retries(1)
                .set_max_delay(Duration::from_millis(100));
            ConnectionManager::new_with_config(self.client.clone(), config).await
        };
        Ok(self.shared.get_or_try_init(connect).await?.clone())
    }
}

/// Which database it is, and where.
fn whereabouts(client: &Client) -> Vec<KeyValue> {
    let info = client.get_connection_info();
    let address = match info.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        ConnectionAddr::Unix(path) => path.display().to_string(),
        _ => return Vec::new(),
    };
    let namespace = info.redis_settings().db().to_string();
    vec![KeyValue::new("db.namespace", namespace), KeyValue::new("server.address", address)]
}
