//! What the kit and the front cost without what is behind them: an ask, a batch, a token, an article's JSON.
#![allow(missing_docs, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::articles::words::{self, Part};
use actors::auth::Secrets;
use actors::auth::token::{Settings, Tokens};
use actors::auth::{SessionId, UserId};
use actors::kit::batcher::{Answers, Gather};
use actors::kit::command::{Ask, Outcome};
use actors::kit::pool::Worker;
use actors::kit::{Caller, Command, Endpoint, Scope, Trace};
use actors::messages;
use actors::supervision::intensity::Intensity;
use actors::supervision::observer::Observer;
use actors::supervision::{ChildSpec, Root, Strategy, SupervisorSpec, child, start_root};
use callboard::api::articles::{ArticleBody, AuthorBody};
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A number, doubled by whoever is asked.
#[derive(Clone, Debug)]
struct Double(i64);

impl Command for Double {
    type Reply = i64;
    type Refusal = std::convert::Infallible;
    const NAME: &'static str = "double";
    const IDEMPOTENT: bool = true;
}

messages! {
    /// What both understand.
    enum Numbers { Double }
}

struct Doubler;

impl Worker for Doubler {
    type Message = Numbers;

    async fn handle(&self, message: Numbers, _: Scope) -> Outcome {
        let Numbers::Double(ask) = message;
        ask.serve(async |Double(number)| Ok(number * 2)).await
    }
}

impl Gather for Doubler {
    type Command = Double;

    async fn run(&self, commands: &[Double], _: &Scope) -> Answers<Double> {
        Ok(commands.iter().map(|Double(number)| Ok(number * 2)).collect())
    }
}

fn start(runtime: &Runtime, spec: ChildSpec) -> Root {
    let (observer, _) = Observer::channel(1);
    let intensity = Intensity { max: 1, period: Duration::from_secs(1) };
    let spec = SupervisorSpec { strategy: Strategy::OneForOne, intensity, children: vec![spec] };
    runtime.block_on(start_root(spec, observer)).expect("a tree of one")
}

fn caller() -> Caller {
    Caller { trace: Trace::default(), deadline: Instant::now() + Duration::from_secs(60) }
}

/// So many ask at once.
const CALLERS: [usize; 2] = [1, 64];

#[divan::bench(args = CALLERS)]
fn asks_of_a_pool(bencher: Bencher<'_, '_>, callers: usize) {
    let runtime = Runtime::new().expect("a runtime");
    let endpoint: Endpoint<Numbers> = Endpoint::new("doubler", "root/doubler", 1000);
    let _root = start(&runtime, child::pool(&endpoint, Arc::new(Doubler), callers));
    bencher.counter(ItemsCount::new(callers)).bench_local(|| {
        let caller = caller();
        let asks = (0..callers).map(|_| endpoint.ask(&caller, Double(21)));
        runtime.block_on(futures_util::future::join_all(asks))
    });
}

#[divan::bench(args = CALLERS)]
fn asks_of_a_batcher(bencher: Bencher<'_, '_>, callers: usize) {
    let runtime = Runtime::new().expect("a runtime");
    let endpoint: Endpoint<Ask<Double>> = Endpoint::new("doubler", "root/doubler", 1000);
    let _root = start(&runtime, child::batcher(&endpoint, Arc::new(Doubler), 2, 128));
    bencher.counter(ItemsCount::new(callers)).bench_local(|| {
        let caller = caller();
        let asks = (0..callers).map(|_| endpoint.ask(&caller, Double(21)));
        runtime.block_on(futures_util::future::join_all(asks))
    });
}

/// For the first time, and when it is known.
#[divan::bench(args = [0, 1 << 20])]
fn verify_a_token(bencher: Bencher<'_, '_>, keep: usize) {
    let secrets = Secrets::parse("a secret for benchmarks and nothing else").expect("long enough");
    let (issuer, audience) = ("callboard".to_owned(), "callboard".to_owned());
    let tokens = Tokens::new(&Settings { secrets, issuer, audience, lifetime: Duration::from_secs(900), keep });
    let token = tokens.issue(UserId(7), SessionId(uuid::Uuid::nil())).expect("it can be signed");
    bencher.bench_local(|| tokens.verify(&token));
}

#[divan::bench]
fn encode_an_article(bencher: Bencher<'_, '_>) {
    let now = OffsetDateTime::now_utc();
    let text = "They keep to themselves. ".repeat(80);
    let article = ArticleBody {
        id: 7,
        slug: "on-actors-k7m2p9xa",
        title: "On actors",
        description: "Why small mailboxes are good mailboxes",
        body: Some(&text),
        author: AuthorBody { id: 1, email: None, name: "Ann", bio: "", image: "" },
        favorites_count: 12,
        favorited: false,
        created_at: now,
        updated_at: now,
    };
    bencher.bench_local(|| serde_json::to_vec(&article));
}

/// Of a kilobyte: what a publication is found by, once in words that come again and once in words that do not.
#[divan::bench(args = ["repeated", "distinct"])]
fn words_of_a_body(bencher: Bencher<'_, '_>, words: &str) {
    let letter = |number| char::from(b'a' + number);
    let text = match words {
        "repeated" => "lorem ipsum dolor sit amet ".repeat(38),
        _ => (0..143_u8).map(|number| format!("{}{}ings ", letter(number / 12), letter(number % 12))).collect(),
    };
    bencher.bench_local(|| words::vector(Part::Body, &text));
}

#[divan::bench]
fn what_people_type(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| words::query("crabs \"of the sea\" or state-of-the-art -plants"));
}
