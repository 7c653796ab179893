//! The consumer: takes as many jobs from the stream as this process has hands for, claims them and hands
//! them to the pool, the most urgent first. A hand has one job, or several of a kind that takes effect together. Its
//! progress is the process' heartbeat.
//!
//! It beats before it first claims, so that no living process ever runs a job unseen; and it beats only
//! from its own loop, so that a process that is stuck is seen to be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tokio::sync::Semaphore;

use super::Shared;
use super::held::Hold;
use super::message::Job;
use super::pool::{self, PoolMessage, RunJobs};
use super::store::{self, Beat};
use super::stream::{Entry, Keys, Place, Taker, take_script};
use crate::kit::retry::Backoff;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Caller, Dependency, Endpoint, Fault, Scope, Trace};

/// How long a read waits for the first entry, and so how often this process beats when it is idle.
const PATIENCE: Duration = Duration::from_millis(1000);
/// How often it is looked whether jobs may be taken again.
const LOOK_WHILE_PAUSED: Duration = Duration::from_millis(500);
/// How often it beats at the most, and so how soon it hears of a pause or of a job that is called off.
const BEAT_EVERY: Duration = Duration::from_millis(100);
/// How long the statements of one round may take.
const ROUND_WITHIN: Duration = Duration::from_secs(5);
/// How long saying goodbye may take.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);
/// While PostgreSQL or Redis is away.
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };
/// Beyond an attempt's own limit: what its completion may take.
const GRACE: Duration = Duration::from_secs(10);

/// Takes jobs from the stream.
pub(super) struct Consumer {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Endpoint<PoolMessage>,
    /// The pool's hands that have no job; kept across incarnations, for so are the jobs under way.
    pub(super) hands: Arc<Semaphore>,
}

impl Routine for Consumer {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let mut failures = 0;
        loop {
            let started = Instant::now();
            // Not dropped when told to stop: jobs that were claimed have to reach the pool.
            let Err(fault) = self.consume(stopping.clone()).await else { break };
            failures = if started.elapsed() > PATIENCE { 1 } else { failures + 1 };
            if failures == 1 {
                tracing::warn!(exception.message = %fault, "jobs cannot be taken; trying on");
            }
            // Redis being away does not make this process dead: it goes on with the jobs it has.
            if let Err(fault) = self.beat().await {
                tracing::debug!(exception.message = %fault, "cannot say that this process is alive");
            }
            if stopping.unless(tokio::time::sleep(RETRY.draw(failures))).await.is_none() {
                break;
            }
        }
        let scope = Scope::new(Trace::default(), Instant::now() + LEAVE_WITHIN);
        // Otherwise the others forget this process when it has not been seen for a while.
        let _ = store::leave(&self.shared.vital, &scope, self.shared.boot).await;
        Ok(())
    }
}

impl Consumer {
    /// Takes jobs until told to stop (`Ok`) or until something fails.
    async fn consume(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let keys = Keys::new(&self.shared.settings.prefix);
        let (consumer, take) = (self.shared.boot.to_string(), take_script());
        self.beat().await?;
        keys.ensure_group(&self.shared.redis).await?;
        let mut connection = self.shared.redis.blocking().await?;
        self.give_back(&keys, &mut connection, &consumer).await?;
        let mut due = Instant::now();
        while !stopping.is_asked() {
            if due <= Instant::now() {
                if self.beat().await?.paused {
                    if stopping.unless(tokio::time::sleep(LOOK_WHILE_PAUSED)).await.is_none() {
                        break;
                    }
                    continue;
                }
                due = Instant::now() + BEAT_EVERY;
            }
            let Some(free) = self.free_hands(&mut stopping).await? else { break };
            let mut taker = Taker {
                consumer: &consumer,
                hands: free,
                together: &self.shared.known.together,
                group: self.shared.settings.batch,
            };
            let mut entries = keys.take(&self.shared.redis, &take, &taker).await?;
            if entries.is_empty() {
                // What is read at the very moment of a stop is given back by the next incarnation, or by the rescuer.
                let Some(read) = stopping.unless(wait(&keys, &mut connection, &consumer)).await else { break };
                entries = read?;
                // One of each priority may have come at once, and find fewer hands.
                let surplus = entries.split_off(entries.len().min(free));
                self.put_back(&keys, surplus).await?;
                taker.hands -= entries.len();
                if taker.hands > 0 {
                    // The first of several was waited for: the others are there by now.
                    entries.extend(keys.take(&self.shared.redis, &take, &taker).await?);
                }
            }
            if !entries.is_empty() {
                self.hand_over(&keys, entries).await?;
            }
        }
        Ok(())
    }

    /// Has jobs sent again that an earlier round took from the stream and did not claim, for it failed or
    /// crashed. Those that are under way are not touched: they do not wait any more.
    async fn give_back(
        &self,
        keys: &Keys,
        connection: &mut MultiplexedConnection,
        consumer: &str,
    ) -> Result<(), Fault> {
        loop {
            // As with every read on this connection, which itself waits for ever.
            let taken = tokio::time::timeout(PATIENCE * 3, keys.taken(connection, consumer)).await;
            let taken = taken.map_err(|_| Fault::late(Dependency::Redis, "no answer in time"))??;
            if taken.is_empty() {
                return Ok(());
            }
            // They are acknowledged, so that the next look finds others.
            self.put_back(keys, taken).await?;
        }
    }

    /// Has jobs sent again that were taken from the stream and are not begun.
    async fn put_back(&self, keys: &Keys, entries: Vec<Entry>) -> Result<(), Fault> {
        if entries.is_empty() {
            return Ok(());
        }
        let jobs: Vec<i64> = entries.iter().filter_map(|entry| entry.job).collect();
        let scope = Scope::new(Trace::default(), Instant::now() + ROUND_WITHIN);
        store::unsend(&self.shared.postgres, &scope, &jobs).await?;
        let places: Vec<_> = entries.into_iter().map(|entry| entry.place).collect();
        keys.acknowledge(&self.shared.redis, &Trace::default(), &places).await?;
        self.shared.bell.ring();
        Ok(())
    }

    /// How many hands are free, at least one; beats while it waits for one. `None` when told to stop. They stay free until
    /// there are jobs for them; a group that finds none any more waits for one (`start`).
    async fn free_hands(&self, stopping: &mut Stopping) -> Result<Option<usize>, Fault> {
        loop {
            let one = tokio::time::timeout(PATIENCE, self.hands.acquire());
            match stopping.unless(one).await {
                None => return Ok(None),
                Some(Err(_)) => {
                    self.beat().await?;
                }
                Some(Ok(permit)) => {
                    drop(permit.map_err(Fault::internal)?);
                    return Ok(Some(self.hands.available_permits()));
                }
            }
        }
    }

    /// Claims what was read, hands what we got to the pool, and does away with the rest: its jobs run
    /// elsewhere, or are finished, or come again at another time.
    async fn hand_over(&self, keys: &Keys, entries: Vec<Entry>) -> Result<(), Fault> {
        let ids: Vec<i64> = entries.iter().filter_map(|entry| entry.job).collect();
        let scope = Scope::new(Trace::default(), Instant::now() + ROUND_WITHIN);
        let mut jobs: HashMap<i64, Job> = self.claim(&scope, &ids).await?;
        let refused: Vec<i64> = ids.into_iter().filter(|id| !jobs.contains_key(id)).collect();
        let (mut groups, mut finished) = (Groups::default(), Vec::new());
        for entry in entries {
            match entry.job.and_then(|id| jobs.remove(&id)) {
                Some(job) => groups.add(&self.shared, job, entry.place),
                None => finished.push(entry.place),
            }
        }
        groups.0.into_iter().for_each(|group| self.start(group));
        if !refused.is_empty() {
            let later = store::postpone(&self.shared.postgres, &scope, &refused).await?;
            keys.add(&self.shared.redis, &Trace::default(), &later).await?;
        }
        keys.acknowledge(&self.shared.redis, &Trace::default(), &finished).await
    }

    /// Starts attempts: for most kinds all in one statement, for those with a limit kind by kind.
    async fn claim(&self, scope: &Scope, ids: &[i64]) -> Result<HashMap<i64, Job>, Fault> {
        let Shared { own, boot, known, .. } = &*self.shared;
        let mut claimed = store::claim(own, scope, ids, *boot, &known.free).await?;
        for (kind, version, limit) in &known.limited {
            let left: Vec<i64> =
                ids.iter().copied().filter(|id| claimed.iter().all(|job: &Job| job.id != *id)).collect();
            if !left.is_empty() {
                claimed.extend(store::claim_some(own, scope, &left, *boot, (kind, *version, *limit)).await?);
            }
        }
        Ok(claimed.into_iter().map(|job| (job.id, job)).collect())
    }

    /// Has attempts made by the pool, and keeps a hand until they were.
    fn start(&self, group: Vec<(Job, Place)>) {
        let (pool, shared, hands) = (self.pool.clone(), Arc::clone(&self.shared), Arc::clone(&self.hands));
        let holds: Vec<Hold> = group.iter().map(|(job, _)| shared.held.hold(job)).collect();
        let hand = Arc::clone(&hands).try_acquire_owned();
        tokio::spawn(async move {
            // There are more groups than hands when what was taken for a first attempt is another one.
            let hand = match hand {
                Ok(hand) => Some(hand),
                Err(_) => hands.acquire_owned().await.ok(),
            };
            let deadline = Instant::now() + shared.longest * 3 / 2 + GRACE;
            let first = group.first().and_then(|(job, _)| job.traceparent.as_deref());
            let caller = Caller { trace: Trace::from_traceparent(first), deadline };
            if let Err(failure) = pool.ask(&caller, RunJobs { jobs: group.clone() }).await {
                for (job, _) in &group {
                    tracing::warn!(callboard.job.id = job.id, callboard.job.attempt = job.attempt, exception.message = %failure, "an attempt got no answer");
                    let scope = Scope::new(caller.trace.clone(), Instant::now() + ROUND_WITHIN);
                    // Should this fail too, the rescuer finds the job by its age.
                    let again = pool::again(job, &shared.settings.backoff, Duration::ZERO);
                    let failed = store::fail(&shared.postgres, &scope, job, shared.boot, "got no answer", again).await;
                    if let Err(fault) = failed {
                        tracing::warn!(callboard.job.id = job.id, exception.message = %fault, "an attempt without an answer could not be ended");
                    }
                }
            }
            drop((holds, hand));
        });
    }

    /// Says that this process makes progress, and hears what it is asked to do.
    async fn beat(&self) -> Result<Beat, Fault> {
        let scope = Scope::new(Trace::default(), Instant::now() + ROUND_WITHIN);
        let beat = store::beat(&self.shared.vital, &scope, self.shared.boot, &self.shared.known).await?;
        self.shared.held.call_off(&beat.cancelled);
        Ok(beat)
    }
}

/// Claimed jobs, as the pool is to run them: those that can take effect together in one group, all others alone.
#[derive(Default)]
struct Groups(Vec<Vec<(Job, Place)>>);

impl Groups {
    fn add(&mut self, shared: &Shared, job: Job, place: Place) {
        let together = shared.effects.get(job.kind.as_str()).is_some_and(|effect| effect.together());
        // One that was attempted before may be what it failed of, or what its process died of.
        let innocent = |job: &Job| job.attempt == 1;
        let same = |group: &&mut Vec<(Job, Place)>| {
            group.len() < shared.settings.batch && group.iter().all(|(one, _)| one.kind == job.kind && innocent(one))
        };
        match self.0.iter_mut().find(same).filter(|_| together && innocent(&job)) {
            Some(group) => group.push((job, place)),
            None => self.0.push(vec![(job, place)]),
        }
    }
}

async fn wait(keys: &Keys, connection: &mut MultiplexedConnection, consumer: &str) -> Result<Vec<Entry>, Fault> {
    // The connection itself waits for ever; a Redis that went silent must not keep us from beating.
    match tokio::time::timeout(PATIENCE * 3, keys.wait(connection, consumer, PATIENCE)).await {
        Ok(entries) => Ok(entries?),
        Err(_) => Err(Fault::late(Dependency::Redis, "no answer in time")),
    }
}
