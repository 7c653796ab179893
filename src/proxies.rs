//! Whose word about a client's address is taken, and what follows from it.
//!
//! ```text
//! connection ─▶ trusted? no ─▶ it is the client
//!                  │ yes
//!                  └─▶ the hops that it wrote down, from the nearest on, up to the first that is not trusted
//! ```
//!
//! What must stay true: nobody who is not trusted can choose the address that they are known by. So nothing that
//! stands before the first hop without trust is believed, a hop that is hidden ends the search at whoever hid it,
//! and when `Forwarded` and `X-Forwarded-For` contradict each other, one of them is the client's own and neither
//! is believed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use hyper::header::{FORWARDED, HeaderMap, HeaderName};

use crate::forwarded::{self, Hop};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request comes from, as far as we can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The address itself; one of IPv4 is never wrapped in one of IPv6.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let digits = prefix.is_none_or(|prefix| prefix.bytes().all(|byte| byte.is_ascii_digit()));
        let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
        (digits && prefix <= bits).then_some(Self { address, prefix })
    }

    fn holds(&self, other: IpAddr) -> bool {
        let shared = match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        shared >= self.prefix
    }
}

/// The proxies whose `Forwarded` and `X-Forwarded-For` are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Addresses and networks, like `10.0.0.0/8`, separated by commas.
    ///
    /// # Errors
    /// What is neither, in words that go after the setting's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let network = |part: &str| {
            Network::parse(part).ok_or_else(|| {
                format!("must be addresses or networks separated by commas, like 10.0.0.0/8, ::1; {part:?} is neither")
            })
        };
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is one of theirs.
    pub fn hold(&self, address: ClientAddress) -> bool {
        self.0.iter().any(|network| network.holds(address.0))
    }

    /// Who asks, when a connection from `peer` brings these headers.
    pub fn client(&self, peer: ClientAddress, headers: &HeaderMap) -> ClientAddress {
        if !self.hold(peer) {
            return peer;
        }
        let written = |name: &HeaderName, hops: fn(&str) -> Vec<Hop>| {
            headers.contains_key(name).then(|| {
                // The lines of a header are one list. What is not text is a hop that nobody understands.
                let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or(""));
                self.nearest_stranger(peer, &lines.flat_map(hops).collect::<Vec<_>>())
            })
        };
        match (written(&FORWARDED, forwarded::forwarded), written(&X_FORWARDED_FOR, forwarded::x_forwarded_for)) {
            (Some(one), Some(other)) if one != other => peer,
            (Some(client), _) | (None, Some(client)) => client,
            (None, None) => peer,
        }
    }

    fn nearest_stranger(&self, peer: ClientAddress, hops: &[Hop]) -> ClientAddress {
        let mut known = peer;
        for hop in hops.iter().rev() {
            let Some(address) = hop else { break };
            known = ClientAddress::from(*address);
            if !self.hold(known) {
                break;
            }
        }
        known
    }
}

/// Whose connections are counted together: an address of IPv4, or the network of IPv6 that one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Household {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl From<ClientAddress> for Household {
    fn from(address: ClientAddress) -> Self {
        match address.0 {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn client(proxies: &str, peer: &str, headers: &[(&str, &str)]) -> String {
        let Ok(proxies) = Proxies::parse(proxies) else { unreachable!() };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        proxies.client(ClientAddress::from(peer.parse::<IpAddr>().unwrap()), &map).to_string()
    }

    #[test]
    fn networks_are_understood_and_mistakes_are_named() {
        for fit in ["", "127.0.0.1", "10.0.0.0/8, ::1,", "::/0,0.0.0.0/0", "2001:db8::/32"] {
            assert!(Proxies::parse(fit).is_ok(), "{fit}");
        }
        for unfit in ["localhost", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/+8", "1.2.3.4/8/8", "1.2.3.4:80"] {
            assert!(Proxies::parse(unfit).is_err_and(|problem| problem.contains(unfit)), "{unfit}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_up_to_the_first_stranger() {
        let xff = |value| [("x-forwarded-for", value)];
        assert_eq!(client("", "10.0.0.1", &xff("1.2.3.4")), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "11.0.0.1", &xff("1.2.3.4")), "11.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &xff("1.2.3.4")), "1.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &xff("6.6.6.6, 1.2.3.4, 10.0.0.2")), "1.2.3.4");
        assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", &xff("::ffff:1.2.3.4")), "1.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &xff("6.6.6.6, unknown, 10.0.0.2")), "10.0.0.2");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &xff("10.0.0.3, 10.0.0.2")), "10.0.0.3");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")];
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &lines), "1.2.3.4");
    }

    #[test]
    fn headers_that_contradict_each_other_are_not_believed() {
        let both = |one, other| [("forwarded", one), ("x-forwarded-for", other)];
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &both("for=1.2.3.4", "1.2.3.4")), "1.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &both("for=6.6.6.6", "1.2.3.4")), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn nobody_who_is_not_trusted_chooses_an_address(
            told in prop::collection::vec("[ -~]{0,30}", 0..4), client_is in any::<[u8; 4]>()
        ) {
            let own = Ipv4Addr::from(client_is);
            prop_assume!(own.octets()[0] != 10 && !own.is_unspecified());
            // The client says what it likes; the proxy appends what it saw.
            let value = told.iter().map(String::as_str).chain([own.to_string().as_str()]).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[("x-forwarded-for", &value)]), own.to_string());
            prop_assert_eq!(client("10.0.0.0/8", &own.to_string(), &[("x-forwarded-for", &value)]), own.to_string());
        }
    }
}
