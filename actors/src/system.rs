//! The composition root: builds the tree and hands out one handle for each domain. The only place that
//! sees every domain.
//!
//! ```text
//! root            one_for_one, 3 in 60 s
//! ├─ ledger       writer · reader: restarts to PostgreSQL and back
//! ├─ postgres     readers · scanners: the reading connections
//! ├─ auth         passwords · accounts · users · sessions · pruner
//! ├─ articles     by_slug · lists · creator · editors
//! ├─ favorites    shards by article
//! ├─ notifications inbox · live · listener: what is new, for streams
//! ├─ webhooks     desk
//! ├─ operators    health · jobs: what is asked about them · watchdog: who makes no progress
//! ├─ throttle     checks: who has to wait, where anything is limited
//! └─ jobs         rest_for_one: pool → consumer → relay → listener → scheduler → rescuer → reconciler
//! ```
//!
//! All but `jobs` are one_for_one, 60 in 10 s. The root has only supervisors below it: an actor that crashes
//! over and over uses up its own supervisor's intensity first. A `System` is a value: nothing is global, and two of them in one process do not meet.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::articles::{self, Articles};
use crate::auth::{self, Auth};
use crate::favorites::{self, Favorites};
use crate::health::Health;
use crate::jobs::{self, Bell, Effect, Jobs};
use crate::kit::Fault;
use crate::kit::kept::Size;
use crate::kit::nudge::{Injected, Nudge};
use crate::kit::postgres::{self, Postgres};
use crate::kit::readers::Keeper;
use crate::kit::redis::{self, Redis};
use crate::kit::writers::Standing;
use crate::notifications::{self, Notifications};
use crate::supervision::events::Events;
use crate::supervision::intensity::Intensity;
use crate::supervision::ledger::{self, Ledger};
use crate::supervision::observer::Observer;
use crate::supervision::watchdog::{self, Pulse, Watchdog};
use crate::supervision::{ChildSpec, Node, Root, Snapshot, Strategy, SupervisorSpec, child, start_root};
use crate::throttle::{self, Throttle};
use crate::webhooks::{self, Webhooks};

/// Connections for those who write what gathered: as many as they have hands.
const GATHERED: usize = articles::CREATORS.most() + favorites::SHARDS * favorites::SETTERS.most();
/// The root gives up early: what it cannot mend, a fresh process may.
const ROOT: Intensity = Intensity { max: 3, period: Duration::from_secs(60) };
/// A burst of restarts that take milliseconds passes; a loop is stopped.
const DOMAIN: Intensity = Intensity { max: 60, period: Duration::from_secs(10) };

/// What the system is set up with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What this process is called in the ledger.
    pub node: String,
    /// How the database is reached.
    pub postgres: postgres::Settings,
    /// Where Redis is.
    pub redis: redis::Url,
    /// Of the auth domain.
    pub auth: auth::Settings,
    /// How much of the restart ledger is kept.
    pub ledger: ledger::Keep,
    /// When an actor is taken for stuck.
    pub watchdog: watchdog::Limits,
    /// How webhooks are sent.
    pub webhooks: webhooks::Settings,
    /// Who has to wait; `None` where nothing is limited.
    pub throttle: Option<throttle::Settings>,
    /// How jobs are executed; `None` in a process that executes none.
    pub jobs: Option<jobs::Settings>,
    /// Messages that may wait at each actor.
    pub room: usize,
    /// Messages in one statement.
    pub batch: usize,
    /// Bytes that articles may take which were read before, and as many each for users and sessions.
    pub keep: usize,
    /// Streams of notifications that may be open at once.
    pub streams: notifications::Streams,
}

/// A handle on each domain of the running actors.
pub struct System {
    /// Who somebody is.
    pub auth: Auth,
    /// Articles.
    pub articles: Articles,
    /// Favorites.
    pub favorites: Favorites,
    /// What people are told.
    pub notifications: Notifications,
    /// Where else they are told.
    pub webhooks: Webhooks,
    /// Who has to wait.
    pub throttle: Throttle,
    /// How the service is.
    pub health: Health,
    /// What operators ask about jobs.
    pub jobs: Jobs,
    /// Which actors were started again, and why.
    pub ledger: Ledger,
    pulse: Pulse,
    postgres: Postgres,
    /// With the connections of those who write what gathered, and those that jobs have for what must not wait.
    set_apart: Vec<Postgres>,
    /// The hands of this process that have no job, and how many there are in all.
    job_hands: Option<(Arc<Semaphore>, usize)>,
    observer: Observer,
    node: Arc<Node>,
}

/// The running actors themselves: whoever has this decides when they end.
pub struct Tree {
    root: Root,
    postgres: Vec<Postgres>,
}

impl System {
    /// Builds and starts the tree. Connections are made as they are needed, so that it starts without its
    /// dependencies and works when they come.
    ///
    /// # Errors
    /// When the settings contradict one another.
    pub async fn start(settings: &Settings) -> Result<(Self, Tree), Fault> {
        Self::start_with(settings, Vec::new()).await
    }

    /// The same, with kinds of jobs beside those of the domains.
    ///
    /// # Errors
    /// When the settings contradict one another.
    pub async fn start_with(settings: &Settings, more_effects: Vec<Arc<dyn Effect>>) -> Result<(Self, Tree), Fault> {
        let postgres = Postgres::new(&settings.postgres)?;
        let redis = || Redis::new(&settings.redis);
        let (room, batch) = (settings.room, settings.batch);
        let (ledger, observer, ledger_actors) = Ledger::new(&settings.node, &postgres, settings.ledger, room);
        let (watchdog, pulse) = Watchdog::new(settings.watchdog, observer.clone());
        let watched = watchdog.root();
        let (auth, auth_actors) = Auth::new(&settings.auth, &postgres)?;
        let bell = Bell::default();
        let gathered = settings.postgres.planned_once().without_notices();
        let gathered = postgres.apart("gathered", &gathered, GATHERED)?;
        let (articles, article_actors) = Articles::new(&postgres, (&gathered, &bell), room, batch, settings.keep);
        let (favorites, favorite_actors) = Favorites::new(&gathered, &bell, room, batch);
        let inbox = notifications::Settings { room, hands: settings.auth.hands, batch, streams: settings.streams };
        let (notifications, notification_actors) = Notifications::new(&postgres, inbox);
        let (webhooks, webhook_actors) = Webhooks::new(&settings.webhooks, &postgres, room, settings.auth.hands);
        let (throttle, throttle_actors) = Throttle::new(settings.throttle.as_ref(), redis(), room, batch);
        let (health, health_actor) = Health::new(&postgres, Arc::new(redis()), room);
        let (jobs, desk) = Jobs::desk(&postgres, room);
        let keepers = vec![
            child::routine("readers", Arc::new(Keeper(Arc::clone(postgres.readers())))),
            child::routine("scanners", Arc::new(Keeper(Arc::clone(postgres.scanners())))),
        ];
        let mut children = vec![
            domain("ledger", Strategy::OneForOne, ledger_actors),
            domain("postgres", Strategy::OneForOne, keepers),
            domain("auth", Strategy::OneForOne, auth_actors),
            domain("articles", Strategy::OneForOne, article_actors),
            domain("favorites", Strategy::OneForOne, favorite_actors),
            domain("notifications", Strategy::OneForOne, notification_actors),
            domain("webhooks", Strategy::OneForOne, webhook_actors),
            domain(
                "operators",
                Strategy::OneForOne,
                vec![health_actor, desk, child::routine("watchdog", Arc::new(watchdog))],
            ),
        ];
        if !throttle_actors.is_empty() {
            children.push(domain("throttle", Strategy::OneForOne, throttle_actors));
        }
        let (mut set_apart, mut job_hands) = (vec![gathered], None);
        let job_actors = match &settings.jobs {
            Some(executed) => {
                let webhooks = Webhooks::effects(&settings.webhooks, &postgres);
                let effects = Notifications::effects().into_iter().chain(webhooks).chain(more_effects).collect();
                let vital = postgres.apart("vital", &settings.postgres, jobs::VITAL)?;
                let hands = executed.workers.min(settings.postgres.writers);
                let own = postgres.apart("jobs", &settings.postgres.by_key(), hands + jobs::MOVING)?;
                set_apart.extend([vital.clone(), own.clone()]);
                let connections = jobs::Connections { postgres: postgres.clone(), own, vital };
                let faults = jobs.faults.clone();
                let (children, free) =
                    jobs::workers(executed.clone(), connections, redis(), Uuid::new_v4(), effects, faults, bell)?;
                job_hands = Some((free, executed.workers));
                children
            }
            None => vec![jobs::ringer(&postgres, bell)],
        };
        children.push(domain("jobs", Strategy::RestForOne, job_actors));
        let spec = SupervisorSpec { strategy: Strategy::OneForOne, intensity: ROOT, children };
        let root = start_root(spec, observer.clone()).await?;
        let node = Arc::clone(root.node());
        // Nobody else puts anything there.
        let _ = watched.set(Arc::downgrade(&node));
        let postgres_of_all = std::iter::once(&postgres).chain(&set_apart).cloned().collect();
        let tree = Tree { root, postgres: postgres_of_all };
        let system = Self {
            auth,
            articles,
            favorites,
            notifications,
            webhooks,
            throttle,
            health,
            jobs,
            ledger,
            pulse,
            postgres,
            set_apart,
            job_hands,
            observer,
            node,
        };
        Ok((system, tree))
    }

    /// The tree as it is now. Asks no actor.
    pub fn tree(&self) -> Snapshot {
        self.node.snapshot()
    }

    /// Has the actor at `path` fail on its next turn; `false` when there is none, or it is not there now.
    pub fn inject(&self, path: &str, fault: Injected) -> bool {
        self.node.find(path).is_some_and(|node| node.nudge(Nudge::Fault(fault)))
    }

    /// What happens in the tree, as it happens.
    pub fn events(&self) -> &Events {
        self.observer.events()
    }

    /// The actors that make no progress and could not be started anew: with any of them the process is not well.
    pub fn stuck(&self) -> Vec<Arc<str>> {
        self.pulse.stuck()
    }

    /// How each pool of connections to PostgreSQL stands.
    pub fn connections(&self) -> Vec<Standing> {
        let (readers, scanners) = (self.postgres.readers().standing(), self.postgres.scanners().standing());
        let writers = std::iter::once(&self.postgres).chain(&self.set_apart).map(Postgres::writers);
        [readers, scanners].into_iter().chain(writers).collect()
    }

    /// How much is kept of what was read before.
    pub fn kept(&self) -> Vec<Size> {
        self.auth.kept().into_iter().chain([self.articles.kept()]).collect()
    }

    /// Jobs that this process works on, and how many it may; `None` in a process that executes none.
    pub fn job_hands(&self) -> Option<(usize, usize)> {
        let (free, all) = self.job_hands.as_ref()?;
        Some((all.saturating_sub(free.available_permits()), *all))
    }

    /// Restarts that will never be in the ledger.
    pub fn restarts_dropped(&self) -> u64 {
        self.observer.dropped()
    }
}

impl Tree {
    /// Completes when the tree gave up: the process has to end. Cancel-safe.
    pub async fn gave_up(&mut self) {
        self.root.ended().await;
    }

    /// Stops the tree, last started first, each actor working off what it holds.
    pub async fn stop(self) {
        self.root.stop().await;
        self.postgres.iter().for_each(Postgres::close);
    }
}

fn domain(name: &str, strategy: Strategy, children: Vec<ChildSpec>) -> ChildSpec {
    ChildSpec::supervisor(name, SupervisorSpec { strategy, intensity: DOMAIN, children })
}
