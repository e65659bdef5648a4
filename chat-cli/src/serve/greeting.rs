//! The addresses under which a server is found: by a browser, by a phone and from a terminal.

use std::{
    io::{self, IsTerminal},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use chat_terminal::operator::Greeting;

use crate::{address::DEFAULT_PORT, web::WebConfig};

/// The first lines of a server with these listeners. `network` is this machine's address among
/// others, by [`on_the_network`].
pub(super) fn greeting(
    listening: Vec<(&'static str, SocketAddr)>,
    web: &WebConfig,
    network: &[IpAddr],
) -> Greeting {
    let mut greeting = Greeting::default();
    for (_, address) in listening.iter().filter(|(kind, _)| *kind == "ws") {
        let Some(here) = web.page_at(*address) else {
            continue;
        };
        let others = reachable(*address, network).and_then(|there| web.page_at(there));
        greeting.pages.push(here.clone());
        if let Some(there) = others {
            greeting.for_others.get_or_insert_with(|| there.clone());
            if there != here {
                greeting.pages.push(there);
            }
        }
    }
    greeting.client = client(&listening, web, network);
    greeting.listening = listening;
    greeting
}

/// The columns of standard output, if it is a terminal that draws.
pub(super) fn terminal() -> Option<usize> {
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
fn client(
    listening: &[(&'static str, SocketAddr)],
    web: &WebConfig,
    network: &[IpAddr],
) -> Option<String> {
    let of = |wanted| listening.iter().find(move |(kind, _)| *kind == wanted);
    let (kind, address) = of("tcp").or_else(|| of("ws"))?;
    let found = reachable(*address, network).unwrap_or(*address);
    let host = match found.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V6(_) => {
            let shown = found.to_string();
            let end = shown.rfind(']').map_or(shown.len(), |end| end + 1);
            shown[..end].to_owned()
        }
        IpAddr::V4(ip) => ip.to_string(),
    };
    let port = found.port();
    Some(match *kind {
        "tcp" if port == DEFAULT_PORT => host,
        "tcp" => format!("{host}:{port}"),
        _ => format!("ws://{host}:{port}{}", web.path()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(listening: &[(&'static str, &str)], network: &[&str]) -> Greeting {
        let listening = listening
            .iter()
            .map(|(kind, address)| (*kind, address.parse().unwrap()))
            .collect();
        let network: Vec<IpAddr> = network.iter().map(|ip| ip.parse().unwrap()).collect();
        greeting(listening, &WebConfig::default(), &network)
    }

    #[test]
    fn a_server_of_all_addresses_is_shown_to_others() {
        let all = [("tcp", "[::]:7037"), ("ws", "[::]:7080")];
        let greeting = found(&all, &["192.168.1.5", "2001:db8::5"]);
        let lines = [
            "page http://localhost:7080/",
            "page http://192.168.1.5:7080/",
            "from a terminal: chat-cli chat 192.168.1.5",
            "Ctrl-C stops the server",
            "listening tcp [::]:7037",
            "listening ws [::]:7080",
        ];
        assert_eq!(greeting.text(None), lines);
        let url = "http://192.168.1.5:7080/";
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
    fn what_others_cannot_reach_has_no_code() {
        let here = [("tcp", "127.0.0.1:7037"), ("ws", "127.0.0.1:7080")];
        let lines = [
            "page http://127.0.0.1:7080/",
            "from a terminal: chat-cli chat 127.0.0.1",
            "Ctrl-C stops the server",
            "listening tcp 127.0.0.1:7037",
            "listening ws 127.0.0.1:7080",
        ];
        assert_eq!(found(&here, &["192.168.1.5"]).text(Some(80)), lines);
        let alone = found(&[("ws", "[::]:7080")], &[]);
        let lines = [
            "page http://localhost:7080/",
            "from a terminal: chat-cli chat ws://localhost:7080/ws",
            "Ctrl-C stops the server",
            "listening ws [::]:7080",
        ];
        assert_eq!(alone.text(Some(80)), lines);
    }

    #[test]
    fn a_client_is_told_an_address_that_it_takes() {
        for (listener, network, shown) in [
            ("[::]:1", &["192.168.1.5"][..], "192.168.1.5:1"),
            ("[::]:1", &["2001:db8::5"], "[2001:db8::5]:1"),
            ("0.0.0.0:1", &["2001:db8::5"], "localhost:1"),
            ("[2001:db8::6]:7037", &[], "[2001:db8::6]"),
            ("[fe80::1%1]:7", &[], "[fe80::1%1]:7"),
        ] {
            let client = found(&[("tcp", listener)], network).client;
            assert_eq!(client.as_deref(), Some(shown));
            shown.parse::<crate::address::ServerAddress>().unwrap();
        }
    }
}
