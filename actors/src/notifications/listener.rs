//! Hears from PostgreSQL who was told something, on whichever node, and calls their readers here.
//!
//! A notice is sent by the trigger that numbers a change, when that commits; it holds the recipient's id and no
//! more. One connection for the whole process, and none while nobody sits here. What must stay true: whoever is
//! seated when the listening begins is called, since what committed before gave no notice to us; while it cannot
//! listen, the readers' slow clocks go on.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::{AsyncMessage, NoTls};

use super::hub::Hub;
use crate::auth::UserId;
use crate::kit::Fault;
use crate::kit::postgres::Postgres;
use crate::kit::retry::Backoff;
use crate::kit::routine::{Routine, Stopping};

/// While PostgreSQL is away.
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };

/// Keeps the connection.
pub(super) struct Listener {
    pub(super) postgres: Postgres,
    pub(super) hub: Arc<Hub>,
}

impl Routine for Listener {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let mut failures = 0;
        while stopping.unless(self.hub.somebody()).await.is_some() {
            let heard = stopping.unless(self.listen()).await;
            failures += 1;
            match heard {
                None => break,
                Some(Ok(())) => failures = 1,
                Some(Err(error)) if failures == 1 => {
                    tracing::warn!(%error, "cannot listen for notifications; the slow clocks go on")
                }
                Some(Err(_)) => {}
            }
            if stopping.unless(tokio::time::sleep(RETRY.draw(failures))).await.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl Listener {
    /// Listens until the connection ends.
    async fn listen(&self) -> Result<(), tokio_postgres::Error> {
        let (client, mut connection) = self.postgres.readers().config().connect(NoTls).await?;
        let hear = async {
            while let Some(message) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(notice) = message?
                    && let Ok(user) = notice.payload().parse()
                {
                    self.hub.call(UserId(user));
                }
            }
            Ok(())
        };
        let listen = async {
            client.batch_execute("listen callboard_notifications").await?;
            self.hub.call_all();
            std::future::pending().await
        };
        tokio::select! {
            ended = hear => ended,
            failed = listen => failed,
        }
    }
}
