//! The real binary as a process: started, listened to, stopped.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::Client;
use super::{PATIENCE, Stage};

/// What access tokens are signed with, so that tests can make some of their own.
pub const JWT_SECRET: &str = "a secret for tests and for nothing else";
/// What operators show where a test sets a token.
pub const ADMIN_TOKEN: &str = "sesame-for-operators";

/// The binary with these arguments, in an environment that holds nothing else.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command.args(arguments).env_clear();
    // Whoever measures coverage says so by these.
    command.envs(std::env::vars().filter(|(name, _)| name.starts_with("LLVM_") || name == "PATH"));
    command.env("HTTP_ADDR", "127.0.0.1:0").env("ADMIN_ADDR", "127.0.0.1:0").env("JWT_SECRET", JWT_SECRET);
    command
}

/// A running `serve` or `work`. Dropping it kills it.
pub struct Service {
    /// Where the public API listens; none in a process that only works.
    pub api: Option<SocketAddr>,
    /// Where the operators' listener is.
    pub admin: SocketAddr,
    child: Child,
    lines: watch::Receiver<Vec<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Service {
    /// `serve`, with these variables besides the usual ones.
    pub async fn start(stage: &Stage, variables: &[(&str, &str)]) -> Self {
        Self::run(stage, &["serve"], variables).await
    }

    /// Any of the servers. The variables come last and win.
    pub async fn run(stage: &Stage, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(arguments);
        command
            .env("DATABASE_URL", &stage.database_url)
            .env("REDIS_URL", &stage.redis_url)
            .env("LOG_FORMAT", "json")
            .env("CHAOS_ENABLED", "true")
            .env("RATE_LIMITS", "off")
            .env("SHUTDOWN_DELAY_MS", "0")
            // Many services share one server, and a busy machine may take its time.
            .env("DATABASE_WRITERS", "4")
            .env("DATABASE_CONNECT_TIMEOUT_MS", "5000")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the binary can be started");
        let (writer, lines) = watch::channel(Vec::new());
        let readers = vec![
            tokio::spawn(collect(child.stdout.take().unwrap(), writer.clone())),
            tokio::spawn(collect(child.stderr.take().unwrap(), writer)),
        ];
        let mut reading = lines.clone();
        let listening = reading.wait_for(|lines| lines.iter().any(|line| listening_line(line).is_some()));
        let listens = matches!(tokio::time::timeout(PATIENCE, listening).await, Ok(Ok(_)));
        assert!(listens, "it does not listen; it wrote:\n{}", lines.borrow().join("\n"));
        let line = lines.borrow().iter().find_map(|line| listening_line(line)).unwrap();
        let address = |field: &str| line[field].as_str().map(|text| text.parse().unwrap());
        Self { api: address("api"), admin: address("admin").unwrap(), child, lines, readers }
    }

    /// A client of the public API.
    pub fn client(&self) -> Client {
        Client::new(self.api.expect("this process serves the API"))
    }

    /// A client of the operators' listener.
    pub fn operator(&self) -> Client {
        Client::new(self.admin)
    }

    /// What the tree shows of an actor.
    pub async fn actor(&self, path: &str) -> Value {
        let tree = self.operator().get("/actors").await.expect(200);
        find(&tree["root"], path).unwrap_or_else(|| panic!("{path} is not in the tree")).clone()
    }

    /// What a metric shows, all its series that hold `label` together; 0 when there are none.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let metrics = self.operator().get("/metrics").await.text();
        let own = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let series = metrics.lines().filter(own).filter(|line| line.contains(label));
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Everything written so far, to standard output and standard error.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// Waits for a log line that `wanted` takes.
    pub async fn logged(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let find = |lines: &Vec<String>| lines.iter().filter_map(|line| serde_json::from_str(line).ok()).find(&wanted);
        let mut lines = self.lines.clone();
        let waiting = tokio::time::timeout(PATIENCE, lines.wait_for(|lines| find(lines).is_some()));
        match waiting.await {
            Ok(Ok(lines)) => find(&lines).unwrap(),
            _ => panic!("no line of the log is {what}:\n{}", self.lines().join("\n")),
        }
    }

    /// Asks it to stop, as a platform does.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Takes the process away without a word.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Stops the whole process where it is.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id().expect("it still runs")).unwrap()
    }

    /// Whether it ended, of itself or not.
    pub fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id()), signal).unwrap();
    }

    /// Waits for its end; gives its exit status and all that it wrote.
    pub async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("it does not end:\n{}", self.lines().join("\n"))).unwrap();
        for reader in std::mem::take(&mut self.readers) {
            reader.await.unwrap();
        }
        (status, self.lines())
    }

    /// Stops it in order and gives all that it wrote.
    pub async fn stop(self) -> Vec<String> {
        self.terminate();
        let (status, lines) = self.ended().await;
        assert_eq!(status.code(), Some(0), "it wrote:\n{}", lines.join("\n"));
        lines
    }
}

fn find<'a>(node: &'a Value, path: &str) -> Option<&'a Value> {
    if node["path"] == path {
        return Some(node);
    }
    node["children"].as_array()?.iter().find_map(|child| find(child, path))
}

async fn collect(stream: impl AsyncRead + Unpin, lines: watch::Sender<Vec<String>>) {
    let mut stream = BufReader::new(stream).lines();
    while let Ok(Some(line)) = stream.next_line().await {
        lines.send_modify(|lines| lines.push(line));
    }
}

fn listening_line(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then_some(line)
}
