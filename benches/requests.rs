//! What requests allocate: the whole service, with an allocator that counts, asked over HTTP by another process.
//!
//! ```text
//! this process: clients, and a receiver of telemetry ──HTTP──▶ itself again, as `serve`: the service that counts
//!                              └── an empty line on its standard input ──▶ the counts so far, on its standard error
//! ```
//!
//! It needs servers: `make bench` starts some, and `callboard dev --ephemeral -- cargo bench --bench requests` does.
#![allow(missing_docs, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, clippy::indexing_slicing)]

use std::alloc::System;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Clients at once, so that something gathers, and what each asks.
const CLIENTS: usize = 16;
const EACH: usize = 1500;

fn main() -> ExitCode {
    if matches!(std::env::args().nth(1).as_deref(), Some("serve" | "migrate")) {
        std::thread::spawn(tell);
        return callboard::cli::run();
    }
    if std::env::var_os("DATABASE_URL").is_none() {
        eprintln!("SKIPPED: what requests allocate: no DATABASE_URL; `make bench` sets one");
        return ExitCode::SUCCESS;
    }
    println!("{:<44}{:>12}{:>12}", "for each request", "allocations", "bytes");
    for (telemetry, recorded) in [("off", false), ("all exported", true)] {
        let mut service = Service::start(recorded);
        let token = service.register();
        let slug = service.publish(&token);
        let page = "/api/articles?limit=20";
        for (name, path, token) in [
            ("an article", format!("/api/articles/{slug}").as_str(), None),
            ("the current user", "/api/user", Some(token.as_str())),
            ("a page of articles", page, None),
        ] {
            service.ask_often(path, token, EACH / 5);
            let before = service.counts();
            service.ask_often(path, token, EACH);
            let after = service.counts();
            let each = |before: u64, after: u64| (after - before) as f64 / (CLIENTS * EACH) as f64;
            let name = format!("{name}, telemetry {telemetry}");
            println!("{name:<44}{:>12.1}{:>12.0}", each(before.0, after.0), each(before.1, after.1));
        }
    }
    ExitCode::SUCCESS
}

/// Tells what was allocated so far, whenever it is asked.
fn tell() {
    for _ in std::io::stdin().lines() {
        let stats = ALLOCATOR.stats();
        eprintln!("{} {}", stats.allocations + stats.reallocations, stats.bytes_allocated);
    }
}

struct Service {
    process: Child,
    answers: BufReader<std::process::ChildStderr>,
    host: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    fn start(recorded: bool) -> Self {
        let host = free_address();
        let command = |name: &str| {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.arg(name).env("HTTP_ADDR", &host).env("ADMIN_ADDR", free_address()).env("RATE_LIMITS", "off");
            command.env("JWT_SECRET", "a secret that is long enough for a benchmark").env("LOG_FORMAT", "json");
            command
        };
        command("migrate").stdout(Stdio::null()).status().expect("the schema");
        let mut serve = command("serve");
        serve.arg("--no-workers").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        if recorded {
            serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", receiver()));
        }
        let mut process = serve.spawn().expect("the service");
        let answers = BufReader::new(process.stderr.take().expect("its standard error"));
        let service = Self { process, answers, host };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&service.host).is_err() {
            assert!(Instant::now() < until, "the service does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        service
    }

    /// Allocations, and their bytes.
    fn counts(&mut self) -> (u64, u64) {
        let stdin = self.process.stdin.as_mut().expect("its standard input");
        stdin.write_all(b"\n").expect("it runs");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        let mut numbers = line.split_whitespace().map(|number| number.parse().expect("a number"));
        (numbers.next().expect("allocations"), numbers.next().expect("bytes"))
    }

    fn register(&self) -> String {
        let email = format!("{}@example.com", self.process.id());
        let body = json!({"email": email, "name": "Ann", "password": "a long password of hers"});
        let registered = self.post("/api/register", None, &body);
        registered["token"]["access_token"].as_str().expect("a token").to_owned()
    }

    fn publish(&self, token: &str) -> String {
        let body = json!({"title": "Counted", "body": "lorem ipsum dolor sit amet ".repeat(38)});
        self.post("/api/articles", Some(token), &body)["slug"].as_str().expect("a slug").to_owned()
    }

    fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Value {
        let body = body.to_string();
        let more = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let mut client = Client::connect(&self.host);
        let answer = client.ask(format!("{}{body}", head("POST", path, token, &more)).as_bytes());
        serde_json::from_slice(answer).expect("an answer in JSON")
    }

    fn ask_often(&self, path: &str, token: Option<&str>, times: usize) {
        let request = head("GET", path, token, "");
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = Client::connect(&self.host);
                    (0..times).for_each(|_| assert!(!client.ask(request.as_bytes()).is_empty()));
                });
            }
        });
    }
}

fn head(method: &str, path: &str, token: Option<&str>, more: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n{token}{more}\r\n")
}

/// A connection that is kept, and what came on it last.
struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Client {
    fn connect(host: &str) -> Self {
        let stream = TcpStream::connect(host).expect("the service listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, bytes: Vec::new() }
    }

    /// Asks, and gives the body of the answer, which has to be a good one.
    fn ask(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).expect("the service reads");
        let (head, end) = message(&mut self.stream, &mut self.bytes).expect("an answer");
        assert!(self.bytes.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&self.bytes));
        &self.bytes[head..end]
    }
}

/// Reads one message of HTTP/1.1: where its body begins and ends. `None` when there is none any more.
fn message(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(usize, usize)> {
    bytes.clear();
    let mut piece = [0; 16 * 1024];
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let end = head + length.map_or(0, |length| length.trim().parse().expect("a length"));
            if bytes.len() >= end {
                return Some((head, end));
            }
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}

/// Takes whatever telemetry comes; its address.
fn receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                while message(&mut stream, &mut bytes).is_some() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                }
            });
        }
    });
    address
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    listener.local_addr().expect("an address").to_string()
}
