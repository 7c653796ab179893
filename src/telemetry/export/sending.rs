//! The thread that sends what was encoded: by the SDK's exporter all the same, which is handed an empty batch, for its
//! headers, its retries and its reading of answers, and whose client sends what was prepared.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Request;
use hyper::header::CONTENT_ENCODING;
use opentelemetry::Context;
use opentelemetry_otlp::{LogExporter as OtlpRecords, SpanExporter as OtlpSpans};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::trace::SpanExporter;

use super::encode::{self, Scope};
use super::outbox::{BYTES_KEPT, Batch, Outbox};
use super::watched::Watched;

/// A body that waits to be sent, as often as it takes. There is one batch at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Prepared(Arc<Mutex<Option<Body>>>);

#[derive(Debug, Clone)]
struct Body {
    bytes: Bytes,
    compressed: bool,
}

impl Prepared {
    fn set(&self, body: Option<Body>) -> Option<Body> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), body)
    }

    /// The request with what was prepared, if anything was, compressed if the request says so.
    pub(super) fn in_place_of(&self, mut request: Request<Bytes>) -> io::Result<Request<Bytes>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = waiting.as_mut() {
            if request.headers().contains_key(CONTENT_ENCODING) && !body.compressed {
                let mut gzip = GzEncoder::new(Vec::with_capacity(body.bytes.len() / 4), Compression::fast());
                gzip.write_all(&body.bytes)?;
                *body = Body { bytes: gzip.finish()?.into(), compressed: true };
            }
            *request.body_mut() = body.bytes.clone();
        }
        Ok(request)
    }
}

/// One of the SDK's exporters, with nothing to export.
pub(super) trait Exporter: Send + 'static {
    /// Sends an empty batch.
    fn send(&self) -> impl Future<Output = OTelSdkResult> + Send;
}

impl Exporter for OtlpSpans {
    async fn send(&self) -> OTelSdkResult {
        self.export(Vec::new()).await
    }
}

impl Exporter for OtlpRecords {
    async fn send(&self) -> OTelSdkResult {
        self.export(LogBatch::new(&[])).await
    }
}

/// What sends batches of one signal.
pub(super) struct Sending<E> {
    pub(super) exporter: Watched<E>,
    pub(super) prepared: Prepared,
    pub(super) resource: Resource,
}

impl<E: Exporter> Sending<E> {
    /// Has a thread of this name send whatever is put there, until that ends.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start<S>(self, name: &str, outbox: Arc<Outbox<S>>) -> io::Result<()>
    where
        S: Scope + Send + 'static,
    {
        let send = move || {
            // What libraries say while they send is not sent in turn.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            let mut buffer = Vec::new();
            while let Some(batch) = outbox.next() {
                buffer = self.send(&batch, buffer);
                buffer.clear();
                buffer.shrink_to(BYTES_KEPT);
                outbox.done(batch);
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(send).map(drop)
    }

    /// Sends a batch, or loses it; gives back the buffer's memory, if nobody else holds it.
    fn send<S: Scope>(&self, batch: &Batch<S>, buffer: Vec<u8>) -> Vec<u8> {
        let bytes = Bytes::from(encode::batch(buffer, &self.resource, &batch.scopes));
        self.prepared.set(Some(Body { bytes, compressed: false }));
        self.exporter.wait(batch.count as u64, Exporter::send);
        // Whoever sent it may still hold it, when that took too long; what was compressed is of no use.
        match self.prepared.set(None) {
            Some(Body { bytes, compressed: false }) => bytes.try_into_mut().map(Into::into).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}
