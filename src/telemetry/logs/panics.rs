//! Panics as log lines, which reach OTLP too, in place of text on standard error: in the context of the span in which
//! they happened, by the names that the semantic conventions have for exceptions.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use crate::telemetry::shown;

/// Has panics logged like everything else.
pub(super) fn log() {
    std::panic::set_hook(Box::new(|panic| {
        told(panic);
        // What panics may end the process, with the line in a buffer.
        super::flush(super::PANIC_WITHIN);
    }));
}

fn told(panic: &PanicHookInfo<'_>) {
    // A panic can repeat what somebody sent.
    let message = shown(panic.payload_as_str().unwrap_or("without a message"));
    let (file, line) = panic.location().map(|place| (place.file(), place.line())).unwrap_or_default();
    // Taken only when RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let stacktrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        "exception.type" = "panic",
        exception.message = &*message,
        exception.stacktrace = stacktrace,
        code.file.path = file,
        code.line.number = line,
        "panicked at {file}:{line}"
    );
}
