//! Whether the service can do its work.

use actors::health::Report;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;

use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

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
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// `GET /api/health`
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
