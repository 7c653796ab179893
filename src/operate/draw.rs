//! Answers as lines for people: the tree, the restarts, an event. Only this module knows how they look.
//!
//! An answer is read as far as it is shown, so what a newer process adds does no harm. Whatever an actor said
//! before it died, one thing is one line, and nothing in it moves the terminal's cursor.

use std::ops::Range;

use serde::Deserialize;

#[derive(Deserialize)]
struct Tree {
    node: String,
    root: Node,
}

#[derive(Deserialize)]
struct Node {
    path: String,
    kind: String,
    strategy: Option<String>,
    status: String,
    restarts: Restarts,
    #[serde(default)]
    stalled: bool,
    mailbox_depth: Option<u64>,
    in_flight: Option<u64>,
    handled_total: Option<u64>,
    failed_total: Option<u64>,
    #[serde(default)]
    children: Vec<Node>,
}

#[derive(Deserialize)]
struct Restarts {
    total: u64,
    in_window: Option<u64>,
    max: Option<u64>,
}

#[derive(Deserialize)]
struct Page {
    restarts: Vec<Restart>,
}

#[derive(Deserialize)]
struct Restart {
    at: String,
    path: String,
    reason: String,
    exit_kind: String,
    message: String,
    budget: Budget,
    recovered_ms: Option<f64>,
    trace_id: Option<String>,
}

#[derive(Deserialize)]
struct Budget {
    used: i64,
    max: i64,
}

/// What the events other than restarts may tell.
#[derive(Deserialize)]
struct Happening {
    at: Option<String>,
    path: Option<String>,
    incarnation: Option<u64>,
    message: Option<String>,
    count: Option<u64>,
}

/// The answer to `GET /actors`: a line for each actor, below its supervisor's and further in.
pub(super) fn tree(body: &str) -> serde_json::Result<Vec<String>> {
    const TITLES: [&str; 9] =
        ["ACTOR", "KIND", "STATUS", "RESTARTS", "IN WINDOW", "MAILBOX", "IN FLIGHT", "HANDLED", "FAILED"];
    let tree: Tree = serde_json::from_str(body)?;
    let mut rows = vec![TITLES.map(str::to_owned)];
    tree.root.collect(0, &mut rows);
    Ok(std::iter::once(plain(&format!("node {}", tree.node))).chain(aligned(&rows, 3..9)).collect())
}

/// The answer to `GET /actors/restarts`: a line for each.
pub(super) fn restarts(body: &str) -> serde_json::Result<Vec<String>> {
    let page: Page = serde_json::from_str(body)?;
    let rows: Vec<_> = page.restarts.into_iter().map(Restart::cells).collect();
    Ok(aligned(&rows, 3..4).collect())
}

/// An event with its name and its data. What is told of a kind we do not know is shown as it came.
pub(super) fn event(id: &str, name: &str, data: &str) -> String {
    let told = if name == "restarted" { restarted(data) } else { happened(data) };
    let (at, rest) = told.unwrap_or_else(|_| ("-".to_owned(), data.to_owned()));
    let id = if id.is_empty() { "-" } else { id };
    plain(&format!("{id:<12}  {at:<30}  {name:<9}  {rest}"))
}

fn restarted(data: &str) -> serde_json::Result<(String, String)> {
    let [at, rest @ ..] = serde_json::from_str::<Restart>(data)?.cells();
    Ok((at, rest.join("  ")))
}

fn happened(data: &str) -> serde_json::Result<(String, String)> {
    let Happening { at, path, incarnation, message, count } = serde_json::from_str(data)?;
    let incarnation = incarnation.map(|number| format!("incarnation {number}"));
    let count = count.map(|count| format!("{count} events came too fast or too long ago"));
    let told: Vec<_> = [path, incarnation, message, count].into_iter().flatten().collect();
    let told = if told.is_empty() { data.to_owned() } else { told.join("  ") };
    Ok((at.unwrap_or_else(|| "-".to_owned()), told))
}

impl Node {
    fn collect(self, depth: usize, rows: &mut Vec<[String; 9]>) {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let kind = match self.strategy {
            Some(strategy) => format!("{} ({strategy})", self.kind),
            None => self.kind,
        };
        let budget = self.restarts.in_window.zip(self.restarts.max).map(|(used, max)| format!("{used}/{max}"));
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        rows.push([
            format!("{:1$}{name}", "", depth * 2),
            kind,
            if self.stalled { "STALLED".to_owned() } else { self.status },
            self.restarts.total.to_string(),
            budget.unwrap_or_else(|| "-".to_owned()),
            number(self.mailbox_depth),
            number(self.in_flight),
            number(self.handled_total),
            number(self.failed_total),
        ]);
        self.children.into_iter().for_each(|child| child.collect(depth + 1, rows));
    }
}

impl Restart {
    fn cells(self) -> [String; 7] {
        [
            self.at,
            self.path,
            format!("{}/{}", self.reason, self.exit_kind),
            self.recovered_ms.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.3} ms")),
            format!("{}/{}", self.budget.used, self.budget.max),
            self.trace_id.unwrap_or_else(|| "-".to_owned()),
            self.message,
        ]
    }
}

/// Rows as lines, each column as wide as its widest cell; those in `right` end where they would begin.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]], right: Range<usize>) -> impl Iterator<Item = String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter().map(move |row| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match right.contains(&column) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        plain(cells.collect::<Vec<_>>().join("  ").trim_end())
    })
}

/// Without line breaks and whatever else a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_drawn_with_a_column_for_everything_and_says_what_stalls() {
        let body = r#"{"node": "n", "root": {"path": "root", "kind": "supervisor", "strategy": "one_for_all",
            "status": "running", "restarts": {"total": 2, "in_window": 1, "max": 3, "period_s": 60}, "new": [],
            "children": [{"path": "root/by_slug", "kind": "pool", "status": "running", "stalled": true,
                "restarts": {"total": 12}, "mailbox_depth": 5, "in_flight": 1, "handled_total": 1234,
                "failed_total": 0}]}}"#;
        let drawn = tree(body).unwrap_or_default();
        let expected = [
            "node n",
            "ACTOR      KIND                      STATUS   RESTARTS  IN WINDOW  MAILBOX  IN FLIGHT  HANDLED  FAILED",
            "root       supervisor (one_for_all)  running         2        1/3        -          -        -       -",
            "  by_slug  pool                      STALLED        12          -        5          1     1234       0",
        ];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_restart_is_one_line_whatever_the_actor_said() {
        let data = r#"{"at": "2026-01-02T03:04:05Z", "path": "root/a", "reason": "crashed", "exit_kind": "panic",
            "message": "first\nsecond\u001b[2J", "budget": {"used": 1, "max": 3, "period_s": 60},
            "recovered_ms": 12.5, "trace_id": null}"#;
        let line = "2026-01-02T03:04:05Z  root/a  crashed/panic  12.500 ms  1/3  -  first second [2J";
        assert_eq!(restarts(&format!(r#"{{"restarts": [{data}], "next": null}}"#)).unwrap_or_default(), [line]);
        let (at, rest) = line.split_once("  ").unwrap_or_default();
        assert_eq!(event("0000002a-7", "restarted", data), format!("0000002a-7    {at:<30}  restarted  {rest}"));
    }

    #[test]
    fn events_that_are_not_known_are_shown_as_they_came() {
        let line = |name, data| event("", name, data).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(line("started", r#"{"at": "now", "path": "root/a", "incarnation": 2}"#), {
            "- now started root/a incarnation 2"
        });
        assert_eq!(line("missed", r#"{"count": 3}"#), "- - missed 3 events came too fast or too long ago");
        assert_eq!(line("born", r#"{"why": 1}"#), r#"- - born {"why": 1}"#);
        assert_eq!(line("restarted", "nonsense"), "- - restarted nonsense");
    }
}
