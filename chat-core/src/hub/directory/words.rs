//! Words of hubs on one log about people: being here is no record.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    id::{MemberId, SessionId},
    wire::{Form, client::Empty, tagged::numbered},
};

numbered! {
    /// A word of one hub to all others.
    #[allow(unreachable_pub, missing_docs, reason = "not told to anybody else")]
    pub enum Word {
        /// A hub begins: the others say who is at them.
        1 "ask" Ask(Empty),
        /// Members are in at this hub.
        2 "here" Here(Here),
        /// Members went away: this hub frees their names, at once or after the grace period.
        3 "away" Away(Away),
        /// Members are gone, and keep their names.
        4 "gone" Gone(Members),
        /// This hub ends.
        5 "ended" Ended(Empty),
    }
}

/// Body of `here`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Here {
    pub(super) members: Vec<At>,
}

/// A member that is in at a hub.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct At {
    pub(super) member: MemberId,
    pub(super) session: SessionId,
    pub(super) stamp: u64,
}

/// Body of `away`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Away {
    /// Each with when it had come in.
    pub(super) members: Vec<(MemberId, u64)>,
}

/// Body of `gone`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Members {
    pub(super) members: Vec<MemberId>,
}

impl Word {
    pub(super) fn to_bytes(&self) -> Bytes {
        Form::Postcard.encode(self).body()
    }

    /// None for a word that a later program says.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Form::Postcard.decode(bytes).ok()
    }
}
