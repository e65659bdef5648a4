//! Addresses as people type them: where to listen and where to connect.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    path::PathBuf,
    str::FromStr,
};

use chat_runtime::Connector;
use chat_transport_port::{Place, UnixConnector};
use chat_transport_tcp::TcpConnector;
use chat_transport_tls::{ClientTls, TlsConnector, Trust};
use chat_transport_ws::{UrlError, WsConnector};

use crate::exit::Failure;

/// The port of TCP where none is given.
pub(crate) const DEFAULT_PORT: u16 = chat_transport_tcp::DEFAULT_PORT;

/// Where the WebSocket is where no path is given.
const DEFAULT_WS_PATH: &str = "/ws";

/// Where a server is: `host:port` or `host`, perhaps after `tcp://` or `tls://`; a Unix socket; or the
/// URL of a WebSocket. IPv6 addresses stand in brackets when a port follows.
#[derive(Clone, Debug)]
pub(crate) enum ServerAddress {
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// Never 0.
        port: u16,
        channel: Channel,
    },
    Ws {
        url: String,
        connector: WsConnector,
    },
    /// A Unix socket: `unix:` and its path.
    Unix(String),
}

/// Whether a connection is to be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Plain,
    Tls,
    /// Nothing is said: unless it is this machine.
    Unsaid,
}

/// Where to listen: `ADDRESS:PORT`, an IP address, or a port on all addresses; or `unix:PATH`. Port
/// 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress(pub(crate) Place);

/// The port of TCP of a place, if it has one.
pub(crate) fn port_of(place: &Place) -> Option<u16> {
    match place {
        Place::Tcp(address) => Some(address.port()),
        Place::Unix(_) => None,
    }
}

/// A fault of an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("the address is empty; write HOST:PORT, for example localhost:7037")]
    Empty,
    #[error(
        "unknown scheme `{0}://`; write tls:// or tcp://HOST:PORT, unix:PATH, wss:// or ws://HOST:PORT/ws"
    )]
    Scheme(String),
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("there is no path after `unix:`")]
    NoPath,
    #[error("there is no host before the port")]
    NoHost,
    #[error("`{0}` is not a port; a port is a number from {1} to 65535")]
    Port(String, u16),
    #[error("`{0}` is not an IPv6 address")]
    Ipv6(String),
    #[error("`{0}`: there is no such network interface here")]
    Interface(String),
    #[error("`{0}` is not a host name or an IP address")]
    Host(String),
    #[error(
        "`{0}` is not an IP address; a server listens on an IP address, for example [::]:7037 or 127.0.0.1:7037"
    )]
    NotIp(String),
}

impl ServerAddress {
    /// The server of this machine, on the port that it has by default.
    pub(crate) fn localhost() -> Self {
        Self::Tcp {
            host: "localhost".to_owned(),
            port: DEFAULT_PORT,
            channel: Channel::Unsaid,
        }
    }

    /// The connector to it; `plain`, if it is to be without encryption.
    ///
    /// Without authorities any certificate is taken: what is encrypted is hidden from those who
    /// listen, whoever the server is, and who it is its key says.
    ///
    /// # Errors
    /// The address says that it is to be encrypted, or that it is not and authorities are named;
    /// there is no TLS, which is not expected.
    pub(crate) fn connector(
        &self,
        plain: bool,
        authorities: Option<Trust>,
    ) -> Result<Box<dyn Connector>, Failure> {
        if plain && self.is_to_be_encrypted() {
            let words = format!("{self} is encrypted, and --no-tls is given: say one of them");
            return Err(Failure::Usage(words));
        }
        let encrypted = self.is_encrypted(plain);
        if authorities.is_some() && !encrypted {
            let words = format!(
                "{self} is not encrypted, and --tls-ca says whose certificates to take: say tls:// or wss://"
            );
            return Err(Failure::Usage(words));
        }
        let trust = authorities.unwrap_or(Trust::AnyCertificate);
        let tls = || {
            ClientTls::new(trust, None)
                .map_err(|error| Failure::Fault(format!("there is no TLS: {error}")))
        };
        Ok(match self {
            Self::Tcp { host, port, .. } => {
                let tcp = TcpConnector::new(host.clone(), *port);
                if encrypted {
                    Box::new(TlsConnector::new(tcp, tls()?))
                } else {
                    Box::new(tcp)
                }
            }
            Self::Ws { connector, .. } if encrypted => Box::new(connector.clone().tls(tls()?)),
            Self::Ws { connector, .. } => Box::new(connector.clone()),
            Self::Unix(text) => Box::new(UnixConnector::new(path_of(text))),
        })
    }

    /// Whether the address itself says so.
    fn is_to_be_encrypted(&self) -> bool {
        match self {
            Self::Tcp { channel, .. } => *channel == Channel::Tls,
            Self::Ws { url, .. } => url.starts_with("wss:"),
            Self::Unix(_) => false,
        }
    }

    /// Whether the connection is, if `plain` does not say otherwise.
    fn is_encrypted(&self, plain: bool) -> bool {
        match self {
            Self::Tcp { host, channel, .. } if *channel == Channel::Unsaid => {
                !plain && !is_this_machine(host)
            }
            _ => self.is_to_be_encrypted(),
        }
    }

    /// Whether nobody can be in between: this machine itself.
    pub(crate) fn is_loopback(&self) -> bool {
        let (host, _) = self.host_and_port();
        let address = host.parse::<IpAddr>();
        matches!(self, Self::Unix(_))
            || host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// The host, without brackets, and the port that it stands for; a Unix socket is one of its
    /// own, without a port.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        match self {
            Self::Tcp { host, port, .. } => (host, *port),
            Self::Ws { connector, .. } => (connector.host(), connector.port()),
            Self::Unix(text) => (text, 0),
        }
    }

    fn ws(url: &str) -> Result<Self, AddressError> {
        let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
        let url = match after_scheme.split_once('/') {
            None => format!("{url}{DEFAULT_WS_PATH}"),
            Some((_, "")) => format!("{}{DEFAULT_WS_PATH}", url.trim_end_matches('/')),
            Some(_) => url.to_owned(),
        };
        let connector = WsConnector::new(&url)?;
        Ok(Self::Ws { url, connector })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Ws { url, .. } => f.write_str(url),
            Self::Unix(text) => f.write_str(text),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            unix_path(path)?;
            return Ok(Self::Unix(text.to_owned()));
        }
        let (channel, rest) = match text.split_once("://") {
            Some(("tcp", rest)) => (Channel::Plain, rest.strip_suffix('/').unwrap_or(rest)),
            Some(("tls", rest)) => (Channel::Tls, rest.strip_suffix('/').unwrap_or(rest)),
            Some(("ws" | "wss", _)) => return Self::ws(text),
            Some((scheme, _)) => return Err(AddressError::Scheme(scheme.to_owned())),
            None => (Channel::Unsaid, text),
        };
        let (host, port) = split(rest)?;
        let port = port.map_or(Ok(DEFAULT_PORT), |port| parse_port(port, 1))?;
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        check_host(host)?;
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
            channel,
        })
    }
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self::tcp(Ipv6Addr::UNSPECIFIED, DEFAULT_PORT)
    }
}

impl ListenAddress {
    fn tcp(address: impl Into<IpAddr>, port: u16) -> Self {
        Self(Place::Tcp(SocketAddr::new(address.into(), port)))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self(Place::Unix(unix_path(path)?)));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::tcp(Ipv6Addr::UNSPECIFIED, parse_port(text, 0)?));
        }
        let (host, port) = split(text)?;
        let port = port.map_or(Ok(DEFAULT_PORT), |port| parse_port(port, 0))?;
        if host.contains('%') && is_ipv6(host) {
            return of_interface(host, port).map(|found| Self(Place::Tcp(found)));
        }
        let address = match host {
            "" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host
                .parse()
                .map_err(|_| AddressError::NotIp(host.to_owned()))?,
        };
        Ok(Self::tcp(address, port))
    }
}

fn path_of(unix: &str) -> &str {
    unix.strip_prefix("unix:").unwrap_or(unix)
}

fn unix_path(path: &str) -> Result<PathBuf, AddressError> {
    if path.is_empty() {
        return Err(AddressError::NoPath);
    }
    Ok(PathBuf::from(path))
}

/// Whether a host is this machine, by its name or address alone.
fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    address.is_ok_and(|address| address.is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
}

/// Takes host and port apart. An IPv6 address without brackets is all host.
fn split(text: &str) -> Result<(&str, Option<&str>), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or_else(|| AddressError::Ipv6(text.to_owned()))?;
        if !is_ipv6(host) {
            return Err(AddressError::Ipv6(host.to_owned()));
        }
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(AddressError::Host(text.to_owned())),
        };
    }
    match text.split_once(':') {
        Some(_) if is_ipv6(text) => Ok((text, None)),
        Some((_, port)) if port.contains(':') => Err(AddressError::Ipv6(text.to_owned())),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

/// Whether it is an IPv6 address, perhaps with the interface that it is to be found at, as in
/// `fe80::1%eth0` (RFC 4007).
fn is_ipv6(host: &str) -> bool {
    let (address, interface) = match host.split_once('%') {
        Some((address, interface)) => (address, Some(interface)),
        None => (host, None),
    };
    let named = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    address.parse::<Ipv6Addr>().is_ok() && interface.is_none_or(named)
}

/// An address with an interface's name or number: the system knows which is which, and asks nobody.
fn of_interface(host: &str, port: u16) -> Result<SocketAddr, AddressError> {
    let found = (host, port).to_socket_addrs().ok();
    found
        .and_then(|mut found| found.next())
        .ok_or_else(|| AddressError::Interface(host.to_owned()))
}

fn parse_port(text: &str, least: u16) -> Result<u16, AddressError> {
    // `u16::from_str` would take a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port >= least => Ok(port),
        _ => Err(AddressError::Port(text.to_owned(), least)),
    }
}

/// Refuses what cannot be a name, so that a typing error is told at once and not by the resolver.
fn check_host(host: &str) -> Result<(), AddressError> {
    let name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.parse::<IpAddr>().is_ok() || is_ipv6(host) || host.chars().all(name) {
        Ok(())
    } else {
        Err(AddressError::Host(host.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Result<(String, u16), AddressError> {
        text.parse::<ServerAddress>().map(|address| match address {
            ServerAddress::Tcp { host, port, .. } => (host, port),
            ServerAddress::Ws { url, .. } => (url, 0),
            ServerAddress::Unix(text) => (text, 0),
        })
    }

    fn listen(text: &str) -> Result<String, AddressError> {
        text.parse::<ListenAddress>()
            .map(|address| address.to_string())
    }

    #[test]
    fn a_server_is_named_in_every_usual_way() {
        for (text, host, port) in [
            ("tcp://chat.example.org:7000", "chat.example.org", 7000),
            ("tcp://localhost/", "localhost", 7037),
            ("tls://localhost/", "localhost", 7037),
            ("tls://[::1]:1", "::1", 1),
            ("wss://localhost", "wss://localhost/ws", 0),
            ("localhost:1", "localhost", 1),
            (" localhost ", "localhost", 7037),
            ("127.0.0.1:65535", "127.0.0.1", 65535),
            ("[::1]:7038", "::1", 7038),
            ("[::1]", "::1", 7037),
            ("::1", "::1", 7037),
            ("tcp://[fe80::1]:9", "fe80::1", 9),
            ("[fe80::1%eth0]:9", "fe80::1%eth0", 9),
            ("[fe80::1%eth0]", "fe80::1%eth0", 7037),
            ("fe80::1%2", "fe80::1%2", 7037),
            ("ws://[fe80::1%eth0]:7037", "ws://[fe80::1%eth0]:7037/ws", 0),
            ("ws://localhost:7037/ws", "ws://localhost:7037/ws", 0),
            ("ws://localhost:7037", "ws://localhost:7037/ws", 0),
            ("ws://[::1]/", "ws://[::1]/ws", 0),
            ("ws://localhost/a/b", "ws://localhost/a/b", 0),
            ("unix:/run/chat", "unix:/run/chat", 0),
            ("unix:chat", "unix:chat", 0),
        ] {
            assert_eq!(server(text), Ok((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn a_bad_server_address_is_told_apart() {
        for (text, error) in [
            ("", AddressError::Empty),
            ("tcp://", AddressError::Empty),
            ("unix:", AddressError::NoPath),
            ("http://localhost", AddressError::Scheme("http".into())),
            (
                "ws://localhost:0/ws",
                AddressError::Url(UrlError::Malformed("ws://localhost:0/ws".into())),
            ),
            (":7037", AddressError::NoHost),
            ("localhost:", AddressError::Port(String::new(), 1)),
            ("localhost:0", AddressError::Port("0".into(), 1)),
            ("localhost:65536", AddressError::Port("65536".into(), 1)),
            ("localhost:+80", AddressError::Port("+80".into(), 1)),
            ("localhost:http", AddressError::Port("http".into(), 1)),
            ("[::1", AddressError::Ipv6("[::1".into())),
            ("[no]:1", AddressError::Ipv6("no".into())),
            ("[fe80::1%]:1", AddressError::Ipv6("fe80::1%".into())),
            ("[no%eth0]:1", AddressError::Ipv6("no%eth0".into())),
            ("1:2:3", AddressError::Ipv6("1:2:3".into())),
            ("[::1]7037", AddressError::Host("[::1]7037".into())),
            ("local host:7037", AddressError::Host("local host".into())),
            ("a/b", AddressError::Host("a/b".into())),
        ] {
            assert_eq!(server(text), Err(error), "{text}");
        }
    }

    #[test]
    fn all_but_this_machine_is_encrypted_unless_otherwise_said() {
        for (text, plain, encrypted) in [
            ("chat.example.org", false, true),
            ("192.168.1.5:7037", false, true),
            ("[::ffff:192.168.1.5]", false, true),
            ("localhost.example.org", false, true),
            ("localhost", false, false),
            ("LOCALHOST.", false, false),
            ("a.localhost", false, false),
            ("127.0.0.2", false, false),
            ("[::ffff:127.0.0.1]", false, false),
            ("[::1]:1", false, false),
            ("tls://localhost", false, true),
            ("wss://localhost/ws", false, true),
            ("ws://localhost/ws", false, false),
            ("tcp://chat.example.org", false, false),
            ("chat.example.org", true, false),
            ("unix:chat", false, false),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert!(address.connector(plain, None).is_ok(), "{text}");
            assert_eq!(address.is_encrypted(plain), encrypted, "{text}");
        }
        for text in ["tls://localhost", "wss://localhost"] {
            let address: ServerAddress = text.parse().unwrap();
            assert!(address.connector(true, None).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_can_be_typed_again() {
        for text in [
            "[::1]:7038",
            "[fe80::1%eth0]:7038",
            "localhost:7037",
            "ws://localhost:7037/ws",
        ] {
            assert_eq!(text.parse::<ServerAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_listener_takes_an_address_a_port_or_both() {
        for (text, shown) in [
            ("[::]:7037", "[::]:7037"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("127.0.0.1", "127.0.0.1:7037"),
            ("::1", "[::1]:7037"),
            ("8000", "[::]:8000"),
            (":8000", "[::]:8000"),
            ("localhost:8000", "127.0.0.1:8000"),
            ("unix:/run/chat", "unix:/run/chat"),
            ("unix:chat:1", "unix:chat:1"),
        ] {
            assert_eq!(listen(text).as_deref(), Ok(shown), "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_listener_may_be_at_an_interface() {
        // Every Linux has it, as the first.
        for text in ["[fe80::1%lo]:8000", "[fe80::1%1]:8000"] {
            assert_eq!(listen(text).as_deref(), Ok("[fe80::1%1]:8000"));
        }
        assert_eq!(listen("fe80::1%lo").as_deref(), Ok("[fe80::1%1]:7037"));
        let nowhere = AddressError::Interface("fe80::1%nowhere0".into());
        assert_eq!(listen("[fe80::1%nowhere0]:1"), Err(nowhere));
    }

    #[test]
    fn a_bad_listener_is_told_apart() {
        assert_eq!(listen(""), Err(AddressError::Empty));
        assert_eq!(listen("unix:"), Err(AddressError::NoPath));
        assert_eq!(listen("70000"), Err(AddressError::Port("70000".into(), 0)));
        assert_eq!(
            listen("127.0.0.1:x"),
            Err(AddressError::Port("x".into(), 0))
        );
        assert_eq!(
            listen("example.org:1"),
            Err(AddressError::NotIp("example.org".into()))
        );
        assert_eq!(
            listen("256.0.0.1:1"),
            Err(AddressError::NotIp("256.0.0.1".into()))
        );
        assert_eq!(listen("[::g]:1"), Err(AddressError::Ipv6("::g".into())));
    }
}
