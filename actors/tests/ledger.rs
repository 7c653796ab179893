//! The restart ledger: complete in a burst, across an outage and a crash of its own writer; bounded.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "support/database.rs"]
mod stage;
mod support;

use std::sync::Arc;
use std::time::Duration;

use actors::kit::Fault;
use actors::kit::postgres::Postgres;
use actors::kit::routine::{Routine, Stopping};
use actors::supervision::intensity::Intensity;
use actors::supervision::ledger::Keep;
use actors::supervision::observer::Observer;
use actors::supervision::{ChildSpec, Ledger, ListRestarts, Root, Strategy, SupervisorSpec, child, start_root};
use stage::{Database, connect, database};
use support::*;

const KEEP: Keep = Keep { age: Duration::from_secs(3600), rows: 100_000 };

/// A loop that does nothing until it is stopped.
struct Idle;

impl Routine for Idle {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        stopping.asked().await;
        Ok(())
    }
}

fn supervisor(name: &str, children: Vec<ChildSpec>) -> ChildSpec {
    let intensity = Intensity { max: 10_000, period: Duration::from_secs(10) };
    ChildSpec::supervisor(name, SupervisorSpec { strategy: Strategy::OneForOne, intensity, children })
}

/// A tree of a ledger and a hundred actors to crash.
async fn hundred(db: &Database, keep: Keep) -> (Ledger, Observer, Root) {
    let postgres = Postgres::new(&db.settings.postgres).unwrap();
    let keeper = actors::kit::readers::Keeper(Arc::clone(postgres.readers()));
    let (ledger, observer, mut desk) = Ledger::new("node-1", &postgres, keep, 10);
    desk.push(child::routine("readers", Arc::new(keeper)));
    let idle = (0..100).map(|number| child::routine(&format!("idle-{number}"), Arc::new(Idle))).collect();
    let children = vec![supervisor("ledger", desk), supervisor("idle", idle)];
    let intensity = Intensity { max: 10_000, period: Duration::from_secs(10) };
    let spec = SupervisorSpec { strategy: Strategy::OneForOne, intensity, children };
    let root = start_root(spec, observer.clone()).await.unwrap();
    (ledger, observer, root)
}

fn crash_all(root: &Root) {
    (0..100).for_each(|number| crash(root, &format!("root/idle/idle-{number}")));
}

async fn all_run_again(root: &Root) {
    while (0..100).any(|number| at(&root.node().snapshot(), &format!("root/idle/idle-{number}")).restarts == 0) {
        tokio::task::yield_now().await;
    }
}

/// Waits until so many restarts of the idle ones are in the ledger.
async fn written(db: &Database, count: i64) {
    let select = "select count(*) from actor_restarts where path like 'root/idle/idle-%'";
    let full = async {
        while db.client.query_one(select, &[]).await.unwrap().get::<_, i64>(0) < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), full).await.expect("all are written");
}

#[tokio::test]
async fn a_burst_of_restarts_is_complete_and_each_says_all_that_operators_ask() {
    let db = database().await;
    let (ledger, observer, root) = hundred(&db, KEEP).await;
    crash_all(&root);
    written(&db, 100).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = ledger.list(&caller(), ListRestarts { before, limit: 30 }).await.unwrap();
        before = page.last().map(|restart| restart.number);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!((seen.len(), observer.dropped()), (100, 0));
    let mut ids: Vec<_> = seen.iter().map(|restart| restart.restart_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100, "each is there once");
    for restart in &seen {
        assert_eq!((&*restart.node, &*restart.exit_kind, &*restart.reason), ("node-1", "panic", "crashed"));
        assert!(restart.message.contains("fault injection") && restart.incarnation == 2, "{restart:?}");
        assert_eq!((restart.budget.0, restart.budget.1), (10_000, 10));
        assert!(restart.recovered_ms.is_some_and(|recovered| recovered > 0.0), "{restart:?}");
        assert!(restart.trace_id.is_none(), "it cost no request");
    }
    root.stop().await;
}

#[tokio::test]
async fn restarts_during_an_outage_of_the_database_are_written_after_it_also_when_their_writer_crashes() {
    let db = database().await;
    let (_ledger, observer, root) = hundred(&db, KEEP).await;
    let name = db.settings.postgres.config.get_dbname().unwrap().to_owned();
    let mut elsewhere = db.settings.postgres.config.clone();
    let keeper = connect(elsewhere.dbname("postgres")).await;
    keeper.batch_execute(&format!("alter database {name} allow_connections false")).await.unwrap();
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    db.client.query(cut, &[]).await.unwrap();
    crash_all(&root);
    all_run_again(&root).await;
    for incarnation in 2..5 {
        crash(&root, "root/ledger/writer");
        while at(&root.node().snapshot(), "root/ledger/writer").incarnation < incarnation {
            tokio::task::yield_now().await;
        }
    }
    keeper.batch_execute(&format!("alter database {name} allow_connections true")).await.unwrap();
    written(&db, 100).await;
    root.stop().await;
    let all = "select count(*), count(distinct restart_id) from actor_restarts";
    let row = db.client.query_one(all, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (103, 103), "the writer's own are there, too");
    assert_eq!(observer.dropped(), 0);
}

#[tokio::test]
async fn what_cannot_be_written_before_the_end_is_counted() {
    let mut db = database().await;
    db.settings.postgres.config.port(1);
    let (_ledger, observer, root) = hundred(&db, KEEP).await;
    crash_all(&root);
    all_run_again(&root).await;
    root.stop().await;
    assert_eq!(observer.dropped(), 100);
}

#[tokio::test]
async fn a_full_buffer_drops_and_counts_and_holds_nobody_up() {
    let (observer, _never_read) = Observer::channel(10);
    let idle = (0..100).map(|number| child::routine(&format!("idle-{number}"), Arc::new(Idle))).collect();
    let intensity = Intensity { max: 10_000, period: Duration::from_secs(10) };
    let children = vec![supervisor("idle", idle)];
    let spec = SupervisorSpec { strategy: Strategy::OneForOne, intensity, children };
    let root = start_root(spec, observer.clone()).await.unwrap();
    crash_all(&root);
    all_run_again(&root).await;
    while observer.dropped() < 90 {
        tokio::task::yield_now().await;
    }
    assert_eq!(observer.dropped(), 90);
}

#[tokio::test]
async fn old_restarts_go_by_age_and_by_number() {
    let db = database().await;
    let old = "insert into actor_restarts (node, restart_id, path, reason, exit_kind, message, incarnation, backoff_ms,
                                           budget_max, budget_period_s, budget_used, recovered_ms, at)
               select 'gone', gen_random_uuid(), 'old', 'crashed', 'panic', '', n, 0, 60, 10, 1, 1,
                      now() - make_interval(hours => n)
               from generate_series(0, 499) n order by n desc";
    db.client.execute(old, &[]).await.unwrap();
    let keep = Keep { age: Duration::from_secs(100 * 3600 + 1800), rows: 51 };
    let (_ledger, _observer, root) = hundred(&db, keep).await;
    crash(&root, "root/idle/idle-0");
    let left = async {
        let count = "select count(*) from actor_restarts";
        while db.client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) != 51 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), left).await.expect("the rest goes");
    let oldest = "select max(incarnation) from actor_restarts where path = 'old'";
    assert_eq!(db.client.query_one(oldest, &[]).await.unwrap().get::<_, i64>(0), 49, "the newest stay");
    root.stop().await;
    db.client.execute("delete from actor_restarts", &[]).await.unwrap();
    db.client.execute(old, &[]).await.unwrap();
    let (_ledger, _observer, root) = hundred(&db, Keep { rows: 100_000, ..keep }).await;
    crash(&root, "root/idle/idle-0");
    let left = async {
        let count = "select count(*) from actor_restarts where path = 'old'";
        while db.client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) != 101 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), left).await.expect("the older ones go");
    root.stop().await;
}
