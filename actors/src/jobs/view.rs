//! A job as operators see it, and why it does not run: a sentence that follows from what is known of it.

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

/// A job as operators see it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Its id.
    pub id: i64,
    /// What it is.
    pub kind: String,
    /// The version of its arguments.
    pub version: i32,
    /// Where it stands.
    pub state: String,
    /// How urgent it is: 0 to 2, the most urgent first.
    pub priority: i16,
    /// How many attempts have begun.
    pub attempt: i32,
    /// How many it gets.
    pub max_attempts: i32,
    /// Its arguments: ids, never what people wrote.
    pub args: Value,
    /// When it is due.
    pub run_at: OffsetDateTime,
    /// When the write that caused it committed.
    pub created_at: OffsetDateTime,
    /// When its last attempt began.
    pub started_at: Option<OffsetDateTime>,
    /// When it came to its end.
    pub finished_at: Option<OffsetDateTime>,
    /// The trace of the request that caused it.
    pub traceparent: Option<String>,
    /// Why its last failed attempt failed.
    pub last_error: Option<String>,
}

/// Why one attempt failed.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its number.
    pub attempt: i32,
    /// What went wrong.
    pub error: String,
    /// When.
    pub at: OffsetDateTime,
}

/// What decides whether a job may run.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The attempts that failed.
    pub attempts: Vec<Attempt>,
    /// The process that runs it.
    pub worker: Option<Uuid>,
    /// It is in Redis, as far as the database knows.
    pub sent: bool,
    /// It is to be called off.
    pub cancel_requested: bool,
    /// Nothing is taken at the moment.
    pub paused: bool,
    /// Some process takes jobs.
    pub workers: bool,
    /// Some process that takes jobs knows its kind and version.
    pub known: bool,
    /// Jobs of its kind that run.
    pub running_of_kind: i64,
    /// Jobs that are more urgent, or older, and wait as well.
    pub before_it: i64,
    /// Seconds until it is due; negative afterwards.
    pub due_in: f64,
}

/// Why a job is not running, in a sentence.
pub fn why(job: &JobView, standing: &Standing) -> String {
    let attempts = format!("{} of {} attempts", job.attempt, job.max_attempts);
    let last = standing.attempts.last().map_or(String::new(), |last| format!(": {}", last.error));
    match job.state.as_str() {
        "running" if standing.cancel_requested => "It runs, and is being called off.".to_owned(),
        "running" => match standing.worker {
            Some(worker) => format!("It runs: attempt {} in process {worker}.", job.attempt),
            None => format!("It runs: attempt {}.", job.attempt),
        },
        "completed" => "It took effect.".to_owned(),
        "cancelled" => "It was called off.".to_owned(),
        "discarded" => format!("It is a dead letter after {attempts}{last}"),
        _ if standing.paused => "All jobs are paused.".to_owned(),
        _ if !standing.workers => "No process takes jobs.".to_owned(),
        _ if !standing.known => {
            format!("No process that takes jobs knows the kind {} in version {}.", job.kind, job.version)
        }
        _ if standing.due_in > 0.0 && job.attempt > 0 => {
            format!("Attempt {} failed; the next one is due in {:.1} s{last}", job.attempt, standing.due_in)
        }
        _ if standing.due_in > 0.0 => format!("It is due in {:.1} s.", standing.due_in),
        _ if !standing.sent => "It waits for a relay to move it to Redis.".to_owned(),
        _ => format!(
            "It waits for a free worker, behind {} others; {} of its kind run.",
            standing.before_it, standing.running_of_kind
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str) -> JobView {
        JobView {
            id: 1,
            kind: "trial".to_owned(),
            version: 2,
            state: state.to_owned(),
            priority: 1,
            attempt: 1,
            max_attempts: 5,
            args: Value::Null,
            run_at: OffsetDateTime::UNIX_EPOCH,
            created_at: OffsetDateTime::UNIX_EPOCH,
            started_at: None,
            finished_at: None,
            traceparent: None,
            last_error: None,
        }
    }

    fn healthy() -> Standing {
        Standing { workers: true, known: true, sent: true, due_in: -1.0, ..Standing::default() }
    }

    #[test]
    fn the_first_thing_that_keeps_a_job_from_running_is_named() {
        let cases = [
            (Standing { paused: true, ..Standing::default() }, "paused"),
            (Standing::default(), "No process takes jobs"),
            (Standing { workers: true, ..Standing::default() }, "knows the kind trial in version 2"),
            (Standing { due_in: 2.5, ..healthy() }, "Attempt 1 failed; the next one is due in 2.5 s"),
            (Standing { sent: false, ..healthy() }, "waits for a relay"),
            (Standing { before_it: 7, ..healthy() }, "behind 7 others"),
        ];
        for (standing, expected) in cases {
            let why = why(&job("available"), &standing);
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn a_job_that_does_not_wait_is_told_of_as_what_it_is() {
        let error = Attempt { attempt: 1, error: "no luck".to_owned(), at: OffsetDateTime::UNIX_EPOCH };
        let standing = Standing { attempts: vec![error], paused: true, ..healthy() };
        for (state, expected) in [
            ("running", "It runs: attempt 1"),
            ("completed", "took effect"),
            ("cancelled", "called off"),
            ("discarded", "a dead letter after 1 of 5 attempts: no luck"),
        ] {
            let why = why(&job(state), &standing);
            assert!(why.contains(expected), "{why}");
        }
    }
}
