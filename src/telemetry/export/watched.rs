//! An exporter under supervision: what it gets is cut to its limits, what it takes is bounded, what became of it is
//! counted and told.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;

use super::limited;
use super::losses::{Books, Losses};
use super::{AttributeLimits, Destination};
use crate::telemetry::masked_spans::mask;

/// An exporter, and whoever watches it.
pub(in super::super) struct Watched<E> {
    exporter: E,
    runtime: Handle,
    within: Duration,
    books: Books,
    limits: AttributeLimits,
}

impl<E> fmt::Debug for Watched<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("books", &self.books).finish_non_exhaustive()
    }
}

impl<E> Watched<E> {
    pub(super) fn new(
        exporter: E,
        to: &Destination,
        runtime: Handle,
        losses: Losses,
        limits: &AttributeLimits,
    ) -> Self {
        Self { exporter, runtime, within: to.within, books: Books::new(to, losses), limits: limits.clone() }
    }

    /// Waits on this thread for an export, as long as it may take.
    pub(super) fn wait(&self, count: u64, export: impl AsyncFnOnce(&E) -> OTelSdkResult) {
        // What became of it is in the books.
        let _ = self.runtime.block_on(self.bounded(count, export(&self.exporter)));
    }

    /// Waits for an export as long as it may take. The thread that waits may be one of the SDK's; what it waits for needs a
    /// runtime, for its sockets and clocks.
    async fn bounded(&self, count: u64, export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        let mut export = pin!(async { tokio::time::timeout(self.within, export).await });
        let result = poll_fn(|context| {
            let _inside = self.runtime.enter();
            export.as_mut().poll(context)
        });
        let result = result.await.unwrap_or(Err(OTelSdkError::Timeout(self.within)));
        self.books.enter(count, &result);
        result
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            // Half an address would not be known for one.
            mask(span);
            if let Some(longest) = self.limits.span_value {
                limited::span(span, longest);
            }
        }
        self.bounded(batch.len() as u64, self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let (longest, most) = (self.limits.record_value, self.limits.record_attributes);
        let count = batch.iter().count() as u64;
        if batch.iter().all(|(record, _)| limited::fits(record, longest, most)) {
            return self.bounded(count, self.exporter.export(batch)).await;
        }
        let cut: Vec<_> = batch.iter().map(|(record, scope)| (limited::record(record, longest, most), scope)).collect();
        let cut: Vec<_> = cut.iter().map(|(record, scope)| (record, *scope)).collect();
        self.bounded(count, self.exporter.export(LogBatch::new(&cut))).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.bounded(data_points(metrics) as u64, self.exporter.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

fn data_points(metrics: &ResourceMetrics) -> usize {
    fn points<T>(data: &MetricData<T>) -> usize {
        match data {
            MetricData::Gauge(gauge) => gauge.data_points().count(),
            MetricData::Sum(sum) => sum.data_points().count(),
            MetricData::Histogram(histogram) => histogram.data_points().count(),
            MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
        }
    }
    let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
    metrics
        .map(|metric| match metric.data() {
            AggregatedMetrics::F64(data) => points(data),
            AggregatedMetrics::U64(data) => points(data),
            AggregatedMetrics::I64(data) => points(data),
        })
        .sum()
}
