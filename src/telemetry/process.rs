//! The process as the system sees it: processor time, memory, threads, file descriptors. Names are those of
//! OpenTelemetry's semantic conventions; read when metrics are collected, and absent where the system does not tell.

use std::fs;
use std::sync::LazyLock;
use std::time::Instant;

use nix::sys::resource::{Resource, Usage, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// About when the process started.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Has the process read whenever metrics are collected.
pub(super) fn observe(meter: &Meter) {
    LazyLock::force(&STARTED);
    time(meter);
    usage(meter);
    memory(meter);
    descriptors(meter);
}

fn time(meter: &Meter) {
    meter
        .f64_observable_gauge("process.uptime")
        .with_unit("s")
        .with_description("How long the process has run.")
        .with_callback(|observer| observer.observe(STARTED.elapsed().as_secs_f64(), &[]))
        .build();
    meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("Processor time of all threads, the process' own and the system's for it.")
        .with_callback(|observer| {
            let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return };
            let mode = |mode| [KeyValue::new("cpu.mode", mode)];
            observer.observe(seconds(usage.user_time()), &mode("user"));
            observer.observe(seconds(usage.system_time()), &mode("system"));
        })
        .build();
}

fn usage(meter: &Meter) {
    let pair = |name, unit, description, attribute, of: fn(&Usage) -> [(&'static str, i64); 2]| {
        meter
            .u64_observable_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return };
                for (value, count) in of(&usage) {
                    observer.observe(u64::try_from(count).unwrap_or(0), &[KeyValue::new(attribute, value)]);
                }
            })
            .build();
    };
    pair(
        "process.context_switches",
        "{context_switch}",
        "How often a thread gave its processor up (voluntary), or had it taken away (involuntary).",
        "process.context_switch.type",
        |usage| {
            [("voluntary", usage.voluntary_context_switches()), ("involuntary", usage.involuntary_context_switches())]
        },
    );
    pair(
        "process.paging.faults",
        "{fault}",
        "How often memory was first touched (minor), or had to be read from a disk (major).",
        "system.paging.fault.type",
        |usage| [("minor", usage.minor_page_faults()), ("major", usage.major_page_faults())],
    );
}

fn memory(meter: &Meter) {
    let of_status = |name, unit, description, field, times: i64| {
        meter
            .i64_observable_up_down_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                if let Some(value) = status(field) {
                    observer.observe(value * times, &[]);
                }
            })
            .build();
    };
    of_status("process.memory.usage", "By", "Memory that is in use: resident.", "VmRSS:", 1024);
    of_status("process.memory.virtual", "By", "Memory that is reserved, in use or not.", "VmSize:", 1024);
    of_status("process.thread.count", "{thread}", "Threads of the process.", "Threads:", 1);
}

fn descriptors(meter: &Meter) {
    meter
        .i64_observable_up_down_counter("process.unix.file_descriptor.count")
        .with_unit("{file_descriptor}")
        .with_description("Open file descriptors: connections, mostly.")
        .with_callback(|observer| {
            if let Ok(open) = fs::read_dir("/proc/self/fd") {
                // One is that of the folder itself.
                observer.observe(i64::try_from(open.count()).unwrap_or(i64::MAX).saturating_sub(1), &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("process.unix.file_descriptor.limit")
        .with_unit("{file_descriptor}")
        .with_description("File descriptors that may be open.")
        .with_callback(|observer| {
            if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
                observer.observe(soft, &[]);
            }
        })
        .build();
}

/// The threads of this process that have this name, where the system tells.
pub(super) fn threads_named(name: &str) -> Option<u64> {
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten();
    // A thread that has just ended has no name any more.
    let has_name = |comm: String| comm.trim_end() == name;
    let named = threads.filter(|thread| fs::read_to_string(thread.path().join("comm")).is_ok_and(has_name));
    u64::try_from(named.count()).ok()
}

/// A number that Linux tells of this process.
fn status(field: &str) -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[allow(clippy::cast_precision_loss)] // Processor time has some years until it loses a microsecond.
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
