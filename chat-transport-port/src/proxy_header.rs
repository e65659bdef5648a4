//! The header of the PROXY protocol, version 1: a line in which a proxy says whom it speaks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first bytes of a header.
pub(crate) const SIGNATURE: &[u8] = b"PROXY ";

/// Bytes of the longest header there is, its line end included.
pub(crate) const LONGEST: usize = 107;

/// The beginning of a connection of a proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// There is none.
    None,
    /// There may be one: more bytes will tell.
    Begun,
    /// There is one of so many bytes. No address: the proxy speaks for itself, or for one that it
    /// does not know.
    Whole {
        bytes: usize,
        client: Option<IpAddr>,
    },
    /// There is one that makes no sense.
    Malformed,
}

/// Looks at the first bytes of a connection.
pub(crate) fn parse(first: &[u8]) -> Header {
    let signature = first.len().min(SIGNATURE.len());
    if first[..signature] != SIGNATURE[..signature] {
        return Header::None;
    }
    let first = &first[..first.len().min(LONGEST)];
    let Some(end) = first.windows(2).position(|pair| pair == b"\r\n") else {
        return if first.len() < LONGEST {
            Header::Begun
        } else {
            Header::Malformed
        };
    };
    match client(&first[..end]) {
        Some(client) => Header::Whole {
            bytes: end + 2,
            client,
        },
        None => Header::Malformed,
    }
}

/// None: it makes no sense.
fn client(line: &[u8]) -> Option<Option<IpAddr>> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ').skip(1);
    let protocol = words.next()?;
    if protocol == "UNKNOWN" {
        return Some(None);
    }
    let mut address = || {
        let word = words.next()?;
        match protocol {
            "TCP4" => word.parse::<Ipv4Addr>().map(IpAddr::from).ok(),
            "TCP6" => word.parse::<Ipv6Addr>().map(IpAddr::from).ok(),
            _ => None,
        }
    };
    let (source, _destination) = (address()?, address()?);
    let mut port = || words.next()?.parse::<u16>().ok();
    let (_from, _to) = (port()?, port()?);
    words.next().is_none().then_some(Some(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_in_any_pieces() {
        for (line, client) in [
            (
                "PROXY TCP4 203.0.113.7 10.0.0.1 56324 7037\r\n",
                Some("203.0.113.7"),
            ),
            (
                "PROXY TCP6 2001:db8::7 fd00::1 1 2\r\n",
                Some("2001:db8::7"),
            ),
            (
                "PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n",
                Some("::ffff:203.0.113.7"),
            ),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
        ] {
            let client = client.map(|client| client.parse().unwrap());
            let bytes = line.len();
            for cut in 0..bytes {
                assert_eq!(
                    parse(&line.as_bytes()[..cut]),
                    Header::Begun,
                    "{line} {cut}"
                );
            }
            let more = format!("{line}GET / HTTP/1.1\r\n");
            for given in [line, &more] {
                assert_eq!(parse(given.as_bytes()), Header::Whole { bytes, client });
            }
        }
    }

    #[test]
    fn what_is_none_is_told_apart_from_what_makes_no_sense() {
        for none in ["GET / HTTP/1.1\r\n", "POST", "PROXYX", "{", "\0\0\0\x05"] {
            assert_eq!(parse(none.as_bytes()), Header::None, "{none}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
        for malformed in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 203.0.113.7\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 56324\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 56324 70370\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 56324 7037 1\r\n",
            "PROXY TCP4 2001:db8::7 10.0.0.1 56324 7037\r\n",
            "PROXY TCP6 203.0.113.7 10.0.0.1 56324 7037\r\n",
            "PROXY UDP4 203.0.113.7 10.0.0.1 56324 7037\r\n",
            "PROXY TCP4  203.0.113.7 10.0.0.1 56324 7037\r\n",
            "PROXY TCP4 \u{ff}\r\n",
            &long,
        ] {
            assert_eq!(
                parse(malformed.as_bytes()),
                Header::Malformed,
                "{malformed}"
            );
        }
    }
}
