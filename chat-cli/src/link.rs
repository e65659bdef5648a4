//! Links to a server, as people are handed them: an address, and behind a `#` the server's key and
//! an invitation.

use std::str::FromStr;

use chat_core::link::{BadFragment, Fragment};

use crate::address::{AddressError, ServerAddress};

/// A link to a server.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) address: ServerAddress,
    pub(crate) fragment: Fragment,
}

/// Why a link cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Fragment(#[from] BadFragment),
}

impl From<ServerAddress> for Link {
    fn from(address: ServerAddress) -> Self {
        Self {
            address,
            fragment: Fragment::default(),
        }
    }
}

/// A page's address leads to the WebSocket that the page itself would use.
fn address_of(text: &str) -> Result<ServerAddress, AddressError> {
    for (page, socket) in [("https://", "wss://"), ("http://", "ws://")] {
        if let Some(rest) = text.strip_prefix(page) {
            let rest = rest.trim_end_matches('/');
            return format!("{socket}{rest}/ws").parse();
        }
    }
    text.parse()
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        Ok(Self {
            address: address_of(address)?,
            fragment: fragment.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_an_address_and_what_stands_behind_it() {
        let tail = "#k=AAECAwQFBgcICQoLDA0ODw&i=8PHy8_T19vf4-fr7_P3-_w";
        for (text, address) in [
            ("localhost", "localhost:7037"),
            ("tls://chat.example.org:7037", "chat.example.org:7037"),
            ("tls://chat.example.org/", "chat.example.org:7037"),
            ("unix:/run/chat", "unix:/run/chat"),
            ("wss://chat.example.org/ws", "wss://chat.example.org/ws"),
            ("https://chat.example.org", "wss://chat.example.org/ws"),
            ("https://[::1]:7037/", "wss://[::1]:7037/ws"),
            ("http://192.0.2.1:7037/talk/", "ws://192.0.2.1:7037/talk/ws"),
        ] {
            let link: Link = text.parse().unwrap();
            assert_eq!(link.address.to_string(), address);
            assert_eq!(link.fragment, Fragment::default());
            let link: Link = format!(" {text}{tail}\n").parse().unwrap();
            assert_eq!(link.address.to_string(), address);
            assert_eq!(link.fragment.to_string(), tail);
        }
    }

    #[test]
    fn half_a_link_is_told() {
        let cut = "tls://chat.example.org#k=AAECAwQFBgcICQoLDA";
        assert_eq!(cut.parse::<Link>().unwrap_err(), BadFragment.into());
        let none = "gopher://chat.example.org".parse::<Link>().unwrap_err();
        assert_eq!(none, AddressError::Scheme("gopher".to_owned()).into());
    }
}
