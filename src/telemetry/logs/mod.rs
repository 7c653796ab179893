//! Log lines: JSON, or pretty on a terminal, on standard output, and the same records over OTLP.
//!
//! ```text
//! event ─▶ levels (LOG_LEVEL, RUST_LOG) ─▶ flood ─┬▶ line ─▶ masked ─▶ output: a buffer, a thread, standard output
//!                                                 └▶ record, masked and encoded ─▶ what waits for export
//! ```
//!
//! One layer writes both, so that what is left out of one is left out of the other. Each says in whose context it was
//! written: the ids of the span, and the request or the job behind it ([`about`]).
//!
//! What the levels mean:
//!
//! | level | | for instance |
//! |---|---|---|
//! | error | somebody must look | an answer 500, a dead letter, a message that is poison, a supervisor that gives up, a panic |
//! | warn | we helped ourselves, or a dependency is away | an answer 503 or 504, a retry, a restart, a reused token |
//! | info | a state changes, and one line for each request | listening, stopping, an actor is back, `request completed` |
//! | debug | what was decided | a connection is cut off, a mailbox is full |
//!
//! What must stay true: writing a line never waits for whoever reads it ([`output`]), the same warning is written a few
//! times and then counted ([`flood`]), and no address goes through in the clear ([`super::mask`]).

mod about;
mod flood;
mod json;
mod limits;
mod output;
mod panics;
mod pretty;
mod record;

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::{Context as OfLayer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use self::about::About;
use self::flood::Flood;
use self::output::Output;
use self::record::{Records, is_exporting};
use super::export::{Refused, is_told_by_us};
use super::{LogFormat, Settings, SetupError, mask};

pub use limits::Limits;
pub(super) use record::Carrier;

/// Of all that others wrote, nothing below this is told, whatever RUST_LOG says: what they tell at lower levels is what
/// they are given, statements with their values and headers with their tokens.
const OF_OTHERS: Level = Level::INFO;
/// What a panic may wait for its line to be written: a moment, for the thread that panics may serve others.
const PANIC_WITHIN: Duration = Duration::from_millis(50);
/// What a line's memory is kept for the next one of its thread.
const KEEP: usize = 16 * 1024;

/// The process' lines. Whoever ends it flushes them.
static LINES: OnceLock<(Arc<Output>, Arc<Flood>)> = OnceLock::new();

thread_local! {
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Makes the layers the process' own, and has panics logged like everything else.
pub(super) fn install(settings: &Settings, tracer: SdkTracer, logs: Option<&Carrier>) -> Result<(), SetupError> {
    // ractor opens a span for the whole life of each actor.
    // h2 warns of each client that goes too far, which are as many lines as that client likes.
    // What a collector refuses is read from the exporter's warnings, which are not shown.
    let filter = format!(
        "opentelemetry-otlp=warn,h2=error,ractor=warn,refinery_core=warn,tokio_postgres=warn,{}",
        settings.filter
    );
    let filter = EnvFilter::try_new(filter).map_err(|error| SetupError(format!("RUST_LOG: {error}")))?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    let (output, flood) = started(&settings.lines)?;
    let lines = Lines {
        format: settings.format,
        colours: settings.lines.colours,
        output,
        flood,
        records: logs.cloned().map(Records::new),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(FilterFn::new(|metadata| is_ours(metadata.target()) || *metadata.level() <= OF_OTHERS))
        .with(spans.with_filter(FilterFn::new(|metadata| !is_exporting(metadata.target()))))
        .with(Refused)
        .with(lines.with_filter(FilterFn::new(|metadata| !is_told_by_us(metadata))))
        .try_init()
        .map_err(|error| SetupError(error.to_string()))?;
    panics::log();
    Ok(())
}

/// Starts the threads that write lines and that tell what was left out.
fn started(limits: &Limits) -> Result<(Arc<Output>, Arc<Flood>), SetupError> {
    let (output, flood) = LINES.get_or_init(|| {
        let flood = Flood::new(limits.flood_lines, limits.flood_window);
        (Arc::new(Output::new(limits.buffer)), Arc::new(flood))
    });
    let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map(drop).map_err(|error| SetupError(error.to_string()))
    };
    let (writer, watcher) = (Arc::clone(output), Arc::clone(flood));
    start("log-output", Box::new(move || writer.run(std::io::stdout())))?;
    start("log-flood", Box::new(move || watcher.watch()))?;
    let counted = Arc::clone(output);
    global::meter("callboard")
        .u64_observable_counter("log.lines.lost")
        .with_unit("{line}")
        .with_description("Log lines that were not written: nobody read standard output in time.")
        .with_callback(move |observer| observer.observe(counted.lost(), &[]))
        .build();
    Ok((Arc::clone(output), Arc::clone(flood)))
}

/// Lines as the service writes them, to an output of one's own, and records as values where there is a provider: for benchmarks.
///
/// # Errors
/// When the thread that writes cannot be started.
pub fn lines_to<S: Subscriber, W: Write + Send + 'static>(
    to: W,
    limits: &Limits,
    logs: Option<&SdkLoggerProvider>,
) -> std::io::Result<impl Layer<S> + use<S, W>> {
    let output = Arc::new(Output::new(limits.buffer));
    let writer = Arc::clone(&output);
    std::thread::Builder::new().name("log-output".to_owned()).spawn(move || writer.run(to))?;
    let flood = Arc::new(Flood::new(limits.flood_lines, limits.flood_window));
    let records = logs.map(|provider| Records::new(Carrier::Sdk(provider.clone())));
    Ok(Lines { format: LogFormat::Json, colours: limits.colours, output, flood, records })
}

/// Has all that was said and left out told: before records are exported for the last time.
pub(super) fn tell_rest() {
    if let Some((_, flood)) = LINES.get() {
        flood.tell_rest();
    }
}

/// Waits until all lines are written, but not for longer than this.
pub fn flush(within: Duration) {
    if let Some((output, _)) = LINES.get() {
        output.flush(within);
    }
}

fn is_ours(target: &str) -> bool {
    ["callboard", "actors"].contains(&target.split("::").next().unwrap_or(target))
}

/// Writes lines and records.
struct Lines {
    format: LogFormat,
    colours: bool,
    output: Arc<Output>,
    flood: Arc<Flood>,
    records: Option<Records>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: OfLayer<'_, S>) {
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        if !self.flood.admits(event, metadata) {
            return;
        }
        let (now, context) = (SystemTime::now(), Context::current());
        let span = context.span();
        let about = About::of(&context, &span);
        // Taken and put back: a value that writes a line while it is shown finds another one.
        let mut line = LINE.take();
        match self.format {
            LogFormat::Json => json::write(&mut line, now, metadata, event, &about),
            LogFormat::Pretty => pretty::write(&mut line, now, metadata, event, &about, self.colours),
        }
        match mask::is_suspicious(&line) {
            false => self.output.write(&line),
            true => self.output.write(clean(&line).as_bytes()),
        }
        line.clear();
        line.shrink_to(KEEP);
        LINE.set(line);
        if let Some(records) = &self.records {
            records.emit(now, metadata, event, &about);
        }
    }
}

fn clean(line: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(line) {
        Cow::Borrowed(line) => mask::masked(line),
        Cow::Owned(line) => Cow::Owned(mask::masked(&line).into_owned()),
    }
}
