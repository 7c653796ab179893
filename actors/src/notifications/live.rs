//! News as they happen: a reader for each stream, and the batcher that reads for all of them.
//!
//! ```text
//! called (hub), or the slow clock ─▶ Reader ─▶ root/notifications/live: one statement for all who were called
//!                                      ▲                     │
//!                                      └── goes on after ────┘  the number of the last change it gave
//! ```
//!
//! Whatever a call says, the database is asked: a call that is lost costs seconds and no news, and one too many
//! costs a look. What must stay true: a reader gives every change behind its position once, in the order of
//! their numbers; it holds one page at most, and asks for the next only when that one was taken.

use std::time::{Duration, Instant};

use rand::RngExt;

use super::hub::Seat;
use super::message::{Latest, News, ReadNews, Refusal};
use super::store;
use crate::kit::batcher::{Answers, Gather};
use crate::kit::postgres::Postgres;
use crate::kit::retry::Backoff;
use crate::kit::{Ask, Caller, Endpoint, Failure, Scope, Trace};

/// Changes that are read for a reader at once.
const PAGE: usize = 50;
/// In case a notice is lost, in milliseconds; drawn, so that those who came together do not look together.
const SLOW_CLOCK: std::ops::Range<u64> = 2000..4000;
/// How long one look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// While what changed cannot be read.
const RETRY: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(5) };

/// Reads what changed for every reader that gathered with one statement.
pub(super) struct Live(pub(super) Postgres);

impl Gather for Live {
    type Command = ReadNews;

    async fn run(&self, commands: &[ReadNews], scope: &Scope) -> Answers<ReadNews> {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        Ok(store::news(&self.0, scope, commands, limit).await?.into_iter().map(Ok).collect())
    }
}

/// Somebody who is told as it happens. Dropping it frees its place.
pub struct Reader {
    seat: Seat,
    live: Endpoint<Ask<ReadNews>>,
    position: i64,
    /// Read and not yet taken.
    held: Vec<News>,
    /// There may be more than was read.
    due: bool,
    failures: u32,
}

impl Reader {
    /// Begins after the change of this number; with what is yet to come without one, or when none has it.
    pub(super) async fn begin(
        caller: &Caller,
        seat: Seat,
        live: Endpoint<Ask<ReadNews>>,
        after: Option<i64>,
    ) -> Result<Self, Failure<Refusal>> {
        // Seated first: what commits from here on calls us.
        let Latest { position, news } = live.ask(caller, ReadNews { user: seat.user, after }).await?;
        let due = news.len() == PAGE;
        Ok(Self { seat, live, position, held: news, due, failures: 0 })
    }

    /// The number of the last change that it gave, or began after.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Waits for news and gives them, oldest first. `None` once no more will be given. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<News>> {
        while self.held.is_empty() {
            if !self.due {
                let slow = Duration::from_millis(rand::rng().random_range(SLOW_CLOCK));
                // Either of them is a reason to look; the closing is seen below.
                let _ = tokio::time::timeout(slow, self.seat.call_or_end()).await;
            }
            self.look().await?;
        }
        let news = std::mem::take(&mut self.held);
        self.position = news.last().map_or(self.position, |last| last.number);
        Some(news)
    }

    /// Looks once for what changed; `None` at the end.
    async fn look(&mut self) -> Option<()> {
        self.due = true;
        // Before the look: a call during it is about something that it may not see.
        self.seat.answer();
        let caller = Caller { trace: Trace::default(), deadline: Instant::now() + LOOK_WITHIN };
        let read = ReadNews { user: self.seat.user, after: Some(self.position) };
        let looked = tokio::select! {
            biased;
            () = self.seat.closed() => return None,
            looked = self.live.ask(&caller, read) => looked,
        };
        match looked {
            Ok(Latest { news, .. }) => {
                self.failures = 0;
                self.due = news.len() == PAGE;
                self.held = news;
            }
            Err(_) => {
                self.failures = self.failures.saturating_add(1);
                let pause = RETRY.draw(self.failures);
                let ended = tokio::time::timeout(pause, self.seat.closed()).await;
                return ended.is_err().then_some(());
            }
        }
        Some(())
    }

    /// Completes when no more news will be given. Cancel-safe.
    pub async fn ended(&mut self) {
        self.seat.closed().await;
    }
}
