//! What is read when metrics are collected: how full mailboxes, pools and other bounded things are, and how much they
//! hold. Nothing is done between two collections.

use std::sync::{Arc, Weak};

use actors::kit::kept::Size;
use actors::kit::writers::Standing;
use actors::supervision::Snapshot;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{KeyValue, global};

use super::{allocator, process, runtime};
use crate::app::App;

/// A number of an actor, if it has a mailbox.
type OfActor = fn(&Snapshot) -> Option<u64>;
/// A number of a pool of connections.
type OfPool = fn(&Standing) -> usize;
/// A number of what is kept.
type OfKept = fn(&Size) -> u64;
/// A number of the process, if it has it.
type OfApp = fn(&App) -> Option<u64>;

/// Has the state of the actors, connections, runtime and process read whenever metrics are collected.
pub fn observe(app: &Arc<App>) {
    let meter = global::meter("callboard");
    // Weak, for the meter lives as long as the process and would keep the app.
    let app = Arc::downgrade(app);
    mailboxes(&meter, &app);
    pools(&meter, &app);
    limits(&meter, &app);
    kept(&meter, &app);
    runtime::observe(&meter);
    process::observe(&meter);
    allocator::observe(&meter);
}

fn mailboxes(meter: &Meter, app: &Weak<App>) {
    let gauge = |name, description, of: OfActor| {
        let app = app.clone();
        let observe = move |observer: &dyn AsyncInstrument<u64>| each_actor(&app, observer, of);
        meter
            .u64_observable_gauge(name)
            .with_unit("{message}")
            .with_description(description)
            .with_callback(observe)
            .build();
    };
    let counter = |name, description, of: OfActor| {
        let app = app.clone();
        let observe = move |observer: &dyn AsyncInstrument<u64>| each_actor(&app, observer, of);
        meter
            .u64_observable_counter(name)
            .with_unit("{message}")
            .with_description(description)
            .with_callback(observe)
            .build();
    };
    gauge("actor.mailbox.depth", "Messages that wait at an actor.", |actor| actor.mailbox.map(|[depth, ..]| depth));
    gauge("actor.mailbox.capacity", "Messages that may wait at an actor: the next is refused.", |actor| {
        actor.limits.map(|[capacity, _]| capacity)
    });
    gauge("actor.in_flight", "Messages that an actor works on.", |actor| actor.mailbox.map(|[_, now, ..]| now));
    gauge("actor.in_flight.limit", "Messages that an actor may work on at once.", |actor| {
        actor.limits.map(|[_, hands_for]| hands_for)
    });
    counter("actor.messages.handled", "Messages answered, refusals of the domain's rules included.", |actor| {
        actor.mailbox.map(|[_, _, handled, _]| handled)
    });
    counter("actor.messages.failed", "Messages that came to a failure of ours.", |actor| {
        actor.mailbox.map(|[.., failed]| failed)
    });
}

fn pools(meter: &Meter, app: &Weak<App>) {
    let named = |pool: &Standing| KeyValue::new("db.client.connection.pool.name", pool.name);
    let watched = app.clone();
    meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_unit("{connection}")
        .with_description("Open connections to PostgreSQL, by pool, used or idle; a shared one is used by many.")
        .with_callback(move |observer| {
            let state = |state| KeyValue::new("db.client.connection.state", state);
            for pool in connections(&watched) {
                observer.observe(signed(pool.used), &[named(&pool), state("used")]);
                observer.observe(signed(pool.idle), &[named(&pool), state("idle")]);
            }
        })
        .build();
    let of_pool = |name, unit, description, of: OfPool| {
        let app = app.clone();
        meter
            .i64_observable_up_down_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                connections(&app).iter().for_each(|pool| observer.observe(signed(of(pool)), &[named(pool)]));
            })
            .build();
    };
    let most = "Connections to PostgreSQL that there may be, by pool.";
    of_pool("db.client.connection.max", "{connection}", most, |pool| pool.max);
    let pending = "Who waits for a connection to PostgreSQL, by pool.";
    of_pool("db.client.connection.pending_requests", "{request}", pending, |pool| pool.pending);
}

fn limits(meter: &Meter, app: &Weak<App>) {
    let gauge = |name, unit, description, of: OfApp| {
        let app = app.clone();
        meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                if let Some(value) = app.upgrade().and_then(|app| of(&app)) {
                    observer.observe(value, &[]);
                }
            })
            .build();
    };
    gauge("http.server.connections.limit", "{connection}", "Connections that a listener may have.", |app| {
        Some(app.config.limits.front.connections as u64)
    });
    gauge("http.server.request.bodies", "By", "The bodies of requests in memory.", |app| {
        Some(app.bodies.taken() as u64)
    });
    gauge("http.server.request.bodies.limit", "By", "What bodies of requests may take of the memory.", |app| {
        Some(app.bodies.bytes() as u64)
    });
    gauge("notifications.streams.limit", "{stream}", "Streams of notifications that may be open.", |app| {
        Some(app.config.limits.live_streams as u64)
    });
    gauge(
        "jobs.workers.busy",
        "{worker}",
        "Workers of the job pool that are at work, each on one job or several.",
        |app| app.system.job_hands().map(|(busy, _)| busy as u64),
    );
    gauge("jobs.workers.limit", "{worker}", "Workers of the job pool.", |app| {
        app.system.job_hands().map(|(_, all)| all as u64)
    });
    let watched = app.clone();
    meter
        .u64_observable_counter("actor.restarts.unrecorded")
        .with_unit("{restart}")
        .with_description("Restarts that will never be in the ledger: its buffer was full, or the process ended first.")
        .with_callback(move |observer| {
            if let Some(app) = watched.upgrade() {
                observer.observe(app.system.restarts_dropped(), &[]);
            }
        })
        .build();
}

fn kept(meter: &Meter, app: &Weak<App>) {
    let gauge = |name, description, of: OfKept| {
        let app = app.clone();
        meter
            .u64_observable_gauge(name)
            .with_unit("By")
            .with_description(description)
            .with_callback(move |observer| {
                let kept = app.upgrade().map(|app| app.system.kept()).unwrap_or_default();
                kept.iter().for_each(|size| observer.observe(of(size), &[KeyValue::new("kind", size.name)]));
            })
            .build();
    };
    gauge("kept.size", "What is kept of what was read before, by kind.", |size| size.bytes);
    gauge("kept.limit", "What may be kept of what was read before, by kind.", |size| size.limit);
}

fn each_actor(app: &Weak<App>, observer: &dyn AsyncInstrument<u64>, of: OfActor) {
    let Some(app) = app.upgrade() else { return };
    for_each(&app.system.tree(), &mut |node| {
        if let Some(value) = of(node) {
            observer.observe(value, &[KeyValue::new("path", Arc::clone(&node.path))]);
        }
    });
}

fn for_each(node: &Snapshot, visit: &mut impl FnMut(&Snapshot)) {
    visit(node);
    for child in &node.children {
        for_each(child, visit);
    }
}

fn connections(app: &Weak<App>) -> Vec<Standing> {
    app.upgrade().map(|app| app.system.connections()).unwrap_or_default()
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
