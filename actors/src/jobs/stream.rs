//! What Redis holds of the jobs: a stream of ids for each priority, with a consumer group, a sorted set of ids to
//! be moved into them at their time, and a mark by which its loss is noticed. All of it may vanish at any moment;
//! PostgreSQL has the truth.

use std::time::Duration;

use redis::streams::{StreamPendingReply, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, Cmd, Pipeline, Script};

use crate::kit::redis::Redis;
use crate::kit::{Fault, Trace, Under};

/// The consumer group that all processes belong to.
pub(super) const GROUP: &str = "workers";
/// The field of the stream that holds the job's id.
const FIELD: &str = "job";
/// The field that holds its kind, if it was never attempted: such jobs may take effect together.
const KIND: &str = "kind";
/// Ids moved by one run of the script.
const MOVE_AT_ONCE: usize = 500;

/// Moves what is due from the sorted set to the stream, atomically, by Redis' own clock. Answers with the
/// number moved and the milliseconds until the next one is due (-1 when there is none).
const MOVE_DUE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
    local priority, job = string.match(member, '^(%d):(%d+)$')
    if job then redis.call('XADD', KEYS[2 + priority], '*', ARGV[2], job) end
    redis.call('ZREM', KEYS[1], member)
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #next == 0 then return {#due, -1} end
return {#due, math.max(0, next[2] - now)}
";

/// Takes entries that nobody has, the most urgent first, as many as ARGV[3] hands can have: each takes one job, or up
/// to ARGV[4] of a kind that takes effect together, which those from ARGV[7] on do. It looks before it takes, since what
/// was taken cannot be left.
const TAKE: &str = r"
local taken, hands, together, group = {}, tonumber(ARGV[3]), {}, tonumber(ARGV[4])
local most = hands * group
for at = 7, #ARGV do together[ARGV[at]] = 0 end
local function field(fields, name)
    for at = 1, #fields, 2 do if fields[at] == name then return fields[at + 1] end end
    return ''
end
local function last(key)
    for _, of_group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
        if field(of_group, 'name') == ARGV[1] then return field(of_group, 'last-delivered-id') end
    end
    return redis.error_reply('NOGROUP ' .. key)
end
for _, key in ipairs(KEYS) do
    local after, fits, full = last(key), 0, false
    if type(after) == 'table' then return after end
    for _, entry in ipairs(redis.call('XRANGE', key, after, '+', 'COUNT', most + 1)) do
        if entry[1] ~= after then
            local kind = field(entry[2], ARGV[6])
            local before = together[kind]
            if not before or before % group == 0 then
                full = hands == 0
                if full then break end
                hands = hands - 1
            end
            if before then together[kind] = before + 1 end
            fits = fits + 1
        end
    end
    if fits > 0 then
        local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', fits, 'STREAMS', key, '>')
        for _, entry in ipairs(reply[1][2]) do taken[#taken + 1] = {key, entry[1], field(entry[2], ARGV[5])} end
    end
    if full then break end
end
return taken
";

/// How urgent a job is; each has a stream of its own, and the more urgent ones are emptied first.
pub(super) const PRIORITIES: usize = 3;

/// The names of the keys.
pub(super) struct Keys {
    /// By priority, the most urgent first.
    streams: [String; PRIORITIES],
    scheduled: String,
    mark: String,
}

/// Where an entry of a stream is, to be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    stream: String,
    id: String,
}

/// An entry of a stream.
pub(super) struct Entry {
    pub(super) place: Place,
    /// The job; `None` when it is not one of ours.
    pub(super) job: Option<i64>,
}

/// A job's way into Redis.
pub(super) struct Sent {
    pub(super) job: i64,
    pub(super) priority: i16,
    /// When it is due, in milliseconds since 1970; at once when there is none.
    pub(super) due_ms: Option<i64>,
    /// Its kind, if it was never attempted.
    pub(super) fresh: Option<String>,
}

/// Who takes entries.
pub(super) struct Taker<'a> {
    pub(super) consumer: &'a str,
    /// What takes several jobs of a kind at once, or one.
    pub(super) hands: usize,
    /// The kinds of which a hand takes several jobs that were never attempted.
    pub(super) together: &'a [&'static str],
    /// How many of them.
    pub(super) group: usize,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let stream = |name| format!("{prefix}{name}");
        Self {
            streams: ["jobs:high", "jobs", "jobs:low"].map(stream),
            scheduled: stream("jobs:scheduled"),
            mark: stream("jobs:mark"),
        }
    }

    /// An unknown priority is an ordinary one.
    fn stream(&self, priority: i16) -> &str {
        let [_, ordinary, _] = &self.streams;
        usize::try_from(priority).ok().and_then(|at| self.streams.get(at)).unwrap_or(ordinary)
    }

    /// Puts jobs into the streams, or into the schedule, in one round trip.
    pub(super) async fn add(&self, redis: &Redis, under: &impl Under, jobs: &[Sent]) -> Result<(), Fault> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::new();
        for Sent { job, priority, due_ms, fresh } in jobs {
            let command = match due_ms {
                None => pipeline.cmd("XADD").arg(self.stream(*priority)).arg("*").arg(FIELD).arg(*job),
                Some(due) => pipeline.cmd("ZADD").arg(&self.scheduled).arg(*due).arg(format!("{priority}:{job}")),
            };
            if let (None, Some(kind)) = (due_ms, fresh) {
                command.arg(KIND).arg(kind);
            }
            command.ignore();
        }
        redis.pipeline(under, &pipeline).await
    }

    /// The mark that this Redis bears, which it gets when it has none: another one means that it lost what it held.
    pub(super) async fn mark(&self, redis: &Redis, new: &str) -> Result<String, Fault> {
        let mut set = Cmd::new();
        set.arg("SET").arg(&self.mark).arg(new).arg("NX").arg("GET");
        let found: Option<String> = redis.run(&Trace::default(), "SET", &set).await?;
        Ok(found.unwrap_or_else(|| new.to_owned()))
    }

    /// How many jobs it holds that nobody has taken yet.
    pub(super) async fn untaken(&self, redis: &Redis) -> Result<i64, Fault> {
        let mut untaken = 0;
        for stream in &self.streams {
            let (mut length, mut pending) = (Cmd::new(), Cmd::new());
            length.arg("XLEN").arg(stream);
            pending.arg("XPENDING").arg(stream).arg(GROUP);
            let taken: StreamPendingReply = redis.run(&Trace::default(), "XPENDING", &pending).await?;
            let taken = i64::try_from(taken.count()).unwrap_or(i64::MAX);
            untaken += redis.run::<i64>(&Trace::default(), "XLEN", &length).await? - taken;
        }
        let mut scheduled = Cmd::new();
        scheduled.arg("ZCARD").arg(&self.scheduled);
        Ok(untaken + redis.run::<i64>(&Trace::default(), "ZCARD", &scheduled).await?)
    }

    /// Makes the streams and their group, unless they are there.
    pub(super) async fn ensure_group(&self, redis: &Redis) -> Result<(), Fault> {
        for stream in &self.streams {
            let mut command = Cmd::new();
            command.arg("XGROUP").arg("CREATE").arg(stream).arg(GROUP).arg("0").arg("MKSTREAM");
            match redis.run::<()>(&Trace::default(), "XGROUP", &command).await {
                Err(fault) if !fault.to_string().contains("BUSYGROUP") => return Err(fault),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes as many entries that nobody has as its hands can have, the most urgent first; waits for nobody.
    pub(super) async fn take(&self, redis: &Redis, script: &Script, taker: &Taker<'_>) -> Result<Vec<Entry>, Fault> {
        let [high, ordinary, low] = &self.streams;
        let mut invocation = script.key(high);
        invocation.key(ordinary).key(low).arg(GROUP).arg(taker.consumer).arg(taker.hands).arg(taker.group);
        invocation.arg(FIELD).arg(KIND).arg(taker.together);
        let taken: Vec<(String, String, String)> = redis.script(&Trace::default(), "jobs/take", &invocation).await?;
        let entry =
            |(stream, id, job): (String, String, String)| Entry { place: Place { stream, id }, job: job.parse().ok() };
        Ok(taken.into_iter().map(entry).collect())
    }

    /// Waits at most `patience` for entries that nobody has, and takes at most one of each priority.
    pub(super) async fn wait(
        &self,
        connection: &mut redis::aio::MultiplexedConnection,
        consumer: &str,
        patience: Duration,
    ) -> redis::RedisResult<Vec<Entry>> {
        let millis = usize::try_from(patience.as_millis()).unwrap_or(usize::MAX).max(1);
        let options = StreamReadOptions::default().group(GROUP, consumer).count(1).block(millis);
        Ok(entries(connection.xread_options(&self.streams, &[">"; PRIORITIES], &options).await?))
    }

    /// The entries that a consumer took and has not acknowledged.
    pub(super) async fn taken(
        &self,
        connection: &mut redis::aio::MultiplexedConnection,
        consumer: &str,
    ) -> redis::RedisResult<Vec<Entry>> {
        let options = StreamReadOptions::default().group(GROUP, consumer).count(MOVE_AT_ONCE);
        Ok(entries(connection.xread_options(&self.streams, &["0"; PRIORITIES], &options).await?))
    }

    /// Takes over entries that a consumer took `idle` ago and never acknowledged; their jobs are rescued by
    /// the database's word, so that here they are only done away with.
    pub(super) async fn forget_stale(&self, redis: &Redis, consumer: &str, idle: Duration) -> Result<(), Fault> {
        for stream in &self.streams {
            let mut command = Cmd::new();
            command.arg("XAUTOCLAIM").arg(stream).arg(GROUP).arg(consumer);
            command
                .arg(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX))
                .arg("0")
                .arg("COUNT")
                .arg(MOVE_AT_ONCE)
                .arg("JUSTID");
            let (_, ids, _): (String, Vec<String>, Vec<String>) =
                redis.run(&Trace::default(), "XAUTOCLAIM", &command).await?;
            let places: Vec<Place> = ids.into_iter().map(|id| Place { stream: stream.clone(), id }).collect();
            self.acknowledge(redis, &Trace::default(), &places).await?;
        }
        Ok(())
    }

    /// Acknowledges entries and deletes them, so that the streams hold only what is to be done.
    pub(super) async fn acknowledge(&self, redis: &Redis, trace: &Trace, places: &[Place]) -> Result<(), Fault> {
        let mut pipeline = Pipeline::new();
        for stream in &self.streams {
            let ids: Vec<&str> =
                places.iter().filter(|place| place.stream == *stream).map(|place| place.id.as_str()).collect();
            if !ids.is_empty() {
                pipeline.cmd("XACK").arg(stream).arg(GROUP).arg(&ids).ignore();
                pipeline.cmd("XDEL").arg(stream).arg(&ids).ignore();
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        redis.pipeline(trace, &pipeline).await
    }

    /// Moves what is due to the stream; says how many, and how long until the next one is.
    pub(super) async fn move_due(&self, redis: &Redis, script: &Script) -> Result<(usize, Option<Duration>), Fault> {
        let mut invocation = script.key(&self.scheduled);
        self.streams.iter().for_each(|stream| {
            invocation.key(stream);
        });
        invocation.arg(MOVE_AT_ONCE).arg(FIELD);
        let (moved, next): (usize, i64) = redis.script(&Trace::default(), "jobs/move_due", &invocation).await?;
        Ok((moved, u64::try_from(next).ok().map(Duration::from_millis)))
    }
}

fn entries(reply: Option<StreamReadReply>) -> Vec<Entry> {
    let of_stream = |key: redis::streams::StreamKey| {
        let stream = key.key;
        let entry = move |entry: redis::streams::StreamId| Entry {
            job: entry.get(FIELD),
            place: Place { stream: stream.clone(), id: entry.id },
        };
        key.ids.into_iter().map(entry)
    };
    reply.into_iter().flat_map(|reply| reply.keys).flat_map(of_stream).collect()
}

/// The script that [`Keys::move_due`] runs.
pub(super) fn move_due_script() -> Script {
    Script::new(MOVE_DUE)
}

/// The script that [`Keys::take`] runs.
pub(super) fn take_script() -> Script {
    Script::new(TAKE)
}
