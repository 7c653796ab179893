//! What nothing in a process goes beyond: every queue, pool and wait has a limit, and each of them a setting.

use std::time::Duration;

use actors::supervision::ledger;

use super::{Front, Table};

/// Every limit of queues, pools, waits and sizes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What a client may take of the front.
    pub front: Front,
    /// What a request may take in all.
    pub request_within: Duration,
    /// Messages that may wait at each actor.
    pub mailbox: usize,
    /// Messages in one statement.
    pub batch: usize,
    /// The bytes that articles may take which were read before, and as many each for users and sessions; with 0 nothing is kept.
    pub kept: usize,
    /// Streams of notifications that may be open at once.
    pub live_streams: usize,
    /// Those of one user.
    pub live_streams_per_user: usize,
    /// Jobs that a worker takes at once, of a kind that takes effect together.
    pub job_batch: usize,
    /// What an attempt of a job may take.
    pub job_within: Duration,
    /// The bound on the wait after a job's first failed attempt.
    pub job_backoff: Duration,
    /// That bound never exceeds this.
    pub job_backoff_cap: Duration,
    /// Processes that may die with one and the same job before it is a dead letter.
    pub job_deaths: i32,
    /// How long completed and cancelled jobs are kept.
    pub jobs_keep: Duration,
    /// Messages to webhooks that are sent at once, in all processes together.
    pub webhooks_at_once: u32,
    /// The bound on the wait after a webhook's first failed attempt.
    pub webhook_backoff: Duration,
    /// That bound never exceeds this.
    pub webhook_backoff_cap: Duration,
    /// How long deliveries to webhooks are kept that are over.
    pub webhook_deliveries_keep: Duration,
    /// How long an actor's turn may take.
    pub turn: Duration,
    /// How long a message may be in hand while others wait.
    pub hold: Duration,
    /// How much of the restart ledger is kept.
    pub ledger: ledger::Keep,
    /// Between saying that we are not ready and accepting nothing more.
    pub shutdown_delay: Duration,
    /// What requests and actors have to come to an end.
    pub shutdown_grace: Duration,
}

impl Limits {
    pub(super) fn read<R: Fn(&str) -> Option<String>>(table: &mut Table<R>) -> Self {
        let request_within = table.millis("HTTP_REQUEST_TIMEOUT_MS", 10_000);
        // Nobody waits for longer than a request may take: what is in hand for longer is stuck.
        let hold = u64::try_from(request_within.as_millis()).unwrap_or(u64::MAX).saturating_add(2000);
        Self {
            front: Front::read(table),
            request_within,
            mailbox: table.count("MAILBOX_CAPACITY", 1024),
            batch: table.count("BATCH_MAX", 128),
            kept: usize::try_from(table.number("KEPT_BYTES", 32 * 1024 * 1024, 0)).unwrap_or(usize::MAX),
            live_streams: table.count("LIVE_STREAMS_MAX", 10_000),
            live_streams_per_user: table.count("LIVE_STREAMS_PER_USER", 8),
            job_batch: table.count("JOB_BATCH_MAX", 16).min(100),
            job_within: table.millis("JOB_TIMEOUT_MS", 60_000),
            job_backoff: table.millis("JOB_BACKOFF_MS", 1000),
            job_backoff_cap: table.millis("JOB_BACKOFF_CAP_MS", 60_000),
            job_deaths: i32::try_from(table.number("JOB_DEATHS", 3, 1)).unwrap_or(i32::MAX),
            jobs_keep: table.seconds("JOBS_KEEP_SECONDS", 7 * 24 * 3600),
            webhooks_at_once: u32::try_from(table.number("WEBHOOKS_AT_ONCE", 4, 1)).unwrap_or(u32::MAX),
            webhook_backoff: table.millis("WEBHOOK_BACKOFF_MS", 5000),
            webhook_backoff_cap: table.millis("WEBHOOK_BACKOFF_CAP_MS", 3_600_000),
            webhook_deliveries_keep: table.seconds("WEBHOOK_DELIVERIES_KEEP_SECONDS", 30 * 24 * 3600),
            turn: Duration::from_millis(table.number("ACTOR_TURN_MS", 3000, 40)),
            hold: Duration::from_millis(table.number("ACTOR_HOLD_MS", hold, 1)),
            ledger: ledger::Keep {
                age: table.seconds("LEDGER_KEEP_SECONDS", 30 * 24 * 3600),
                rows: table.count("LEDGER_KEEP_ROWS", 100_000),
            },
            shutdown_delay: table.millis("SHUTDOWN_DELAY_MS", 1000),
            shutdown_grace: table.millis("SHUTDOWN_GRACE_MS", 20_000),
        }
    }
}
