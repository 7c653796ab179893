//! What somebody who asks an actor can rely on, whatever becomes of the actor.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use actors::kit::{Caller, Failure, Trace};
use support::*;

#[tokio::test]
async fn a_full_mailbox_refuses_at_once() {
    let mut played = player(2, 1).await;
    let ask = |endpoint: actors::kit::Endpoint<PlayMessage>| async move {
        endpoint.ask(&caller(), Read(Behaviour::WaitAtGate)).await
    };
    let working = tokio::spawn(ask(played.endpoint.clone()));
    begins(&mut played.begun).await;
    let mut waiting = tokio::task::JoinSet::new();
    waiting.spawn(ask(played.endpoint.clone()));
    waiting.spawn(ask(played.endpoint.clone()));
    tokio::task::yield_now().await;
    while played.endpoint.counters().depth() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = played.endpoint.ask(&caller(), Read(Behaviour::Answer)).await;
    assert!(matches!(refused, Err(Failure::Overloaded(_))), "{refused:?}");
    played.gate.add_permits(3);
    assert!(working.await.unwrap().is_ok());
    while let Some(answer) = waiting.join_next().await {
        assert!(answer.unwrap().is_ok());
    }
}

#[tokio::test]
async fn an_answer_after_the_deadline_is_too_late() {
    let mut played = player(10, 1).await;
    let asked = played.endpoint.ask(&caller_for(Duration::from_millis(50)), Read(Behaviour::WaitAtGate)).await;
    assert!(matches!(asked, Err(Failure::TooLate(_))), "{asked:?}");
    begins(&mut played.begun).await;
}

#[tokio::test]
async fn a_message_whose_caller_has_gone_is_not_worked_on() {
    let mut played = player(10, 1).await;
    let endpoint = played.endpoint.clone();
    let first = tokio::spawn(async move { endpoint.ask(&caller(), Read(Behaviour::WaitAtGate)).await });
    assert_eq!(begins(&mut played.begun).await, "read");
    let gone = played.endpoint.ask(&caller_for(Duration::from_millis(50)), Write(Behaviour::Answer)).await;
    assert!(matches!(gone, Err(Failure::TooLate(_))));
    played.gate.add_permits(1);
    assert!(first.await.unwrap().is_ok());
    played.endpoint.ask(&caller(), Read(Behaviour::Answer)).await.unwrap();
    assert_eq!(begins(&mut played.begun).await, "read");
    assert!(played.begun.try_recv().is_err(), "the write was worked on after its caller had gone");
}

#[tokio::test]
async fn an_idempotent_command_is_asked_again_when_its_actor_dies() {
    let mut played = player(10, 4).await;
    let endpoint = played.endpoint.clone();
    let asked = tokio::spawn(async move { endpoint.ask(&caller(), Read(Behaviour::WaitAtGate)).await });
    begins(&mut played.begun).await;
    played.crash();
    begins(&mut played.begun).await;
    played.gate.add_permits(1);
    assert!(asked.await.unwrap().is_ok());
}

#[tokio::test]
async fn any_other_command_is_not_asked_again_and_its_caller_is_told() {
    let mut played = player(10, 4).await;
    let endpoint = played.endpoint.clone();
    let asked = tokio::spawn(async move { endpoint.ask(&caller(), Write(Behaviour::WaitAtGate)).await });
    begins(&mut played.begun).await;
    played.crash();
    let answer = asked.await.unwrap();
    assert!(matches!(answer, Err(Failure::Died(_))), "{answer:?}");
    played.endpoint.ask(&caller(), Read(Behaviour::Answer)).await.unwrap();
    assert_eq!(begins(&mut played.begun).await, "read");
}

#[tokio::test]
async fn a_panic_while_working_costs_one_message_and_not_the_actor() {
    let mut played = player(10, 4).await;
    let endpoint = played.endpoint.clone();
    let other = tokio::spawn(async move { endpoint.ask(&caller(), Write(Behaviour::WaitAtGate)).await });
    begins(&mut played.begun).await;
    let panicked = played.endpoint.ask(&caller(), Write(Behaviour::Panic)).await;
    assert!(matches!(panicked, Err(Failure::Died(_))), "{panicked:?}");
    played.gate.add_permits(1);
    assert!(other.await.unwrap().is_ok());
    let seen = played.root.node().snapshot();
    assert_eq!(at(&seen, "root/player").restarts, 0);
    assert_eq!(at(&seen, "root/player").mailbox.unwrap()[3], 1, "it counts as failed");
}

#[tokio::test]
async fn no_caller_is_left_hanging_and_no_read_fails_while_the_actor_crashes_over_and_over() {
    let mut played = player(1000, 16).await;
    let asking = (0..16).map(|_| {
        let endpoint = played.endpoint.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                endpoint.ask(&caller(), Read(Behaviour::Answer)).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    let asking: Vec<_> = asking.collect();
    for _ in 0..20 {
        played.crash();
        next(&mut played.restarts).await;
    }
    for one in asking {
        tokio::time::timeout(GENEROUS, one).await.expect("nobody hangs").unwrap();
    }
}

#[tokio::test]
async fn counters_say_what_waits_and_what_is_under_way_also_after_a_crash() {
    let mut played = player(10, 1).await;
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let endpoint = played.endpoint.clone();
        asks.spawn(async move { endpoint.ask(&caller(), Write(Behaviour::WaitAtGate)).await });
    }
    begins(&mut played.begun).await;
    while played.endpoint.counters().depth() < 2 {
        tokio::task::yield_now().await;
    }
    let mailbox = |played: &Played| at(&played.root.node().snapshot(), "root/player").mailbox.unwrap();
    assert_eq!(mailbox(&played)[..2], [2, 1]);
    played.crash();
    while let Some(answer) = asks.join_next().await {
        assert!(matches!(answer.unwrap(), Err(Failure::Died(_))));
    }
    next(&mut played.restarts).await;
    while mailbox(&played)[..2] != [0, 0] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_that_panics_three_times_is_not_worked_on_again() {
    let mut played = player(10, 4).await;
    let answer = played.endpoint.ask(&caller(), Read(Behaviour::Panic)).await;
    assert!(matches!(answer, Err(Failure::Poison(_))), "{answer:?}");
    for _ in 0..3 {
        assert_eq!(begins(&mut played.begun).await, "read");
    }
    assert!(played.begun.try_recv().is_err(), "it was worked on a fourth time");
    assert_eq!(at(&played.root.node().snapshot(), "root/player").restarts, 0, "the actor lives on");
}

#[tokio::test]
async fn an_answer_to_a_repeated_ask_means_what_its_command_says() {
    let mut played = player(10, 4).await;
    let endpoint = played.endpoint.clone();
    let asked = tokio::spawn(async move { endpoint.ask(&caller(), Remove(Behaviour::WaitAtGate)).await });
    begins(&mut played.begun).await;
    played.crash();
    begins(&mut played.begun).await;
    played.gate.add_permits(1);
    // The second time there is nothing to remove any more: the first time did it.
    assert!(asked.await.unwrap().is_ok());
    let other = played.endpoint.ask(&caller(), Remove(Behaviour::Answer)).await;
    assert!(matches!(other, Err(Failure::Refused("nothing there"))), "{other:?}");
}

#[tokio::test]
async fn a_restart_names_the_request_that_it_cost() {
    let mut played = player(10, 1).await;
    let trace = Trace::from_traceparent(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    for (in_hand, waiting) in [(true, false), (true, true), (false, false)] {
        let mut asks = tokio::task::JoinSet::new();
        for _ in 0..usize::from(in_hand) + usize::from(waiting) {
            let (endpoint, caller) = (played.endpoint.clone(), Caller { trace: trace.clone(), ..caller() });
            asks.spawn(async move { endpoint.ask(&caller, Write(Behaviour::WaitAtGate)).await });
        }
        if in_hand {
            begins(&mut played.begun).await;
        }
        played.crash();
        let named = next(&mut played.restarts).await.trace_id.clone();
        assert_eq!(named.as_deref(), in_hand.then_some("4bf92f3577b34da6a3ce929d0e0e4736"));
        while let Some(answer) = asks.join_next().await {
            assert!(matches!(answer.unwrap(), Err(Failure::Died(_))));
        }
    }
}

#[tokio::test]
async fn who_was_let_in_once_is_not_refused_when_it_is_asked_again() {
    let mut played = player(2, 2).await;
    let mut asks = tokio::task::JoinSet::new();
    // Two in hand, two that wait: twice as many as there are places.
    for count in 1..=4 {
        let endpoint = played.endpoint.clone();
        asks.spawn(async move { endpoint.ask(&caller(), Read(Behaviour::WaitAtGate)).await });
        if count <= 2 {
            begins(&mut played.begun).await;
        }
    }
    while played.endpoint.counters().depth() < 2 {
        tokio::task::yield_now().await;
    }
    played.crash();
    next(&mut played.restarts).await;
    played.gate.add_permits(4);
    while let Some(answer) = asks.join_next().await {
        assert!(answer.unwrap().is_ok(), "one that had been let in was refused");
    }
}
