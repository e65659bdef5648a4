//! Entries of the directory's log.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    id::{InviteId, MemberId, RequestHash, RoomId, Seq},
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
    /// The change that an entry makes.
    #[allow(unreachable_pub, reason = "the lists of the wire are public")]
    pub enum Change {
        /// A member holds a name.
        1 "named" Named(Named),
        /// Names are free again.
        2 "freed" Freed(Freed),
        /// A group has its number, and a name that is its own. Its log may be empty yet.
        3 "claimed" Claimed(Claimed),
        /// A room is listed as of a mark.
        4 "projected" Projected(Projected),
        /// A member is being forgotten: its memberships end first.
        5 "ending" Ending(OfMember),
        /// A member is forgotten.
        6 "forgotten" Forgotten(OfMember),
        /// There is an invitation to the server.
        7 "invited" Invited(Invited),
        /// An invitation lets nobody in any more.
        8 "revoked" Revoked(Revoked),
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
    /// The invitation by which a newcomer came in, which is used once more by that.
    #[serde(default)]
    pub(crate) invite: Option<InviteId>,
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
    /// The member that makes the group, and the hash of its request.
    pub(crate) founder: MemberId,
    pub(crate) hash: RequestHash,
    pub(crate) name: Option<GroupName>,
    /// The group's first record, for the log of the group.
    #[serde(with = "base64")]
    pub(crate) created: Bytes,
}

/// A group's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupName {
    pub(crate) name: String,
    pub(crate) key: NameKey,
}

/// Body of `projected`: the difference between the listing of a room and the room as of `mark`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Projected {
    pub(crate) room: RoomId,
    /// The last `projected` of this room; 0 if there is none.
    pub(crate) from: Seq,
    pub(crate) mark: Mark,
    /// Members, invited ones included, that were not listed as such.
    pub(crate) entered: Vec<(MemberId, Standing)>,
    /// Listed members that are not in the room.
    pub(crate) left: Vec<MemberId>,
    /// A group's topic, cipher and protection, if they were listed otherwise.
    pub(crate) about: Option<ListedAbout>,
    /// The room was deleted.
    pub(crate) closed: bool,
    /// More pieces follow: the listing is not yet exact as of `mark`.
    pub(crate) more: bool,
}

/// Topic, cipher and protection of a group in the listing.
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

/// Body of `invited`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Invited {
    /// The hash of the secret.
    pub(crate) id: InviteId,
    pub(crate) uses: u32,
    pub(crate) ends: Wall,
    /// The group that a newcomer is in at once.
    pub(crate) room: Option<RoomId>,
}

/// Body of `revoked`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Revoked {
    pub(crate) id: InviteId,
}
