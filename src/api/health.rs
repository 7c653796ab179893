//! Whether the service can do its work.

use actors::health::Report;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;

use super::refusals::{Internal, TooLate};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, ErrorBody, Response};

/// How the service is.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Health)]
pub struct HealthBody {
    /// `healthy` when everything is, else `unhealthy`.
    #[schema(example = "healthy")]
    pub status: &'static str,
    /// Its parts.
    pub components: Components,
    /// What answers.
    pub service: Service,
}

/// How its parts are.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Components {
    /// The database answers.
    #[schema(example = "healthy")]
    pub database: &'static str,
    /// Redis answers.
    #[schema(example = "healthy")]
    pub redis: &'static str,
    /// Some process of the cluster is consuming jobs.
    #[schema(example = "healthy")]
    pub workers: &'static str,
}

/// What answers.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Service {
    /// Its name.
    #[schema(example = "callboard")]
    pub name: &'static str,
    /// Its version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
}

/// What says that something is not well, for the description: a report where there is one, else an error.
#[derive(utoipa::ToSchema)]
#[schema(description = "A report where there is one, else an error.")]
#[serde(untagged)]
pub enum Unhealthy {
    /// A part is not well.
    Report(HealthBody),
    /// Nobody can say.
    Error(ErrorBody),
}

/// Ask whether the service can do its work.
///
/// The workers are healthy while any process of the cluster is taking jobs.
#[utoipa::path(
    get, path = "/api/health", operation_id = "health", tag = "service",
    responses(
        (status = 200, description = "All of it can.", body = HealthBody,
            headers(("Cache-Control" = String, description = "It is never kept."))),
        (status = 500, response = Internal),
        (status = 503, description = "Some of it cannot.", body = Unhealthy,
            headers(
                ("Retry-After" = String, description = "Seconds to wait."),
                ("Cache-Control" = String, description = "It is never kept."),
            )),
        (status = 504, response = TooLate),
    )
)]
pub async fn health(request: Request) -> Result<Response, ApiError> {
    let report = request.app.system.health.check(&request.caller).await?;
    let word = |healthy: bool| if healthy { "healthy" } else { "unhealthy" };
    let Report { database, redis, workers } = report;
    let body = HealthBody {
        status: word(report.is_healthy()),
        components: Components { database: word(database), redis: word(redis), workers: word(workers) },
        service: Service { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
    };
    let status = if report.is_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = response::json(status, &body)?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !report.is_healthy() {
        response.headers_mut().insert(hyper::header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}
