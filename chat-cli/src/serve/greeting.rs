//! The addresses under which a server is found: by a browser, by a phone and from a terminal.

use std::{
    io::{self, IsTerminal},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use chat_core::{keys::Fingerprint, link::Fragment};
use chat_terminal::operator::Greeting;
use chat_transport_port::{Place, Plaintext, Reach};

use crate::{address::DEFAULT_PORT, link::Link, web::WebConfig};

/// By which scheme a page is opened without being asked anything, as far as that can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schemes {
    /// To whom the server speaks without encryption.
    pub(super) plaintext: Plaintext,
    /// Whether an authority vouches for its certificate.
    pub(super) vouched: bool,
}

impl Schemes {
    fn of(self, address: SocketAddr) -> &'static str {
        let reach = match address.ip() {
            ip if ip.is_unspecified() => Reach::Machine,
            ip => Reach::of(Some(ip), None),
        };
        match self.vouched || !self.plaintext.allows(reach) {
            true => "https",
            false => "http",
        }
    }
}

/// The first lines of a server with these listeners. `network` is this machine's address among
/// others, by [`on_the_network`].
pub(super) fn greeting(
    listening: &[Place],
    web: &WebConfig,
    schemes: Schemes,
    network: &[IpAddr],
) -> Greeting {
    let page_at = |address: SocketAddr| web.page_at(address, schemes.of(address));
    let mut greeting = Greeting::default();
    let tcp: Vec<SocketAddr> = listening.iter().filter_map(address).collect();
    for address in &tcp {
        let Some(here) = page_at(*address) else {
            continue;
        };
        let others = reachable(*address, network).and_then(page_at);
        greeting.pages.push(here.clone());
        if let Some(there) = others {
            greeting.for_others.get_or_insert_with(|| there.clone());
            if there != here {
                greeting.pages.push(there);
            }
        }
    }
    let warned = |page: &String| page.starts_with("https:") && !schemes.vouched;
    greeting.warned = greeting.pages.iter().any(warned);
    let local = listening.first().map(Place::to_string);
    greeting.client = tcp
        .first()
        .map_or(local, |first| Some(client(*first, network)));
    greeting.listening = listening.iter().map(listener).collect();
    greeting
}

/// Has the links for others say which server they lead to. Those to this machine need not.
pub(super) fn name_key(greeting: &mut Greeting, key: Option<Fingerprint>) {
    let fragment = Fragment { key, invite: None }.to_string();
    let pages = greeting.pages.iter_mut();
    for link in pages
        .chain(&mut greeting.for_others)
        .chain(&mut greeting.client)
    {
        if (link.parse::<Link>()).is_ok_and(|link| !link.address.is_loopback()) {
            link.push_str(&fragment);
        }
    }
    greeting.key = key;
}

fn address(place: &Place) -> Option<SocketAddr> {
    match place {
        Place::Tcp(address) => Some(*address),
        Place::Unix(_) => None,
    }
}

fn listener(place: &Place) -> (&'static str, String) {
    match place {
        Place::Tcp(address) => ("tcp", address.to_string()),
        Place::Unix(path) => ("unix", path.display().to_string()),
    }
}

/// The columns of standard output, if it is a terminal that draws.
pub(crate) fn terminal() -> Option<usize> {
    if !io::stdout().is_terminal() || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return None;
    }
    #[cfg(unix)]
    {
        let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
        // 0: it does not say.
        Some(match size.ws_col {
            0 => 80,
            columns => columns.into(),
        })
    }
    #[cfg(not(unix))]
    Some(80)
}

/// This machine's addresses among others, IPv4 first: those from which the system would send to far
/// away. Nothing is sent.
pub(super) fn on_the_network() -> Vec<IpAddr> {
    // Addresses for documentation: nobody has them.
    let far: [(IpAddr, IpAddr); 2] = [
        (
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
        ),
        (
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ),
    ];
    let own = far.into_iter().filter_map(|(any, far)| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    });
    own.collect()
}

/// Where others reach a listener, if they can.
fn reachable(listener: SocketAddr, network: &[IpAddr]) -> Option<SocketAddr> {
    if listener.ip().is_loopback() {
        return None;
    }
    if !listener.ip().is_unspecified() {
        return Some(listener);
    }
    // `[::]` takes IPv4, too.
    let mut own = network.iter();
    let own = own.find(|own| own.is_ipv4() || listener.is_ipv6())?;
    Some(SocketAddr::new(*own, listener.port()))
}

/// The address that follows `chat-cli chat`.
fn client(listener: SocketAddr, network: &[IpAddr]) -> String {
    let found = reachable(listener, network).unwrap_or(listener);
    let host = match found.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V6(_) => {
            let shown = found.to_string();
            let end = shown.rfind(']').map_or(shown.len(), |end| end + 1);
            shown[..end].to_owned()
        }
        IpAddr::V4(ip) => ip.to_string(),
    };
    match found.port() {
        DEFAULT_PORT => host,
        port => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::ListenAddress;

    fn found(listening: &[&str], network: &[&str]) -> Greeting {
        let place = |text: &&str| text.parse::<ListenAddress>().unwrap().0;
        let listening: Vec<Place> = listening.iter().map(place).collect();
        let network: Vec<IpAddr> = network.iter().map(|ip| ip.parse().unwrap()).collect();
        let schemes = Schemes {
            plaintext: Plaintext::Private,
            vouched: false,
        };
        greeting(&listening, &WebConfig::default(), schemes, &network)
    }

    #[test]
    fn a_server_of_all_addresses_is_shown_to_others() {
        let greeting = found(&["[::]:7037"], &["192.168.1.5", "2001:db8::5"]);
        let lines = [
            "page http://localhost:7037/",
            "page http://192.168.1.5:7037/",
            "from a terminal: chat-cli chat 192.168.1.5",
            "Ctrl-C stops the server",
            "listening tcp [::]:7037",
        ];
        assert_eq!(greeting.text(None), lines);
        let url = "http://192.168.1.5:7037/";
        assert_eq!(greeting.for_others.as_deref(), Some(url));
        // With the line that says where the data are it fits into a terminal of 80 × 24.
        let drawn = greeting.text(Some(80));
        assert!(
            (lines.len() + 1..24).contains(&drawn.len()),
            "{}",
            drawn.len()
        );
    }

    #[test]
    fn a_page_has_the_scheme_that_asks_for_nothing() {
        let listening = [ListenAddress::default().0];
        let pages = |plaintext, vouched, own: &str| {
            let schemes = Schemes { plaintext, vouched };
            let network = [own.parse().unwrap()];
            let greeting = greeting(&listening, &WebConfig::default(), schemes, &network);
            (greeting.pages.concat(), greeting.warned)
        };
        use Plaintext::{Any, Never, Private};
        for (plaintext, vouched, own, shown, warned) in [
            (Private, false, "192.168.1.5", "http http", false),
            (Private, false, "203.0.113.1", "http https", true),
            (Private, true, "192.168.1.5", "https https", false),
            (Never, false, "192.168.1.5", "https https", true),
            (Any, false, "203.0.113.1", "http http", false),
        ] {
            let (here, there) = shown.split_once(' ').unwrap();
            let expected = format!("{here}://localhost:7037/{there}://{own}:7037/");
            assert_eq!(pages(plaintext, vouched, own), (expected, warned));
        }
    }

    #[test]
    fn what_others_cannot_reach_has_no_code() {
        let lines = [
            "page http://127.0.0.1:7037/",
            "from a terminal: chat-cli chat 127.0.0.1",
            "Ctrl-C stops the server",
            "listening tcp 127.0.0.1:7037",
            "listening unix /run/chat",
        ];
        let here = ["127.0.0.1:7037", "unix:/run/chat"];
        assert_eq!(found(&here, &["192.168.1.5"]).text(Some(80)), lines);
        let alone = found(&["[::]:7037"], &[]);
        let lines = [
            "page http://localhost:7037/",
            "from a terminal: chat-cli chat localhost",
            "Ctrl-C stops the server",
            "listening tcp [::]:7037",
        ];
        assert_eq!(alone.text(Some(80)), lines);
        let lines = [
            "from a terminal: chat-cli chat unix:/run/chat",
            "Ctrl-C stops the server",
            "listening unix /run/chat",
        ];
        assert_eq!(
            found(&["unix:/run/chat"], &["192.168.1.5"]).text(Some(80)),
            lines
        );
    }

    #[test]
    fn links_for_others_say_which_server_it_is() {
        let key = Some(Fingerprint(core::array::from_fn(|n| n as u8)));
        let tail = "#k=AAECAwQFBgcICQoLDA0ODw";
        let mut greeting = found(&["[::]:7037"], &["192.168.1.5"]);
        name_key(&mut greeting, key);
        let there = format!("http://192.168.1.5:7037/{tail}");
        assert_eq!(greeting.pages, ["http://localhost:7037/", &there]);
        assert_eq!(greeting.for_others, Some(there));
        let client = greeting.client.clone().unwrap();
        assert_eq!(client, format!("192.168.1.5{tail}"));
        assert_eq!(client.parse::<Link>().unwrap().fragment.key, key);
        // The code and what is below it are seen in a terminal of 80 × 24.
        greeting.data = Some("/data".into());
        let above = greeting.pages.len();
        assert!(greeting.text(Some(80)).len() - above < 24);
        for here in ["127.0.0.1:7037", "[::1]:7037", "unix:/run/chat"] {
            let mut greeting = found(&[here], &["192.168.1.5"]);
            name_key(&mut greeting, key);
            assert!(!format!("{greeting:?}").contains("#k="), "{greeting:?}");
        }
    }

    #[test]
    fn a_client_is_told_an_address_that_it_takes() {
        for (listener, network, shown) in [
            ("[::]:1", &["192.168.1.5"][..], "192.168.1.5:1"),
            ("[::]:1", &["2001:db8::5"], "[2001:db8::5]:1"),
            ("0.0.0.0:1", &["2001:db8::5"], "localhost:1"),
            ("[2001:db8::6]:7037", &[], "[2001:db8::6]"),
            ("[fe80::1%1]:7", &[], "[fe80::1%1]:7"),
            ("unix:/run/chat", &[], "unix:/run/chat"),
        ] {
            let client = found(&[listener], network).client;
            assert_eq!(client.as_deref(), Some(shown));
            shown.parse::<crate::address::ServerAddress>().unwrap();
        }
    }
}
