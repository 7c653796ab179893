//! Which children an end touches: pure functions, as in OTP's `supervisor`.

use super::spec::{Restart, Strategy};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitKind {
    /// It panicked.
    Panic,
    /// Its handler returned an error, or its start failed.
    Error,
    /// It was killed.
    Killed,
    /// It stopped, asked by nobody but itself.
    Normal,
}

impl ExitKind {
    /// The word in the ledger and in metrics. An actor that is always to run and ended all the same is in error,
    /// however calmly it went.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Error | Self::Normal => "error",
            Self::Killed => "killed",
        }
    }
}

/// Whether a child that ended so is started again.
pub fn restarts(restart: Restart, exit: ExitKind) -> bool {
    match restart {
        Restart::Permanent => true,
        Restart::Transient => exit != ExitKind::Normal,
        Restart::Temporary => false,
    }
}

/// The children, by position, that are stopped (in reverse) and started again (in order) when the
/// child at `ended` of `count` is to be restarted. It is always among them.
pub fn touched(strategy: Strategy, ended: usize, count: usize) -> std::ops::Range<usize> {
    match strategy {
        Strategy::OneForOne => ended..(ended + 1).min(count),
        Strategy::RestForOne => ended..count,
        Strategy::OneForAll => 0..count,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn only_a_permanent_child_comes_back_from_a_normal_end_and_a_temporary_one_never_does() {
        use ExitKind::*;
        for exit in [Panic, Error, Killed, Normal] {
            assert!(restarts(Restart::Permanent, exit));
            assert_eq!(restarts(Restart::Transient, exit), exit != Normal);
            assert!(!restarts(Restart::Temporary, exit));
        }
    }

    proptest! {
        #[test]
        fn one_for_one_touches_only_the_child_that_ended(count in 1_usize..20, at in 0_usize..20) {
            let ended = at % count;
            prop_assert_eq!(touched(Strategy::OneForOne, ended, count), ended..ended + 1);
        }

        #[test]
        fn rest_for_one_touches_the_child_and_all_started_after_it(count in 1_usize..20, at in 0_usize..20) {
            let ended = at % count;
            prop_assert_eq!(touched(Strategy::RestForOne, ended, count), ended..count);
        }

        #[test]
        fn one_for_all_touches_everybody(count in 1_usize..20, at in 0_usize..20) {
            prop_assert_eq!(touched(Strategy::OneForAll, at % count, count), 0..count);
        }
    }
}
