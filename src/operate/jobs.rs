//! `callboard jobs …`: the jobs of the whole cluster, from a terminal.

use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use super::draw::{aligned, plain};
use super::listener::{Listener, Unanswered};
use super::{tell, text};
use crate::cli::setting;

/// What is asked, and in which form the answer is wanted.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print the answer's JSON as it came.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(clap::Subcommand)]
enum Question {
    /// List jobs, newest first; this is what `jobs` alone does.
    List {
        /// Only those in this state: scheduled, available, running, completed, discarded or cancelled.
        #[arg(long)]
        state: Option<String>,
        /// Only those of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Show everything that is known of a job.
    Show {
        /// Its id.
        id: i64,
    },
    /// Say in a sentence why a job is not running.
    Why {
        /// Its id.
        id: i64,
    },
    /// Give a dead letter another set of attempts.
    Retry {
        /// Its id; all dead letters with --all.
        #[arg(required_unless_present = "all")]
        id: Option<i64>,
        /// All dead letters, ten thousand at most.
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Call a job off, also one that runs.
    Cancel {
        /// Its id.
        id: i64,
    },
    /// Make the next attempts of a kind of job fail; the process has to be started with CHAOS_ENABLED=true.
    Fail {
        /// The kind, like article_published.
        kind: String,
        /// How many attempts; 0 calls off what was asked before.
        #[arg(long, value_name = "N", default_value_t = 1)]
        times: u32,
    },
    /// Have all processes take no more jobs.
    Pause,
    /// Have all processes take jobs again.
    Resume,
}

#[derive(Deserialize)]
struct Page {
    jobs: Vec<Job>,
    counts: std::collections::BTreeMap<String, i64>,
    paused_at: Option<String>,
}

#[derive(Deserialize)]
struct Job {
    id: i64,
    kind: String,
    state: String,
    attempt: i64,
    max_attempts: i64,
    created_at: String,
    trace_id: Option<String>,
    last_error: Option<String>,
}

#[derive(Deserialize)]
struct Explained {
    why: String,
}

/// Asks the listener that the environment names, and tells what it answers.
pub(super) async fn ask(arguments: Arguments) -> Result<(), Unanswered> {
    let Arguments { json, question } = arguments;
    let listener = Listener::of_environment(setting("ADMIN_TOKEN"))?;
    let post = async |path: String| listener.ask(Method::POST, &path).await;
    match question.unwrap_or(Question::List { state: None, kind: None, limit: 20 }) {
        Question::List { state, kind, limit } => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &limit.to_string());
            let filters = [("state", state), ("kind", kind)];
            query.extend_pairs(filters.into_iter().filter_map(|(name, value)| Some((name, value?))));
            tell(&listener.ask(Method::GET, &format!("/jobs?{}", query.finish())).await?, json, page)
        }
        Question::Show { id } => tell(&listener.ask(Method::GET, &format!("/jobs/{id}")).await?, json, fields),
        Question::Why { id } => tell(&listener.ask(Method::GET, &format!("/jobs/{id}")).await?, json, why),
        Question::Retry { id: Some(id), .. } => tell(&post(format!("/jobs/{id}/retry")).await?, json, fields),
        Question::Retry { .. } => tell(&post("/jobs/retry?state=discarded".to_owned()).await?, json, fields),
        Question::Cancel { id } => tell(&post(format!("/jobs/{id}/cancel")).await?, json, fields),
        Question::Fail { kind, times } => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("kind", &kind).append_pair("times", &times.to_string());
            tell(&post(format!("/jobs/fail?{}", query.finish())).await?, json, fields)
        }
        Question::Pause => tell(&post("/jobs/pause".to_owned()).await?, json, fields),
        Question::Resume => tell(&post("/jobs/resume".to_owned()).await?, json, fields),
    }
}

fn page(body: &str) -> serde_json::Result<Vec<String>> {
    const TITLES: [&str; 8] = ["JOB", "KIND", "STATE", "ATTEMPT", "OF", "CREATED", "TRACE", "LAST ERROR"];
    let page: Page = serde_json::from_str(body)?;
    let cells = |job: Job| {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let (attempt, of) = (job.attempt.to_string(), job.max_attempts.to_string());
        let (trace, error) = (or_none(job.trace_id), or_none(job.last_error));
        [job.id.to_string(), job.kind, job.state, attempt, of, job.created_at, trace, error]
    };
    let rows: Vec<_> = std::iter::once(TITLES.map(str::to_owned)).chain(page.jobs.into_iter().map(cells)).collect();
    let counts: Vec<_> = page.counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let paused = page.paused_at.map(|since| format!("all jobs are paused since {since}"));
    let summary = counts.into_iter().chain(paused).collect::<Vec<_>>().join(", ");
    Ok(std::iter::once(plain(&summary)).chain(aligned(&rows, 3..5)).collect())
}

/// A line for each field, in the order of their names.
fn fields(body: &str) -> serde_json::Result<Vec<String>> {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(body)?;
    Ok(fields.iter().map(|(name, value)| plain(&format!("{name:<18}{}", text(value)))).collect())
}

fn why(body: &str) -> serde_json::Result<Vec<String>> {
    let Explained { why } = serde_json::from_str(body)?;
    Ok(vec![plain(&why)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_one_line_whatever_its_error_says() -> serde_json::Result<()> {
        let body = r#"{"jobs": [{"id": 7, "kind": "followed", "state": "discarded", "attempt": 5, "max_attempts": 5,
            "created_at": "now", "trace_id": null, "last_error": "two\nlines"}], "counts": {"discarded": 1}}"#;
        let lines = page(body)?;
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| !line.contains('\n')) && lines.concat().contains("two"));
        assert_eq!(why(r#"{"why": "All jobs are paused.", "id": 7}"#)?, ["All jobs are paused."]);
        Ok(())
    }
}
