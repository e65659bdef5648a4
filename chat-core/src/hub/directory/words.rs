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
        /// Members are connected to this hub.
        2 "here" Here(Members),
        /// Members went away: this hub frees their names after the grace period.
        3 "away" Away(Members),
        /// Members are not connected to this hub any more, which does not free their names: they
        /// keep them, or are connected to another hub.
        4 "gone" Gone(Members),
        /// This hub ends.
        5 "ended" Ended(Empty),
        /// Sessions of members have just come in at this hub.
        6 "arrived" Arrived(Sessions),
        /// This hub frees the names of members now.
        7 "leaving" Leaving(Members),
    }
}

/// Body of `arrived`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sessions {
    pub(super) sessions: Vec<(MemberId, SessionId)>,
}

/// Body of `here`, `away`, `gone` and `leaving`.
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
