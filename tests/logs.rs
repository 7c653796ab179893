//! What the lines of the log promise: whose each is, how bad, where from; that a flood of the same is counted and not
//! written; that nobody waits for whoever reads them; and that no address is in them in the clear.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;

use serde_json::{Value, json};
use support::otlp::{Exported, Receiver, Record};
use support::service::{self, JWT_SECRET};
use support::{Client, PATIENCE, Service, Stage, eventually};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout};

const NAME: &str = "somebody.private";

async fn exporting(stage: &Stage, receiver: &Receiver, more: &[(&str, &str)]) -> Service {
    let usual = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()), ("OTEL_BLRP_SCHEDULE_DELAY", "50")];
    Service::run(stage, &["serve"], &[&usual[..], more].concat()).await
}

/// Has every statement on jobs refused, in words that hold an address.
async fn break_publishing(stage: &Stage) {
    let constraint = format!(r#"alter table jobs add constraint "{NAME}@example.com" check (false) not valid"#);
    stage.execute(&constraint, &[]).await;
}

async fn publish(client: &Client, id: &str) -> support::Answer {
    let headers = [("content-type", "application/json"), ("x-request-id", id)];
    client.send("POST", "/api/articles", &headers, json!({"title": "t", "body": "b"}).to_string()).await
}

fn objects(lines: &[String]) -> Vec<Value> {
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn every_line_of_a_request_says_which_it_is_and_whose_here_and_over_otlp() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &receiver, &[]).await;
    let ann = service.client().register("ann").await;
    break_publishing(&stage).await;
    let answer = publish(&ann.client, "find-me").await;
    answer.refused(500, "internal_error");
    let span = answer.header("traceresponse").unwrap().split('-').nth(2).unwrap().to_owned();
    service
        .logged("of this request", |line| line["message"] == "request completed" && line["request_id"] == "find-me")
        .await;
    let lines = objects(&service.lines());
    let mine: Vec<_> = lines.iter().filter(|line| line["trace_id"] == answer.trace_id()).collect();
    let messages: Vec<_> = mine.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["a request failed", "request completed"]);
    for line in &mine {
        assert_eq!((&line["request_id"], &line["user.id"]), (&json!("find-me"), &json!(ann.id.to_string())));
        assert_eq!((&line["level"], &line["span_id"]), (&json!("ERROR"), &json!(span)));
        assert!(line.get("code.file.path").is_none(), "{line}");
    }
    let failure = mine[0]["exception.message"].as_str().unwrap();
    assert!(failure.contains("articles/create") && failure.contains("so***@example.com"), "{failure}");
    let completed = mine[1];
    for (name, value) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/api/articles")),
        ("http.response.status_code", json!(500)),
        ("error.type", json!("internal_error")),
        ("db.query_count", json!(2)),
    ] {
        assert_eq!(completed[name], value, "{name} of {completed}");
    }
    assert!(completed["duration_ms"].as_f64().unwrap() > 0.0 && completed.get("url.path").is_none(), "{completed}");

    let of_request = |seen: &Exported| -> Vec<Record> {
        seen.logs.iter().filter(|record| record.trace == answer.trace_id()).cloned().collect()
    };
    let mut records = of_request(&receiver.wait_for("both records", |seen| of_request(seen).len() == 2).await);
    // A batch holds them by where they come from.
    records.sort_by_key(|record| record.time);
    for (record, file) in records.iter().zip(["src/error.rs", "src/telemetry/completed.rs"]) {
        assert_eq!((record.severity.as_str(), &record.span), ("ERROR", &span));
        assert_eq!(record.attributes["request_id"], "find-me");
        assert_eq!(record.attributes["user.id"], ann.id.to_string());
        assert_eq!(record.attributes["code.file.path"], file);
        assert!(record.attributes["code.line.number"].parse::<u32>().unwrap() > 0 && record.time > 0);
    }
    assert_eq!((records[0].scope.as_str(), records[0].event.as_str()), ("callboard::error", ""));
    assert_eq!(records[1].event, "callboard.request.completed");
    assert!(records[0].attributes["exception.message"].contains("so***@example.com"), "{records:?}");

    let lines = service.stop().await;
    let request = lines.iter().find(|line| line.contains("request completed")).unwrap();
    let order = regex::Regex::new(r#"^\{"timestamp":"[^"]+","level":"INFO","message":"request completed","#).unwrap();
    assert!(order.is_match(request), "{request}");
    assert!(!lines.join("\n").contains(NAME) && !receiver.exported().text.contains(NAME));
}

#[tokio::test]
async fn a_line_is_as_bad_as_what_it_tells_of() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    break_publishing(&stage).await;
    for (path, expected) in [("/api/articles", 200), ("/api/articles/none", 404), ("/nowhere?secret=1", 404)] {
        assert_eq!(service.client().get(path).await.status, expected);
    }
    publish(&ann.client, "x").await.refused(500, "internal_error");
    stage.reachable(false).await;
    eventually("nothing is there", async || (service.client().get("/api/articles").await.status == 503).then_some(()))
        .await;
    let lines = objects(&service.stop().await);
    let completed: Vec<_> = lines.iter().filter(|line| line["message"] == "request completed").collect();
    assert!(completed.len() >= 5, "{completed:?}");
    for line in &completed {
        let expected = match line["http.response.status_code"].as_u64().unwrap() {
            500 => "ERROR",
            501.. => "WARN",
            _ => "INFO",
        };
        assert_eq!(line["level"], expected, "{line}");
    }
    for level in ["ERROR", "WARN", "INFO"] {
        assert!(completed.iter().any(|line| line["level"] == level), "{level} is not among {completed:?}");
    }
    let unknown = completed.iter().find(|line| line["url.path"].is_string()).unwrap();
    assert_eq!((&unknown["url.path"], unknown.get("http.route")), (&json!("/nowhere"), None));
}

#[tokio::test]
async fn the_lines_of_a_job_say_which_attempt_wrote_them_in_the_trace_that_caused_it() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve"], &[("JOB_BACKOFF_MS", "1")]).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let insert = "insert into jobs (kind, args, max_attempts, traceparent) values ('followed', '{}', 2, $1)";
    stage.execute(insert, &[&format!("00-{trace}-00f067aa0ba902b7-01")]).await;
    for (level, number) in [("WARN", 1), ("ERROR", 2)] {
        let of_attempt = |line: &Value| line["callboard.job.attempt"] == number && line["level"] == level;
        let line = service.logged("of this attempt", of_attempt).await;
        assert_eq!((&line["callboard.job.kind"], &line["trace_id"]), (&json!("followed"), &json!(trace)));
        assert!(line["callboard.job.id"].as_i64().unwrap() > 0 && line["exception.message"].is_string(), "{line}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_exception_with_its_place_and_a_stack_where_one_is_asked_for() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    for (backtrace, expected) in [("0", false), ("1", true)] {
        let service = exporting(&stage, &receiver, &[("RUST_BACKTRACE", backtrace)]).await;
        service.operator().ask("/actors/root/articles/by_slug/crash").await.expect(202);
        let panic = service.logged("of a panic", |line| line["exception.type"] == "panic").await;
        assert_eq!(
            (&panic["level"], &panic["exception.message"]),
            (&json!("ERROR"), &json!("crash asked for by fault injection"))
        );
        assert_eq!(panic["code.file.path"], "actors/src/kit/nudge.rs");
        assert!(panic["message"].as_str().unwrap().starts_with("panicked at actors/src/kit/nudge.rs:"), "{panic}");
        assert_eq!(panic["exception.stacktrace"].is_string(), expected, "{panic}");
        let line = panic["code.line.number"].to_string();
        receiver
            .wait_for("the panic", |seen| {
                let of_panic = |record: &&Record| record.attributes.get("code.line.number") == Some(&line);
                seen.logs.iter().filter(of_panic).any(|record| {
                    record.attributes["code.file.path"] == "actors/src/kit/nudge.rs"
                        && record.attributes.contains_key("exception.stacktrace") == expected
                })
            })
            .await;
        service.stop().await;
    }
}

#[tokio::test]
async fn the_same_warning_is_written_a_few_times_and_then_counted_here_and_over_otlp() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let limits = [("LOG_FLOOD_LINES", "3"), ("LOG_FLOOD_WINDOW_MS", "3600000")];
    let service = exporting(&stage, &receiver, &limits).await;
    let ann = service.client().register("ann").await;
    break_publishing(&stage).await;
    for number in 0..20 {
        publish(&ann.client, &format!("number-{number}")).await.refused(500, "internal_error");
    }
    eventually("what is left out is counted", async || {
        (service.metric("log_records_suppressed_total", "ERROR").await >= 17.0).then_some(())
    })
    .await;
    let lines = objects(&service.stop().await);
    let said = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!(
        (said("a request failed"), said("request completed")),
        (3, 21),
        "a line for each request, of the same only some"
    );
    let told = |line: &&Value| line["callboard.log.message"] == "a request failed";
    let left_out = lines.iter().find(told).expect("what was left out is told at the end");
    assert_eq!((&left_out["callboard.log.left_out"], &left_out["callboard.log.level"]), (&json!(17), &json!("ERROR")));
    assert!(left_out["callboard.log.place"].as_str().unwrap().starts_with("callboard::error:"), "{left_out}");
    let records = receiver.exported().logs;
    let exported = |message: &str| records.iter().filter(|record| record.body == message).count();
    assert_eq!((exported("a request failed"), exported("request completed")), (3, 21));
    assert!(
        records.iter().any(|record| record.attributes.get("callboard.log.left_out").is_some_and(|count| count == "17"))
    );
}

#[tokio::test]
async fn a_request_whose_client_goes_away_has_its_line_too() {
    let stage = Stage::new().await;
    let receiver = Receiver::start().await;
    let service = exporting(&stage, &receiver, &[]).await;
    let ann = service.client().register("ann").await;
    let lock = stage.locked("articles").await;
    let asking = tokio::spawn(async move {
        let headers = [("x-request-id", "gone"), ("content-type", "application/json")];
        ann.client.try_send("POST", "/api/articles", &headers, r#"{"title":"t","body":"b"}"#, support::PATIENCE).await
    });
    eventually("it waits", async || (stage.waiting_for_locks().await > 0).then_some(())).await;
    asking.abort();
    let line = service.logged("of the request", |line| line["request_id"] == "gone").await;
    assert_eq!(
        (line["message"].as_str(), line["error.type"].as_str()),
        (Some("request completed"), Some("client_gone"))
    );
    assert_eq!((line["level"].as_str(), line["http.route"].as_str()), (Some("INFO"), Some("/api/articles")));
    assert!(line.get("http.response.status_code").is_none(), "{line}");
    let trace = line["trace_id"].as_str().unwrap();
    let spans = receiver.trace(trace, &["POST /api/articles"]).await;
    let span = spans.iter().find(|span| span.name == "POST /api/articles").unwrap();
    assert_eq!(span.attribute("error.type"), "client_gone");
    drop(lock);
}

/// A service whose standard output is read only as far as the test reads it.
struct Unread {
    child: Child,
    output: BufReader<ChildStdout>,
    api: Client,
    admin: Client,
}

impl Unread {
    async fn start(stage: &Stage, more: &[(&str, &str)]) -> Self {
        let mut command = service::command(&["serve", "--no-workers"]);
        command.env("DATABASE_URL", &stage.database_url).env("REDIS_URL", &stage.redis_url);
        command.env("RATE_LIMITS", "off").env("SHUTDOWN_DELAY_MS", "0").envs(more.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).await.unwrap();
        let listening: Value = serde_json::from_str(&line).unwrap();
        let client = |field: &str| Client::new(listening[field].as_str().unwrap().parse().unwrap());
        Self { api: client("api"), admin: client("admin"), child, output }
    }

    async fn lost(&self) -> f64 {
        let metrics = self.admin.get("/metrics").await.text();
        let line = metrics.lines().find(|line| line.starts_with("log_lines_lost_total")).unwrap_or(" 0").to_owned();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    async fn fill(&self) {
        let path = format!("/{}", "nothing-of-this-name/".repeat(100));
        eventually("lines are lost", async || {
            self.api.get(&path).await.refused(404, "not_found");
            (self.lost().await > 0.0).then_some(())
        })
        .await;
    }

    fn terminate(&self) {
        let id = nix::unistd::Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    }
}

#[tokio::test]
async fn a_service_whose_output_nobody_reads_goes_on_and_says_later_how_many_lines_were_lost() {
    let stage = Stage::new().await;
    let mut service = Unread::start(&stage, &[("LOG_BUFFER_BYTES", "65536")]).await;
    service.fill().await;
    let lost = service.lost().await;
    service.api.get("/api/articles").await.expect(200);
    // Now somebody reads.
    let mut lines = service.output.lines();
    let told = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it tells before it ends");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("half a line: {line}"));
            if line["message"].as_str().unwrap().starts_with("lines were lost") {
                return line;
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.expect("it says what was lost");
    assert!(told["log.lost"].as_f64().unwrap() >= lost, "{told}");
    service.child.kill().await.unwrap();
}

#[tokio::test]
async fn a_service_whose_output_nobody_reads_stops_all_the_same() {
    let stage = Stage::new().await;
    let mut service = Unread::start(&stage, &[("LOG_BUFFER_BYTES", "65536")]).await;
    service.fill().await;
    service.terminate();
    let status = tokio::time::timeout(PATIENCE, service.child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn the_level_can_be_set_for_a_part_and_libraries_tell_nothing_below_info() {
    let stage = Stage::new().await;
    let quiet = [("LOG_LEVEL", "warn"), ("RUST_LOG", "callboard::app=info")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &quiet).await;
    service.client().get("/api/articles").await.expect(200);
    let lines = objects(&service.stop().await);
    assert!(lines.iter().all(|line| line["level"] != "INFO" || line["target"] == "callboard::app"), "{lines:#?}");
    assert!(lines.iter().any(|line| line["message"] == "listening"));

    let loud = [("LOG_LEVEL", "info"), ("RUST_LOG", "trace,hyper=trace,h2=trace,tokio_postgres=trace,redis=trace")];
    let service = Service::run(&stage, &["serve"], &loud).await;
    service.client().get("/api/articles").await.expect(200);
    // A connection that ends in the midst of its head is told of at this level.
    let mut raw = tokio::net::TcpStream::connect(service.api.unwrap()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut raw, b"GET / HTTP/1.1\r\nhost").await.unwrap();
    drop(raw);
    service.logged("of a decision", |line| line["level"] == "DEBUG").await;
    for line in objects(&service.stop().await) {
        let target = line["target"].as_str().unwrap();
        let ours = target.starts_with("callboard") || target.starts_with("actors");
        assert!(ours || !["DEBUG", "TRACE"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
}

#[tokio::test]
async fn lines_for_people_have_no_colours_where_nobody_sees_them_and_nothing_that_moves_a_cursor() {
    let stage = Stage::new().await;
    let mut command = service::command(&["serve", "--no-workers"]);
    command.env("DATABASE_URL", &stage.database_url).env("REDIS_URL", &stage.redis_url).env("LOG_FORMAT", "pretty");
    command.env("SHUTDOWN_DELAY_MS", "0").stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).await.unwrap();
    let pattern = regex::Regex::new(r"^\d\d:\d\d:\d\d\.\d{3}  INFO listening api=(\S+) admin=\S+\n$").unwrap();
    let api: std::net::SocketAddr = pattern.captures(&line).unwrap_or_else(|| panic!("{line:?}"))[1].parse().unwrap();
    Client::new(api).get("/nothing%1b[31m").await.refused(404, "not_found");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let mut rest = String::new();
    tokio::time::timeout(PATIENCE, output.read_to_string(&mut rest)).await.expect("it ends").unwrap();
    assert!(
        rest.contains("INFO request completed") && !rest.contains('\u{1b}') && !rest.contains(JWT_SECRET),
        "{rest}"
    );
    assert!(!rest.contains("trace_id"), "ids are for what is wrong: {rest}");
}
