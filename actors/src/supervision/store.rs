//! The ledger's statements.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::ledger::Keep;
use super::observer::Restarted;
use crate::kit::postgres::Postgres;
use crate::kit::{Fault, Scope};
use crate::sql;

/// A restart as the ledger keeps it.
#[derive(Debug, Clone)]
pub struct RestartView {
    /// Its place in the ledger: what a cursor counts by.
    pub number: i64,
    /// No other restart has it.
    pub restart_id: Uuid,
    /// The process.
    pub node: String,
    /// Where the actor stands in the tree.
    pub path: String,
    /// Why it was started again.
    pub reason: String,
    /// How its previous incarnation ended.
    pub exit_kind: String,
    /// What it said when it ended.
    pub message: String,
    /// The number of the incarnation that then ran.
    pub incarnation: i64,
    /// How long the restart was held back, in milliseconds.
    pub backoff_ms: i64,
    /// Restarts that its supervisor allows, in how many seconds, and how many there were.
    pub budget: (i64, i64, i64),
    /// From its end to the first turn of the next incarnation, in milliseconds.
    pub recovered_ms: Option<f64>,
    /// The trace of a request that it had in hand.
    pub trace_id: Option<String>,
    /// When its previous incarnation ended.
    pub at: OffsetDateTime,
}

/// Records restarts of one node, each once, however often it is recorded.
pub(super) async fn record_restarts(
    db: &Postgres,
    scope: &Scope,
    node: &str,
    restarts: &[Arc<Restarted>],
) -> Result<(), Fault> {
    let ids: Vec<Uuid> = restarts.iter().map(|restart| restart.restart_id).collect();
    let text = |text: fn(&Restarted) -> &str| restarts.iter().map(|restart| text(restart)).collect::<Vec<_>>();
    let number = |value: &dyn Fn(&Restarted) -> i64| restarts.iter().map(|restart| value(restart)).collect::<Vec<_>>();
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let recovered: Vec<Option<f64>> =
        restarts.iter().map(|restart| restart.recovered.map(|recovered| recovered.as_secs_f64() * 1e3)).collect();
    let traces: Vec<Option<&str>> = restarts.iter().map(|restart| restart.trace_id.as_deref()).collect();
    let at: Vec<OffsetDateTime> = restarts.iter().map(|restart| restart.at).collect();
    db.write(
        scope,
        sql!("supervision/record_restarts"),
        &[
            &node,
            &ids,
            &text(|restart| &restart.path),
            &text(|restart| restart.reason.as_str()),
            &text(|restart| restart.exit_kind.as_str()),
            &text(|restart| &restart.message),
            &number(&|restart| i64::try_from(restart.incarnation).unwrap_or(i64::MAX)),
            &number(&|restart| millis(restart.backoff)),
            &number(&|restart| i64::from(restart.budget.max)),
            &number(&|restart| i64::try_from(restart.budget.period.as_secs()).unwrap_or(i64::MAX)),
            &number(&|restart| i64::from(restart.budget.used)),
            &recovered,
            &traces,
            &at,
        ],
    )
    .await?;
    Ok(())
}

/// A page of restarts of all nodes, newest first.
pub(super) async fn list_restarts(
    db: &Postgres,
    scope: &Scope,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<RestartView>, Fault> {
    let rows = db.read(scope, sql!("supervision/list_restarts"), &[&before, &limit]).await?;
    Ok(rows.iter().map(restart).collect())
}

fn restart(row: &Row) -> RestartView {
    RestartView {
        number: row.get("id"),
        restart_id: row.get("restart_id"),
        node: row.get("node"),
        path: row.get("path"),
        reason: row.get("reason"),
        exit_kind: row.get("exit_kind"),
        message: row.get("message"),
        incarnation: row.get("incarnation"),
        backoff_ms: row.get("backoff_ms"),
        budget: (row.get("budget_max"), row.get("budget_period_s"), row.get("budget_used")),
        recovered_ms: row.get("recovered_ms"),
        trace_id: row.get("trace_id"),
        at: row.get("at"),
    }
}

/// Forgets what is too old or too much; how many rows that were.
pub(super) async fn prune_restarts(db: &Postgres, scope: &Scope, keep: Keep) -> Result<u64, Fault> {
    let rows = i64::try_from(keep.rows).unwrap_or(i64::MAX);
    let pruned = db.write(scope, sql!("supervision/prune_restarts"), &[&keep.age.as_secs_f64(), &rows]).await?;
    Ok(pruned.first().map_or(0, |row| row.get::<_, i64>("pruned").unsigned_abs()))
}
