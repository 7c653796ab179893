//! What becomes of a request, told once: in its span and in the line that there is for every request. One whose client
//! went away before its answer is dropped where it stands, and told of all the same.

use std::sync::Arc;
use std::time::Instant;

use actors::kit::scope::Tally;

use crate::server_span;
use crate::telemetry::instruments::Completed;
use crate::telemetry::sampling::Begun;
use crate::telemetry::{self, Abandoned};

/// A request that has no answer yet. Dropped, it is told of as one that nobody waits for any more.
pub(crate) struct Unanswered(Option<Telling>);

/// What is known of it from the beginning.
pub(crate) struct Telling {
    /// Its span, or its ids.
    pub(crate) begun: Begun,
    /// Whether there is a line about it.
    pub(crate) observed: bool,
    /// Its method, one of a few.
    pub(crate) method: &'static str,
    /// Its route's pattern.
    pub(crate) route: Option<&'static str>,
    /// Its path, where no route says it.
    pub(crate) path: String,
    /// Since when it is worked on.
    pub(crate) started: Instant,
    /// The statements that are run for it.
    pub(crate) tally: Arc<Tally>,
}

impl Unanswered {
    pub(crate) fn new(telling: Telling) -> Self {
        Self(Some(telling))
    }

    /// Tells what the answer is.
    pub(crate) fn answered(mut self, completed: &Completed) {
        let Some(Telling { begun, observed, path, tally, .. }) = self.0.take() else { return };
        if let Begun::Recorded(span) = &begun {
            server_span::conclude(span, completed, &tally);
        }
        if observed {
            telemetry::completed(begun.trace(), completed, &path, tally.statements());
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let Some(Telling { begun, observed, method, route, path, started, tally }) = self.0.take() else { return };
        if let Begun::Recorded(span) = &begun {
            span.fail(telemetry::CLIENT_GONE, || "the client went away before the answer".to_owned());
        }
        if observed {
            let abandoned =
                Abandoned { method, route, path: &path, took: started.elapsed(), statements: tally.statements() };
            telemetry::abandoned(begun.trace(), &abandoned);
        }
    }
}
