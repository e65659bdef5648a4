//! A server of names with automatic certificates: who gives them, and the ports of the web.

use std::{io, net::Ipv6Addr, path::Path};

use chat_acme::Acme;
use chat_transport_port::{Place, PortOptions, PortTransport};
use chat_transport_tls::Trust;

use crate::{
    address::port_of,
    exit::Failure,
    tls::{TlsConfig, authorities, no_tls},
};

/// Certificates for the names of the configuration; none if it has none.
pub(super) fn acme(config: &TlsConfig, folder: Option<&Path>) -> Result<Option<Acme>, Failure> {
    if config.domains.is_empty() {
        return Ok(None);
    }
    let Some(folder) = folder else {
        let words = "there is no home folder to keep certificates in: say --data DIR";
        return Err(Failure::Usage(words.to_owned()));
    };
    let trust = match &config.acme_ca {
        None => Trust::WebRoots,
        Some(path) => authorities(path)?,
    };
    let directory = config.acme_directory.clone();
    let acme = Acme::new(&config.domains, directory, trust, folder).map_err(no_tls)?;
    Ok(Some(acme))
}

/// Listeners on the ports of a name with a certificate. That one cannot be had is told, and no
/// reason not to start.
pub(super) fn more_ports(port: &PortOptions, listening: &[Place]) -> Vec<PortTransport> {
    let taken: Vec<u16> = listening.iter().filter_map(port_of).collect();
    let mut bound = Vec::new();
    for number in ports(&taken) {
        let any = Place::Tcp((Ipv6Addr::UNSPECIFIED, number).into());
        match PortTransport::bind(&any, port.clone()) {
            Ok(transport) => bound.push(transport),
            Err(error) => tracing::warn!("{}", no_port(number, &error)),
        }
    }
    bound
}

/// The ports on which browsers and authorities look for a name, as far as they are not listened on
/// already.
fn ports(listening: &[u16]) -> impl Iterator<Item = u16> {
    [443, 80]
        .into_iter()
        .filter(|port| !listening.contains(port))
}

/// Why one of those ports is not listened on, and what that means.
fn no_port(port: u16, error: &io::Error) -> String {
    let so = match port {
        80 => {
            "an authority looks there whether a name is this server's, and gives no certificate without that"
        }
        _ => "browsers look there",
    };
    format!("cannot listen on port {port}: {error}; {so}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ports_are_listened_on_once() {
        assert!(ports(&[7037]).eq([443, 80]));
        assert!(ports(&[80, 7037]).eq([443]));
        assert_eq!(ports(&[443, 80]).count(), 0);
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(no_port(80, &error).contains("no certificate"));
    }
}
