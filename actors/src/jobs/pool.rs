//! The job pool: runs attempts. The effect and the job's completion commit in one transaction; an attempt
//! that fails, panics or takes too long is tried again after a back-off, and in the end is a dead letter.
//!
//! Where a kind allows it ([`Effect::together`]), jobs that were claimed together share that transaction. When anything
//! is the matter with one of them it is undone, and each is tried alone: none suffers for another.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use opentelemetry::KeyValue;
use opentelemetry::trace::FutureExt as _;

use super::message::{Job, JobError, State};
use super::store::{self, Failed};
use super::stream::{Keys, Place, Sent};
use super::{Effect, Shared, spans};
use crate::kit::command::{Answer, Outcome};
use crate::kit::pool::Worker;
use crate::kit::retry::{Backoff, Next, after_failure};
use crate::kit::trace::Span;
use crate::kit::{Command, Failure, Scope, Trace};
use crate::messages;

/// What an attempt may take to end, beyond its own limit.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// Run attempts of one kind. Those that can take effect together.
#[derive(Debug, Clone)]
pub(crate) struct RunJobs {
    /// The jobs, each with its entry in the stream.
    pub(crate) jobs: Vec<(Job, Place)>,
}

impl Command for RunJobs {
    type Reply = ();
    type Refusal = std::convert::Infallible;
    const NAME: &'static str = "run_jobs";
    /// The attempts' numbers make a second run of them harmless.
    const IDEMPOTENT: bool = true;
}

messages! {
    /// What the pool understands.
    pub(crate) enum PoolMessage { RunJobs }
}

/// How an attempt ended without an error.
enum Done {
    Completed,
    /// It was not the job's attempt any more, so it changed nothing.
    Fenced,
    /// It was called off, and changed nothing.
    CalledOff,
}

/// Runs attempts.
pub(super) struct Executor(pub(super) Arc<Shared>);

impl Worker for Executor {
    type Message = PoolMessage;

    async fn handle(&self, message: PoolMessage, scope: Scope) -> Outcome {
        let PoolMessage::RunJobs(ask) = message;
        ask.serve(|run| self.run(run, &scope)).await
    }
}

impl Executor {
    async fn run(&self, run: RunJobs, scope: &Scope) -> Answer<RunJobs> {
        let (jobs, places): (Vec<Job>, Vec<Place>) = run.jobs.into_iter().unzip();
        if jobs.len() > 1 {
            let count = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
            scope.trace.set(|| [KeyValue::new("messaging.batch.message_count", count)]);
        }
        let spans: Vec<Span> = jobs.iter().map(|job| spans::process(job, &scope.trace)).collect();
        jobs.iter().for_each(|job| self.0.measured(job).waited(job.waited, job.priority));
        let started = Instant::now();
        if self.together(&jobs, &spans, scope.deadline).await {
            let took = started.elapsed();
            jobs.iter().for_each(|job| self.0.measured(job).ran(took));
            self.count(&jobs);
            spans.iter().for_each(|span| spans::came_to(span, State::Completed));
            self.acknowledge(&places, scope.trace.clone()).await;
            return Ok(());
        }
        // One after the other: a hand has one connection, which others may wait for.
        let mut ended = Ok(());
        for (at, ((job, place), span)) in jobs.iter().zip(places).zip(&spans).enumerate() {
            if at > 0 && Instant::now() + self.within(job) + ENDED_WITHIN > scope.deadline {
                // Nobody holds it any more, so it is taken back (`rescuer`), which is no failed attempt.
                tracing::warn!(
                    callboard.job.id = job.id,
                    "an attempt was not begun, for those before it took too long"
                );
                continue;
            }
            let alone = async {
                self.run_alone(job, span, scope.deadline).await?;
                self.acknowledge(&[place], span.trace().clone()).await;
                Ok(())
            };
            ended = ended.and(alone.with_context(span.trace().context().clone()).await);
        }
        ended
    }

    async fn run_alone(&self, job: &Job, span: &Span, deadline: Instant) -> Answer<RunJobs> {
        let scope = Scope::new(span.trace().clone(), deadline);
        let measured = self.0.measured(job);
        let started = Instant::now();
        let result = tokio::select! {
            result = self.attempt(job, &scope) => result,
            // The attempt is dropped where it stands, which undoes what it did.
            () = self.0.held.called_off(job) => Ok(Done::CalledOff),
        };
        measured.ran(started.elapsed());
        match result {
            Ok(Done::Completed) => {
                self.count(std::slice::from_ref(job));
                spans::came_to(span, State::Completed);
            }
            Ok(Done::CalledOff) => {
                spans::came_to(span, State::Cancelled);
                let off = store::call_off(&self.0.postgres, &scope, job, self.0.boot).await?;
                tracing::info!(off, "a running job was called off");
            }
            Ok(Done::Fenced) => {
                span.settle();
                span.fail("fenced", || "it was not the job's attempt any more".to_owned());
                tracing::warn!("an attempt was fenced off; it changed nothing");
            }
            Err(error) => {
                spans::failed(span, &error);
                if let Some(state) = self.failed(job, &error, &scope).await? {
                    spans::came_to(span, state);
                }
            }
        }
        Ok(())
    }

    /// The effects and completions of several jobs in one transaction; whether they took effect. When anything is the
    /// matter with any of them nothing did, and each is to be tried alone.
    async fn together(&self, jobs: &[Job], spans: &[Span], deadline: Instant) -> bool {
        let [first, _, ..] = jobs else { return false };
        // An attempt that is to fail is one job's.
        if self.0.faults.waits(&first.kind) {
            return false;
        }
        let Some(effect) = self.effect(first).filter(|effect| effect.together()) else { return false };
        let mut traces = spans.iter().map(|span| span.trace().clone());
        let scope = Scope { trace: traces.next().unwrap_or_default(), others: traces.collect(), deadline };
        let attempt = AssertUnwindSafe(self.take_effect_together(effect, jobs, &scope)).catch_unwind();
        // Half of what an attempt may take, so that there is time for another one of each.
        let attempt = tokio::time::timeout(self.within(first) / 2, attempt);
        let called_off = futures_util::future::select_all(jobs.iter().map(|job| Box::pin(self.0.held.called_off(job))));
        let taken = tokio::select! {
            taken = attempt => matches!(taken, Ok(Ok(Ok(true)))),
            _ = called_off => false,
        };
        if !taken {
            tracing::debug!(kind = first.kind, jobs = jobs.len(), "attempts could not be completed together");
        }
        taken
    }

    async fn take_effect_together(
        &self,
        effect: &Arc<dyn Effect>,
        jobs: &[Job],
        scope: &Scope,
    ) -> Result<bool, JobError> {
        let mut connection = self.0.own.connection().await?;
        let tx = connection.begin().await?;
        effect.apply_all(jobs, &tx, scope).await?;
        if store::complete(&tx, scope, jobs, self.0.boot).await? < jobs.len() {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The effect and the completion, in one transaction, within the time for an attempt.
    async fn attempt(&self, job: &Job, scope: &Scope) -> Result<Done, JobError> {
        let attempt = AssertUnwindSafe(self.take_effect(job, scope)).catch_unwind();
        match tokio::time::timeout(self.within(job), attempt).await {
            Err(_) => Err(JobError::TooLong),
            Ok(Err(panic)) => Err(JobError::Panicked(crate::kit::panic_text(&*panic).to_owned())),
            Ok(Ok(result)) => result,
        }
    }

    fn within(&self, job: &Job) -> Duration {
        self.effect(job).and_then(|effect| effect.within()).unwrap_or(self.0.settings.attempt_within)
    }

    fn effect(&self, job: &Job) -> Option<&Arc<dyn Effect>> {
        self.0.effects.get(job.kind.as_str())
    }

    async fn take_effect(&self, job: &Job, scope: &Scope) -> Result<Done, JobError> {
        let Some(effect) = self.effect(job) else {
            return Err(JobError::Arguments(format!("nobody here knows jobs of the kind {}", job.kind)));
        };
        let brought = effect.before(job, scope).await?;
        let mut connection = self.0.own.connection().await?;
        let tx = connection.begin().await?;
        effect.apply(job, &brought, &tx, scope).await?;
        // Where it hurts most: what was done is undone.
        if self.0.faults.take(&job.kind) {
            return Err(JobError::Injected);
        }
        if store::complete(&tx, scope, std::slice::from_ref(job), self.0.boot).await? == 0 {
            return Ok(Done::Fenced);
        }
        tx.commit().await?;
        Ok(Done::Completed)
    }

    /// Ends a failed attempt; where the job stands then, if it was its attempt still.
    async fn failed(
        &self,
        job: &Job,
        error: &JobError,
        scope: &Scope,
    ) -> Result<Option<State>, Failure<std::convert::Infallible>> {
        self.0.measured(job).failed.add(1);
        let backoff = self.effect(job).and_then(|effect| effect.backoff()).unwrap_or(self.0.settings.backoff);
        let again = match error {
            JobError::Final(_) => None,
            JobError::Later(_, asked) => again(job, &backoff, *asked),
            _ => again(job, &backoff, Duration::ZERO),
        };
        let text: String = error.to_string().chars().filter(|c| *c != '\0').take(4000).collect();
        Ok(match store::fail(&self.0.postgres, scope, job, self.0.boot, &text, again).await? {
            Failed::Scheduled(due_ms) => {
                tracing::warn!(exception.message = %error, "an attempt failed and is tried again");
                let keys = Keys::new(&self.0.settings.prefix);
                let later = Sent { job: job.id, priority: job.priority, due_ms: Some(due_ms), fresh: None };
                if let Err(fault) = keys.add(&self.0.redis, &scope.trace, &[later]).await {
                    tracing::warn!(exception.message = %fault, "a retry could not be put into Redis; the relay will");
                    store::unsend(&self.0.postgres, scope, &[job.id]).await?;
                }
                Some(State::Scheduled)
            }
            Failed::Discarded => {
                self.0.measured(job).discarded.add(1);
                tracing::error!(exception.message = %error, "the last attempt failed: a dead letter");
                Some(State::Discarded)
            }
            Failed::Cancelled => {
                tracing::info!("a failed job was called off");
                Some(State::Cancelled)
            }
            Failed::Fenced => {
                tracing::warn!("a failed attempt was fenced off; it changed nothing");
                None
            }
        })
    }

    /// Counts jobs of one kind that took effect in one transaction.
    fn count(&self, jobs: &[Job]) {
        if let Some(first) = jobs.first() {
            let measured = self.0.measured(first);
            measured.completed.add(jobs.len() as u64);
            measured.batch.record(jobs.len() as u64);
        }
    }

    async fn acknowledge(&self, places: &[Place], trace: Trace) {
        let keys = Keys::new(&self.0.settings.prefix);
        // The jobs are finished in the database; an entry that comes again will be done away with.
        if let Err(fault) = keys.acknowledge(&self.0.redis, &trace, places).await {
            tracing::debug!(exception.message = %fault, "an entry could not be acknowledged");
        }
    }
}

/// How long a failed attempt is held back, after which somebody may have `asked` for some time; `None` when it was the
/// last one.
pub(super) fn again(job: &Job, backoff: &Backoff, asked: Duration) -> Option<Duration> {
    let attempt = u32::try_from(job.attempt).unwrap_or(u32::MAX);
    let limit = u32::try_from(job.max_attempts).unwrap_or(0);
    match after_failure(attempt, limit, backoff, asked) {
        Next::Again(wait) => Some(wait),
        Next::GiveUp => None,
    }
}
