//! A log of all that happens to jobs, kept by the database itself, and what has to be true of it.
//!
//! Every change of a job's state, attempt or worker leaves a row in the transaction that made it: in the order
//! of the changes, with the name of the process that made it (see [`Stage::database_url_of`]).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Stage;

const TABLE: &str = "create table job_log (
    seq bigint generated always as identity primary key, job bigint not null, kind text not null,
    was text, became text, attempt_was int, attempt int, worker_was uuid, worker uuid,
    process text not null default current_setting('application_name'), at timestamptz not null default clock_timestamp())";
const FUNCTION: &str = "create function log_job() returns trigger language plpgsql as $$
begin
    if (old.state, old.attempt, old.worker) is distinct from (new.state, new.attempt, new.worker) then
        insert into job_log (job, kind, was, became, attempt_was, attempt, worker_was, worker)
        values (coalesce(new.id, old.id), coalesce(new.kind, old.kind), old.state, new.state, old.attempt, new.attempt,
                old.worker, new.worker);
    end if;
    return null;
end $$";
const TRIGGER: &str =
    "create trigger log_job after insert or update or delete on jobs for each row execute function log_job()";

/// Something that happened to a job.
#[derive(Debug, Clone)]
pub struct Change {
    /// The state before; none when it was enqueued.
    pub was: Option<String>,
    /// The state after; none when the row was deleted.
    pub became: Option<String>,
    /// The attempt's number before.
    pub attempt_was: Option<i32>,
    /// The attempt's number after.
    pub attempt: Option<i32>,
    /// Who worked on it before.
    pub worker_was: Option<Uuid>,
    /// Who works on it after.
    pub worker: Option<Uuid>,
    /// The process that changed it.
    pub process: String,
}

/// What all jobs came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Balance {
    /// Jobs that were written.
    pub enqueued: usize,
    /// Jobs that took effect.
    pub completed: usize,
    /// Dead letters.
    pub discarded: usize,
    /// Jobs that were called off.
    pub cancelled: usize,
    /// Jobs that have not come to their end.
    pub unfinished: usize,
    /// Attempts that began.
    pub attempts: usize,
    /// Attempts that were taken from their process: whatever it did afterwards changed nothing.
    pub fenced: usize,
    /// Attempts that failed and were to be tried again.
    pub failed: usize,
}

/// Begins the log.
pub async fn begin(stage: &Stage) {
    for statement in [TABLE, FUNCTION, TRIGGER] {
        stage.execute(statement, &[]).await;
    }
}

/// The history of every job, by its id.
pub async fn histories(stage: &Stage) -> BTreeMap<i64, Vec<Change>> {
    let mut histories: BTreeMap<i64, Vec<Change>> = BTreeMap::new();
    for row in stage.query("select * from job_log order by job, seq", &[]).await {
        histories.entry(row.get("job")).or_default().push(Change {
            was: row.get("was"),
            became: row.get("became"),
            attempt_was: row.get("attempt_was"),
            attempt: row.get("attempt"),
            worker_was: row.get("worker_was"),
            worker: row.get("worker"),
            process: row.get("process"),
        });
    }
    histories
}

/// Proves from the log that every job went only where jobs go, that no attempt's number ever went down, that
/// each completed at most once, and then by the process whose attempt it was; gives what they came to.
pub async fn prove(stage: &Stage) -> Balance {
    let mut balance = Balance::default();
    for (job, history) in histories(stage).await {
        for (place, change) in history.iter().enumerate() {
            let before = place.checked_sub(1).map(|place| &history[place]);
            let wrong = wrong(before, change, &history[..place]);
            if let Some(wrong) = wrong {
                let history: Vec<_> = history.iter().map(|change| format!("\n{change:?}")).collect();
                panic!("job {job}: {wrong}, at its change number {place} from 0 of: {}", history.concat());
            }
            let moved = (change.was.as_deref(), change.became.as_deref());
            balance.attempts += usize::from(moved.1 == Some("running"));
            balance.fenced += usize::from(moved == (Some("running"), Some("available")));
            balance.failed += usize::from(moved == (Some("running"), Some("scheduled")));
        }
        balance.enqueued += 1;
        // Only what was finished may be deleted, so the last state that there was tells.
        match history.iter().rev().find_map(|change| change.became.as_deref()) {
            Some("completed") => balance.completed += 1,
            Some("discarded") => balance.discarded += 1,
            Some("cancelled") => balance.cancelled += 1,
            _ => balance.unfinished += 1,
        }
    }
    balance
}

/// What must not have happened, if it must not.
fn wrong(before: Option<&Change>, change: &Change, history: &[Change]) -> Option<&'static str> {
    let Some(before) = before else {
        let new = change.was.is_none() && matches!(change.became.as_deref(), Some("available" | "scheduled"));
        return (!new || change.attempt != Some(0)).then_some("it did not begin as a new job");
    };
    if (&before.became, before.attempt, before.worker) != (&change.was, change.attempt_was, change.worker_was) {
        return Some("something happened in between");
    }
    let finished = ["completed", "discarded", "cancelled"];
    let was = change.was.as_deref().unwrap_or_default();
    let Some(became) = change.became.as_deref() else {
        return (!finished.contains(&was)).then_some("it was deleted before its end");
    };
    if finished.contains(&was) {
        return Some("it went on after its end");
    }
    let begins = became == "running";
    if change.attempt != change.attempt_was.map(|attempt| attempt + i32::from(begins)) {
        return Some("its attempts are not counted");
    }
    if begins && (was == "running" || change.worker.is_none()) {
        return Some("it began while it ran, or nowhere");
    }
    if became == "completed" {
        let claim = history.iter().rev().find(|earlier| earlier.became.as_deref() == Some("running"));
        let own = |claim: &Change| {
            (claim.worker, claim.attempt, &claim.process) == (change.worker_was, change.attempt, &change.process)
        };
        if was != "running" || !claim.is_some_and(own) {
            return Some("it was completed by somebody whose attempt it was not");
        }
    }
    None
}
