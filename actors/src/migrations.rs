//! Brings the database's schema up to date. Forward only; concurrent runs wait for one another.

use std::time::Duration;

use tokio_postgres::{Config, NoTls};

use crate::kit::Dependency;
use crate::kit::Fault;

mod embedded {
    refinery::embed_migrations!("../sql/migrations");
}

/// Any number that nobody else locks: "callboard" in a few digits.
const LOCK: i64 = 0x0CA1_1B0A_4D00;
/// How long to wait for the lock of another run.
const LOCK_WITHIN: Duration = Duration::from_secs(60);

/// Applies what is missing and returns the names of the migrations that were.
///
/// # Errors
/// When the database cannot be reached, or a migration fails: then it, and none after it, has changed nothing.
pub async fn migrate(config: &Config) -> Result<Vec<String>, Fault> {
    let lost = |error: tokio_postgres::Error| Fault::unavailable(Dependency::Postgres, error);
    let mut config = config.clone();
    // A migration may take longer than any request's statement. What is said last counts.
    let own = config.get_options().unwrap_or("").to_owned();
    config.options(format!("{own} -c statement_timeout=0 -c idle_in_transaction_session_timeout=0").trim());
    let (mut client, connection) = config.connect(NoTls).await.map_err(lost)?;
    let driver = tokio::spawn(connection);
    let lock = client.query_one("select pg_advisory_lock($1)", &[&LOCK]);
    tokio::time::timeout(LOCK_WITHIN, lock)
        .await
        .map_err(|_| Fault::unavailable(Dependency::Postgres, "another migration holds the lock"))?
        .map_err(lost)?;
    let report = embedded::migrations::runner().run_async(&mut client).await.map_err(Fault::internal)?;
    // The lock goes with the connection.
    drop(client);
    driver.abort();
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

/// The version that the database's schema has; 0 when it is empty.
///
/// # Errors
/// When the database cannot be reached.
pub async fn current(config: &Config) -> Result<i64, Fault> {
    let lost = |error: tokio_postgres::Error| Fault::unavailable(Dependency::Postgres, error);
    let (client, connection) = config.connect(NoTls).await.map_err(lost)?;
    let driver = tokio::spawn(connection);
    let known =
        client.query_one("select to_regclass('refinery_schema_history') is not null", &[]).await.map_err(lost)?;
    let version = match known.get(0) {
        true => client
            .query_one("select coalesce(max(version), 0)::bigint from refinery_schema_history", &[])
            .await
            .map_err(lost)?
            .get(0),
        false => 0,
    };
    driver.abort();
    Ok(version)
}

/// The version that this build's schema has.
pub fn latest() -> i64 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|migration| i64::from(migration.version()))
        .max()
        .unwrap_or(0)
}
