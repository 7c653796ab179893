//! What the allocator holds, in its own words; read when metrics are collected.

use opentelemetry::metrics::Meter;
use tikv_jemalloc_ctl::{epoch, stats};

/// One of the allocator's numbers.
type Read = fn() -> tikv_jemalloc_ctl::Result<usize>;

/// Has the allocator read whenever metrics are collected.
pub(super) fn observe(meter: &Meter) {
    let gauge = |name, description, read: Read| {
        meter
            .u64_observable_gauge(name)
            .with_unit("By")
            .with_description(description)
            .with_callback(move |observer| {
                // Its numbers stand still until they are asked to go on.
                if let (Ok(_), Ok(bytes)) = (epoch::advance(), read()) {
                    observer.observe(bytes as u64, &[]);
                }
            })
            .build();
    };
    gauge("jemalloc.allocated", "Memory that the program holds.", stats::allocated::read);
    gauge(
        "jemalloc.active",
        "Memory in pages that hold any of that: more of it is fragmentation.",
        stats::active::read,
    );
    gauge(
        "jemalloc.resident",
        "Memory that the allocator has of the system, kept for later included.",
        stats::resident::read,
    );
    gauge("jemalloc.metadata", "Memory that the allocator needs for itself.", stats::metadata::read);
    gauge("jemalloc.retained", "Addresses that are kept and cost no memory.", stats::retained::read);
}
