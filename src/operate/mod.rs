//! `callboard actors …` and `callboard jobs …`: what the admin listener tells, from a terminal.
//!
//! ```text
//! arguments ─▶ listener (one request) ─▶ draw (lines for people), or with --json the body as it came
//!                        └─▶ events (a stream) ─▶ draw, a line at a time
//! ```
//!
//! Nothing here knows more than the listener says, and standard output holds nothing but that. A field that a
//! newer process adds is passed over.

mod draw;
mod events;
pub(crate) mod jobs;
mod listener;

use std::process::ExitCode;

use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub(crate) use self::listener::Listener;
use self::listener::Unanswered;
use crate::cli::{complain, fail, say, setting};

/// What may stand in a path as it is: what the actors' own paths are made of.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'_').remove(b'-').remove(b'.');

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
    /// Show every actor with its state; this is what `actors` alone does.
    Tree,
    /// List the latest restarts of all nodes, newest first.
    Restarts {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Show what happens in the tree as it happens, until Ctrl-C.
    Events {
        /// Go on after this event, which an earlier stream ended with.
        #[arg(long, value_name = "ID")]
        last_event_id: Option<String>,
    },
    /// Make an actor panic on its next turn; the process has to be started with CHAOS_ENABLED=true.
    Crash {
        /// Where it stands, like root/articles/by_slug.
        path: String,
    },
    /// Make an actor never end its next turn; the process has to be started with CHAOS_ENABLED=true.
    Hang {
        /// Where it stands, like root/articles/by_slug.
        path: String,
    },
}

/// Asks the listener that the environment names, and tells what it answers.
pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let Arguments { json, question } = arguments;
    match ask(question.unwrap_or(Question::Tree), json).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// The same about jobs.
pub(crate) async fn run_jobs(arguments: jobs::Arguments) -> ExitCode {
    match jobs::ask(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// A value for people: text without its quotes.
fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn ask(question: Question, json: bool) -> Result<(), Unanswered> {
    let listener = Listener::of_environment(setting("ADMIN_TOKEN"))?;
    match question {
        Question::Tree => tell(&listener.ask(Method::GET, "/actors").await?, json, draw::tree),
        Question::Restarts { limit } => {
            let body = listener.ask(Method::GET, &format!("/actors/restarts?limit={limit}")).await?;
            tell(&body, json, restarts)
        }
        Question::Events { last_event_id } => events::follow(&listener, last_event_id.as_deref(), json).await,
        Question::Crash { path } => inject(&listener, &path, "crash", json).await,
        Question::Hang { path } => inject(&listener, &path, "hang", json).await,
    }
}

/// Says an answer's body, or what is drawn of it.
fn tell(body: &str, json: bool, draw: fn(&str) -> serde_json::Result<Vec<String>>) -> Result<(), Unanswered> {
    if json {
        say(body);
    } else {
        draw(body).map_err(Unanswered::Strange)?.iter().for_each(|line| say(line));
    }
    Ok(())
}

fn restarts(body: &str) -> serde_json::Result<Vec<String>> {
    let lines = draw::restarts(body)?;
    if lines.is_empty() {
        // Not on standard output, whose lines are restarts and nothing else.
        complain("the ledger holds no restart");
    }
    Ok(lines)
}

async fn inject(listener: &Listener, path: &str, fault: &str, json: bool) -> Result<(), Unanswered> {
    let path = utf8_percent_encode(path, IN_A_PATH);
    let body = listener.ask(Method::POST, &format!("/actors/{path}/{fault}")).await?;
    if !json {
        say("asked");
    } else if !body.is_empty() {
        say(&body);
    }
    Ok(())
}
