//! Every command but the servers is a trace of its own, exported before the process ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Output;

use support::otlp::{Receiver, Span};
use support::{Service, Stage, service, traces};

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = service::command(arguments);
    command.envs(variables.iter().copied()).kill_on_drop(true).output().await.unwrap()
}

/// The root span of the only command that was run.
fn root(receiver: &Receiver, name: &str) -> Span {
    let spans = receiver.exported().spans;
    let root = traces::named(&spans, name).clone();
    assert_eq!(root.parent, "", "{root:?}");
    root
}

#[tokio::test]
async fn each_command_is_a_root_span_that_says_whether_it_succeeded() {
    let stage = Stage::new().await;
    let sound = [("DATABASE_URL", stage.database_url.as_str()), ("REDIS_URL", stage.redis_url.as_str())];
    let broken = [sound[0], sound[1], ("JOB_WORKERS", "none")];
    let nobody = [("ADMIN_ADDR", "127.0.0.1:1")];
    for (arguments, variables, code, error) in [
        (&["migrate"][..], &sound[..], 0, None),
        (&["doctor"], &sound, 0, None),
        (&["check-config"], &sound, 0, None),
        (&["check-config"], &broken, 2, Some("bad_config")),
        (&["openapi"], &[], 0, None),
        (&["actors", "restarts"], &nobody, 1, Some("failed")),
        (&["jobs", "list"], &nobody, 1, Some("failed")),
    ] {
        let receiver = Receiver::start().await;
        let variables = [variables, &[("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str())]].concat();
        let output = run(arguments, &variables).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let root = root(&receiver, &format!("command {}", arguments[0]));
        assert_eq!(root.status, if error.is_some() { 2 } else { 0 }, "{arguments:?}");
        assert_eq!(root.attributes.get("error.type").map(String::as_str), error, "{arguments:?}");
    }
}

#[tokio::test]
async fn what_a_command_has_a_process_do_is_in_the_commands_trace() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let export = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &export).await;
    let admin = service.admin.to_string();
    let output = run(&["jobs", "pause"], &[&export[..], &[("ADMIN_ADDR", &admin)]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let command = root(&receiver, "command jobs");
    let spans = receiver.trace(&command.trace, &["POST /jobs/pause", "jobs/set_paused"]).await;
    assert_eq!(traces::named(&spans, "POST /jobs/pause").parent, command.id);
    service.stop().await;
}
