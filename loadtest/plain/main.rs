//! The plain design, to compare with: a pool of connections, and one statement for each request.
//!
//! ```text
//! GET /api/articles/{slug} ─▶ a connection of the pool ─▶ a statement that reads it ─▶ the service's JSON
//! GET /api/user            ─▶ the token is verified    ─▶ the same
//! ```
//!
//! No actors, nothing gathered, no telemetry, no limits and no deadlines: what is left when all that the service does
//! besides is taken away. What must stay true: it answers these two with the very bytes that the service answers with
//! (the yardstick looks), so that the two differ in how they get there only.
//!
//!     plain ADDRESS DATABASE_URL SECRET of the tokens

mod article;
mod user;

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};

/// Connections to the database.
const POOL: usize = 16;
/// What the service's connections for reads by key have, and one plan for all: the service comes by it when it has served
/// several at once, whereas a statement for one would be planned anew each time, and the two would differ in that above all.
const OPTIONS: &str = "-c jit=off -c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off \
    -c enable_mergejoin=off -c enable_memoize=off -c plan_cache_mode=force_generic_plan";

/// What went wrong.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
/// A body, or nothing when there is no such thing.
pub(crate) type Answer = Result<Option<Vec<u8>>, Failure>;

/// What all requests have in common.
pub(crate) struct Plain {
    pool: Pool,
    statements: AtomicU64,
    tokens: user::Tokens,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, database, secret] = arguments.as_slice() else {
        return Err("usage: plain ADDRESS DATABASE_URL SECRET".into());
    };
    let recycled = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let mut reached: Config = database.parse()?;
    reached.options(OPTIONS);
    let manager = Manager::from_config(reached, NoTls, recycled);
    let plain = Arc::new(Plain {
        pool: Pool::builder(manager).max_size(POOL).build()?,
        statements: AtomicU64::new(0),
        tokens: user::Tokens::new(secret)?,
    });
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let plain = Arc::clone(&plain);
        tokio::spawn(async move {
            let answered = service_fn(|request| answer(Arc::clone(&plain), request));
            // A client that goes away is its own affair.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answered).await;
        });
    }
}

async fn answer(plain: Arc<Plain>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let found = match path.strip_prefix("/api/articles/") {
        Some(slug) => article::find(&plain, slug).await,
        None if path == "/api/user" => user::find(&plain, request.headers()).await,
        None if path == "/metrics" => Ok(Some(plain.counted().into_bytes())),
        None => Ok(None),
    };
    let (status, body) = match found {
        Ok(Some(body)) => (StatusCode::OK, body),
        Ok(None) => (StatusCode::NOT_FOUND, Vec::new()),
        Err(failure) => (StatusCode::INTERNAL_SERVER_ERROR, failure.to_string().into_bytes()),
    };
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Plain {
    /// Executes a statement that finds one row at most.
    pub(crate) async fn one(&self, text: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Failure> {
        let connection = self.pool.get().await?;
        let statement = connection.prepare_cached(text).await?;
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(connection.query_opt(&statement, values).await?)
    }

    /// Whose session a token is of.
    pub(crate) fn tokens(&self) -> &user::Tokens {
        &self.tokens
    }

    /// How many there were, under the name that the service has for it.
    fn counted(&self) -> String {
        format!("db_client_operation_batch_size_count {}\n", self.statements.load(Ordering::Relaxed))
    }
}

/// As JSON, with room for what is usual.
pub(crate) fn json(value: &impl Serialize) -> Answer {
    let mut body = Vec::with_capacity(2048);
    serde_json::to_writer(&mut body, value)?;
    Ok(Some(body))
}
