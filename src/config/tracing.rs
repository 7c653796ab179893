//! What spans say and which requests make them. How traces are sampled and exported is OpenTelemetry's to define
//! (`OTEL_*`), but for `OTEL_PROPAGATORS`, which is read here since it is the front that reads and writes headers.

use hyper::Method;

use super::Table;
use crate::router;

/// What spans say and which requests make them.
#[derive(Debug, Clone, Default)]
pub struct Tracing {
    /// Whether server spans name the client's address.
    pub client_address: bool,
    /// Requests that make no spans.
    pub excluded: Excluded,
    /// Whether sampled statements carry their `traceparent` in a comment.
    pub sql_comments: bool,
    /// Whose traces go on here, and whether ours go on elsewhere.
    pub propagation: Propagation,
}

/// Whether traces cross the front. Answers name theirs in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// By `traceparent` and `tracestate`.
    #[default]
    TraceContext,
    /// They begin and end here.
    None,
}

/// Routes, some of them with one method only.
#[derive(Debug, Clone, Default)]
pub struct Excluded(Vec<(Option<Method>, &'static str)>);

impl Tracing {
    pub(super) fn read<R: Fn(&str) -> Option<String>>(table: &mut Table<R>) -> Self {
        Self {
            client_address: table.switch("TRACE_CLIENT_ADDRESS", false),
            excluded: table.parsed("TRACE_EXCLUDE", Excluded::parse).unwrap_or_default(),
            sql_comments: table.switch("TRACE_SQL_COMMENTS", false),
            propagation: table.parsed("OTEL_PROPAGATORS", Propagation::parse).unwrap_or_default(),
        }
    }
}

impl Propagation {
    fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.iter().any(|name| !["tracecontext", "baggage", "none"].contains(name)) {
            return Err("must be tracecontext, baggage or both, or none".to_owned());
        }
        // Nothing here reads or writes baggage, whoever asks for it.
        Ok(if names.contains(&"tracecontext") { Self::TraceContext } else { Self::None })
    }
}

impl Excluded {
    fn parse(text: &str) -> Result<Self, String> {
        let routers = [router::public(), router::admin()].into_iter().collect::<Result<Vec<_>, _>>();
        let routers = routers.map_err(|error| error.to_string())?;
        let known: Vec<(&'static str, &Method)> = routers.iter().flat_map(router::Router::entries).collect();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let excluded = parts.map(|part| {
            let (method, route) = part.split_once(char::is_whitespace).map_or((None, part), |(m, r)| (Some(m), r.trim()));
            let fit = |(pattern, of): &&(&'static str, &Method)| {
                *pattern == route && method.is_none_or(|method| of.as_str() == method)
            };
            let (pattern, of) = known.iter().find(fit).ok_or_else(|| {
                "must be routes, like /api/articles/{slug}, each of which may have a method before it; one of them is none"
                    .to_owned()
            })?;
            Ok((method.is_some().then(|| (*of).clone()), *pattern))
        });
        excluded.collect::<Result<_, String>>().map(Self)
    }

    /// Whether requests to this route by this method make no spans. HEAD counts as GET.
    pub fn covers(&self, method: &Method, route: &str) -> bool {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().any(|(only, pattern)| *pattern == route && only.as_ref().is_none_or(|only| only == method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_excluded_for_one_method_or_for_all_and_must_be_one() {
        let Ok(excluded) = Excluded::parse("GET /api/articles/{slug}, /actors/restarts,") else { unreachable!() };
        let covers = |method: Method, route| excluded.covers(&method, route);
        assert!(covers(Method::GET, "/api/articles/{slug}") && covers(Method::HEAD, "/api/articles/{slug}"));
        assert!(!covers(Method::PUT, "/api/articles/{slug}") && !covers(Method::GET, "/api/articles"));
        assert!(covers(Method::GET, "/actors/restarts"));
        for unknown in ["/api/nothing", "PATCH /api/articles", "/api/articles/a-slug", "GET", "get /api/articles"] {
            assert!(Excluded::parse(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn traces_cross_the_front_by_trace_context_or_not_at_all() {
        for (text, expected) in [
            ("tracecontext,baggage", Some(Propagation::TraceContext)),
            ("baggage", Some(Propagation::None)),
            ("none", Some(Propagation::None)),
            ("b3", None),
        ] {
            assert_eq!(Propagation::parse(text).ok(), expected, "{text}");
        }
    }
}
