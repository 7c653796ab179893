//! The processes on one database and one Redis, and all that befalls them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use crate::support::servers::redis::PrivateRedis;
use crate::support::{Client, Service, Stage, audit, eventually};

/// A process that was not seen for this long is dead.
const DEAD_AFTER_MS: u64 = 5000;

/// Telling somebody takes a while, mostly a short one: so there is always something under way that can be hit. Those
/// who are told by several at once are told by one after the other, which bounds how long it may take.
const TELLING_TAKES_TIME: [&str; 2] = [
    "create function take_time() returns trigger language plpgsql as $$
     begin perform pg_sleep(0.4 * random() ^ 4); return null; end $$",
    "create trigger take_time after insert on notifications for each statement execute function take_time()",
];

/// What can befall them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A process is killed, and another one started.
    Kill,
    /// A process stops where it is, and goes on after a while: perhaps when everybody holds it for dead.
    Freeze,
    /// Redis is emptied.
    Flush,
    /// Redis is killed, and comes back empty after a while.
    RedisAway,
    /// All connections to the database are cut.
    Cut,
    /// Nobody can connect to the database for a while.
    DatabaseAway,
    /// An actor crashes.
    Crash,
}

impl Fault {
    /// All of them; those that stand here more than once happen more often.
    const ALL: [Self; 12] = [
        Self::Kill,
        Self::Kill,
        Self::Freeze,
        Self::Freeze,
        Self::Flush,
        Self::RedisAway,
        Self::Cut,
        Self::DatabaseAway,
        Self::Crash,
        Self::Crash,
        Self::Crash,
        Self::Crash,
    ];
}

struct Node {
    service: Service,
    /// Takes no requests.
    works_only: bool,
    thaw_at: Option<Instant>,
}

/// The processes and their servers. The fields are in the order of their ends.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    /// The database, which tells in the end.
    pub(crate) stage: Stage,
    redis: PrivateRedis,
    redis_back_at: Option<Instant>,
    database_back_at: Option<Instant>,
    /// The actors that can crash.
    actors: Vec<String>,
    started: usize,
    /// What those have written that were replaced.
    written: Vec<String>,
    /// How often what happened; what ended of itself too.
    pub(crate) befell: BTreeMap<String, usize>,
}

impl Cluster {
    /// Two that serve and one that works.
    pub(crate) async fn start() -> Self {
        let (redis, mut stage) = (PrivateRedis::start().await, Stage::new().await);
        stage.redis_url = redis.url.clone();
        audit::begin(&stage).await;
        for statement in TELLING_TAKES_TIME {
            stage.execute(statement, &[]).await;
        }
        let mut cluster = Self {
            nodes: Vec::new(),
            stage,
            redis,
            redis_back_at: None,
            database_back_at: None,
            actors: Vec::new(),
            started: 0,
            written: Vec::new(),
            befell: BTreeMap::new(),
        };
        for works_only in [false, false, true] {
            let node = cluster.node(works_only).await;
            cluster.nodes.push(node);
        }
        let tree = cluster.nodes[0].service.operator().get("/actors").await.expect(200);
        leaves(&tree["root"], &mut cluster.actors);
        cluster
    }

    async fn node(&mut self, works_only: bool) -> Node {
        self.started += 1;
        let url = self.stage.database_url_of(&format!("process-{}", self.started));
        let arguments = if works_only { "work" } else { "serve" };
        // What a frozen process has under way is ended by the database after this time, in some only when it has
        // long been done elsewhere.
        let within = if self.started.is_multiple_of(3) { "5000" } else { "15000" };
        let variables = [
            ("DATABASE_URL", url.as_str()),
            ("DATABASE_WRITERS", "8"),
            ("DATABASE_STATEMENT_TIMEOUT_MS", within),
            ("JOB_WORKERS", "4"),
            // Processes die here so often that three may well do so with a job that is not to blame.
            ("JOB_DEATHS", "1000"),
        ];
        Node { service: Service::run(&self.stage, &[arguments], &variables).await, works_only, thaw_at: None }
    }

    /// One that takes requests: sometimes one that is frozen.
    pub(crate) fn somebody(&self, random: &mut StdRng) -> Client {
        let patient = random.random_bool(0.02);
        let fit = |node: &&Node| !node.works_only && (patient || node.thaw_at.is_none());
        let fit: Vec<_> = self.nodes.iter().filter(fit).collect();
        fit[random.random_range(0..fit.len())].service.client()
    }

    /// Brings back what has been away for long enough, and starts another process for one that gave up.
    pub(crate) async fn heal(&mut self) {
        let due = |at: Option<Instant>| at.is_some_and(|at| Instant::now() >= at);
        if due(self.redis_back_at) {
            self.redis.start_again().await;
            self.redis_back_at = None;
        }
        if due(self.database_back_at) {
            self.stage.reachable(true).await;
            self.database_back_at = None;
        }
        for place in 0..self.nodes.len() {
            if due(self.nodes[place].thaw_at) {
                self.nodes[place].service.thaw();
                self.nodes[place].thaw_at = None;
            }
            if self.nodes[place].service.is_over() {
                self.count("gave up");
                self.replace(place).await;
            }
        }
    }

    /// Lets something happen; nothing where that is not possible now.
    pub(crate) async fn suffer(&mut self, random: &mut StdRng) {
        let fault = Fault::ALL[random.random_range(0..Fault::ALL.len())];
        let place = random.random_range(0..self.nodes.len());
        let others = self.nodes.iter().enumerate().filter(|(at, node)| *at != place && node.thaw_at.is_none());
        // Somebody takes requests, whatever happens.
        let spared = others.filter(|(_, node)| !node.works_only).count() == 0;
        let away = Instant::now() + Duration::from_millis(random.random_range(100..2500));
        match fault {
            Fault::Kill => {
                self.nodes[place].service.kill();
                self.replace(place).await;
            }
            Fault::Freeze if !spared && self.nodes[place].thaw_at.is_none() => {
                let long = random.random_bool(0.4);
                let millis = if long { DEAD_AFTER_MS + 500..DEAD_AFTER_MS + 3000 } else { 50..3000 };
                self.nodes[place].service.freeze();
                self.nodes[place].thaw_at = Some(Instant::now() + Duration::from_millis(random.random_range(millis)));
            }
            Fault::Flush if self.redis_back_at.is_none() => self.redis.flush().await,
            Fault::RedisAway if self.redis_back_at.is_none() => {
                self.redis.kill().await;
                self.redis_back_at = Some(away);
            }
            Fault::Cut if self.database_back_at.is_none() => {
                self.stage.reachable(false).await;
                self.stage.reachable(true).await;
            }
            Fault::DatabaseAway if self.database_back_at.is_none() => {
                self.stage.reachable(false).await;
                self.database_back_at = Some(away);
            }
            Fault::Crash if self.nodes[place].thaw_at.is_none() => {
                let path = &self.actors[random.random_range(0..self.actors.len())];
                // One that only works has not all of them, and one that has just given up answers nothing.
                let path = format!("/actors/{path}/crash");
                let operator = self.nodes[place].service.operator();
                drop(operator.try_send("POST", &path, &[], "", Duration::from_secs(2)).await);
            }
            _ => return,
        }
        self.count(&format!("{fault:?}"));
    }

    /// Lets everything be well again.
    pub(crate) async fn settle(&mut self) {
        let now = Some(Instant::now());
        self.redis_back_at = self.redis_back_at.and(now);
        self.database_back_at = self.database_back_at.and(now);
        self.nodes.iter_mut().for_each(|node| node.thaw_at = node.thaw_at.and(now));
        self.heal().await;
        for place in 0..self.nodes.len() {
            eventually("every process is ready", async || {
                // One that was about to give up may do so only now.
                self.heal().await;
                let operator = self.nodes[place].service.operator();
                let ready = operator.try_send("GET", "/readyz", &[], "", Duration::from_secs(2)).await;
                ready.is_ok_and(|answer| answer.status == 200).then_some(())
            })
            .await;
        }
    }

    /// What any process has written about a trace, and whatever panicked on the way: that knows of no trace.
    pub(crate) fn written_of(&self, trace: &str) -> Vec<String> {
        let now = self.nodes.iter().flat_map(|node| node.service.lines());
        self.written
            .iter()
            .cloned()
            .chain(now)
            .filter(|line| line.contains(trace) || line.contains("panicked at"))
            .collect()
    }

    async fn replace(&mut self, place: usize) {
        let works_only = self.nodes[place].works_only;
        self.written.extend(self.nodes[place].service.lines());
        self.nodes[place] = self.node(works_only).await;
    }

    fn count(&mut self, what: &str) {
        *self.befell.entry(what.to_owned()).or_default() += 1;
    }
}

fn leaves(node: &serde_json::Value, paths: &mut Vec<String>) {
    match node["children"].as_array() {
        Some(below) => below.iter().for_each(|child| leaves(child, paths)),
        None => paths.push(node["path"].as_str().unwrap().to_owned()),
    }
}
