//! The route table, and nothing else.

use futures_util::future::BoxFuture;
use hyper::Method;

use crate::error::ApiError;
use crate::request::Request;
use crate::response::Response;
use crate::throttling::Limited;
use crate::{admin, api};

/// What answers a request.
pub type Handler = fn(Request) -> BoxFuture<'static, Result<Response, ApiError>>;

/// The methods of one path.
pub struct Route {
    /// The path with its variables in braces: the `http.route` of spans and metrics.
    pub pattern: &'static str,
    /// Requests to it make spans and log lines. Probes, and what the console asks every second, do not.
    pub observed: bool,
    /// What its answers are, where they are no errors.
    pub media: &'static str,
    methods: Vec<Operation>,
}

/// A method of a path.
struct Operation {
    method: Method,
    /// What its spans are called.
    span: &'static str,
    limited: Limited,
    handler: Handler,
}

/// Whom a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Whoever comes.
    Everyone,
    /// Operators and their programs.
    Operators,
}

/// A table of routes.
pub struct Router {
    /// Whom it is for.
    pub audience: Audience,
    routes: Vec<Route>,
    /// Which of the routes a path leads to.
    table: matchit::Router<usize>,
}

/// A route that was found, and its variable segments.
pub struct Found<'a> {
    /// The route.
    pub route: &'a Route,
    /// The variable segments, in their order, decoded.
    pub segments: Vec<String>,
}

macro_rules! routes {
    ($usually:expr; $($observed:ident $pattern:literal $(as $media:literal)? => { $($method:ident: $handler:path $(=> $limited:ident)?),+ $(,)? })+) => {
        vec![$(Route {
            pattern: $pattern,
            observed: matches!(stringify!($observed), "observed"),
            media: ["application/json" $(, $media)?].last().copied().unwrap_or_default(),
            methods: vec![$(Operation {
                method: Method::$method,
                span: concat!(stringify!($method), " ", $pattern),
                limited: None$(.or(Some(Limited::$limited)))?.unwrap_or_else(|| $usually(&Method::$method)),
                handler: |request| Box::pin($handler(request)),
            }),+],
        }),+]
    };
}

/// The public API.
///
/// # Errors
/// When two routes contradict one another.
pub fn public() -> Result<Router, matchit::InsertError> {
    Router::new(
        Audience::Everyone,
        routes! {
            Limited::usually;
            observed "/api/register" => { POST: api::auth::register => Registrations }
            observed "/api/login" => { POST: api::auth::login => Logins }
            observed "/api/logout" => { POST: api::auth::logout => Freely }
            observed "/api/token/refresh" => { POST: api::auth::refresh => Freely }
            observed "/api/user" => { GET: api::users::current, PUT: api::users::change, DELETE: api::users::leave }
            observed "/api/user/sessions" => { GET: api::sessions::list }
            observed "/api/user/sessions/{id}" => { DELETE: api::sessions::end }
            observed "/api/user/notifications" => { GET: api::preferences::read, PUT: api::preferences::write }
            observed "/api/users/{id}/follow" => { POST: api::users::follow, DELETE: api::users::unfollow }
            observed "/api/articles" => { GET: api::articles::list, POST: api::articles::create }
            observed "/api/articles/feed" => { GET: api::articles::feed }
            observed "/api/articles/{slug}" => { GET: api::articles::find, PUT: api::articles::update, DELETE: api::articles::delete }
            observed "/api/articles/{slug}/favorite" => { POST: api::favorites::add, DELETE: api::favorites::remove }
            observed "/api/notifications" => { GET: api::notifications::list }
            observed "/api/notifications/read" => { POST: api::notifications::read_all }
            observed "/api/notifications/stream" as "text/event-stream" => { GET: api::stream::follow }
            observed "/api/notifications/{id}/read" => { POST: api::notifications::read }
            observed "/api/webhooks" => { GET: api::webhooks::list, POST: api::webhooks::create }
            observed "/api/webhooks/{id}" => { DELETE: api::webhooks::delete }
            observed "/api/webhooks/{id}/secret" => { POST: api::webhooks::rotate_secret }
            observed "/api/webhooks/{id}/enable" => { POST: api::webhooks::enable }
            observed "/api/webhooks/{id}/deliveries" => { GET: api::webhooks::deliveries }
            observed "/api/webhooks/{id}/deliveries/{delivery}/replay" => { POST: api::webhooks::replay }
            quiet "/api/health" => { GET: api::health::health }
            observed "/api/openapi.json" => { GET: api::docs::openapi }
            observed "/docs" as "text/html" => { GET: api::docs::page }
        },
    )
}

/// The operators' listener.
///
/// # Errors
/// When two routes contradict one another.
pub fn admin() -> Result<Router, matchit::InsertError> {
    Router::new(
        Audience::Operators,
        routes! {
            |_| Limited::Freely;
            quiet "/healthz" => { GET: admin::probes::healthz }
            quiet "/readyz" => { GET: admin::probes::readyz }
            quiet "/metrics" => { GET: admin::metrics::metrics }
            quiet "/actors" => { GET: admin::actors::tree }
            observed "/actors/restarts" => { GET: admin::restarts::list }
            quiet "/actors/events" => { GET: admin::events::follow }
            observed "/actors/{*path}" => { POST: admin::actors::inject }
            quiet "/jobs" => { GET: admin::jobs::list }
            observed "/jobs/pause" => { POST: admin::jobs::pause }
            observed "/jobs/resume" => { POST: admin::jobs::resume }
            observed "/jobs/fail" => { POST: admin::jobs::fail }
            observed "/jobs/retry" => { POST: admin::jobs::retry_all }
            quiet "/jobs/{id}" => { GET: admin::jobs::find }
            observed "/jobs/{id}/cancel" => { POST: admin::jobs::cancel }
            observed "/jobs/{id}/retry" => { POST: admin::jobs::retry }
            quiet "/" => { GET: admin::console::page }
        },
    )
}

impl Router {
    fn new(audience: Audience, routes: Vec<Route>) -> Result<Self, matchit::InsertError> {
        let mut table = matchit::Router::new();
        for (at, route) in routes.iter().enumerate() {
            table.insert(route.pattern, at)?;
        }
        Ok(Self { audience, routes, table })
    }

    /// Every pattern with each of its methods.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &Method)> {
        self.operations().map(|(pattern, method, _)| (pattern, method))
    }

    /// Every pattern with each of its methods and what that counts as.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, &Method, Limited)> {
        self.routes.iter().flat_map(|route| {
            route.methods.iter().map(move |operation| (route.pattern, &operation.method, operation.limited))
        })
    }

    /// The route of a path; a slash at its end makes no difference.
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let path = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
        let found = self.table.at(path).ok()?;
        let segments = found.params.iter().map(|(_, value)| decode(value)).collect::<Option<_>>()?;
        Some(Found { route: self.routes.get(*found.value)?, segments })
    }
}

impl Route {
    /// What answers a method, and what that counts as; HEAD is answered wherever GET is.
    pub fn handler(&self, method: &Method) -> Option<(Limited, Handler)> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let operation = self.methods.iter().find(|operation| operation.method == method)?;
        Some((operation.limited, operation.handler))
    }

    /// What spans of this method are called, if it is one of the route's own.
    pub fn span(&self, method: &Method) -> Option<&'static str> {
        self.methods.iter().find(|operation| operation.method == method).map(|operation| operation.span)
    }

    /// The methods, for `Allow`.
    pub fn allow(&self) -> String {
        let mut methods: Vec<&str> = self.methods.iter().map(|operation| operation.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.join(", ")
    }
}

/// Undoes percent-encoding; `None` when what comes out is not UTF-8, which no path of ours is.
fn decode(segment: &str) -> Option<String> {
    percent_encoding::percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_with_and_without_a_slash_at_its_end() {
        let (Ok(public), Ok(admin)) = (public(), admin()) else { unreachable!() };
        for path in ["/api/articles", "/api/articles/", "/api/articles/a-b", "/api/articles/a-b/favorite/"] {
            assert!(public.find(path).is_some(), "{path}");
        }
        assert!(admin.find("/").is_some());
        assert_eq!(
            admin.find("/actors/root/auth/crash").map(|found| found.segments),
            Some(vec!["root/auth/crash".to_owned()])
        );
        assert!(public.find("/api/articles//").is_none());
    }

    #[test]
    fn head_is_allowed_wherever_get_is() {
        let Ok(router) = public() else { unreachable!() };
        let Some(found) = router.find("/api/articles") else { unreachable!() };
        assert_eq!(found.route.allow(), "GET, POST, HEAD, OPTIONS");
        assert!(found.route.handler(&Method::HEAD).is_some());
        assert!(found.route.handler(&Method::PATCH).is_none());
    }
}
