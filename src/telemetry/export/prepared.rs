//! Spans and log records that are encoded here, and sent by the SDK's exporter all the same: it is handed an empty batch,
//! for its headers, its retries and its reading of answers, and its client sends what was prepared. By either way no
//! address leaves with a span.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Request;
use hyper::header::CONTENT_ENCODING;
use opentelemetry_otlp::{LogExporter as OtlpRecords, SpanExporter as OtlpSpans};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::encode;
use crate::telemetry::masked_spans::mask;

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

/// One of the SDK's exporters, with a leaner encoding where there is one.
#[derive(Debug)]
pub(super) struct Lean<E> {
    exporter: E,
    prepared: Option<Prepared>,
    resource: Resource,
    /// The memory of the last batch, for the next one.
    buffer: Mutex<Vec<u8>>,
}

impl<E> Lean<E> {
    pub(super) fn new(exporter: E, prepared: Option<Prepared>) -> Self {
        Self { exporter, prepared, resource: Resource::builder_empty().build(), buffer: Mutex::default() }
    }

    /// The memory for what is encoded.
    fn blank(&self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut *self.buffer.lock().unwrap_or_else(PoisonError::into_inner));
        buffer.clear();
        buffer
    }

    /// Has what was encoded sent in place of the empty batch that `send` hands over.
    async fn in_place(
        &self,
        prepared: &Prepared,
        encoded: Vec<u8>,
        send: impl Future<Output = OTelSdkResult>,
    ) -> OTelSdkResult {
        prepared.set(Some(Body { bytes: Bytes::from(encoded), compressed: false }));
        let result = send.await;
        // Whoever sent it may still hold it, when that took too long; what was compressed is of no use.
        if let Some(Body { bytes, compressed: false }) = prepared.set(None)
            && let Ok(bytes) = bytes.try_into_mut()
        {
            *self.buffer.lock().unwrap_or_else(PoisonError::into_inner) = bytes.into();
        }
        result
    }
}

impl SpanExporter for Lean<OtlpSpans> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        let Some(prepared) = &self.prepared else {
            batch.iter_mut().for_each(mask);
            return self.exporter.export(batch).await;
        };
        let encoded = encode::spans(self.blank(), &self.resource, &batch);
        drop(batch);
        self.in_place(prepared, encoded, self.exporter.export(Vec::new())).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.clone();
        self.exporter.set_resource(resource);
    }
}

impl LogExporter for Lean<OtlpRecords> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let Some(prepared) = &self.prepared else { return self.exporter.export(batch).await };
        let encoded = encode::records(self.blank(), &self.resource, &batch);
        self.in_place(prepared, encoded, self.exporter.export(LogBatch::new(&[]))).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.clone();
        self.exporter.set_resource(resource);
    }
}
