//! An answer that everybody gets who asks the same while it is so.
//!
//! What they make of it is alike as well, and often takes longer than to find it: the first leaves it here for the others.
//! It lives as long as the answer: while it is given, or kept for as long as it is still right (`kept`).

use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// An answer, and what was made of it.
#[derive(Debug)]
pub struct Shared<T> {
    answer: T,
    made: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl<T> Shared<T> {
    /// Shares an answer of which nothing was made yet.
    pub fn new(answer: T) -> Arc<Self> {
        Arc::new(Self { answer, made: OnceLock::new() })
    }

    /// What the first made of it, if that is of this type.
    pub fn made<M: 'static>(&self) -> Option<&M> {
        self.made.get()?.downcast_ref()
    }

    /// Leaves this for the others if there are any, unless somebody did before.
    pub fn leave<M: Send + Sync + 'static>(self: &Arc<Self>, made: impl FnOnce() -> M) {
        if Arc::strong_count(self) > 1 {
            // Two who come at once make the same of it.
            let _ = self.made.set(Box::new(made()));
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_leave_something_leaves_it_for_all() {
        let shared = Shared::new(7);
        let other = Arc::clone(&shared);
        assert_eq!(other.made::<String>(), None);
        shared.leave(|| "first".to_owned());
        shared.leave(|| "second".to_owned());
        assert_eq!((**other, other.made::<String>().map(String::as_str)), (7, Some("first")));
        assert_eq!(other.made::<u64>(), None, "it is of another type");
    }

    #[test]
    fn nothing_is_left_where_nobody_else_asked() {
        let shared = Shared::new(7);
        shared.leave(|| "first".to_owned());
        assert_eq!(shared.made::<String>(), None);
    }
}
