//! What Redis holds of the jobs: a stream of ids with a consumer group, and a sorted set of ids to be
//! moved into it at their time. All of it may vanish at any moment; PostgreSQL has the truth.

use std::time::Duration;

use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, Cmd, Pipeline, Script};

use crate::kit::redis::Redis;
use crate::kit::{Fault, Trace};

/// The consumer group that all processes belong to.
const GROUP: &str = "workers";
/// The stream's only field.
const FIELD: &str = "job";
/// Ids moved by one run of the script.
const MOVE_AT_ONCE: usize = 500;

/// Moves what is due from the sorted set to the stream, atomically, by Redis' own clock. Answers with the
/// number moved and the milliseconds until the next one is due (-1 when there is none).
const MOVE_DUE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, job in ipairs(due) do
    redis.call('XADD', KEYS[2], '*', ARGV[2], job)
    redis.call('ZREM', KEYS[1], job)
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #next == 0 then return {#due, -1} end
return {#due, math.max(0, next[2] - now)}
";

/// The names of the keys.
pub(super) struct Keys {
    stream: String,
    scheduled: String,
}

/// An entry of the stream.
pub(super) struct Entry {
    /// Its place, to be acknowledged.
    pub(super) place: String,
    /// The job; `None` when it is not one of ours.
    pub(super) job: Option<i64>,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { stream: format!("{prefix}jobs"), scheduled: format!("{prefix}jobs:scheduled") }
    }

    /// Adds jobs to the stream, in one round trip.
    pub(super) async fn add(&self, redis: &Redis, trace: &Trace, jobs: &[i64]) -> Result<(), Fault> {
        let mut pipeline = Pipeline::new();
        for job in jobs {
            pipeline.cmd("XADD").arg(&self.stream).arg("*").arg(FIELD).arg(*job).ignore();
        }
        redis.pipeline(trace, "XADD", &pipeline).await
    }

    /// Makes the stream and its group, unless they are there.
    pub(super) async fn ensure_group(&self, redis: &Redis) -> Result<(), Fault> {
        let mut command = Cmd::new();
        command.arg("XGROUP").arg("CREATE").arg(&self.stream).arg(GROUP).arg("0").arg("MKSTREAM");
        match redis.run::<()>(&Trace::default(), "XGROUP", &command).await {
            Err(fault) if !fault.to_string().contains("BUSYGROUP") => Err(fault),
            _ => Ok(()),
        }
    }

    /// Takes at most `count` entries that nobody has, waiting at most `patience` for the first.
    pub(super) async fn read(
        &self,
        connection: &mut redis::aio::MultiplexedConnection,
        consumer: &str,
        count: usize,
        patience: Duration,
    ) -> redis::RedisResult<Vec<Entry>> {
        let millis = usize::try_from(patience.as_millis()).unwrap_or(usize::MAX).max(1);
        let options = StreamReadOptions::default().group(GROUP, consumer).count(count).block(millis);
        Ok(entries(connection.xread_options(&[&self.stream], &[">"], &options).await?))
    }

    /// The entries that a consumer took and has not acknowledged.
    pub(super) async fn taken(
        &self,
        connection: &mut redis::aio::MultiplexedConnection,
        consumer: &str,
    ) -> redis::RedisResult<Vec<Entry>> {
        let options = StreamReadOptions::default().group(GROUP, consumer).count(MOVE_AT_ONCE);
        Ok(entries(connection.xread_options(&[&self.stream], &["0"], &options).await?))
    }

    /// Takes over entries that a consumer took `idle` ago and never acknowledged; their jobs are rescued by
    /// the database's word, so that here they are only done away with.
    pub(super) async fn forget_stale(&self, redis: &Redis, consumer: &str, idle: Duration) -> Result<(), Fault> {
        let mut command = Cmd::new();
        command.arg("XAUTOCLAIM").arg(&self.stream).arg(GROUP).arg(consumer);
        command
            .arg(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX))
            .arg("0")
            .arg("COUNT")
            .arg(MOVE_AT_ONCE)
            .arg("JUSTID");
        let (_, places, _): (String, Vec<String>, Vec<String>) =
            redis.run(&Trace::default(), "XAUTOCLAIM", &command).await?;
        self.acknowledge(redis, &Trace::default(), &places).await
    }

    /// Acknowledges entries and deletes them, so that the stream holds only what is to be done.
    pub(super) async fn acknowledge(&self, redis: &Redis, trace: &Trace, places: &[String]) -> Result<(), Fault> {
        if places.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("XACK").arg(&self.stream).arg(GROUP).arg(places).ignore();
        pipeline.cmd("XDEL").arg(&self.stream).arg(places).ignore();
        redis.pipeline(trace, "XACK", &pipeline).await
    }

    /// Has a job moved to the stream at a time, in milliseconds since 1970.
    pub(super) async fn schedule(&self, redis: &Redis, trace: &Trace, job: i64, due_ms: i64) -> Result<(), Fault> {
        let mut command = Cmd::new();
        command.arg("ZADD").arg(&self.scheduled).arg(due_ms).arg(job);
        redis.run(trace, "ZADD", &command).await
    }

    /// Moves what is due to the stream; says how many, and how long until the next one is.
    pub(super) async fn move_due(&self, redis: &Redis, script: &Script) -> Result<(usize, Option<Duration>), Fault> {
        let mut invocation = script.key(&self.scheduled);
        invocation.key(&self.stream).arg(MOVE_AT_ONCE).arg(FIELD);
        let (moved, next): (usize, i64) = redis.script(&Trace::default(), "EVALSHA", &invocation).await?;
        Ok((moved, u64::try_from(next).ok().map(Duration::from_millis)))
    }
}

fn entries(reply: Option<StreamReadReply>) -> Vec<Entry> {
    let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
    entries.map(|entry| Entry { job: entry.get(FIELD), place: entry.id }).collect()
}

/// The script that [`Keys::move_due`] runs.
pub(super) fn move_due_script() -> Script {
    Script::new(MOVE_DUE)
}
