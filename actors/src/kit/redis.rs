//! Redis for the actors: one multiplexed connection that heals, and connections of their own for
//! commands that block. Every command runs under a client span and within a time limit.
//!
//! Redis only moves work: whatever is in it may vanish at any moment.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{Arg, AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError, RedisResult};
use tokio::sync::OnceCell;

use super::error::{Dependency, Fault};
use super::metrics::Operations;
use super::peer::Peer;
use super::scope::Under;

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
    peer: Peer,
    shared: OnceCell<ConnectionManager>,
    measured: Operations,
}

impl Redis {
    /// A handle; nothing is connected yet.
    pub fn new(Url(client): &Url) -> Self {
        let peer = Peer::redis(client.get_connection_info());
        let measured = Operations::of_redis(peer.where_it_is());
        Self { client: client.clone(), peer, shared: OnceCell::new(), measured }
    }

    /// Runs `command`, which is called `operation`.
    ///
    /// # Errors
    /// When Redis cannot be reached, refuses, or takes too long.
    pub async fn run<T: FromRedisValue>(
        &self,
        under: &impl Under,
        operation: &'static str,
        command: &redis::Cmd,
    ) -> Result<T, Fault> {
        let describe = |attributes: &mut Vec<KeyValue>| {
            attributes.push(KeyValue::new("db.operation.name", operation));
            operation.into()
        };
        self.observed(under, operation, describe, async |mut connection| command.query_async(&mut connection).await)
            .await
    }

    /// Runs `pipeline` in one round trip.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn pipeline<T: FromRedisValue>(&self, under: &impl Under, pipeline: &Pipeline) -> Result<T, Fault> {
        let describe = |attributes: &mut Vec<KeyValue>| describe_pipeline(pipeline, attributes);
        self.observed(under, "PIPELINE", describe, async |mut connection| pipeline.query_async(&mut connection).await)
            .await
    }

    /// Runs `script`, which is called `name`, atomically.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn script<T: FromRedisValue>(
        &self,
        under: &impl Under,
        name: &'static str,
        script: &redis::ScriptInvocation<'_>,
    ) -> Result<T, Fault> {
        let describe = |attributes: &mut Vec<KeyValue>| {
            attributes.push(KeyValue::new("db.operation.name", "EVALSHA"));
            attributes.push(KeyValue::new("db.stored_procedure.name", name));
            if under.size() > 1 {
                attributes.push(batch_size(under.size()));
            }
            format!("EVALSHA {name}").into()
        };
        self.observed(under, "EVALSHA", describe, async |mut connection| script.invoke_async(&mut connection).await)
            .await
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

    /// Does `work` under a span, whose attributes and name `describe` gives; `operation` names it in metrics.
    async fn observed<T>(
        &self,
        under: &impl Under,
        operation: &'static str,
        describe: impl FnOnce(&mut Vec<KeyValue>) -> Cow<'static, str>,
        work: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        let span = under.client(|| {
            let mut attributes = self.peer.attributes(3);
            let name = describe(&mut attributes);
            SpanBuilder::from_name(name).with_kind(SpanKind::Client).with_attributes(attributes)
        });
        let (span, started) = (span.owed(), Instant::now());
        let answer = async { work(self.connection().await?).await };
        let answer = tokio::time::timeout(CONNECT_WITHIN, answer).await;
        span.settle();
        let fault = match answer {
            Ok(Ok(answer)) => {
                self.measured.done(operation, started.elapsed(), 1);
                return Ok(answer);
            }
            Ok(Err(error)) => {
                if let Some(code) = error.code() {
                    span.trace().set(|| [KeyValue::new("db.response.status_code", code.to_owned())]);
                }
                error.into()
            }
            Err(_) => Fault::late(Dependency::Redis, "no answer in time"),
        };
        self.measured.failed(operation, started.elapsed(), &fault.error_type());
        span.fail(fault.error_type(), || "the command failed".to_owned());
        Err(fault)
    }

    async fn connection(&self) -> RedisResult<ConnectionManager> {
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

fn batch_size(size: usize) -> KeyValue {
    KeyValue::new("db.operation.batch.size", i64::try_from(size).unwrap_or(i64::MAX))
}

/// A pipeline is called by its commands; it is a batch only when there are several.
fn describe_pipeline(pipeline: &Pipeline, attributes: &mut Vec<KeyValue>) -> Cow<'static, str> {
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    for command in pipeline.cmd_iter() {
        if let Some(Arg::Simple(name)) = command.args_iter().next() {
            let name = String::from_utf8_lossy(name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let summary = names.join(" ");
    let (operation, name) = match (pipeline.len(), names.len()) {
        (1, _) => (summary.clone(), summary),
        (_, 1) => (format!("PIPELINE {summary}"), format!("PIPELINE {summary}")),
        _ => ("PIPELINE".to_owned(), summary),
    };
    attributes.push(KeyValue::new("db.operation.name", operation));
    if pipeline.len() > 1 {
        attributes.push(KeyValue::new("db.query.summary", name.clone()));
        attributes.push(batch_size(pipeline.len()));
    }
    name.into()
}

/// The `error.type` of an error: Redis' own word where it said one.
pub(super) fn error_type(error: &RedisError) -> Cow<'static, str> {
    match error.code() {
        Some(code) => code.to_owned().into(),
        None if error.is_timeout() => "timeout".into(),
        None if error.is_io_error() => "connection".into(),
        None => "_OTHER".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(pipeline: &Pipeline) -> (String, Vec<String>) {
        let mut attributes = Vec::new();
        let name = describe_pipeline(pipeline, &mut attributes);
        (name.into_owned(), attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect())
    }

    #[test]
    fn a_pipeline_is_named_by_its_commands_and_is_a_batch_only_of_several() {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("XADD").arg("a key");
        assert_eq!(described(&pipeline), ("XADD".into(), vec!["db.operation.name=XADD".into()]));
        pipeline.cmd("XADD").arg("a key");
        let (name, attributes) = described(&pipeline);
        assert_eq!((name.as_str(), attributes[0].as_str()), ("PIPELINE XADD", "db.operation.name=PIPELINE XADD"));
        assert!(attributes.contains(&"db.operation.batch.size=2".to_owned()));
        pipeline.cmd("ZADD").arg("a key");
        let (name, attributes) = described(&pipeline);
        assert_eq!((name.as_str(), attributes[0].as_str()), ("XADD ZADD", "db.operation.name=PIPELINE"));
    }
}
