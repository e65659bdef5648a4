//! To whom the port speaks without encryption.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// To whom a port speaks without encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plaintext {
    /// To nobody.
    Never,
    /// Within this machine.
    Loopback,
    /// Within this machine and on networks of one's own, see [`Reach::Private`].
    #[default]
    Private,
    /// To everybody.
    Any,
}

/// How far the bytes of a connection travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nowhere: a Unix socket, a loopback address (127.0.0.0/8, `::1`), or the same address at both
    /// ends.
    Machine,
    /// Through a network of one's own: RFC 1918 (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16), the
    /// unique local addresses of IPv6 (`fc00::/7`) and link-local ones (169.254.0.0/16,
    /// `fe80::/10`).
    ///
    /// Shared addresses (100.64.0.0/10, RFC 6598) are none of these: between them and here is a
    /// provider's network, and other customers of it.
    Private,
    /// Through networks of others.
    Public,
}

impl Reach {
    /// That of a connection between this peer and this address of the machine's; a peer without an
    /// address is at the other end of a Unix socket. An IPv4 address that is mapped into IPv6 is
    /// what it stands for.
    pub fn of(peer: Option<IpAddr>, local: Option<IpAddr>) -> Self {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else {
            return Self::Machine;
        };
        let same = local.is_some_and(|local| local.to_canonical() == peer);
        if same || peer.is_loopback() {
            return Self::Machine;
        }
        let private = match peer {
            IpAddr::V4(peer) => is_private_v4(peer),
            IpAddr::V6(peer) => is_private_v6(peer),
        };
        if private { Self::Private } else { Self::Public }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_link_local()
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_unique_local() || address.is_unicast_link_local()
}

impl Plaintext {
    /// All of them, the strictest first.
    pub const ALL: [Self; 4] = [Self::Never, Self::Loopback, Self::Private, Self::Any];

    /// Whether a connection of this reach may be plain.
    pub fn allows(self, reach: Reach) -> bool {
        match reach {
            Reach::Machine => self >= Self::Loopback,
            Reach::Private => self >= Self::Private,
            Reach::Public => self >= Self::Any,
        }
    }

    /// Its name, as in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Any => "any",
        }
    }
}

impl fmt::Display for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPolicy(String);

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not one of never, loopback, private, any",
            self.0
        )
    }
}

impl std::error::Error for UnknownPolicy {}

impl FromStr for Plaintext {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let found = Self::ALL.into_iter().find(|policy| policy.name() == text);
        found.ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_ones_own_and_what_is_not() {
        use Reach::{Machine, Private, Public};
        for (peer, reach) in [
            ("127.0.0.1", Machine),
            ("127.255.0.9", Machine),
            ("::1", Machine),
            ("::ffff:127.0.0.1", Machine),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.5", Private),
            ("169.254.10.10", Private),
            ("fe80::1", Private),
            ("febf::1", Private),
            ("fd00::1", Private),
            ("fc00::1", Private),
            ("::ffff:192.168.1.5", Private),
            ("172.32.0.1", Public),
            ("100.64.0.1", Public),
            ("192.0.2.1", Public),
            ("8.8.8.8", Public),
            ("::ffff:8.8.8.8", Public),
            ("fec0::1", Public),
            ("2001:db8::1", Public),
            // Addresses that only look like a loopback or private one of IPv4.
            ("::127.0.0.1", Public),
            ("64:ff9b::a00:1", Public),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(Reach::of(Some(peer), None), reach, "{peer}");
            let mapped: Option<IpAddr> = Some(IpAddr::from([203, 0, 113, 1]));
            assert_eq!(Reach::of(Some(peer), mapped), reach, "{peer}");
            assert_eq!(Reach::of(Some(peer), Some(peer)), Machine, "{peer}");
        }
        assert_eq!(Reach::of(None, None), Machine);
        let (plain, mapped) = ("203.0.113.1", "::ffff:203.0.113.1");
        let both = [plain, mapped].map(|address| address.parse().ok());
        assert_eq!(Reach::of(both[0], both[1]), Machine);
    }

    #[test]
    fn each_policy_allows_what_the_stricter_ones_do() {
        use Reach::{Machine, Private, Public};
        let table = Plaintext::ALL
            .map(|policy| [Machine, Private, Public].map(|reach| policy.allows(reach)));
        assert_eq!(
            table,
            [
                [false, false, false],
                [true, false, false],
                [true, true, false],
                [true, true, true]
            ]
        );
        for policy in Plaintext::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert!("often".parse::<Plaintext>().is_err());
    }
}
