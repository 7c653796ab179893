//! A trace as text: a line for each span, below its parent's and further in; its log lines where they were written.

use std::collections::HashSet;

use crate::kept::{Attributes, Kept, Line, Span, Trace};

/// What is said of a span besides its name, and how: an empty word is left out. Of the attributes that are ours all are
/// said, but for those that the name holds.
const SAID: [(&str, &str); 12] = [
    ("http.response.status_code", "status"),
    ("error.type", "error"),
    ("db.response.status_code", "sqlstate"),
    ("db.operation.batch.size", "batch"),
    ("messaging.batch.message_count", "batch"),
    ("messaging.message.id", "job"),
    ("article.slug", "slug"),
    ("user.id", "user"),
    ("server.address", "server"),
    ("http.request.resend_count", "resent"),
    ("callboard.actor.path", ""),
    ("callboard.actor.message", ""),
];
/// What only we say.
const OURS: &str = "callboard.";
/// What of a log line's attributes stands elsewhere in the drawing.
const ELSEWHERE: [&str; 2] = ["trace_id", "span_id"];
/// Links that are named; of the others only how many there are.
const LINKS: usize = 3;
/// Characters of one value.
const VALUE: usize = 100;

/// What stands below a span.
enum Below<'a> {
    Span(&'a Span),
    Line(&'a Line),
}

/// A trace on its way to lines.
struct Drawing<'a> {
    kept: &'a Kept,
    id: &'a str,
    trace: &'a Trace,
    began: u64,
    /// How wide the names of services are.
    service: usize,
    lines: Vec<String>,
    /// Spans that were drawn: whoever claims to be above itself is drawn once.
    drawn: HashSet<&'a str>,
}

/// Draws one trace; nothing when nothing came of it.
pub(crate) fn trace(kept: &Kept, id: &str) -> Vec<String> {
    let Some(trace) = kept.trace(id) else { return Vec::new() };
    let began = trace.spans.iter().map(|span| span.from).chain(trace.lines.iter().map(|line| line.at)).min();
    let ended = trace.spans.iter().map(|span| span.to).max();
    let (began, ended) = (began.unwrap_or(0), ended.unwrap_or(0));
    let services: HashSet<_> = trace.spans.iter().map(|span| span.service.as_str()).collect();
    let service = services.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut head = format!("trace {id}: {} spans, {} log lines", trace.spans.len(), trace.lines.len());
    head.push_str(&format!(", {} from first to last", millis(ended.saturating_sub(began)).trim_start()));
    if trace.lost > 0 {
        head.push_str(&format!("; there was no room for {} more", trace.lost));
    }
    let lines = vec![head, format!("{:>10}  {:>10}", "AT", "TOOK")];
    let mut drawing = Drawing { kept, id, trace, began, service, lines, drawn: HashSet::new() };
    let known: HashSet<_> = trace.spans.iter().map(|span| span.id.as_str()).collect();
    let roots = trace.spans.iter().filter(|span| !known.contains(span.parent.as_str())).map(Below::Span);
    let alone = trace.lines.iter().filter(|line| !known.contains(line.span.as_str())).map(Below::Line);
    for root in in_order(roots.chain(alone).collect()) {
        drawing.draw(&root, "", "");
    }
    drawing.lines
}

impl<'a> Drawing<'a> {
    /// Draws it and all below; `first` stands before its own line, `rest` before the others.
    fn draw(&mut self, below: &Below<'a>, first: &str, rest: &str) {
        match below {
            Below::Line(line) => self.lines.push(self.line(line, first)),
            Below::Span(span) if self.drawn.insert(&span.id) => {
                self.lines.push(self.span(span, first));
                let spans = self.trace.spans.iter().filter(|other| other.parent == span.id).map(Below::Span);
                let lines = self.trace.lines.iter().filter(|line| line.span == span.id).map(Below::Line);
                let all = in_order(spans.chain(lines).collect());
                let last = all.len().saturating_sub(1);
                for (number, below) in all.iter().enumerate() {
                    let (branch, beside) = if number == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                    self.draw(below, &format!("{rest}{branch}"), &format!("{rest}{beside}"));
                }
            }
            Below::Span(_) => {}
        }
    }

    fn span(&self, span: &Span, before: &str) -> String {
        let (at, took) = (millis(span.from.saturating_sub(self.began)), millis(span.to.saturating_sub(span.from)));
        let mut line =
            format!("{at}  {took}  {:<1$}  {before}{2} {3}", span.service, self.service, span.kind, span.name);
        let failed = if span.failed { "  FAILED" } else { "" };
        line.push_str(failed);
        line.push_str(&said(&span.attributes));
        line.push_str(&self.links(span));
        if before.is_empty() && !span.parent.is_empty() {
            line.push_str("  (its parent did not come)");
        }
        plain(&line)
    }

    fn line(&self, line: &Line, before: &str) -> String {
        let at = millis(line.at.saturating_sub(self.began));
        let mut drawn = format!("{at}  {:>10}  {:2$}  {before}", "", "", self.service);
        drawn.push_str(&format!("• {} {}", line.level, short(&line.body)));
        for (name, value) in line.attributes.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
            drawn.push_str(&format!("  {name}={}", short(value)));
        }
        plain(&drawn)
    }

    fn links(&self, span: &Span) -> String {
        let mut told = String::new();
        for (trace, id) in span.links.iter().take(LINKS) {
            let name = self.kept.name(trace, id).unwrap_or("a span that did not come");
            told.push_str(&match trace == self.id {
                true => format!("  ⇄ {name}"),
                false => format!("  ⇄ {name} of trace {trace}"),
            });
        }
        match span.links.len().saturating_sub(LINKS) {
            0 => told,
            more => format!("{told}  ⇄ {more} more"),
        }
    }
}

/// By time, and a span before the lines that were written when it began.
fn in_order(mut all: Vec<Below<'_>>) -> Vec<Below<'_>> {
    all.sort_by_key(|below| match below {
        Below::Span(span) => (span.from, 0),
        Below::Line(line) => (line.at, 1),
    });
    all
}

/// The attributes that matter when one looks at the whole.
fn said(attributes: &Attributes) -> String {
    let known = SAID.iter().filter_map(|(name, word)| Some((*word, attributes.get(*name)?)));
    let named = |name: &str| SAID.iter().any(|(known, _)| *known == name);
    let ours = attributes.iter().filter(|(name, _)| !named(name));
    let ours = ours.filter_map(|(name, value)| Some((name.strip_prefix(OURS)?, value)));
    let all = known.filter(|(word, _)| !word.is_empty()).chain(ours);
    all.map(|(word, value)| format!("  {word}={}", short(value))).collect()
}

fn short(value: &str) -> String {
    let mut letters = value.chars();
    let mut short: String = letters.by_ref().take(VALUE).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

fn millis(nanos: u64) -> String {
    format!("{:>7.2} ms", nanos as f64 / 1e6)
}

/// Without line breaks and whatever else a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn span(id: &str, parent: &str, kind: &'static str, name: &str, (from, to): (u64, u64)) -> Span {
        let (id, parent, name) = (id.to_owned(), parent.to_owned(), name.to_owned());
        let times = (from * 100_000, to * 100_000);
        Span { id, parent, service: "api".to_owned(), kind, name, from: times.0, to: times.1, ..Span::default() }
    }

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_trace_is_drawn_as_a_tree_in_the_order_of_time_with_its_lines_in_place() {
        let mut kept = Kept::default();
        let last = Span { failed: true, ..span("d", "a", "client", "XADD", (60, 70)) };
        kept.span("t", last);
        let mut statement = span("c", "b", "client", "articles/create", (12, 40));
        statement.attributes = attributes(&[("db.operation.batch.size", "2"), ("db.query.text", "insert")]);
        statement.links = vec![("other".to_owned(), "x".to_owned()), ("t".to_owned(), "d".to_owned())];
        kept.span("t", statement);
        let mut hop = span("b", "a", "internal", "actor creator create", (10, 50));
        hop.attributes = attributes(&[("callboard.actor.queue_ms", "0.125"), ("callboard.actor.path", "root")]);
        kept.span("t", hop);
        let at = 55 * 100_000;
        let (level, body) = ("INFO".to_owned(), "two\nlines\u{1b}[2J".to_owned());
        let line = Line { span: "a".to_owned(), at, level, body, attributes: attributes(&[("http.status", "201")]) };
        kept.line("t", line);
        kept.span("t", span("a", "", "server", "POST /api/articles", (0, 100)));
        kept.span("other", span("x", "elsewhere", "internal", "actor by_slug find", (0, 1)));
        let expected = [
            "trace t: 4 spans, 1 log lines, 10.00 ms from first to last",
            "        AT        TOOK",
            "   0.00 ms    10.00 ms  api  server POST /api/articles",
            "   1.00 ms     4.00 ms  api  ├─ internal actor creator create  actor.queue_ms=0.125",
            "   1.20 ms     2.80 ms  api  │  └─ client articles/create  batch=2  ⇄ actor by_slug find of trace other  ⇄ XADD",
            "   5.50 ms                   ├─ • INFO two lines [2J  http.status=201",
            "   6.00 ms     1.00 ms  api  └─ client XADD  FAILED",
        ];
        assert_eq!(trace(&kept, "t"), expected);
        let orphan = trace(&kept, "other");
        assert!(
            orphan.iter().any(|line| line.ends_with("actor by_slug find  (its parent did not come)")),
            "{orphan:?}"
        );
        assert_eq!(kept.at_rest(Duration::ZERO).len(), 2);
        assert!(kept.at_rest(Duration::ZERO).is_empty(), "each is drawn once, until more of it comes");
        kept.line("t", Line::default());
        assert_eq!(kept.at_rest(Duration::ZERO), ["t"]);
    }

    #[test]
    fn a_span_above_itself_ends_no_terminal() {
        let mut kept = Kept::default();
        kept.span("t", span("root", "", "server", "GET /", (0, 2)));
        kept.span("t", span("a", "b", "internal", "a", (0, 2)));
        kept.span("t", span("b", "a", "internal", "b", (0, 2)));
        kept.span("t", span("root", "root", "server", "GET /", (0, 2)));
        assert_eq!(trace(&kept, "t").len(), 2 + 1);
    }
}
