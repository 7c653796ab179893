//! `callboard actors …`: operators see and break the tree from a terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::net::SocketAddr;
use std::process::{ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::service::{self, ADMIN_TOKEN};
use support::{PATIENCE, Service, Stage, eventually, otlp};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// `callboard actors` with nothing set but where the listener is, and these.
fn actors(admin: SocketAddr, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = service::command(&[&["actors"], arguments].concat());
    command.env_remove("JWT_SECRET").env("ADMIN_ADDR", admin.to_string()).envs(variables.iter().copied());
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(admin: SocketAddr, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let output = tokio::time::timeout(PATIENCE, actors(admin, arguments, variables).output()).await;
    output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap()
}

/// What it wrote, provided that it succeeded and complained of nothing.
async fn answer(service: &Service, arguments: &[&str]) -> String {
    let output = run(service.admin, arguments, &[]).await;
    assert_eq!((output.status.code(), complaints(&output).as_str()), (Some(0), ""), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it complained of, provided that it failed and wrote nothing else.
async fn failure(admin: SocketAddr, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run(admin, arguments, variables).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{arguments:?}: {output:?}");
    complaints(&output)
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn serving() -> (Stage, Service) {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("NODE_NAME", "node-1")]).await;
    (stage, service)
}

/// A stream of events as a command prints it.
struct Printing {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Printing {
    /// Starts it with all that is still remembered: nobody tells when it begins to listen.
    fn start(service: &Service, arguments: &[&str]) -> Self {
        Self::after("none", service, arguments)
    }

    /// Starts it after this event.
    fn after(id: &str, service: &Service, arguments: &[&str]) -> Self {
        let arguments = [&["events", "--last-event-id", id], arguments].concat();
        let mut child = actors(service.admin, &arguments, &[]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn next_with(&mut self, word: &str) -> String {
        let found = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.contains(word) {
                    return line;
                }
            }
            panic!("the stream ended without {word}");
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{word} never came"))
    }

    async fn ended(mut self) -> ExitStatus {
        let ended = async {
            while self.lines.next_line().await.unwrap().is_some() {}
            self.child.wait().await.unwrap()
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("it ends")
    }
}

#[tokio::test]
async fn the_tree_is_drawn_with_every_actors_numbers() {
    let (_stage, service) = serving().await;
    service.client().get("/api/articles/nothing").await.expect(404);
    let drawn = answer(&service, &[]).await;
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[0], "node node-1");
    let titles: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(
        titles,
        ["ACTOR", "KIND", "STATUS", "RESTARTS", "IN", "WINDOW", "MAILBOX", "IN", "FLIGHT", "HANDLED", "FAILED"]
    );
    let cells = |name: &str| {
        let line = lines.iter().find(|line| line.trim_start().split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} is not in\n{drawn}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(cells("root"), ["root", "supervisor", "(one_for_one)", "running", "0", "0/3", "-", "-", "-", "-"]);
    assert_eq!(cells("by_slug"), ["by_slug", "batcher", "running", "0", "-", "0", "0", "1", "0"]);
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start)).unwrap();
    assert!(at("root ") < at("  articles ") && at("  articles ") < at("    by_slug "), "{drawn}");
    let width = lines[1].chars().count();
    assert!(lines.iter().skip(1).all(|line| line.chars().count() == width), "the columns are not aligned:\n{drawn}");
    // The numbers may have grown between two looks.
    let names = |drawn: &str| -> Vec<String> {
        drawn.lines().map(|line| line.trim_start().split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&answer(&service, &["tree"]).await), names(&drawn));
    let json: Value = serde_json::from_str(&answer(&service, &["--json"]).await).unwrap();
    let asked = service.operator().get("/actors").await.expect(200);
    assert_eq!(json["root"]["started_at"], asked["root"]["started_at"]);
}

#[tokio::test]
async fn an_actor_that_was_crashed_is_in_the_list_of_restarts() {
    let (_stage, service) = serving().await;
    let empty = run(service.admin, &["restarts"], &[]).await;
    assert_eq!((empty.status.code(), empty.stdout.len()), (Some(0), 0), "{empty:?}");
    assert!(complaints(&empty).contains("no restart"), "{empty:?}");
    for path in ["root/articles/by_slug", "root/auth/users"] {
        assert_eq!(answer(&service, &["crash", path]).await, "asked\n");
        eventually("the restart is in the ledger", async || {
            let listed = run(service.admin, &["restarts"], &[]).await;
            String::from_utf8_lossy(&listed.stdout).contains(path).then_some(())
        })
        .await;
    }
    let listed = answer(&service, &["restarts"]).await;
    let cells: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells.len(), 2, "{listed}");
    assert_eq!((cells[0][1], cells[1][1]), ("root/auth/users", "root/articles/by_slug"), "newest first: {listed}");
    for cells in &cells {
        assert!(cells[0].ends_with('Z') && cells[2] == "crashed/panic" && cells[4] == "ms", "{listed}");
        assert!(cells[3].parse::<f64>().is_ok_and(|millis| millis > 0.0), "{listed}");
        assert!(cells[5].starts_with("1/") && (cells[6] == "-" || cells[6].len() == 32), "{listed}");
    }
    assert!(listed.lines().all(|line| line.contains("fault injection")), "{listed}");
    let json: Value = serde_json::from_str(&answer(&service, &["restarts", "--limit", "1", "--json"]).await).unwrap();
    assert_eq!(json["restarts"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json["restarts"][0]["path"], "root/auth/users");
    let refused = failure(service.admin, &["restarts", "--limit", "0"], &[]).await;
    assert!(refused.contains("limit must be"), "{refused}");
}

#[tokio::test]
async fn an_actor_that_was_hung_is_found_and_comes_back() {
    let (_stage, service) = serving().await;
    assert_eq!(answer(&service, &["hang", "root/articles/by_slug", "--json"]).await, "", "the body is empty");
    let mut events = Printing::start(&service, &[]);
    let stalled = events.next_with("  stalled  ").await;
    assert!(stalled.contains("root/articles/by_slug"), "{stalled}");
    events.next_with("  restarted  root/articles/by_slug").await;
}

#[tokio::test]
async fn events_are_printed_as_they_come_until_ctrl_c() {
    let (_stage, service) = serving().await;
    let (mut lines, mut data) = (Printing::start(&service, &[]), Printing::start(&service, &["--json"]));
    lines.next_with("started").await;
    data.next_with("incarnation").await;
    answer(&service, &["crash", "root/articles/by_slug"]).await;
    let restarted = lines.next_with("  restarted  root/articles/by_slug  crashed/panic").await;
    assert!(restarted.contains("fault injection"), "{restarted}");
    let told: Value = serde_json::from_str(&data.next_with("crashed").await).unwrap();
    assert_eq!((&told["path"], &told["node"]), (&json!("root/articles/by_slug"), &json!("node-1")));

    let id = restarted.split(' ').next().unwrap();
    answer(&service, &["crash", "root/auth/users"]).await;
    let mut later = Printing::after(id, &service, &[]);
    let next = later.next_with("  restarted  ").await;
    assert!(next.contains("root/auth/users"), "what was seen is not shown again: {next}");

    for printing in [lines, data, later] {
        kill(Pid::from_raw(i32::try_from(printing.child.id().unwrap()).unwrap()), Signal::SIGINT).unwrap();
        assert_eq!(printing.ended().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_stream_that_its_process_ends_is_no_failure_and_one_that_breaks_off_is() {
    let (stage, service) = serving().await;
    let mut events = Printing::start(&service, &[]);
    events.next_with("started").await;
    service.terminate();
    assert_eq!(events.ended().await.code(), Some(0));

    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let mut events = Printing::start(&service, &[]);
    events.next_with("started").await;
    service.kill();
    assert_eq!(events.ended().await.code(), Some(1));
}

#[tokio::test]
async fn events_end_with_whoever_reads_them() {
    let (_stage, service) = serving().await;
    let mut events = Printing::start(&service, &[]);
    events.next_with("started").await;
    let Printing { mut child, lines } = events;
    drop(lines);
    answer(&service, &["crash", "root/articles/by_slug"]).await;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_fault_that_is_not_injected_is_a_failure_with_the_reason() {
    let (stage, service) = serving().await;
    for path in ["root/nothing", "nothing", "root/articles?by=slug", "root/articles/by slug", ""] {
        let refused = failure(service.admin, &["crash", path], &[]).await;
        assert!(refused.starts_with("callboard: There is no"), "{path}: {refused}");
    }
    let tame = Service::run(&stage, &["serve", "--no-workers"], &[("CHAOS_ENABLED", "false")]).await;
    for fault in ["crash", "hang"] {
        let refused = failure(tame.admin, &[fault, "root/articles/by_slug"], &[]).await;
        assert!(refused.contains("CHAOS_ENABLED"), "{refused}");
    }
}

#[tokio::test]
async fn without_a_listener_the_setting_that_names_it_is_named() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let all = [&[][..], &["restarts"], &["events"], &["crash", "root"], &["hang", "root"], &["restarts", "--json"]];
    for arguments in all {
        let said = failure(nobody, arguments, &[]).await;
        assert!(said.contains("ADMIN_ADDR") && said.contains(&nobody.to_string()), "{arguments:?}: {said}");
    }
    let said = failure(nobody, &[], &[("ADMIN_ADDR", "nowhere")]).await;
    assert!(said.contains("ADMIN_ADDR must be an address"), "{said}");
}

#[tokio::test]
async fn a_token_is_shown_where_one_is_set_and_an_address_of_all_means_this_machine() {
    let stage = Stage::new().await;
    let closed = [("ADMIN_TOKEN", ADMIN_TOKEN), ("ADMIN_ADDR", "0.0.0.0:0")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &closed).await;
    assert!(service.admin.ip().is_unspecified());
    for arguments in [&[][..], &["restarts"], &["events"], &["crash", "root/articles/by_slug"], &["tree", "--json"]] {
        for token in ["", "wrong"] {
            let refused = failure(service.admin, arguments, &[("ADMIN_TOKEN", token)]).await;
            assert!(refused.contains("token is required"), "{arguments:?}: {refused}");
            assert!(!refused.contains("wrong"), "{refused}");
        }
    }
    let output = run(service.admin, &[], &[("ADMIN_TOKEN", ADMIN_TOKEN)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
}

#[tokio::test]
async fn a_probe_needs_no_token_and_fails_where_the_answer_is_not_200() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("ADMIN_TOKEN", ADMIN_TOKEN)]).await;
    let probe = async |path: &str| {
        let mut command = service::command(&["doctor", "--probe", path]);
        command.env("ADMIN_ADDR", service.admin.to_string()).output().await.unwrap()
    };
    for path in ["readyz", "/healthz"] {
        assert_eq!(probe(path).await.status.code(), Some(0), "{path}");
    }
    let refused = probe("metrics").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaints(&refused).contains("metrics answered 401"), "{refused:?}");
}

#[tokio::test]
async fn standard_output_holds_the_answer_alone_and_the_request_is_in_the_commands_trace() {
    let stage = Stage::new().await;
    let receiver = otlp::Receiver::start().await;
    let export = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &export).await;
    let loud = [&export[..], &[("LOG_LEVEL", "trace"), ("RUST_LOG", "trace")]].concat();
    let output = run(service.admin, &["restarts", "--json"], &loud).await;
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["restarts"].is_array(), "{json}");
    let exported = receiver
        .wait_for("the request in the command's trace", |exported| {
            let named = |name: &str| exported.spans.iter().find(|span| span.name == name);
            named("command actors").is_some() && named("GET /actors/restarts").is_some()
        })
        .await;
    let named = |name: &str| exported.spans.iter().find(|span| span.name == name).unwrap();
    let (command, request) = (named("command actors"), named("GET /actors/restarts"));
    assert_eq!((&request.trace, &request.parent), (&command.trace, &command.id));

    let nobody = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("LOG_LEVEL", "trace")];
    let output = run(service.admin, &["--json"], &nobody).await;
    serde_json::from_slice::<Value>(&output.stdout).expect("an export that fails is not told among the answer");
}
