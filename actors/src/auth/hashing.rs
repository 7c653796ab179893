//! The threads that hash: as many as the pool has hands and never more than there are cores, and nothing else runs
//! on them.
//!
//! They give way: the scheduler prefers whoever serves a request, whose work is a fraction of a millisecond, to a
//! hash of twenty. That holds within this process; others on the machine are left the cores that do not hash. What must stay true: no more is computed at once than there are threads, whatever becomes of the
//! actor that asks; nothing is computed that nobody waits for any more.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::password::Hasher;
use crate::kit::Fault;

type Work = Box<dyn FnOnce(&Hasher) + Send>;

/// The threads. They end when the last of these is dropped.
#[derive(Clone)]
pub(super) struct Threads(Sender<Work>);

impl Threads {
    /// So many of them.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start(hasher: &Hasher, count: usize) -> Result<Self, Fault> {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..count {
            let (hasher, receiver) = (hasher.clone(), Arc::clone(&receiver));
            let name = format!("hashing-{number}");
            std::thread::Builder::new()
                .name(name)
                .spawn(move || work_off(&hasher, &receiver))
                .map_err(Fault::internal)?;
        }
        Ok(Self(sender))
    }

    /// Runs `work` on one of them. What waits here is bounded by the hands of the pool that asks.
    ///
    /// # Errors
    /// As `work`; and when it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hasher) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (port, computed) = oneshot::channel();
        let work = move |hasher: &Hasher| {
            if !port.is_closed() {
                // Whoever asked may have gone meanwhile.
                let _ = port.send(work(hasher));
            }
        };
        self.0.send(Box::new(work)).map_err(|_| Fault::internal("the hashing threads are gone"))?;
        computed.await.map_err(|_| Fault::internal("a hashing thread panicked"))?
    }
}

fn work_off(hasher: &Hasher, receiver: &Mutex<Receiver<Work>>) {
    give_way();
    loop {
        // One of them waits for work, the others for their turn to wait. Nothing panics while it holds the lock.
        let work = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = work else { return };
        // The work's port is dropped by a panic, which tells whoever waits.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| work(hasher)));
    }
}

/// Lowers the priority of the calling thread. Without it all is slower and nothing is wrong.
#[cfg(target_os = "linux")]
fn give_way() {
    /// A third of an ordinary thread's share of a core that is wanted by both; all of one that is not.
    const NICENESS: i32 = 5;
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(exception.message = %error, "hashing threads run at an ordinary priority");
    }
}

/// Elsewhere a priority is a whole process's.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::auth::Cost;

    fn threads(count: usize) -> Threads {
        let hasher = Hasher::new(Cost { memory_kib: 64, passes: 1, lanes: 1 });
        hasher.and_then(|hasher| Threads::start(&hasher, count)).unwrap_or_else(|fault| unreachable!("{fault}"))
    }

    #[tokio::test]
    async fn no_more_is_computed_at_once_than_there_are_threads() {
        let (threads, now, most) = (threads(2), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let work = |_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            threads.run(move |_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
        };
        let done = futures_util::future::join_all((0..10).map(work)).await;
        assert!(done.iter().all(Result::is_ok) && most.load(Ordering::SeqCst) == 2);
    }

    #[tokio::test]
    async fn a_panic_costs_its_work_and_no_thread() {
        let threads = threads(1);
        assert!(threads.run(|_| -> Result<(), Fault> { std::panic::resume_unwind(Box::new("")) }).await.is_err());
        assert!(threads.run(|_| Ok(())).await.is_ok());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_computed() {
        let (threads, computed) = (threads(1), Arc::<AtomicUsize>::default());
        let (begun, gate) = (oneshot::channel::<()>(), channel::<()>());
        let running = threads.clone();
        let first = tokio::spawn(async move {
            running
                .run(move |_| {
                    let _ = begun.0.send(());
                    gate.1.recv().map_err(Fault::internal)
                })
                .await
        });
        assert!(begun.1.await.is_ok());
        let counting = Arc::clone(&computed);
        let second = threads.run(move |_| Ok(counting.fetch_add(1, Ordering::SeqCst)));
        assert!(tokio::time::timeout(Duration::from_millis(1), second).await.is_err());
        drop(gate.0);
        assert!(first.await.is_ok_and(|ended| ended.is_err()));
        assert!(threads.run(|_| Ok(())).await.is_ok());
        assert_eq!(computed.load(Ordering::SeqCst), 0);
    }
}
