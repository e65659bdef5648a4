//! A hub's configuration.

use std::net::IpAddr;

use super::address_limits::AddressLimits;
use crate::{
    limits::Limits,
    log::LogLimits,
    nick::Reserved,
    password::ServerSecret,
    wire::{record::CipherKind, server::Durability},
};

/// A hub's configuration.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Every limit.
    pub limits: Limits,
    /// The lobby's cipher, or no lobby. A lobby that is in the log already keeps the cipher that it
    /// was made with: [`Page::room_cipher`](crate::log::Page::room_cipher).
    pub lobby: Option<CipherKind>,
    /// The durability of the log: the meaning of an acknowledgement.
    pub durability: Durability,
    /// This program's name and version, for clients.
    pub agent: String,
    /// Names this hub among those on one log, and this life of it: random, below 2⁵³, and new at
    /// every start.
    pub node: u64,
    /// The limits of the log, and whether others than this hub and its `peers` write to it.
    pub log: LogLimits,
    /// The nodes of the other hubs that began together with this one, as far as they are known.
    pub peers: Vec<u64>,
    /// For how long a name is kept for a member that is not there.
    pub names: NamePolicy,
    /// Whether members come in that have no keys.
    pub guests: bool,
    /// Whether newcomers come in by invitation only. Members that are known come in without one,
    /// guests never.
    pub invite_only: bool,
    /// The names by which clients know this server.
    pub audience: Audience,
    /// Nicks that nobody may take, but for whom the application names (see
    /// [`Identity`](super::Identity)).
    pub reserved: Reserved,
    /// The server's secret, and its key. Hubs on one log have the same one.
    pub secret: ServerSecret,
    /// The counts of each address. Hubs of one process are given clones of one.
    pub address_limits: AddressLimits,
    /// Seeds everything random. 32 bytes from the system's generator.
    pub seed: [u8; 32],
}

/// For how long a name is kept for a member that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamePolicy {
    /// For the grace period. Then anybody may take it.
    #[default]
    Lease,
    /// As long as its memberships last, for a member that keeps its secret; for the grace period
    /// otherwise.
    Held,
}

/// The names by which clients know a server. A client signs the name that it has dialled, so that
/// what it says to one server is no use to that server at another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience {
    /// Any name. Clients are told.
    #[default]
    Any,
    /// These host names, in small letters; besides, the address of the connection's own socket,
    /// `localhost` where that is a loopback address, and Unix sockets.
    Names(Vec<String>),
}

impl Audience {
    /// Whether a client that has dialled `dialled` (scheme, host and port) means this server, at a
    /// connection to the address `local`.
    pub(super) fn takes(&self, dialled: &str, local: Option<IpAddr>) -> bool {
        let Self::Names(names) = self else {
            return true;
        };
        let Some((scheme, rest)) = dialled.split_once("://") else {
            return false;
        };
        if scheme == "unix" {
            return true;
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
            _ => authority,
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = address.parse::<IpAddr>() {
            return local.is_some_and(|local| local.to_canonical() == address.to_canonical());
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_local = || local.is_some_and(|local| local.to_canonical().is_loopback());
        names.contains(&host) || (host == "localhost" && is_local())
    }
}

impl Config {
    /// Default limits, a plain lobby, durability `memory`, alone on its log.
    pub fn new(secret: ServerSecret, node: u64, seed: [u8; 32]) -> Self {
        Self {
            limits: Limits::default(),
            lobby: Some(CipherKind::None),
            durability: Durability::Memory,
            agent: concat!("chat-core/", env!("CARGO_PKG_VERSION")).to_owned(),
            node,
            log: LogLimits::default(),
            peers: Vec::new(),
            names: NamePolicy::default(),
            guests: true,
            invite_only: false,
            audience: Audience::Any,
            reserved: Reserved::default(),
            secret,
            address_limits: AddressLimits::default(),
            seed,
        }
    }

    /// Whether no other hub writes to the log: what is known here is all there is.
    pub(super) fn writes_alone(&self) -> bool {
        !self.log.shared && self.peers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_meant_by_one_of_its_names_or_by_the_address_that_led_to_it() {
        let audience = Audience::Names(vec!["chat.example.org".to_owned()]);
        let takes = |dialled: &str, local: &str| audience.takes(dialled, local.parse().ok());
        for own in [
            "tls://chat.example.org:7037",
            "wss://Chat.Example.ORG./ws",
            "tcp://chat.example.org",
            "unix:///run/chat",
        ] {
            assert!(takes(own, ""), "{own}");
        }
        for other in [
            "tls://example.org:7037",
            "chat.example.org",
            "tls://chat.example.org:70x",
            "tls://localhost:7037",
            "tls://192.0.2.1:7037",
        ] {
            assert!(!takes(other, ""), "{other}");
        }
        for (dialled, local, meant) in [
            ("tcp://192.0.2.1:7037", "192.0.2.1", true),
            ("tcp://192.0.2.1:7037", "::ffff:192.0.2.1", true),
            ("tcp://192.0.2.1:7037", "192.0.2.2", false),
            ("tcp://[2001:db8::1]", "2001:db8::1", true),
            ("tcp://[2001:db8::1]:7037", "2001:db8::1", true),
            ("tcp://[2001:db8::1]:7037", "2001:db8::2", false),
            ("ws://localhost:7037/ws", "127.0.0.1", true),
            ("ws://localhost:7037/ws", "::ffff:127.0.0.1", true),
            ("ws://localhost:7037/ws", "192.0.2.1", false),
            ("ws://elsewhere:7037/ws", "127.0.0.1", false),
        ] {
            assert_eq!(takes(dialled, local), meant, "{dialled} at {local}");
        }
        assert!(Audience::Any.takes("whatever", None));
    }
}
