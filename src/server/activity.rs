//! What a connection is doing, written by everything that has a hand in it and judged by its task.
//!
//! ```text
//! opened ─▶ [request under way] ─▶ quiet ─▶ head coming ─▶ [request under way] ─▶ …
//! ```
//!
//! What must stay true: whatever state a connection is in, there is a time by which it has left it or is cut off,
//! except that a request that is under way has its own deadline, and a stream lives as long as it is read.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::config::Front;

/// What a connection is given to bring its first request, or the next, before others take precedence.
const FRESH: Duration = Duration::from_secs(1);
/// So many more requests given up than answered, and a client is no longer served on this connection.
const ABANDONED_MAX: u32 = 64;
/// What a client who reads slowly has to take in the time for a piece of an answer, in bytes.
const PIECE: u64 = 16 * 1024;

/// Why a connection was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It never asked for anything.
    NoRequest,
    /// A head was begun and did not come.
    SlowHead,
    /// Nothing was asked for long enough.
    Idle,
    /// Its client does not read what it asked for.
    SlowReader,
    /// Its client asks and does not wait for answers, over and over.
    Abandons,
    /// Another connection took its place.
    MadeRoom,
}

impl Cut {
    /// For metrics and the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NoRequest => "no_request",
            Self::SlowHead => "slow_head",
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::Abandons => "abandons",
            Self::MadeRoom => "made_room",
        }
    }
}

/// A connection without a request, and since when: those that go first come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Idleness {
    /// It has had time to ask for something, and never did.
    Mute(Instant),
    /// It is kept between two requests. Who comes back opens another, and loses nothing.
    Kept(Instant),
    /// It has just come, and what it asks for may be on its way.
    Fresh(Instant),
    /// It has just been served, and is between two of many requests. Were it to go before those that have just come, a
    /// crowd that comes and goes would put out everybody who is at work.
    Busy(Instant),
}

/// What a connection is doing.
pub(super) struct Activity {
    state: Mutex<State>,
    told: Notify,
}

struct State {
    phase: Phase,
    /// Requests under way: from their head to the last piece of their answer.
    under_way: u32,
    /// Every request so far.
    asked: u64,
    /// It is HTTP/2: bytes may come that belong to no request.
    multiplexed: bool,
    /// Requests given up, less those that were answered.
    abandoned: u32,
    /// The connection takes no more for now, and what went through it since it was so.
    blocked: Option<(Instant, u64)>,
    /// The answers of which a piece waits to be taken, and since when.
    waiting: BTreeMap<u64, Instant>,
    cut: Option<Cut>,
    /// The request whose head gives two lengths for its body; what comes behind it is not served.
    two_lengths: Option<u64>,
    /// The last answer refused a body that may still be on its way.
    refused_a_body: bool,
}

/// What a connection does while no request is under way.
#[derive(Clone, Copy)]
enum Phase {
    Opened(Instant),
    Quiet(Instant),
    Head(Instant),
}

impl Activity {
    pub(super) fn new() -> Self {
        let state = State {
            phase: Phase::Opened(Instant::now()),
            under_way: 0,
            asked: 0,
            multiplexed: false,
            abandoned: 0,
            blocked: None,
            waiting: BTreeMap::new(),
            cut: None,
            two_lengths: None,
            refused_a_body: false,
        };
        Self { state: Mutex::new(state), told: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When to look again; why it is to be cut off, when it is.
    pub(super) fn judge(&self, now: Instant, limits: &Front) -> Result<Instant, Cut> {
        let mut state = self.state();
        // It was to give way, and what it asks for was on its way already.
        if state.cut == Some(Cut::MadeRoom) && state.under_way > 0 {
            state.cut = None;
        }
        if let Some(cut) = state.cut {
            return Err(cut);
        }
        // No deadline can begin between two looks and pass before the second.
        let mut next = now + limits.head_within.min(limits.idle_within).min(limits.read_within);
        let mut until = |deadline: Instant, cut: Cut| {
            next = next.min(deadline);
            if deadline <= now { Err(cut) } else { Ok(()) }
        };
        if state.under_way == 0 {
            match state.phase {
                Phase::Opened(since) => until(since + limits.head_within, Cut::NoRequest)?,
                Phase::Head(since) => until(since + limits.head_within, Cut::SlowHead)?,
                Phase::Quiet(since) => until(since + limits.idle_within, Cut::Idle)?,
            }
        }
        if let Some(since) = state.waiting.values().min() {
            until(*since + limits.read_within, Cut::SlowReader)?;
        }
        if let Some((since, through)) = &mut state.blocked {
            // Who reads, if only slowly, is given the same time again.
            if *since + limits.read_within <= now && *through >= PIECE {
                (*since, *through) = (now, 0);
            }
            until(*since + limits.read_within, Cut::SlowReader)?;
        }
        Ok(next)
    }

    /// Waits until something is decided that cannot wait for the next look.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// Whether it ever asked for anything.
    pub(super) fn has_asked(&self) -> bool {
        self.state().asked > 0
    }

    /// How idle it is; `None` while a request is under way, or when it is to end anyway.
    pub(super) fn idleness(&self) -> Option<Idleness> {
        let state = self.state();
        let idleness = match state.phase {
            Phase::Opened(since) if since.elapsed() < FRESH => Idleness::Fresh(since),
            Phase::Opened(since) => Idleness::Mute(since),
            Phase::Quiet(since) | Phase::Head(since) if since.elapsed() < FRESH => Idleness::Busy(since),
            Phase::Quiet(since) | Phase::Head(since) => Idleness::Kept(since),
        };
        (state.under_way == 0 && state.cut.is_none()).then_some(idleness)
    }

    /// Whether it is to end.
    pub(super) fn is_leaving(&self) -> bool {
        self.state().cut.is_some()
    }

    /// Has it end for another's sake, unless a request has come, or comes before it hears of this.
    pub(super) fn give_way(&self) {
        let mut state = self.state();
        if state.under_way == 0 && state.cut.is_none() {
            state.cut = Some(Cut::MadeRoom);
            self.told.notify_one();
        }
    }

    /// Bytes have come. Over HTTP/2, where signs of life and settings come as well, that begins no head.
    pub(super) fn heard(&self) {
        let mut state = self.state();
        if state.under_way == 0 && !state.multiplexed && matches!(state.phase, Phase::Quiet(_)) {
            state.phase = Phase::Head(Instant::now());
        }
    }

    /// A request has come; its number on this connection.
    pub(super) fn begins(&self, multiplexed: bool) -> u64 {
        let mut state = self.state();
        state.multiplexed = multiplexed;
        state.under_way += 1;
        state.asked += 1;
        state.asked
    }

    /// A request is over, answered or not.
    pub(super) fn ends(&self, answered: bool) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(1);
        state.abandoned = if answered { state.abandoned.saturating_sub(1) } else { state.abandoned + 1 };
        if state.under_way == 0 {
            state.phase = Phase::Quiet(Instant::now());
        }
        if state.abandoned >= ABANDONED_MAX && state.cut.is_none() {
            state.cut = Some(Cut::Abandons);
            self.told.notify_one();
        }
    }

    /// Notes that a request, by its number, gives two lengths for its body.
    pub(super) fn has_two_lengths(&self, request: u64) {
        self.state().two_lengths = Some(request);
    }

    /// Whether that is this request.
    pub(super) fn is_ambiguous(&self, request: u64) -> bool {
        self.state().two_lengths == Some(request)
    }

    /// A piece of an answer waits to be taken, or none does any more.
    pub(super) fn piece_waits(&self, request: u64, waits: bool) {
        let mut state = self.state();
        match waits {
            true => state.waiting.insert(request, Instant::now()),
            false => state.waiting.remove(&request),
        };
    }

    #[cfg(test)]
    pub(super) fn has_waiting_pieces(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// The connection takes nothing more for now.
    pub(super) fn blocked(&self) {
        self.state().blocked.get_or_insert_with(|| (Instant::now(), 0));
    }

    /// Something went through; `free` when that was all there was.
    pub(super) fn went_through(&self, bytes: usize, free: bool) {
        let mut state = self.state();
        match &mut state.blocked {
            _ if free => state.blocked = None,
            Some((_, through)) => *through += bytes as u64,
            None => {}
        }
    }

    /// Notes whether the last answer refused a body.
    pub(super) fn refused_a_body(&self, refused: bool) {
        self.state().refused_a_body = refused;
    }

    /// Whether its client may still be sending what nobody will read.
    pub(super) fn may_still_send(&self) -> bool {
        self.state().refused_a_body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Front {
        let Ok(config) = crate::config::Config::from(|name| match name {
            "DATABASE_URL" => Some("postgres://localhost/x".to_owned()),
            "REDIS_URL" => Some("redis://localhost".to_owned()),
            "JWT_SECRET" => Some("0123456789abcdef0123456789abcdef".to_owned()),
            _ => None,
        }) else {
            unreachable!()
        };
        config.limits.front
    }

    /// What is decided when so much time has passed.
    fn after(activity: &Activity, time: Duration) -> Option<Cut> {
        activity.judge(Instant::now() + time, &limits()).err()
    }

    #[test]
    fn whatever_is_not_a_request_has_its_time() {
        let activity = Activity::new();
        assert_eq!(after(&activity, 9 * SECOND), None);
        assert_eq!(after(&activity, 11 * SECOND), Some(Cut::NoRequest));
        activity.heard();
        assert_eq!(after(&activity, 11 * SECOND), Some(Cut::NoRequest));
        activity.begins(false);
        assert_eq!(after(&activity, 1000 * SECOND), None);
        activity.ends(true);
        assert_eq!(after(&activity, 74 * SECOND), None);
        assert_eq!(after(&activity, 76 * SECOND), Some(Cut::Idle));
        activity.heard();
        assert_eq!(after(&activity, 11 * SECOND), Some(Cut::SlowHead));
        activity.begins(true);
        activity.ends(true);
        activity.heard();
        assert_eq!(after(&activity, 74 * SECOND), None, "it may have been a sign of life");
    }

    #[test]
    fn who_reads_nothing_is_cut_off_and_who_reads_slowly_is_not() {
        let activity = Activity::new();
        activity.begins(false);
        activity.piece_waits(1, true);
        assert_eq!(after(&activity, 21 * SECOND), Some(Cut::SlowReader));
        activity.piece_waits(1, false);
        activity.blocked();
        assert_eq!(after(&activity, 21 * SECOND), Some(Cut::SlowReader));
        activity.went_through(1000, false);
        assert_eq!(after(&activity, 21 * SECOND), Some(Cut::SlowReader));
        activity.went_through(16_000, false);
        assert_eq!(after(&activity, 21 * SECOND), None);
        activity.went_through(1, true);
        assert_eq!(after(&activity, 1000 * SECOND), None);
    }

    #[test]
    fn the_next_look_comes_before_any_deadline_that_may_begin_meanwhile() {
        let (activity, limits, now) = (Activity::new(), limits(), Instant::now());
        activity.begins(false);
        let next = activity.judge(now, &limits).unwrap();
        assert!(next <= now + limits.head_within);
    }

    #[test]
    fn who_abandons_more_than_is_answered_is_cut_off_at_once() {
        let activity = Activity::new();
        for _ in 0..1000 {
            activity.begins(false);
            activity.begins(false);
            activity.ends(false);
            activity.ends(true);
        }
        assert_eq!(after(&activity, Duration::ZERO), None);
        for _ in 0..ABANDONED_MAX {
            activity.begins(false);
            activity.ends(false);
        }
        assert_eq!(after(&activity, Duration::ZERO), Some(Cut::Abandons));
    }

    #[test]
    fn who_has_just_come_goes_last_and_who_never_asked_goes_first() {
        let now = Instant::now();
        let mut all = [
            Idleness::Busy(now - 2 * SECOND),
            Idleness::Fresh(now - SECOND),
            Idleness::Kept(now),
            Idleness::Mute(now),
            Idleness::Kept(now - SECOND),
            Idleness::Mute(now - SECOND),
        ];
        all.sort();
        let (mute, kept) = (|at| Idleness::Mute(at), |at| Idleness::Kept(at));
        assert!(matches!(all[4..], [Idleness::Fresh(_), Idleness::Busy(_)]));
        assert_eq!(all[..4], [mute(now - SECOND), mute(now), kept(now - SECOND), kept(now)]);
        assert!(matches!(Activity::new().idleness(), Some(Idleness::Fresh(_))));
    }

    #[test]
    fn only_who_does_nothing_gives_way() {
        let activity = Activity::new();
        let gives_way = || {
            activity.give_way();
            activity.is_leaving()
        };
        activity.begins(false);
        assert!(!gives_way() && activity.idleness().is_none());
        activity.ends(true);
        assert!(activity.idleness().is_some() && gives_way() && activity.idleness().is_none());
        activity.begins(false);
        assert_eq!(after(&activity, Duration::ZERO), None, "its request had been on its way");
        activity.ends(true);
        assert!(gives_way());
        assert_eq!(after(&activity, Duration::ZERO), Some(Cut::MadeRoom));
    }
}
