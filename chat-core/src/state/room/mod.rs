//! A room: the fold of its records, and the judgement of requests.

mod fold;
pub(crate) mod judge;
pub(crate) mod mark;
pub(crate) mod mutes;
pub(crate) mod results;
mod snapshot;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::{
    mark::{Mark, Tail},
    mutes::Mutes,
    results::Results,
};
use super::kept::Kept;
use crate::{
    id::{KeyId, MemberId, MessageId, RequestHash, RoomOrigin, Seq},
    limits::MOST_SANCTIONS,
    roles::Role,
    time::{Monotonic, Wall},
    wire::record::{
        self, CipherKind, HistoryPolicy, PasswordRecord, Person, PresenceMode, RoomKind, WrappedKey,
    },
};

/// Earlier keys a room keeps at most.
pub(crate) const EARLIER_KEYS: usize = 16;

/// Mutes that are remembered. The limit of those in force is lower.
const MUTES: usize = MOST_SANCTIONS as usize;

/// Redactions that are remembered, and may be on their way into the log at once.
pub(crate) const REDACTIONS: usize = 64;

/// A room, as of a place of its log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Room {
    life: Life,
    members: Kept<MemberId, Membership>,
    /// With the nick at the time of the ban.
    banned: Kept<MemberId, Box<str>>,
    muted: Kept<MemberId, Mute>,
    /// In a private conversation: members that take no messages.
    blocking: BTreeSet<MemberId>,
    results: Results,
    redactions: VecDeque<Redaction>,
    tail: Tail,
}

/// The life of a room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Life {
    /// Its log is empty.
    #[default]
    Empty,
    Open(Box<About>),
    /// The room was deleted, for good.
    Closed,
}

/// Kind, topic, cipher and keys of a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) kind: RoomKind,
    pub(crate) origin: RoomOrigin,
    /// The member that made the room, and the hash of its request.
    pub(crate) founder: MemberId,
    pub(crate) hash: RequestHash,
    /// A group's number and name, as they were given to it.
    pub(crate) number: Option<u32>,
    pub(crate) name: Option<String>,
    pub(crate) topic: String,
    pub(crate) cipher: CipherKind,
    pub(crate) key: Option<KeyId>,
    pub(crate) history: HistoryPolicy,
    pub(crate) presence: PresenceMode,
    pub(crate) password: Option<PasswordRecord>,
    /// Oldest first, wrapped under the registration in force.
    pub(crate) earlier: Vec<WrappedKey>,
    /// The two of a private conversation.
    pub(crate) pair: Vec<Person>,
}

/// How far a member is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    Member,
    /// Invited to a private conversation, with neither an acceptance nor a refusal yet.
    Invited,
}

/// One member of the room, invited ones included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub(crate) struct Membership {
    pub(crate) role: Role,
    /// The record that made the member one; after an invitation, the record that invited.
    pub(crate) since: Seq,
    pub(crate) standing: Standing,
}

/// A mute: the member may not speak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub(crate) struct Mute {
    /// The time of its record, by the clock of the hub that wrote it.
    pub(crate) at: Wall,
    /// Its length; none until an `unmuted`.
    pub(crate) seconds: Option<u32>,
}

/// A redacted message. Its text may still have to be taken out of the log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub(crate) struct Redaction {
    /// The message's record.
    pub(crate) seq: Seq,
    /// The message's id, if the redaction named it.
    pub(crate) target: Option<MessageId>,
    /// The redaction's record.
    pub(crate) by: Seq,
}

impl Mute {
    /// The time that is left, for a hub that has only the record to go by. A clock that was set in
    /// between can end a mute early or begin it anew, but never make it longer.
    pub(crate) fn left(&self, now: Wall) -> Option<Duration> {
        let whole = Duration::from_secs(self.seconds?.into());
        Some(whole.saturating_sub(now - self.at))
    }
}

impl Standing {
    /// The standing that a word means; a later word is no membership.
    pub(crate) fn of(word: record::Standing) -> Self {
        match word {
            record::Standing::Member => Self::Member,
            record::Standing::Invited | record::Standing::Other(_) => Self::Invited,
        }
    }
}

impl From<Standing> for record::Standing {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Member => Self::Member,
            Standing::Invited => Self::Invited,
        }
    }
}

impl About {
    /// The two of a private conversation.
    fn is_pair_of(&self, member: MemberId) -> bool {
        self.pair.iter().any(|person| person.member == member)
    }

    /// Whether guests may not be in the room.
    fn needs_keys(&self) -> bool {
        self.password.is_some() || self.cipher.needs_keys()
    }

    /// The other one of a private conversation.
    pub(crate) fn other(&self, member: MemberId) -> Option<&Person> {
        self.pair.iter().find(|person| person.member != member)
    }
}

impl Room {
    /// Kind, topic, cipher and keys; none before the first record, and none after the last.
    pub(crate) fn about(&self) -> Option<&About> {
        match &self.life {
            Life::Open(about) => Some(about),
            Life::Empty | Life::Closed => None,
        }
    }

    /// Whether the log is empty.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.life, Life::Empty)
    }

    /// Whether the room was deleted.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.life, Life::Closed)
    }

    /// The members, invited ones included, in the order of their ids.
    pub(crate) fn members(&self) -> impl Iterator<Item = (MemberId, Membership)> {
        self.members
            .iter()
            .map(|(member, membership)| (*member, *membership))
    }

    /// The members behind `after`, in the order of their ids.
    pub(crate) fn members_after(
        &self,
        after: Option<MemberId>,
    ) -> impl Iterator<Item = (MemberId, Membership)> {
        use core::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.members
            .range((from, Unbounded))
            .map(|(member, membership)| (*member, *membership))
    }

    /// The number of members, invited ones included.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The membership of a member, invited or not.
    pub(crate) fn membership(&self, member: MemberId) -> Option<Membership> {
        self.members.get(&member).copied()
    }

    pub(crate) fn standing(&self, member: MemberId) -> Option<Standing> {
        Some(self.members.get(&member)?.standing)
    }

    /// Whether the room may be shown to a member: one that is in or invited, or one of the two of a
    /// private conversation that has left.
    pub(crate) fn is_known_to(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
            || self.about().is_some_and(|about| about.is_pair_of(member))
    }

    pub(crate) fn is_banned(&self, member: MemberId) -> bool {
        self.banned.contains_key(&member)
    }

    pub(crate) fn is_owner(&self, member: MemberId) -> bool {
        self.members
            .get(&member)
            .is_some_and(|m| m.role == Role::Owner)
    }

    /// Whether a member keeps order here, so that no other member may look like it.
    pub(crate) fn leads(&self, member: MemberId) -> bool {
        self.members
            .get(&member)
            .is_some_and(|m| m.role >= Role::Moderator)
    }

    pub(crate) fn is_muted(&self, member: MemberId, mutes: &Mutes, now: Monotonic) -> bool {
        self.muted
            .get(&member)
            .is_some_and(|mute| mute.seconds.is_none() || mutes.left(member, now).is_some())
    }

    /// All mutes; some may be over.
    pub(crate) fn mutes(&self) -> impl Iterator<Item = (MemberId, &Mute)> {
        self.muted.iter().map(|(member, mute)| (*member, mute))
    }

    /// The last redactions, oldest first.
    pub(crate) fn redactions(&self) -> impl Iterator<Item = &Redaction> {
        self.redactions.iter()
    }

    /// The first record that a member may read; beyond the last for one that is not in.
    pub(crate) fn readable_from(&self, member: MemberId) -> Seq {
        match (
            self.about().map(|about| about.history),
            self.membership(member),
        ) {
            (Some(HistoryPolicy::All), Some(_)) => 1,
            (_, Some(membership)) => membership.since,
            (_, None) => Seq::MAX,
        }
    }

    /// The record that a request became, if its result is remembered.
    pub(crate) fn seq_of(&self, id: MessageId) -> Option<Seq> {
        self.results.seq_of(id)
    }

    /// The number of sessions whose results are remembered.
    #[cfg(test)]
    pub(crate) fn sessions(&self) -> usize {
        self.results.len()
    }

    /// The last record that the listing cares about; none in an empty log.
    pub(crate) fn mark(&self) -> Mark {
        self.tail.mark
    }

    /// The number of messages and actions, redacted ones included.
    pub(crate) fn said(&self) -> u64 {
        self.tail.said
    }
}

/// The cipher of the room whose snapshot begins with this part.
pub(crate) fn cipher_of(part: &Bytes) -> Option<CipherKind> {
    snapshot::cipher_of(part)
}
