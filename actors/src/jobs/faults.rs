//! Attempts that fail because an operator or a test asked for it: so many of a kind, in this process.
//!
//! ```text
//! fail(kind, times) ─▶ left: kind → times ─▶ the pool takes one for each attempt that it runs, and undoes its effect
//! ```
//!
//! Only kinds that this process knows are ever held, so that there is a limit to what is. Nothing is left of it when the
//! process ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Which attempts are still to fail. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The kinds that this process works on; none in one that works on no jobs.
    kinds: OnceLock<Vec<&'static str>>,
    left: Mutex<HashMap<&'static str, u32>>,
}

impl Faults {
    /// Has the next `times` attempts of a kind fail, whatever was asked before; `false` when this process works on no
    /// jobs of the kind.
    pub fn fail(&self, kind: &str, times: u32) -> bool {
        let kind = self.0.kinds.get().and_then(|kinds| kinds.iter().find(|known| **known == kind));
        if let Some(kind) = kind {
            self.0.left.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, times);
        }
        kind.is_some()
    }

    /// Says which kinds there are.
    pub(super) fn know(&self, kinds: Vec<&'static str>) {
        // A process knows its kinds from its start on.
        let _ = self.0.kinds.set(kinds);
    }

    /// Whether the next attempt of this kind is to fail.
    pub(super) fn waits(&self, kind: &str) -> bool {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner).get(kind).is_some_and(|left| *left > 0)
    }

    /// Whether this attempt of the kind is to fail, which makes one fewer.
    pub(super) fn take(&self, kind: &str) -> bool {
        let mut left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner);
        match left.get_mut(kind) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_attempts_fail_as_were_asked_for_and_only_of_a_kind_that_is_known() {
        let faults = Faults::default();
        assert!(!faults.fail("welcome", 1), "nothing is known yet");
        faults.know(vec!["welcome", "farewell"]);
        assert!(!faults.fail("a kind of nobody's", 1));
        assert!(faults.fail("welcome", 2) && faults.waits("welcome") && !faults.waits("farewell"));
        assert_eq!([(); 3].map(|()| faults.take("welcome")), [true, true, false]);
        assert!(!faults.take("farewell") && !faults.waits("welcome"));
        assert!(faults.fail("welcome", 5) && faults.fail("welcome", 0) && !faults.take("welcome"), "called off");
    }
}
