//! The runtime: how busy its workers are, and what waits for them.
//!
//! Of the blocking pool tokio tells nothing unless the whole build is given `--cfg tokio_unstable`, which the
//! environment's own RUSTFLAGS would silently take away again. Its threads are counted instead: the system knows them by
//! the name that all of the runtime's threads have, and those that are no workers are of the blocking pool.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::runtime::{Handle, RuntimeMetrics};

use super::process;

/// What tokio calls its threads.
const THREADS: &str = "tokio-rt-worker";

/// Has the runtime that this is called in read whenever metrics are collected.
pub(super) fn observe(meter: &Meter) {
    let Ok(runtime) = Handle::try_current().map(|handle| handle.metrics()) else { return };
    let gauge = |name, unit, description, of: fn(&RuntimeMetrics) -> Option<u64>| {
        let runtime = runtime.clone();
        meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                if let Some(value) = of(&runtime) {
                    observer.observe(value, &[]);
                }
            })
            .build();
    };
    gauge("tokio.runtime.workers", "{thread}", "Threads that run tasks.", |runtime| Some(runtime.num_workers() as u64));
    gauge("tokio.runtime.tasks", "{task}", "Tasks that have not ended.", |runtime| {
        Some(runtime.num_alive_tasks() as u64)
    });
    gauge("tokio.runtime.queue.depth", "{task}", "Tasks in the queue that all workers share.", |runtime| {
        Some(runtime.global_queue_depth() as u64)
    });
    let blocking = "Threads that do what would hold up workers: compression, names of hosts.";
    gauge("tokio.runtime.blocking.threads", "{thread}", blocking, |runtime| {
        Some(process::threads_named(THREADS)?.saturating_sub(runtime.num_workers() as u64))
    });
    let workers = runtime.clone();
    meter
        .f64_observable_counter("tokio.runtime.worker.busy_time")
        .with_unit("s")
        .with_description("How long each worker was at work; one second a second is all that it can do.")
        .with_callback(move |observer| {
            for (worker, attributes) in each(&workers) {
                observer.observe(workers.worker_total_busy_duration(worker).as_secs_f64(), &attributes);
            }
        })
        .build();
    let workers = runtime;
    meter
        .u64_observable_counter("tokio.runtime.worker.parks")
        .with_unit("{park}")
        .with_description("How often each worker found nothing to do and went to sleep.")
        .with_callback(move |observer| {
            for (worker, attributes) in each(&workers) {
                observer.observe(workers.worker_park_count(worker), &attributes);
            }
        })
        .build();
}

fn each(runtime: &RuntimeMetrics) -> impl Iterator<Item = (usize, [KeyValue; 1])> {
    let attributes = |worker: usize| [KeyValue::new("worker", i64::try_from(worker).unwrap_or(i64::MAX))];
    (0..runtime.num_workers()).map(move |worker| (worker, attributes(worker)))
}
