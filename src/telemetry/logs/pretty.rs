//! A line for people: when, how bad, what, and what the event says. The ids of a trace only where something is wrong,
//! to look it up.

use std::fmt::Debug;
use std::io::Write;
use std::time::SystemTime;

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::about::{self, About, Value};

const DIM: &str = "2";
const BOLD: &str = "1";

/// Writes the line, its end included. Colours only for who can see them.
pub(super) fn write(
    out: &mut Vec<u8>,
    now: SystemTime,
    metadata: &Metadata<'_>,
    event: &Event<'_>,
    about: &About<'_>,
    colours: bool,
) {
    let mut fields = Fields { out, colours };
    let time = OffsetDateTime::from(now).time();
    let (hour, minute, second, milli) = time.as_hms_milli();
    fields.painted(DIM, &format!("{hour:02}:{minute:02}:{second:02}.{milli:03}"));
    let (level, colour) = match *metadata.level() {
        Level::ERROR => ("ERROR", "31"),
        Level::WARN => (" WARN", "33"),
        Level::INFO => (" INFO", "32"),
        Level::DEBUG => ("DEBUG", "34"),
        Level::TRACE => ("TRACE", "35"),
    };
    fields.out.push(b' ');
    fields.painted(colour, level);
    event.record(&mut fields);
    if *metadata.level() <= Level::WARN {
        about.each(|name, value| match value {
            Value::Text(text) => fields.pair(name, text),
            Value::Number(number) => fields.pair(name, &number.to_string()),
        });
        if let Some(span) = about.span {
            fields.pair("trace_id", &span.trace_id().to_string());
        }
    }
    out.push(b'\n');
}

struct Fields<'a> {
    out: &'a mut Vec<u8>,
    colours: bool,
}

impl Fields<'_> {
    fn painted(&mut self, style: &str, text: &str) {
        // Memory takes all of it.
        let _ = match self.colours {
            true => write!(self.out, "\u{1b}[{style}m{text}\u{1b}[0m"),
            false => write!(self.out, "{text}"),
        };
    }

    fn pair(&mut self, name: &str, value: &str) {
        if about::is_metadata(name) {
            return;
        }
        self.out.push(b' ');
        if name == "message" {
            return self.painted(BOLD, &printable(value, true));
        }
        self.painted(DIM, &format!("{name}="));
        let _ = write!(self.out, "{}", printable(value, name == "exception.stacktrace"));
    }
}

/// A text without what would move the cursor or colour the screen: some of it was chosen by clients.
fn printable(text: &str, lines: bool) -> String {
    let shown = |c: char| match c {
        '\n' if lines => "\n".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.pair(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.pair(field.name(), &format!("{value:.1}"));
    }
}
