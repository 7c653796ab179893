//! The floor under every figure: a bare hyper server that answers each GET with the same bytes and takes in whatever
//! is posted. Nothing that speaks HTTP here can be cheaper, so that a ratio to it holds on any machine.
//!
//! As a receiver of telemetry it costs those who export to it as little as can be: it reads what comes and says that
//! all is well.
//!
//!     floor ADDRESS [BYTES of the answer, 1500]

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: floor ADDRESS [BYTES]")?;
    let size = arguments.next().map_or(Ok(1500), |size| size.parse())?;
    let body = Bytes::from(vec![b'x'; size]);
    let listener = TcpListener::bind(&address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        tokio::spawn(async move {
            let answered = service_fn(|request| answer(request, body.clone()));
            // A client that goes away is its own affair.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answered).await;
        });
    }
}

async fn answer(mut request: Request<Incoming>, body: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::POST {
        while let Some(Ok(_)) = request.body_mut().frame().await {}
        let mut taken = Response::new(Full::default());
        taken.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        return Ok(taken);
    }
    let mut constant = Response::new(Full::new(body));
    constant.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(constant)
}
