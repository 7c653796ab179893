//! Who may have a connection: so many in all, and so many of one address.
//!
//! A connection that does nothing gives way to one that has just come: when its address has as many as it may
//! have, one of that address; when all seats are taken, any. So a crowd of idle connections keeps nobody out. Who
//! asks for something is never put out; when everybody does, an address that has its share is refused, and others
//! wait at the door, one of them in our hand and the rest in the kernel's queue.
//!
//! What must stay true: there are never more connections than seats, the one at the door aside, and nothing is
//! remembered of an address without a connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::activity::Activity;
use crate::proxies::Household;

/// Of the idle connections, so many give way together, since finding them takes a look at each.
const TOGETHER: usize = 64;
/// How often who waits for a seat looks whether somebody has become idle.
const LOOK_EVERY: Duration = Duration::from_millis(20);

type Taken = HashMap<Household, HashMap<u64, Arc<Activity>>>;

/// The seats of a listener.
pub(super) struct Seats {
    seats: u32,
    free: Arc<Semaphore>,
    per_address: usize,
    taken: Mutex<Taken>,
    next: AtomicU64,
}

/// A place among the connections. Dropping it frees it.
pub(super) struct Seat {
    _permit: OwnedSemaphorePermit,
    seats: Arc<Seats>,
    household: Household,
    number: u64,
}

/// Its address has as many connections as it may have, and all of them are at work.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl Seats {
    pub(super) fn new(seats: usize, per_address: usize) -> Self {
        let seats = u32::try_from(seats).unwrap_or(u32::MAX);
        let free = Arc::new(Semaphore::new(usize::try_from(seats).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)));
        Self { seats, free, per_address, taken: Mutex::default(), next: AtomicU64::new(0) }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a seat to a connection, and waits for one when all are at work. Who is `trusted` speaks for many, and
    /// has no share of its own.
    pub(super) async fn take(
        self: &Arc<Self>,
        household: Household,
        trusted: bool,
        activity: &Arc<Activity>,
    ) -> Result<Seat, Refused> {
        let permit = loop {
            if !trusted && !self.has_share_left(household) {
                return Err(Refused);
            }
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            self.make_room();
            let freed = tokio::time::timeout(LOOK_EVERY, Arc::clone(&self.free).acquire_owned());
            if let Ok(Ok(permit)) = freed.await {
                break permit;
            }
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.taken().entry(household).or_default().insert(number, Arc::clone(activity));
        Ok(Seat { _permit: permit, seats: Arc::clone(self), household, number })
    }

    /// Has the idlest connections end.
    pub(super) fn make_room(&self) {
        give_way(self.taken().values().flat_map(HashMap::values));
    }

    /// Waits until nobody has a seat any more.
    pub(super) async fn all_free(&self) {
        // Never closed: it comes to an end when all are back.
        let _ = self.free.acquire_many(self.seats).await;
    }

    fn has_share_left(&self, household: Household) -> bool {
        let taken = self.taken();
        let Some(own) = taken.get(&household) else { return true };
        // Who is about to leave counts no more, and is not always gone before the next comes.
        let full = || own.values().filter(|activity| !activity.is_leaving()).count() >= self.per_address;
        own.len() < self.per_address || !full() || {
            give_way(own.values());
            !full()
        }
    }
}

/// Has the idlest of them end, if any is idle.
fn give_way<'a>(taken: impl Iterator<Item = &'a Arc<Activity>>) {
    let mut idle: Vec<_> = taken.filter_map(|activity| Some((activity.idleness()?, activity))).collect();
    let many = idle.len().div_ceil(TOGETHER);
    if many > 0 {
        idle.select_nth_unstable_by_key(many - 1, |(idleness, _)| *idleness);
    }
    idle.into_iter().take(many).for_each(|(_, activity)| activity.give_way());
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(own) = taken.get_mut(&self.household) {
            own.remove(&self.number);
            if own.is_empty() {
                taken.remove(&self.household);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::*;
    use crate::proxies::ClientAddress;

    fn household(text: &str) -> Household {
        ClientAddress::from(text.parse::<IpAddr>().unwrap()).into()
    }

    fn take(seats: &Arc<Seats>, address: &str) -> Option<(Result<Seat, Refused>, Arc<Activity>)> {
        let activity = Arc::new(Activity::new());
        let seat = seats.take(household(address), false, &activity).now_or_never()?;
        Some((seat, activity))
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_others_theirs() {
        let seats = Arc::new(Seats::new(100, 2));
        let held: Vec<_> = ["1.2.3.4", "1.2.3.4", "1.2.3.5", "2001:db8::1", "2001:db8::ffff:2"]
            .into_iter()
            .map(|address| take(&seats, address).unwrap())
            .inspect(|(seat, activity)| {
                assert!(seat.is_ok());
                activity.begins(false);
            })
            .collect();
        for address in ["1.2.3.4", "::ffff:1.2.3.4", "2001:db8::3"] {
            assert!(take(&seats, address).unwrap().0.is_err(), "{address}");
        }
        assert!(take(&seats, "2001:db8:0:1::1").unwrap().0.is_ok());
        // One that becomes idle gives way to the next of its address.
        held[0].1.ends(true);
        let (seat, _) = take(&seats, "1.2.3.4").unwrap();
        assert!(seat.is_ok() && held[0].1.idleness().is_none());
    }

    #[tokio::test]
    async fn when_all_seats_are_taken_the_idlest_gives_way_and_nobody_who_works_does() {
        let seats = Arc::new(Seats::new(2, 2));
        let (first, working) = take(&seats, "1.1.1.1").unwrap();
        working.begins(false);
        let (second, idle) = take(&seats, "2.2.2.2").unwrap();
        assert!(take(&seats, "3.3.3.3").is_none(), "it waits until the idle one is gone");
        assert_eq!((working.idleness(), idle.idleness()), (None, None));
        assert!(idle.is_leaving() && !working.is_leaving());
        drop(second);
        let (third, other) = take(&seats, "3.3.3.3").unwrap();
        assert!(third.is_ok());
        other.begins(false);
        assert!(take(&seats, "4.4.4.4").is_none(), "everybody works");
        drop((first, third));
        assert!(seats.taken().is_empty(), "nothing is remembered");
    }
}
