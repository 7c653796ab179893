//! What is secret stays so: a service is given secrets of every kind, has them thrown back at it in every way that a
//! clumsy client may, and loses what it depends on. Then everything that came out is searched for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::{Value, json};
use support::hooks::QUICK;
use support::otlp::Receiver;
use support::service::{self, ADMIN_TOKEN, JWT_SECRET};
use support::{Answer, Client, Hooks, PATIENCE, Service, Stage, eventually};

const PASSWORD: &str = "pass-of-somebody-3b1f77";
const WRONG_PASSWORD: &str = "guess-at-a-pass-9c2e51";
const DATABASE_PASSWORD: &str = "database-pass-41ab07";
const REDIS_PASSWORD: &str = "redis-pass-70cd93";
const OTLP_KEY: &str = "otlp-key-5510ef";
const QUERY_KEY: &str = "query-key-8d44a2";

/// Every secret so far, and everything that came out where none may be.
#[derive(Default)]
struct Search {
    secrets: BTreeSet<String>,
    emitted: Vec<(String, String)>,
}

impl Search {
    fn secret(&mut self, text: impl Into<String>) {
        self.secrets.insert(text.into());
    }

    /// A token is as secret without what every token begins with.
    fn token(&mut self, token: &str) {
        self.secret(token);
        self.secret(token.rsplit('.').next().unwrap());
    }

    fn came_out(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.emitted.push((place.into(), text.into()));
    }

    /// Answers that refuse go to whoever asked, who may be anybody.
    fn refused(&mut self, place: &str, answer: &Answer) {
        if answer.status >= 400 {
            answer.is_sound_error();
            self.came_out(format!("the refusal of {place}"), answer.text());
        }
    }

    #[track_caller]
    fn finds_nothing(&self) {
        assert!(self.secrets.iter().all(|secret| secret.len() >= 10), "{:?}", self.secrets);
        let mut found = BTreeSet::new();
        for (place, text) in &self.emitted {
            for secret in &self.secrets {
                if let Some(at) = text.find(secret.as_str()) {
                    let around: String =
                        text[..at].chars().rev().take(160).collect::<Vec<_>>().into_iter().rev().collect();
                    found.insert(format!("{secret} in {place}, after …{around}"));
                }
            }
        }
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Somebody new, all of whose secrets are noted.
struct Person {
    client: Client,
    email: String,
    access: String,
    refresh: String,
}

async fn register(search: &mut Search, client: &Client, name: &str) -> Person {
    let email = format!("{name}.hidden@secret-domain.example");
    let body = json!({"email": email, "name": name, "password": PASSWORD});
    let answer = client.post("/api/register", &body).await.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (access, refresh) = (text(&answer["token"]["access_token"]), text(&answer["token"]["refresh_token"]));
    search.secret(&email);
    search.secret(email.replace('@', "%40"));
    search.token(&access);
    search.token(&refresh);
    Person { client: client.with_token(&access), email, access, refresh }
}

/// The path of an operation with something in place of its variables.
fn filled(path: &str, with: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { with.to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A body of an operation, with secrets wherever a text may be.
fn body(document: &Value, operation: &Value, person: &Person) -> Value {
    let content = &operation["requestBody"]["content"]["application/json"];
    let mut body = content["example"].clone();
    if let Some(fields) = body.as_object_mut() {
        for (name, value) in fields.iter_mut().filter(|(_, value)| value.is_string()) {
            *value = match name.as_str() {
                "email" => person.email.clone(),
                "password" | "current_password" => PASSWORD.to_owned(),
                "refresh_token" => person.refresh.clone(),
                "url" => format!("http://127.0.0.1:9/hook?key={QUERY_KEY}"),
                _ => format!("{} {} {}", person.email, person.access, PASSWORD),
            }
            .into();
        }
    }
    assert!(!document.is_null());
    body
}

/// One operation, asked in every way that puts secrets where they do not belong.
async fn misuse(search: &mut Search, service: &Service, document: &Value, method: &str, path: &str, number: usize) {
    let place = format!("{method} {path}");
    let operation = &document["paths"][path][method.to_lowercase()];
    let person = register(search, &service.client(), &format!("n{number}")).await;
    let (access, refresh, email) = (&person.access, &person.refresh, &person.email);
    let fit = body(document, operation, &person);
    let queries = format!("?access_token={access}&refresh_token={refresh}&password={PASSWORD}&search={email}&limit=x");
    let json =
        [("content-type", "application/json"), ("user-agent", access.as_str()), ("x-request-id", email.as_str())];
    let agent = format!("agent ({email}; {refresh})");
    let mut answers = Vec::new();
    for variable in [access.as_str(), refresh, email, &email.replace('@', "%40"), "1"] {
        let path = filled(path, variable);
        answers.push(person.client.send(method, &path, &json, format!("{{\"password\":\"{PASSWORD}\",,")).await);
        answers.push(person.client.send(method, &path, &[("user-agent", agent.as_str())], PASSWORD).await);
        answers.push(service.client().send(method, &format!("{path}{queries}"), &json, fit.to_string()).await);
        let changed = [("authorization", format!("Bearer {access}x")), ("authorization", format!("Basic {refresh}"))];
        for (name, value) in &changed {
            answers
                .push(service.client().send(method, &path, &[(*name, value.as_str()), json[0]], fit.to_string()).await);
        }
    }
    // In order at last, since this may end the session or the account.
    answers.push(person.client.send(method, &filled(path, "1"), &json, fit.to_string()).await);
    for answer in &answers {
        search.refused(&place, answer);
        let created: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        created["secret"].as_str().into_iter().for_each(|secret| search.secret(secret));
        for token in ["access_token", "refresh_token"] {
            created["token"][token].as_str().into_iter().for_each(|token| search.token(token));
        }
    }
}

/// The operations of a route table, from its text in the code, so that none can be forgotten here.
fn operations(table: &str) -> BTreeSet<(String, String)> {
    let text = include_str!("../src/router.rs").split(&format!("pub fn {table}()")).nth(1).unwrap();
    let text = text.split("\n}\n").next().unwrap();
    let route = regex::Regex::new(r#""(/[^"]*)" => \{([^}]*)\}"#).unwrap();
    let method = regex::Regex::new(r"\b([A-Z]+):").unwrap();
    let of_route = |route: regex::Captures<'_>| {
        let methods: Vec<_> = method.captures_iter(&route[2]).map(|method| method[1].to_owned()).collect();
        methods.into_iter().map(|method| (route[1].to_owned(), method)).collect::<Vec<_>>()
    };
    let found: BTreeSet<_> = route.captures_iter(text).flat_map(of_route).collect();
    assert!(found.len() > 10, "{found:?}");
    found
}

/// The operators' listener, asked by somebody who is none, and clumsily by one who is.
async fn misuse_operations(search: &mut Search, operator: &Client, person: &Person) {
    let query = format!("?state={}&limit={PASSWORD}&cursor={}&token={ADMIN_TOKEN}", person.email, person.refresh);
    for (path, method) in operations("admin") {
        for variable in [&person.access, &person.email] {
            let path = format!("{}{query}", filled(&path, variable));
            let mut answers = Vec::new();
            for token in [WRONG_PASSWORD, &person.access] {
                let stranger = operator.with_token(token);
                answers.push(stranger.send(&method, &path, &[("user-agent", &person.email)], PASSWORD).await);
            }
            if method == "GET" && !path.starts_with("/actors/events") {
                answers.push(operator.get(&path).await);
            }
            answers.iter().for_each(|answer| search.refused(&format!("{method} {path}"), answer));
        }
    }
}

/// What the service wrote down about work that failed and about its own restarts.
async fn look_into_tables(search: &mut Search, stage: &Stage) {
    for table in ["jobs", "job_errors", "actor_restarts", "webhook_attempts"] {
        let rows = stage.query(&format!("select to_jsonb(t)::text from {table} t"), &[]).await;
        assert!(table == "job_errors" || !rows.is_empty(), "there is nothing in {table}");
        rows.iter().for_each(|row| search.came_out(table, row.get::<_, String>(0)));
    }
}

/// What operators see, as text.
async fn look(search: &mut Search, operator: &Client) {
    let mut paths: Vec<String> =
        ["/metrics", "/actors", "/actors/restarts?limit=100", "/jobs?limit=100", "/", "/readyz"]
            .map(str::to_owned)
            .to_vec();
    // After a database that was away, each connection comes back in its own time.
    let seen = async |path: &str| {
        eventually("operators see it", async || {
            let answer = operator.get(path).await;
            (answer.status == 200 || path == "/readyz").then_some(answer)
        })
        .await
    };
    let jobs = seen("/jobs?limit=100").await.json();
    paths.extend(jobs["jobs"].as_array().unwrap().iter().map(|job| format!("/jobs/{}", job["id"])));
    for path in paths {
        let answer = seen(&path).await;
        search.came_out(path, answer.text());
    }
    let guessed = operator.with_token(WRONG_PASSWORD).get("/actors").await;
    search.refused("a wrong admin token", &guessed);
}

fn with_password(url: &str, name: &str, password: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{name}={password}")
}

/// What a command wrote; it is ended when it does not end by itself.
async fn wrote(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = service::command(arguments);
    command.env("LOG_LEVEL", "trace").env("RUST_LOG", "trace").envs(variables.iter().copied());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    let output = tokio::time::timeout(PATIENCE, child.unwrap().wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

/// Commands that are let in nowhere, and settings that are wrong.
async fn commands(search: &mut Search, stage: &Stage) {
    let refused_database = stage.database_url.replacen("://", &format!("://nobody:{DATABASE_PASSWORD}@"), 1);
    let refused_database = match stage.database_url.split_once('@') {
        Some((_, rest)) => format!("postgres://nobody:{DATABASE_PASSWORD}@{rest}"),
        None => refused_database,
    };
    let refused_redis = with_password(&stage.redis_url, "pass", REDIS_PASSWORD);
    let variables = [("DATABASE_URL", refused_database.as_str()), ("REDIS_URL", refused_redis.as_str())];
    for arguments in [&["doctor"][..], &["migrate"], &["check-config"]] {
        let text = wrote(arguments, &variables).await;
        assert!(!text.is_empty());
        search.came_out(arguments[0], text);
    }
    let broken: Vec<(&str, String)> = [
        ("DATABASE_URL", format!("postgres//x:{DATABASE_PASSWORD}@")),
        ("REDIS_URL", format!("redis//:{REDIS_PASSWORD}@")),
        ("OTEL_EXPORTER_OTLP_HEADERS", OTLP_KEY.to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("ftp://x:{OTLP_KEY}@")),
        ("ADMIN_ADDR", ADMIN_TOKEN.to_owned()),
        ("RUST_LOG", format!("{PASSWORD}==")),
    ]
    .to_vec();
    let broken: Vec<_> = broken.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let text = wrote(&["check-config"], &broken).await;
    for (name, _) in broken {
        assert!(text.contains(name), "check-config does not complain of {name}: {text}");
    }
    search.came_out("check-config of what is wrong", text);
}

#[tokio::test]
async fn no_secret_comes_out_anywhere() {
    let mut search = Search::default();
    for secret in
        [JWT_SECRET, ADMIN_TOKEN, PASSWORD, WRONG_PASSWORD, DATABASE_PASSWORD, REDIS_PASSWORD, OTLP_KEY, QUERY_KEY]
    {
        search.secret(secret);
    }
    let (stage, receiver, hooks) = (Stage::new().await, Receiver::start().await, Hooks::start().await);
    let database = with_password(&stage.database_url, "password", DATABASE_PASSWORD);
    let headers = format!("authorization=Basic%20{OTLP_KEY}");
    let trace = [
        ("LOG_LEVEL", "trace"),
        ("RUST_LOG", "trace,hyper=trace,h2=trace,tokio_postgres=trace,redis=trace,reqwest=trace,opentelemetry=trace"),
        ("ADMIN_TOKEN", ADMIN_TOKEN),
        ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ];
    let service =
        Service::run(&stage, &["serve"], &[&trace[..], &QUICK, &[("DATABASE_URL", &database)]].concat()).await;
    let (client, operator) = (service.client(), service.operator().with_token(ADMIN_TOKEN));

    // Everything that the description lists. A stream has no end, and is asked for by nobody who may have it.
    let document = client.get("/api/openapi.json").await.expect(200);
    let paths = document["paths"].as_object().unwrap().iter();
    let operations: Vec<_> = paths
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (path, method.to_uppercase())))
        .collect();
    let listed: BTreeSet<_> = operations.iter().map(|(path, method)| ((*path).clone(), method.clone())).collect();
    let forgotten: Vec<_> = crate::operations("public")
        .into_iter()
        .filter(|(path, _)| path.starts_with("/api/"))
        .filter(|one| !listed.contains(one))
        .collect();
    assert!(forgotten.is_empty(), "{forgotten:?} are not described, and so not asked");
    let operations = operations.into_iter().filter(|(path, _)| !path.ends_with("/stream")).collect::<Vec<_>>();
    for (number, (path, method)) in operations.iter().enumerate() {
        misuse(&mut search, &service, &document, method, path, number).await;
    }

    // Sessions in all their states, a webhook with deliveries.
    let (ann, ben) = (register(&mut search, &client, "ann").await, register(&mut search, &client, "ben").await);
    for password in [WRONG_PASSWORD, PASSWORD] {
        let answer = client.post("/api/login", &json!({"email": ann.email, "password": password})).await;
        search.refused("a login", &answer);
    }
    for _ in 0..2 {
        let answer = client.post("/api/token/refresh", &json!({"refresh_token": ben.refresh})).await;
        search.refused("a token spent twice", &answer);
        let next: Value = answer.json();
        next["token"]["refresh_token"].as_str().into_iter().for_each(|token| search.token(token));
    }
    let hook = ann.client.post("/api/webhooks", &json!({"url": format!("{}?key={QUERY_KEY}", hooks.url)})).await;
    search.secret(hook.expect(201)["secret"].as_str().unwrap());
    hooks.answer(&[500]);
    let cat = register(&mut search, &client, "cat").await;
    let id = ann.client.get("/api/user").await.expect(200)["id"].clone();
    cat.client.ask(&format!("/api/users/{id}/follow")).await.expect(200);
    eventually("the webhook was told", async || (hooks.received().len() > 1).then_some(())).await;

    // Crashes with secrets in hand, and a database that goes away.
    for path in ["auth/accounts", "auth/passwords", "auth/sessions", "webhooks/desk"] {
        operator.ask(&format!("/actors/root/{path}/crash")).await.expect(202);
        let asked = json!({"email": ann.email, "password": PASSWORD});
        let answer = client.post("/api/login", &asked).await;
        search.refused("a login at a crash", &answer);
    }
    stage.reachable(false).await;
    for _ in 0..3 {
        let answer = ann.client.get("/api/user").await;
        search.refused("a request without a database", &answer);
        let answer = client.post("/api/login", &json!({"email": ann.email, "password": PASSWORD})).await;
        search.refused("a login without a database", &answer);
    }
    stage.reachable(true).await;
    eventually("the database is back", async || (ann.client.get("/api/user").await.status == 200).then_some(())).await;
    look(&mut search, &operator).await;
    misuse_operations(&mut search, &operator, &ann).await;
    look_into_tables(&mut search, &stage).await;

    let lines = service.stop().await.join("\n");
    assert!(lines.contains("request completed") && lines.contains("panicked"), "there is nothing to look at");
    search.came_out("the log", lines);
    let exported = receiver.exported().text;
    assert!(exported.contains("http.response.status_code") && exported.contains("request completed"));
    search.came_out("what was exported", exported);

    let redis = with_password(&stage.redis_url, "pass", REDIS_PASSWORD);
    let shut_out = Service::run(&stage, &["serve"], &[&trace[..], &[("REDIS_URL", &redis)]].concat()).await;
    let answer = shut_out.client().get("/api/health").await;
    search.came_out("health without Redis", answer.text());
    assert_eq!(answer.status, 503, "Redis should not have let it in");
    search.came_out("the log without Redis", shut_out.stop().await.join("\n"));
    commands(&mut search, &stage).await;
    search.finds_nothing();
}

#[test]
fn whatever_holds_a_secret_shows_itself_without_it() {
    use actors::auth::token::{RefreshToken, Settings, Tokens};
    use actors::auth::{Email, Secrets, SessionId, TokenPair, UserId};
    let secrets = Secrets::parse(JWT_SECRET).unwrap();
    let (issuer, audience) = ("callboard".to_owned(), "callboard".to_owned());
    let settings = Settings { secrets, issuer, audience, lifetime: PATIENCE, keep: 0 };
    let access = Tokens::new(&settings).issue(UserId(1), SessionId(uuid::Uuid::nil())).unwrap();
    let refresh = RefreshToken::random();
    let (email, password) =
        (Email::parse("alice@example.com").unwrap(), actors::auth::Password::parse(PASSWORD).unwrap());
    let pair = TokenPair { access: access.clone(), refresh: refresh.clone(), expires_in: PATIENCE };
    let url = format!("redis://:{REDIS_PASSWORD}@localhost");
    let redis = actors::kit::redis::Url::parse(&url).unwrap();
    let url = format!("postgres://user:{DATABASE_PASSWORD}@localhost/x");
    let postgres = actors::kit::postgres::Settings::new(&url, 1, 1, PATIENCE, PATIENCE).unwrap();
    let shown = format!("{settings:?} {refresh:?} {email:?} {email} {password:?} {pair:?} {redis:?} {postgres:?}");
    for secret in [JWT_SECRET, &access, refresh.expose(), "alice", PASSWORD, REDIS_PASSWORD, DATABASE_PASSWORD] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("al***@example.com"));
}
