//! The words between an operator's command and a running server, through a socket in the
//! server's data folder: JSON, a line for each order and one for its outcome.
//!
//! An order has an `id` that its outcome has too. A field that is not known is left alone; an order
//! that is not known is refused.

use serde::{Deserialize, Serialize};

/// The socket, in the data folder.
pub(crate) const SOCKET: &str = "admin.sock";

/// Bytes of a line at most.
pub(crate) const LINE_BYTES: u64 = 4_096;

/// An order on its way.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    #[serde(default)]
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) order: Order,
}

/// The orders.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(crate) enum Order {
    /// Make an invitation.
    Invite {
        uses: u32,
        seconds: u64,
        /// A group's number, or its name.
        #[serde(default)]
        room: Option<String>,
    },
    /// Take the invitation back whose id begins so.
    Revoke { invitation: String },
    /// List the invitations.
    Invitations {},
}

/// The outcome of an order on its way.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// The outcomes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    Invited {
        /// The id.
        invitation: String,
        uses: u32,
        /// Seconds for which it lasts.
        seconds: u64,
        /// A link for browsers, if the server has an address for them.
        page: Option<String>,
        /// A link for terminals.
        client: Option<String>,
    },
    Revoked {
        invitation: String,
    },
    Invitations {
        invitations: Vec<Invitation>,
    },
    Refused {
        code: String,
        text: String,
    },
}

/// An invitation in the list.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    pub(crate) invitation: String,
    pub(crate) uses: u32,
    pub(crate) used: u32,
    /// Seconds until its end; none if it is over.
    pub(crate) seconds: Option<u64>,
    /// The number of the group that it leads to.
    pub(crate) room: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_outcomes_are_lines_that_others_can_write() {
        let line = r#"{"id":3,"order":"invite","uses":2,"seconds":60,"room":"Tea","later":true}"#;
        let request = Request {
            id: 3,
            order: Order::Invite {
                uses: 2,
                seconds: 60,
                room: Some("Tea".to_owned()),
            },
        };
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        let bare = serde_json::from_str::<Request>(r#"{"order":"invitations"}"#).unwrap();
        assert_eq!((bare.id, bare.order), (0, Order::Invitations {}));
        assert!(serde_json::from_str::<Request>(r#"{"order":"dance"}"#).is_err());
        let answer = Answer {
            id: 3,
            outcome: Outcome::Revoked {
                invitation: "00ff".to_owned(),
            },
        };
        let line = r#"{"id":3,"outcome":"revoked","invitation":"00ff"}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), line);
        assert_eq!(serde_json::from_str::<Answer>(line).unwrap(), answer);
    }
}
