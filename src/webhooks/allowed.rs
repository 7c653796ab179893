//! Where messages may be sent: to public addresses, and besides to whatever operators vouch for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::addresses::{is_public, is_within_v4, is_within_v6};

/// The addresses that messages may be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Allowed {
    /// Public ones.
    #[default]
    Public,
    /// All there are.
    All,
    /// Public ones, and those in these networks.
    Also(Vec<Network>),
}

/// A network: its first address and the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Of IPv4 addresses.
    V4(Ipv4Addr, u32),
    /// Of IPv6 addresses.
    V6(Ipv6Addr, u32),
}

impl Allowed {
    /// Reads `false`, `true`, or addresses and networks with commas between them.
    ///
    /// # Errors
    /// What it has to be.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "false" | "0" => Ok(Self::Public),
            "true" | "1" => Ok(Self::All),
            list => list.split(',').map(|item| network(item.trim())).collect::<Option<_>>().map(Self::Also).ok_or_else(
                || "must be true, false, or a list of addresses and networks, like 10.0.0.5,192.168.0.0/16".to_owned(),
            ),
        }
    }

    /// Whether a message may be sent there. An IPv4 address that an IPv6 one wraps is not looked for in the list.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::All => true,
            Self::Also(networks) => is_public(address) || networks.iter().any(|network| network.holds(address)),
        }
    }
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4(network, length), IpAddr::V4(address)) => is_within_v4(address, (network, length)),
            (Self::V6(network, length), IpAddr::V6(address)) => is_within_v6(address, (network, length)),
            _ => false,
        }
    }
}

/// A network, or an address that is one of its own; not one whose address goes on after the prefix, which is a slip.
fn network(text: &str) -> Option<Network> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let length = |most: u32| match length {
        None => Some(most),
        // Digits only: the parser would take a sign.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|length| *length <= most)
        }
        Some(_) => None,
    };
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let length = length(32)?;
            (address.to_bits().checked_shl(length).unwrap_or(0) == 0).then_some(Network::V4(address, length))
        }
        IpAddr::V6(address) => {
            let length = length(128)?;
            (address.to_bits().checked_shl(length).unwrap_or(0) == 0).then_some(Network::V6(address, length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_allows_what_it_names_and_what_is_public() {
        let Ok(allowed) = Allowed::parse("127.0.0.1, 10.1.0.0/16,fd00::/8,::1") else { unreachable!() };
        for (text, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("10.1.255.255", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("::1", true),
            ("::ffff:127.0.0.1", false),
            ("169.254.169.254", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(text.parse().is_ok_and(|address| allowed.allows(address)), expected, "{text}");
        }
    }

    #[test]
    fn all_and_nothing_are_words_and_slips_are_told() {
        assert_eq!(Allowed::parse("true"), Ok(Allowed::All));
        assert_eq!(Allowed::parse("false"), Ok(Allowed::Public));
        assert_eq!(Allowed::parse("0.0.0.0/0"), Ok(Allowed::Also(vec![Network::V4(Ipv4Addr::UNSPECIFIED, 0)])));
        for text in ["yes", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.5,", "fd00::1/8"]
        {
            assert!(Allowed::parse(text).is_err(), "{text}");
        }
    }
}
