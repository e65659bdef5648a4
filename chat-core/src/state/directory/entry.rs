//! What the directory's log consists of.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    id::{MemberId, RequestHash, RoomId, Seq},
    nick::NameKey,
    state::room::mark::Mark,
    time::Wall,
    wire::{
        base64,
        record::{CipherKind, Standing},
        tagged::{numbered, numbered_field},
    },
};

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) seq: Seq,
    pub(crate) time: Wall,
    pub(crate) change: Change,
}

numbered! {
    /// What changed.
    #[allow(unreachable_pub, reason = "the lists of the wire are public")]
    pub enum Change {
        /// A member holds a name.
        1 "named" Named(Named),
        /// Members hold their names no longer.
        2 "freed" Freed(Freed),
        /// A group has its number, and a name that is its own. Its log may be empty yet.
        3 "claimed" Claimed(Claimed),
        /// What is listed of a room is what the room was at a mark.
        4 "projected" Projected(Projected),
        /// A member is being forgotten: it is taken out of its rooms first.
        5 "ending" Ending(OfMember),
        /// A member is forgotten.
        6 "forgotten" Forgotten(OfMember),
    }
}
numbered_field!(Change);

/// Body of `named`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) member: MemberId,
    pub(crate) nick: String,
    pub(crate) label: String,
    pub(crate) key: NameKey,
    /// Whether the member keeps its secret.
    pub(crate) keep: bool,
}

/// Body of `freed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Freed {
    pub(crate) members: Vec<MemberId>,
}

/// Body of `claimed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claimed {
    pub(crate) room: RoomId,
    pub(crate) number: u32,
    /// The member that makes the group, and what it asked.
    pub(crate) founder: MemberId,
    pub(crate) hash: RequestHash,
    pub(crate) name: Option<GroupName>,
    /// The group's first record, as its log is to have it.
    #[serde(with = "base64")]
    pub(crate) created: Bytes,
}

/// A group's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupName {
    pub(crate) name: String,
    pub(crate) key: NameKey,
}

/// Body of `projected`: the difference between what was listed of a room and what the room was at `mark`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Projected {
    pub(crate) room: RoomId,
    /// The entry that told of this room last, by `projected`; 0 if none has.
    pub(crate) from: Seq,
    pub(crate) mark: Mark,
    /// Members and those invited who were not listed as that.
    pub(crate) entered: Vec<(MemberId, Standing)>,
    /// Those listed who are neither.
    pub(crate) left: Vec<MemberId>,
    /// Of a group, if it was listed otherwise.
    pub(crate) about: Option<ListedAbout>,
    /// The room was deleted.
    pub(crate) closed: bool,
    /// More is to come: what is listed is not yet what the room was at `mark`.
    pub(crate) more: bool,
}

/// What a group is listed as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListedAbout {
    pub(crate) topic: String,
    pub(crate) cipher: CipherKind,
    /// Whether joining needs a password.
    pub(crate) protected: bool,
}

/// Body of `ending` and `forgotten`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OfMember {
    pub(crate) member: MemberId,
}
