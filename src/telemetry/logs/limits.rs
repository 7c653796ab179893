//! The settings of log lines.

use std::time::Duration;

use crate::config::Mistake;

/// How much is written, and for whom.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of lines that wait to be written.
    pub buffer: usize,
    /// How often the same warning or error is written in a window.
    pub flood_lines: u64,
    /// What that window is.
    pub flood_window: Duration,
    /// Whether lines for people have colours.
    pub colours: bool,
}

impl Limits {
    /// Reads the settings through `read`; `terminal` says whether somebody looks at the output.
    pub(crate) fn from(read: &impl Fn(&str) -> Option<String>, terminal: bool, mistakes: &mut Vec<Mistake>) -> Self {
        let mut number = |variable: &'static str, default: u64, least: u64| {
            let Some(text) = read(variable) else { return default };
            let number = text.parse().ok().filter(|number| (least..=u64::from(u32::MAX)).contains(number));
            let problem = format!("must be a whole number from {least} to {}", u32::MAX);
            number.unwrap_or_else(|| {
                mistakes.push(Mistake { variable, problem });
                default
            })
        };
        Self {
            buffer: usize::try_from(number("LOG_BUFFER_BYTES", 4 * 1024 * 1024, 64 * 1024)).unwrap_or(usize::MAX),
            flood_lines: number("LOG_FLOOD_LINES", 10, 1),
            flood_window: Duration::from_millis(number("LOG_FLOOD_WINDOW_MS", 60_000, 1)),
            // Whoever sets this to anything wants none: no-color.org.
            colours: terminal && read("NO_COLOR").is_none(),
        }
    }
}
