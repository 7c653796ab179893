//! What the container stack promises, read out of its files: no engine is needed, and none is asked.
//!
//! The collector's file cannot be checked by a collector here; its wiring can, and its expressions can be run, since
//! the collector's RE2 and the `regex` crate share syntax and meaning for what is used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::{fs, path::Path};

use regex::Regex;
use serde_norway::Value;

type Names = BTreeSet<String>;

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn yaml(file: &str) -> Value {
    let mut value: Value = serde_norway::from_str(&text(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    value.apply_merge().unwrap();
    value
}

/// The keys of a map or the strings of a list, in order; none when there is nothing.
fn list(value: &Value) -> Vec<String> {
    let name = |value: &Value| value.as_str().expect("a name").to_owned();
    match value {
        Value::Mapping(map) => map.keys().map(name).collect(),
        Value::Sequence(items) => items.iter().map(name).collect(),
        _ => Vec::new(),
    }
}

fn names(value: &Value) -> Names {
    list(value).into_iter().collect()
}

fn entries(value: &Value) -> Vec<(String, &Value)> {
    let entry = |(name, value): (&Value, _)| Some((String::from(name.as_str()?), value));
    value.as_mapping().into_iter().flatten().map(|pair| entry(pair).expect("a name")).collect()
}

// ---- the collector ----

/// Two files the way the collector merges them: maps key by key, anything else replaced.
fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Mapping(mut base), Value::Mapping(over)) => {
            for (key, value) in over {
                let below = base.remove(&key).unwrap_or(Value::Null);
                base.insert(key, merged(below, value));
            }
            Value::Mapping(base)
        }
        (_, over) => over,
    }
}

fn collector() -> Value {
    yaml("otel-collector.yaml")
}

fn collector_with_scout() -> Value {
    merged(collector(), yaml("ops/otel-collector-scout.yaml"))
}

fn pipelines(config: &Value) -> Vec<(String, &Value)> {
    entries(&config["service"]["pipelines"])
}

/// The text that an OTTL literal in the collector's file stands for.
fn literal(written: &str) -> String {
    written.replace("$$", "$").replace("\\\\", "\\")
}

struct Masking {
    signal: String,
    context: String,
    function: String,
    target: String,
    pattern: Regex,
    replacement: String,
}

impl Masking {
    fn mask(&self, text: &str) -> String {
        self.pattern.replace_all(text, self.replacement.as_str()).into_owned()
    }
}

fn maskings() -> Vec<Masking> {
    let form = Regex::new(concat!(
        r#"^(?<function>replace_pattern|replace_all_patterns)\((?<target>[a-z.]+)(?:, "value")?, "#,
        r#""(?<pattern>(?:[^"\\]|\\.)*)", "(?<replacement>[^"\\]*)"\)(?: where Is(?:String|Map)\([a-z.]+\))?$"#,
    ))
    .unwrap();
    let config = collector();
    let mut found = Vec::new();
    for signal in ["trace", "log"] {
        let groups = &config["processors"]["transform/mask"][format!("{signal}_statements")];
        for group in groups.as_sequence().expect("groups of statements") {
            for statement in list(&group["statements"]) {
                let parts = form.captures(&statement).unwrap_or_else(|| panic!("not understood: {statement}"));
                found.push(Masking {
                    signal: signal.to_owned(),
                    context: group["context"].as_str().expect("a context").to_owned(),
                    function: parts["function"].to_owned(),
                    target: parts["target"].to_owned(),
                    pattern: Regex::new(&literal(&parts["pattern"])).expect("a pattern"),
                    replacement: literal(&parts["replacement"]),
                });
            }
        }
    }
    found
}

#[test]
fn every_component_a_pipeline_names_is_defined_and_every_defined_one_is_used() {
    for config in [collector(), collector_with_scout()] {
        for kind in ["receivers", "processors", "exporters"] {
            let used: Names = pipelines(&config).into_iter().flat_map(|(_, pipeline)| list(&pipeline[kind])).collect();
            assert_eq!(used, names(&config[kind]), "{kind}");
        }
        assert_eq!(names(&config["service"]["extensions"]), names(&config["extensions"]));
        assert!(config["connectors"].is_null(), "connectors join pipelines: teach this test about them");
        for (exporter, settings) in entries(&config["exporters"]) {
            if let Some(authenticator) = settings["auth"]["authenticator"].as_str() {
                assert!(names(&config["service"]["extensions"]).contains(authenticator), "{exporter}");
            }
        }
    }
}

#[test]
fn every_signal_has_a_pipeline_that_limits_memory_first_and_batches_last() {
    for config in [collector(), collector_with_scout()] {
        assert_eq!(names(&config["service"]["pipelines"]), ["logs", "metrics", "traces"].map(String::from).into());
        for (signal, pipeline) in pipelines(&config) {
            assert!(!list(&pipeline["receivers"]).is_empty() && !list(&pipeline["exporters"]).is_empty(), "{signal}");
            let processors = list(&pipeline["processors"]);
            assert_eq!(processors.first().map(String::as_str), Some("memory_limiter"), "{signal}");
            assert_eq!(processors.last().map(String::as_str), Some("batch"), "{signal}");
        }
    }
}

#[test]
fn the_file_and_the_image_are_of_one_collector_version_that_names_in_snake_case() {
    let image = Regex::new(r"opentelemetry-collector-contrib:(0\.(\d+)\.\d+)").unwrap();
    let compose = text("compose.yml");
    let version = image.captures(&compose).expect("a pinned collector");
    assert!(version[2].parse::<u32>().unwrap() >= 159, "components had other names before");
    assert!(text("otel-collector.yaml").lines().next().unwrap().contains(&version[1]), "it is for another version");
    for (name, _) in entries(&collector_with_scout()["exporters"]) {
        let kind = name.split('/').next().unwrap().to_owned();
        assert!(!["otlp", "otlphttp", "prometheusremotewrite"].contains(&kind.as_str()), "{kind} is the old name");
    }
}

#[test]
fn traces_and_logs_are_masked_before_anything_is_kept_or_sent() {
    for (signal, pipeline) in pipelines(&collector_with_scout()) {
        let processors = list(&pipeline["processors"]);
        let place = |name: &str| processors.iter().position(|processor| processor == name);
        if signal != "metrics" {
            assert!(place("transform/mask").is_some(), "{signal} leave unmasked");
        }
        assert!(place("tail_sampling").is_none_or(|sampling| place("transform/mask") < Some(sampling)), "{signal}");
    }
}

#[test]
fn no_place_where_an_address_can_stand_is_left_out() {
    let places = [
        ("trace", "resource", "replace_all_patterns", "resource.attributes"),
        ("trace", "span", "replace_pattern", "span.name"),
        ("trace", "span", "replace_pattern", "span.status.message"),
        ("trace", "span", "replace_all_patterns", "span.attributes"),
        ("trace", "spanevent", "replace_all_patterns", "spanevent.attributes"),
        ("log", "resource", "replace_all_patterns", "resource.attributes"),
        ("log", "log", "replace_pattern", "log.body"),
        ("log", "log", "replace_all_patterns", "log.body"),
        ("log", "log", "replace_all_patterns", "log.attributes"),
    ];
    let maskings = maskings();
    for (signal, context, function, target) in places {
        let masks = |m: &&Masking| m.signal == signal && m.context == context && m.target == target;
        assert!(maskings.iter().filter(masks).any(|m| m.function == function), "{signal}: {function}({target}, …)");
    }
    let config = collector();
    let error_mode = config["processors"]["transform/mask"]["error_mode"].as_str();
    assert_eq!(error_mode, Some("propagate"), "what cannot be masked must not pass");
}

#[test]
fn an_email_address_leaves_the_collector_masked() {
    let samples = [
        ("alice@example.com", "al***@example.com"),
        ("al@example.com", "a***@example.com"),
        ("a@b.c", "a***@b.c"),
        ("bob.smith+news@mail.example.co.uk", "bo***@mail.example.co.uk"),
        ("o'brien@example.org", "o***@example.org"),
        ("ängström@ö.example", "än***@ö.example"),
        ("login of alice@example.com failed.", "login of al***@example.com failed."),
        ("to: <alice@example.com>, 'bob@example.org'.", "to: <al***@example.com>, 'bo***@example.org'."),
        (r#"{"email":"alice@example.com"}"#, r#"{"email":"al***@example.com"}"#),
        ("email=alice@example.com&limit=1", "email=al***@example.com&limit=1"),
        ("/api/articles?author=alice%40example.com", "/api/articles?author=al***%40example.com"),
    ];
    for masking in maskings() {
        for (address, masked) in samples {
            assert_eq!(masking.mask(address), masked, "in {}", masking.target);
        }
    }
}

#[test]
fn what_is_no_address_or_masked_already_leaves_the_collector_untouched() {
    let samples = [
        "al***@example.com, a***@b.c, ä***@ö.example",
        "/api/articles?author=al***%40example.com",
        "GET /api/articles/{slug}",
        "insert into users (email) values ($1)",
        "postgres://callboard:secret@postgres:5432/callboard",
        "@scope/package and lodash@4.17.21",
        "someone@localhost",
        "50%40 off at 12:00",
        "rust-1.95.0 on example.com",
        "@",
        "",
    ];
    for masking in maskings() {
        for sample in samples {
            assert_eq!(masking.mask(sample), sample, "in {}", masking.target);
        }
    }
}

#[test]
fn probes_leave_no_span_and_everything_else_does() {
    let form = Regex::new(r#"IsMatch\(span\.attributes\["([a-z.]+)"\], "((?:[^"\\]|\\.)*)"\)$"#).unwrap();
    let config = collector();
    let mut attributes = Names::new();
    for condition in list(&config["processors"]["filter/quiet"]["trace_conditions"]) {
        let parts = form.captures(&condition).unwrap_or_else(|| panic!("not understood: {condition}"));
        let quiet = Regex::new(&literal(&parts[2])).unwrap();
        for path in ["/healthz", "/readyz", "/metrics", "/api/health", "/api/health/"] {
            assert!(quiet.is_match(path), "{path}");
        }
        for path in ["/", "/api/articles", "/api/healthy", "/metrics/x", "/api/articles/healthz", "/x/readyz"] {
            assert!(!quiet.is_match(path), "{path}");
        }
        attributes.insert(parts[1].to_owned());
    }
    assert_eq!(attributes, ["http.route", "url.path"].map(String::from).into());
    let processors = list(&config["service"]["pipelines"]["traces"]["processors"]);
    let place = |name: &str| processors.iter().position(|processor| processor == name);
    assert!(place("filter/quiet").expect("filtered") < place("tail_sampling").expect("sampled"));
}

#[test]
fn a_trace_with_an_error_or_of_more_than_a_second_is_always_kept() {
    let config = collector();
    let policies = config["processors"]["tail_sampling"]["policies"].as_sequence().expect("policies").clone();
    let of = |kind: &str| policies.iter().find(|policy| policy["type"] == kind).unwrap_or_else(|| panic!("{kind}"));
    assert_eq!(list(&of("status_code")["status_code"]["status_codes"]), ["ERROR"]);
    assert_eq!(of("latency")["latency"]["threshold_ms"], 1000);
    assert!(!of("probabilistic")["probabilistic"]["sampling_percentage"].is_null());
    assert_eq!(policies.len(), 3, "a further policy could drop what these keep");
}

#[test]
fn scout_receives_what_the_others_receive_and_is_asked_for_by_one_variable() {
    let (alone, with) = (collector(), collector_with_scout());
    for (signal, pipeline) in pipelines(&alone) {
        let mut expected = list(&pipeline["exporters"]);
        expected.push("otlp_http/scout".to_owned());
        assert_eq!(list(&with["service"]["pipelines"][signal.as_str()]["exporters"]), expected, "{signal}");
    }
    assert!(names(&alone["service"]["extensions"]).is_subset(&names(&with["service"]["extensions"])));
    assert!(!text("otel-collector.yaml").contains("SCOUT_"), "the stack starts without Scout");

    let compose = yaml("compose.yml");
    let service = &compose["services"]["otel-collector"];
    assert!(service["command"].as_str().unwrap().contains("${SCOUT_ENDPOINT:+--config="));
    let wanted = Regex::new(r"\$\{env:(SCOUT_[A-Z_]+)\}").unwrap();
    let file = text("ops/otel-collector-scout.yaml");
    let wanted: Names = wanted.captures_iter(&file).map(|found| found[1].to_owned()).collect();
    assert_eq!(wanted.len(), 4);
    assert!(wanted.is_subset(&names(&service["environment"])));
}

// ---- the stack ----

/// The services that run what the Dockerfile builds.
fn ours(compose: &Value) -> Vec<(String, &Value)> {
    let ours = |service: &Value| service["build"]["target"] == "callboard";
    let found: Vec<_> = entries(&compose["services"]).into_iter().filter(|(_, service)| ours(service)).collect();
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["migrate", "api", "worker"]);
    found
}

fn runs_once(service: &Value) -> bool {
    service["restart"] == "no"
}

fn has_a_health_check(service: &Value) -> bool {
    let inherited = service["build"]["target"] == "callboard" && text("Dockerfile").contains("\nHEALTHCHECK ");
    service["healthcheck"]["disable"] != true && (inherited || !list(&service["healthcheck"]["test"]).is_empty())
}

#[test]
fn every_dependency_is_a_service_that_can_meet_its_condition() {
    let compose = yaml("compose.yml");
    for (name, service) in entries(&compose["services"]) {
        for (needed, how) in entries(&service["depends_on"]) {
            let needed_service = &compose["services"][needed.as_str()];
            assert!(needed_service.is_mapping(), "{name} depends on {needed}, which is no service");
            match how["condition"].as_str() {
                Some("service_healthy") => assert!(has_a_health_check(needed_service), "{name} waits for {needed}"),
                Some("service_completed_successfully") => assert!(runs_once(needed_service), "{name}: {needed}"),
                other => panic!("{name} waits for {needed} by {other:?}, which is not its health"),
            }
        }
    }
}

#[test]
fn what_keeps_running_has_a_health_check_and_is_started_again() {
    for (name, service) in entries(&yaml("compose.yml")["services"]) {
        assert_ne!(has_a_health_check(service), runs_once(service), "{name}");
        assert!(runs_once(service) || service["restart"] == "unless-stopped", "{name}");
    }
    assert!(text("Dockerfile").contains(r#""callboard", "doctor", "--probe", "readyz"]"#));
    assert_eq!(collector()["extensions"]["health_check"]["endpoint"], "0.0.0.0:13133");
    let compose = yaml("compose.yml");
    let asked = list(&compose["services"]["otel-collector"]["healthcheck"]["test"]);
    assert_eq!(asked.last().map(String::as_str), Some("http://127.0.0.1:13133/"));
}

#[test]
fn nothing_runs_as_root_or_can_gain_a_privilege() {
    let dockerfile = text("Dockerfile");
    let user = dockerfile.lines().filter_map(|line| line.strip_prefix("USER ")).next_back().expect("a user");
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    let compose = yaml("compose.yml");
    for (name, service) in ours(&compose) {
        assert_eq!(service["read_only"], true, "{name}");
        assert!(service["user"].is_null() && dockerfile.contains(" AS callboard\n"), "{name} runs as the image's user");
    }
    let ours: Names = ours(&compose).into_iter().map(|(name, _)| name).collect();
    for (name, service) in entries(&compose["services"]) {
        let user = service["user"].as_str().unwrap_or_default();
        assert!(ours.contains(&name) || !(user.is_empty() || user.starts_with('0') || user == "root"), "{name}");
        assert_eq!(list(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(list(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(service["deploy"]["resources"]["limits"]["memory"].is_string(), "{name} may use all memory there is");
    }
}

#[test]
fn our_services_are_told_only_settings_of_the_contract() {
    let settings = "HTTP_ADDR ADMIN_ADDR ADMIN_TOKEN DATABASE_URL REDIS_URL JWT_SECRET JOB_WORKERS LOG_FORMAT \
        CHAOS_ENABLED RATE_LIMITS TRUSTED_PROXIES LOG_LEVEL";
    let settings: Names = settings.split_whitespace().map(String::from).collect();
    for (name, service) in ours(&yaml("compose.yml")) {
        for told in list(&service["environment"]) {
            assert!(settings.contains(&told) || told.starts_with("OTEL_"), "{name}: {told}");
        }
    }
}

#[test]
fn secrets_come_from_outside_and_every_variable_is_explained() {
    let (compose, example) = (text("compose.yml"), text(".env.example"));
    let variable = Regex::new(r"\$\{([A-Z_]+)(:[-?+])?").unwrap();
    for found in variable.captures_iter(&compose) {
        let line = Regex::new(&format!("(?m)^#?{}=(.*)$", &found[1])).unwrap();
        let explained = line.captures(&example).unwrap_or_else(|| panic!(".env.example lacks {}", &found[1]));
        if ["ADMIN_TOKEN", "JWT_SECRET", "POSTGRES_PASSWORD"].contains(&&found[1]) {
            assert_eq!((&found[2], &explained[1]), (":?", ""), "{} is demanded, and has no default", &found[1]);
        }
    }
}

#[test]
fn the_promised_ports_are_published_on_loopback_alone() {
    let compose = yaml("compose.yml");
    let published: Names = entries(&compose["services"]).into_iter().flat_map(|(_, s)| list(&s["ports"])).collect();
    let promised = [8000, 8001, 16686].map(|port| format!("127.0.0.1:{port}:{port}"));
    assert_eq!(published, promised.into());
}
