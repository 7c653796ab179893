//! An author who publishes without end, whatever happens meanwhile, and what the answers were.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{Answer, User, eventually};

/// One article, and what came of it.
pub struct Printed {
    /// When the answer came.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
    /// The answer.
    pub answer: Answer,
}

/// The author at work.
pub struct Press {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    task: JoinHandle<Vec<Printed>>,
}

impl Press {
    /// Starts to publish, one article after the other, at most one in this time.
    pub fn start(author: &User, every: Duration) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let task = tokio::spawn(publish(author.clone(), every, Arc::clone(&over), Arc::clone(&answered)));
        Self { over, answered, task }
    }

    /// Waits until so many more articles were answered for.
    pub async fn prints(&self, more: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + more;
        eventually("publishing goes on", async || {
            assert!(!self.task.is_finished(), "the author was not answered at all");
            (self.answered.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
    }

    /// Ends it and gives every answer.
    pub async fn stop(self) -> Vec<Printed> {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn publish(author: User, every: Duration, over: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Vec<Printed> {
    let mut pace = tokio::time::interval(every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut printed = Vec::new();
    while !over.load(Ordering::Relaxed) {
        pace.tick().await;
        let asked = Instant::now();
        let body = json!({"title": format!("Number {}", printed.len()), "body": "at length"});
        let answer = author.client.post("/api/articles", &body).await;
        printed.push(Printed { at: Instant::now(), took: asked.elapsed(), answer });
        answered.fetch_add(1, Ordering::Relaxed);
    }
    printed
}
