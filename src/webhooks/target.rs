//! Where a webhook is sent, taken apart once. The parser reads a host as browsers do, so that an IPv4 address in
//! decimal, octal or hexadecimal is the address that it is.

use std::net::{IpAddr, SocketAddr};

use actors::webhooks::Unfit;
use url::{Host, Url};

/// The longest URL that is taken.
const LONGEST: usize = 2000;

/// A URL that a message can be posted to, as far as that can be seen by looking at it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    url: Url,
    /// Name or address of its host.
    host: Host<String>,
    port: u16,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, Unfit> {
        // The parser would drop some of these, and what is stored would not be what is meant.
        let strange = |c: char| c.is_control() || c.is_whitespace();
        if text.len() > LONGEST || text.contains(strange) {
            return Err(Unfit::NotHttp);
        }
        Self::new(Url::parse(text).map_err(|_| Unfit::NotHttp)?)
    }

    fn new(url: Url) -> Result<Self, Unfit> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Unfit::NotHttp);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Unfit::Credentials);
        }
        let host = url.host().ok_or(Unfit::NotHttp)?.to_owned();
        let port = url.port_or_known_default().filter(|port| *port > 0).ok_or(Unfit::NotHttp)?;
        Ok(Self { url, host, port })
    }

    /// Where an answer says that it should go instead. Never from TLS to none.
    pub(super) fn redirected(&self, location: &str) -> Result<Self, Unfit> {
        let next = Self::new(self.url.join(location).map_err(|_| Unfit::NotHttp)?)?;
        if self.is_tls() && !next.is_tls() { Err(Unfit::NotHttp) } else { Ok(next) }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host as it stands in the URL.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The host as TLS knows it: an IPv6 address without its brackets.
    pub(crate) fn server_name(&self) -> String {
        self.host().trim_start_matches('[').trim_end_matches(']').to_owned()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What the `Host` header says.
    pub(super) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// What the request line says.
    pub(super) fn path_and_query(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// Scheme, host and port. What follows, the path as well, may hold what only its owner knows.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.authority())
    }

    /// Every address of its host.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, Unfit> {
        let literal = |ip: IpAddr| Ok(vec![SocketAddr::new(ip, self.port)]);
        match &self.host {
            Host::Ipv4(ip) => literal(IpAddr::V4(*ip)),
            Host::Ipv6(ip) => literal(IpAddr::V6(*ip)),
            Host::Domain(name) => {
                let found = tokio::net::lookup_host((name.as_str(), self.port)).await;
                let found: Vec<_> = found.map_err(|_| Unfit::UnknownHost)?.collect();
                if found.is_empty() { Err(Unfit::UnknownHost) } else { Ok(found) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfit(text: &str) -> Option<Unfit> {
        Target::parse(text).err()
    }

    #[test]
    fn only_urls_of_http_without_credentials_are_taken() {
        for text in ["", "x", "//example.com", "ftp://example.com", "file:///etc/passwd", "javascript:1", "http://"] {
            assert_eq!(unfit(text), Some(Unfit::NotHttp), "{text}");
        }
        for text in ["http://exa\nmple.com", " http://example.com", "http://example.com/\0", "http://example.com:0/"] {
            assert_eq!(unfit(text), Some(Unfit::NotHttp), "{text:?}");
        }
        for text in ["http://a@example.com", "http://a:b@example.com", "https://:b@example.com"] {
            assert_eq!(unfit(text), Some(Unfit::Credentials), "{text}");
        }
        assert_eq!(unfit(&format!("http://example.com/{}", "x".repeat(LONGEST))), Some(Unfit::NotHttp));
        assert_eq!(unfit("https://example.com/path?a=b"), None);
    }

    #[test]
    fn a_host_in_disguise_is_the_address_that_it_is() {
        for text in ["http://2130706433", "http://0x7f000001", "http://0177.0.0.1", "http://127.1", "http://０x7f.1"] {
            assert!(Target::parse(text).is_ok_and(|target| target.host() == "127.0.0.1"), "{text}");
        }
    }

    #[test]
    fn a_target_says_what_a_request_needs() {
        let Ok(target) = Target::parse("https://[2606:4700::1111]:8443/a%20b?token=t#f") else { unreachable!() };
        assert_eq!(target.authority(), "[2606:4700::1111]:8443");
        assert_eq!(target.server_name(), "2606:4700::1111");
        assert_eq!(target.path_and_query(), "/a%20b?token=t");
        assert_eq!(target.origin(), "https://[2606:4700::1111]:8443");
    }

    #[test]
    fn a_redirect_never_leads_out_of_tls_or_to_another_protocol() {
        let Ok(target) = Target::parse("https://example.com/a/b") else { unreachable!() };
        assert!(target.redirected("c").is_ok_and(|next| next.path_and_query() == "/a/c"));
        for location in ["http://example.com/", "file:///etc/passwd", "https://a:b@example.com/", "https://"] {
            assert!(target.redirected(location).is_err(), "{location}");
        }
    }
}
