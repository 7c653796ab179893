//! A client of the API that knows only HTTP and JSON.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::PATIENCE;

/// The password of everybody whom a test registers.
pub const PASSWORD: &str = "correct horse battery";

/// A client, perhaps with a token. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Somebody who is registered and signed in.
#[derive(Clone)]
pub struct User {
    /// Their id.
    pub id: i64,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Their access token.
    pub access: String,
    /// Their refresh token.
    pub refresh: String,
    /// What they ask with.
    pub client: Client,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body's JSON, provided that this is the status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} {:?}", self.text(), self.headers);
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks that this is a well-formed error with this status and code; gives its content.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let error = self.expect(status)["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        self.is_sound_error();
        error
    }

    /// Checks the envelope that every error comes in, and that it tells nothing of the inside.
    #[track_caller]
    pub fn is_sound_error(&self) {
        let text = self.text();
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let error = &self.json()["error"];
        assert!(error["code"].as_str().is_some_and(|code| !code.is_empty()), "{text}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{text}");
        assert_eq!(error["status_code"], self.status, "{text}");
        let trace = error["trace_id"].as_str().unwrap_or_default();
        assert!(trace.len() == 32 && trace.bytes().any(|byte| byte != b'0'), "the trace id is not one: {text}");
        let inside = ["select ", "insert into", ".rs", ".sql", "panic", "postgres", "tokio", "constraint", "redis://"];
        for word in inside {
            assert!(!text.to_lowercase().contains(word), "an error tells of {word}: {text}");
        }
        if self.status == 401 {
            assert_eq!(self.header("www-authenticate"), Some("Bearer"), "{self:?}");
        }
    }

    /// The fields that were not fit, in their order.
    #[track_caller]
    pub fn unfit_fields(&self) -> Vec<String> {
        let error = self.refused(400, "validation_failed");
        let details = error["details"].as_array().unwrap_or_else(|| panic!("no details: {error}"));
        assert!(details.iter().all(|detail| !detail["message"].as_str().unwrap().is_empty()), "{error}");
        details.iter().map(|detail| detail["field"].as_str().unwrap().to_owned()).collect()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The trace that the request belongs to, from `traceresponse`.
    #[track_caller]
    pub fn trace_id(&self) -> String {
        let value = self.header("traceresponse").unwrap_or_else(|| panic!("no traceresponse: {self:?}"));
        value.split('-').nth(1).unwrap().to_owned()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// A client of what listens there.
    pub fn new(address: SocketAddr) -> Self {
        Self { http: legacy::Client::builder(TokioExecutor::new()).build_http(), address, token: None }
    }

    /// The same, speaking HTTP/2 from the first byte.
    pub fn new_http2(address: SocketAddr) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Self { http, address, token: None }
    }

    /// The same with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Sends a request with these headers. The body is sent as it is.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.try_send(method, path, headers, body, PATIENCE).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The same of a server that may go away meanwhile.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        patience: Duration,
    ) -> Result<Answer, String> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let asking = async {
            let (head, body) = self.http.request(request).await.map_err(|error| format!("{error:?}"))?.into_parts();
            let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    /// Sends JSON.
    pub async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[(CONTENT_TYPE.as_str(), "application/json")], body.to_string()).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Bytes::new()).await
    }

    /// POST with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body).await
    }

    /// POST without a body.
    pub async fn ask(&self, path: &str) -> Answer {
        self.send("POST", path, &[], Bytes::new()).await
    }

    /// PUT with JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.json("PUT", path, body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Bytes::new()).await
    }

    /// Registers somebody of this name, whose address is made of it.
    pub async fn register(&self, name: &str) -> User {
        let email = format!("{}@example.com", name.to_lowercase().replace(' ', "."));
        let body = json!({"email": email, "name": name, "password": PASSWORD});
        let answer = self.post("/api/register", &body).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let access = text(&answer["token"]["access_token"]);
        User {
            id: answer["user"]["id"].as_i64().unwrap(),
            name: name.to_owned(),
            email,
            refresh: text(&answer["token"]["refresh_token"]),
            client: self.with_token(&access),
            access,
        }
    }
}

impl User {
    /// The same person, asking somebody else.
    pub fn at(&self, other: &Client) -> Client {
        other.with_token(&self.access)
    }

    /// Publishes an article with this title and gives its slug.
    pub async fn publish(&self, title: &str) -> String {
        let body = json!({"title": title, "description": "in short", "body": "at length"});
        let answer = self.client.post("/api/articles", &body).await.expect(201);
        answer["slug"].as_str().unwrap().to_owned()
    }

    /// Follows somebody.
    pub async fn follow(&self, other: &User) {
        self.client.ask(&format!("/api/users/{}/follow", other.id)).await.expect(200);
    }

    /// What this person has been told, newest first, and how much of it is unread.
    pub async fn inbox(&self) -> (Vec<Value>, i64) {
        let answer = self.client.get("/api/notifications").await.expect(200);
        (answer["notifications"].as_array().unwrap().clone(), answer["unread_count"].as_i64().unwrap())
    }
}
