//! What a batcher promises: one statement for all that gathered, fresh answers, nobody spoiled by another.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::kit::Under;
use actors::kit::batcher::{Answers, Gather, Hands};
use actors::kit::{Command, Endpoint, Failure, Fault, Scope};
use actors::supervision::{Root, Strategy, child};
use support::*;
use tokio::sync::{Semaphore, mpsc};

#[derive(Clone, Debug, PartialEq)]
struct Double(i64);

impl Command for Double {
    type Reply = i64;
    type Refusal = &'static str;
    const NAME: &'static str = "double";
    const IDEMPOTENT: bool = true;
}

/// Whatever batch holds this number panics.
const POISON: i64 = 1313;

/// Doubles numbers in batches; a batch of several with a negative one is refused as a whole.
struct Doubler {
    batches: Mutex<Vec<Vec<i64>>>,
    begun: mpsc::UnboundedSender<()>,
    gate: Semaphore,
}

impl Gather for Doubler {
    type Command = Double;

    async fn run(&self, commands: &[Double], scope: &Scope) -> Answers<Double> {
        assert_eq!(commands.len(), scope.size());
        self.batches.lock().unwrap().push(commands.iter().map(|n| n.0).collect());
        self.begun.send(()).ok();
        self.gate.acquire().await.unwrap().forget();
        assert!(commands.iter().all(|n| n.0 != POISON), "told to");
        if commands.iter().any(|n| n.0 < 0) {
            return Err(refused_statement().await);
        }
        Ok(commands.iter().map(|n| if n.0 == 0 { Err("zero") } else { Ok(n.0 * 2) }).collect())
    }
}

/// What PostgreSQL's refusal of a statement looks like; only PostgreSQL makes them.
async fn refused_statement() -> Fault {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL: run the tests through `make test`");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let error = client.batch_execute("select 1/0").await.unwrap_err();
    driver.abort();
    Fault::Statement { statement: "test/refused", source: Arc::new(error) }
}

struct Doubling {
    endpoint: Mailbox<Double>,
    rules: Arc<Doubler>,
    begun: mpsc::UnboundedReceiver<()>,
    root: Root,
}

async fn doubling(hands: impl Into<Hands>, batch: usize, permits: usize) -> Doubling {
    let (begun, beginnings) = mpsc::unbounded_channel();
    let rules = Arc::new(Doubler { batches: Mutex::default(), begun, gate: Semaphore::new(permits) });
    let endpoint = Endpoint::new("doubler", "root/doubler", 1000);
    let children = vec![child::batcher(&endpoint, Arc::clone(&rules), hands, batch)];
    let (root, _restarts) = tree(Strategy::OneForOne, 10, children).await;
    Doubling { endpoint, rules, begun: beginnings, root }
}

impl Doubling {
    fn ask(&self, number: i64) -> tokio::task::JoinHandle<Result<i64, Failure<&'static str>>> {
        let endpoint = self.endpoint.clone();
        tokio::spawn(async move { endpoint.ask(&caller(), Double(number)).await })
    }

    async fn waiting(&self, count: usize) {
        while self.endpoint.counters().depth() < count {
            tokio::task::yield_now().await;
        }
    }

    fn batches(&self) -> Vec<Vec<i64>> {
        self.rules.batches.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn what_gathers_while_a_statement_is_under_way_shares_the_next_one() {
    let mut doubling = doubling(1, 100, 0).await;
    let first = doubling.ask(1);
    doubling.begun.recv().await.unwrap();
    let others: Vec<_> = (2..=20).map(|n| doubling.ask(n)).collect();
    doubling.waiting(19).await;
    doubling.rules.gate.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), 2);
    for (n, other) in (2..=20).zip(others) {
        assert_eq!(other.await.unwrap().unwrap(), n * 2, "each gets its own answer");
    }
    let sizes: Vec<usize> = doubling.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 19]);
}

#[tokio::test]
async fn a_statement_serves_nobody_who_arrived_after_it_began() {
    let mut doubling = doubling(1, 100, 0).await;
    let first = doubling.ask(7);
    doubling.begun.recv().await.unwrap();
    let late = doubling.ask(7);
    doubling.waiting(1).await;
    doubling.rules.gate.add_permits(1);
    first.await.unwrap().unwrap();
    doubling.begun.recv().await.unwrap();
    assert!(!late.is_finished(), "the late one was served by the statement under way");
    doubling.rules.gate.add_permits(1);
    late.await.unwrap().unwrap();
}

#[tokio::test]
async fn another_hand_is_taken_when_the_first_is_held_up_and_not_before() {
    let mut patient = doubling(Hands::another_after(2, Duration::from_secs(3600)), 100, 0).await;
    let first = patient.ask(1);
    patient.begun.recv().await.unwrap();
    let others = [patient.ask(2), patient.ask(3)];
    patient.waiting(2).await;
    patient.rules.gate.add_permits(2);
    for asked in others.into_iter().chain([first]) {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(patient.batches().iter().map(Vec::len).collect::<Vec<_>>(), [1, 2], "they gathered");

    let mut held_up = doubling(Hands::another_after(2, Duration::from_millis(1)), 100, 0).await;
    let first = held_up.ask(1);
    held_up.begun.recv().await.unwrap();
    let second = held_up.ask(2);
    held_up.begun.recv().await.unwrap();
    assert!(!first.is_finished(), "the first is at it still");
    let third = held_up.ask(3);
    held_up.waiting(1).await;
    held_up.rules.gate.add_permits(3);
    for (number, asked) in [(1, first), (2, second), (3, third)] {
        assert_eq!(asked.await.unwrap().unwrap(), number * 2);
    }
    assert_eq!(held_up.batches(), [[1], [2], [3]], "two hands at the most");
}

#[tokio::test]
async fn a_lone_caller_waits_for_nobody() {
    let doubling = doubling(2, 100, 100).await;
    for n in 1..=10 {
        assert_eq!(doubling.ask(n).await.unwrap().unwrap(), n * 2);
    }
    assert!(doubling.batches().iter().all(|batch| batch.len() == 1));
}

#[tokio::test]
async fn a_batch_is_never_larger_than_its_limit() {
    let mut doubling = doubling(1, 8, 0).await;
    let first = doubling.ask(1);
    doubling.begun.recv().await.unwrap();
    let others: Vec<_> = (2..=30).map(|n| doubling.ask(n)).collect();
    doubling.waiting(29).await;
    doubling.rules.gate.add_permits(100);
    first.await.unwrap().unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert!(doubling.batches().iter().all(|batch| batch.len() <= 8));
}

#[tokio::test]
async fn one_message_cannot_spoil_a_statement_for_the_others() {
    let mut doubling = doubling(1, 100, 0).await;
    let first = doubling.ask(1);
    doubling.begun.recv().await.unwrap();
    let others: Vec<_> = [2, -1, 3].map(|n| doubling.ask(n)).into_iter().collect();
    doubling.waiting(3).await;
    doubling.rules.gate.add_permits(100);
    first.await.unwrap().unwrap();
    let answers: Vec<_> = futures_util::future::join_all(others).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers[0].as_ref().ok(), Some(&4));
    assert!(matches!(answers[1], Err(Failure::Fault(Fault::Statement { .. }))));
    assert_eq!(answers[2].as_ref().ok(), Some(&6));
}

#[tokio::test]
async fn a_refusal_is_one_callers_answer_and_nobody_elses() {
    let doubling = doubling(1, 100, 100).await;
    let (zero, one) = (doubling.ask(0), doubling.ask(1));
    assert!(matches!(zero.await.unwrap(), Err(Failure::Refused("zero"))));
    assert_eq!(one.await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn a_message_that_panics_every_batch_is_struck_off_and_costs_nobody_else_an_answer() {
    let mut doubling = doubling(1, 100, 0).await;
    let first = doubling.ask(1);
    doubling.begun.recv().await.unwrap();
    let innocent: Vec<_> = (2..=9).map(|n| doubling.ask(n)).collect();
    let poison = doubling.ask(POISON);
    doubling.waiting(9).await;
    doubling.rules.gate.add_permits(100);
    assert_eq!(first.await.unwrap().unwrap(), 2);
    for (n, other) in (2..=9).zip(innocent) {
        assert_eq!(other.await.unwrap().unwrap(), n * 2);
    }
    let answer = poison.await.unwrap();
    assert!(matches!(answer, Err(Failure::Poison(_))), "{answer:?}");
    let met: Vec<_> = doubling.batches().into_iter().filter(|batch| batch.contains(&POISON)).collect();
    assert_eq!(met.len(), 3, "it was given to the actor as often: {met:?}");
    assert_eq!(met[1..], [[POISON], [POISON]], "a suspect is worked on alone");
    assert_eq!(at(&doubling.root.node().snapshot(), "root/doubler").restarts, 0, "the actor itself lives on");
}
