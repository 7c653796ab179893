//! One connection that is kept, and one request at a time on it.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What went wrong, with the connection or the crowd.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A client with a connection and a token.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    token: String,
}

/// What a request came to.
pub(crate) struct Answered {
    /// Its status.
    pub(crate) status: u16,
    /// From sending it to the last byte of its answer.
    pub(crate) took: Duration,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(host: &str, token: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: host.to_owned(), token: bearer(token) })
    }

    /// Is somebody else from now on.
    pub(crate) fn speak_as(&mut self, token: &str) {
        self.token = bearer(token);
    }

    /// Asks for something that may go on for ever: its answer is read by the caller.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Response<Incoming>, Failure> {
        let request = self.request(Method::GET, path, &Bytes::new())?;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Asks, and reads the answer to its end.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, body: &Bytes) -> Result<Answered, Failure> {
        let request = self.request(method, path, body)?;
        let began = Instant::now();
        self.sender.ready().await?;
        let mut answer = self.sender.send_request(request).await?;
        while let Some(frame) = answer.body_mut().frame().await {
            frame?;
        }
        Ok(Answered { status: answer.status().as_u16(), took: began.elapsed() })
    }

    fn request(&self, method: Method, path: &str, body: &Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.host);
        request = request.header(AUTHORIZATION, &self.token);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::new(body.clone()))?)
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
