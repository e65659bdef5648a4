//! Untruths of a handshake, and how clients may end by them.

use chat_core::{client::Ended, wire::CloseReason};

/// The name by which clients know every server.
pub(crate) const HOST: &str = "sim";

/// The untruth in what was said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untruth {
    /// The server that the client sees.
    Server,
    /// The hello that the hub hears.
    Hello,
    /// The hello that the hub hears: it is an earlier one of that connection.
    EarlierHello,
    /// The welcome that the client hears.
    Welcome,
}

impl Untruth {
    /// The state in which a client ends by it; none if it does not end so.
    pub(crate) fn found_out(self, ended: &Ended) -> Option<&'static str> {
        match (ended, self) {
            (Ended::WrongServer { .. }, Self::Server) => Some("a false server found out"),
            (Ended::ProtocolError(_), Self::Welcome) => Some("a false welcome found out"),
            (Ended::ProtocolError(_), Self::EarlierHello) => {
                Some("a welcome of an earlier hello found out")
            }
            (Ended::Closed(CloseReason::Protocol), Self::Hello) => Some("a hello that is none"),
            // Another name does not help.
            (
                Ended::Closed(CloseReason::TooManyAttempts | CloseReason::HandshakeTimeout),
                Self::Hello,
            ) => Some("a relayed connection given up"),
            _ => None,
        }
    }
}
