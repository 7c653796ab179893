//! Telemetry as others expect it: every attribute, metric and span name is OpenTelemetry's, or stands in a registry of
//! our own that tools can read (ops/telemetry/registry). What Weaver's live-check judges is judged here without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub)]

#[path = "conventions/check.rs"]
mod check;
#[path = "conventions/everything.rs"]
mod everything;
#[path = "conventions/official.rs"]
mod official;
#[path = "conventions/registry.rs"]
mod registry;
mod support;

use callboard::router;
use check::Check;
use support::Stage;
use support::otlp::Receiver;

/// What happens in a service under stress, which other tests put it to; it may happen here.
const RARE: [&str; 7] = [
    "actor.messages.poisoned",
    "actor.stalls",
    "http.server.connections.cut",
    "jobs.resent",
    "log.records.suppressed",
    "notifications.streams.refused",
    "throttle.refused",
];

#[tokio::test]
async fn all_that_is_exported_is_in_a_convention() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    everything::happens(&stage, &receiver).await;
    let exported = receiver.exported();
    let mut check = Check::new();
    exported.raw.traces.iter().for_each(|export| check.spans(export));
    exported.raw.logs.iter().for_each(|export| check.logs(export));
    exported.raw.metrics.iter().for_each(|export| check.metrics(export));
    let (public, admin) = (router::public().unwrap(), router::admin().unwrap());
    let named = |name: &str| exported.spans.iter().any(|span| span.name == name);
    // Quiet routes make no spans.
    let quiet =
        ["/api/health", "/healthz", "/readyz", "/metrics", "/actors", "/actors/events", "/jobs", "/jobs/{id}", "/"];
    let apart = ["POST /api/logout"];
    for (pattern, method) in public.entries().chain(admin.entries()).filter(|(pattern, _)| !quiet.contains(pattern)) {
        let name = format!("{method} {pattern}");
        assert!(named(&name) || apart.contains(&name.as_str()), "nothing was asked of {name}");
    }
    assert!(exported.spans.len() > 300 && exported.logs.len() > 50, "there was something to look at");
    let (violations, mut unseen) = (check.violations(), check.unseen());
    unseen.retain(|name| !RARE.contains(&name.as_str()));
    assert!(
        violations.is_empty() && unseen.is_empty(),
        "{} violations:\n{}\nNobody made {unseen:?}, of which the registry tells.\nDrafts:\n{}",
        violations.len(),
        violations.join("\n"),
        check.drafts(),
    );
}
