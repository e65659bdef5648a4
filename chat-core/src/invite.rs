//! Invitations to a server that lets in nobody else.
//!
//! The operator's server makes one and keeps no more than the hash of its secret, how often it may
//! be used, when it ends, and the room that it leads to. The secret goes with a link; a newcomer
//! shows it in its signed `hello`. The entry of the directory that makes a newcomer known counts
//! the use, so a use is neither lost nor spent twice.

use core::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use crate::id::InviteId;
use crate::{id::RoomId, keys::short_hash, time::Wall, wire::base64};

/// The secret of an invitation: 16 random bytes. Whoever has it may come in, as often as the
/// invitation allows.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct InviteSecret(pub [u8; 16]);

impl InviteSecret {
    /// The name of the invitation, by which the server knows it:
    /// `SHA-256(domain "chat.v1 invite" ‖ secret)`, its first 16 bytes.
    pub fn id(&self) -> InviteId {
        InviteId(short_hash("chat.v1 invite", &[&self.0]))
    }
}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(…)")
    }
}

impl Serialize for InviteSecret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        base64::array::serialize(&self.0, s)
    }
}

impl<'de> Deserialize<'de> for InviteSecret {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        base64::array::deserialize(d).map(Self)
    }
}

/// An invitation that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInvite {
    /// How many newcomers may come in by it; at least 1.
    pub uses: u32,
    /// For how long, from now on, by the server's wall clock; at least a second.
    pub lasts: Duration,
    /// The group that a newcomer is in at once, if it leads to one. It may not be sealed.
    pub room: Option<InviteRoom>,
}

impl Default for NewInvite {
    /// For one newcomer, for seven days, to no room.
    fn default() -> Self {
        Self {
            uses: 1,
            lasts: Duration::from_secs(7 * 24 * 3_600),
            room: None,
        }
    }
}

/// A group, as an operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InviteRoom {
    /// By its number.
    Number(u32),
    /// By its name.
    Name(String),
}

/// An invitation that was made. Its secret is told this once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeInvite {
    /// The part that is to be passed on.
    pub secret: InviteSecret,
    /// When it ends, by the server's wall clock.
    pub ends: Wall,
}

/// An invitation that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptInvite {
    /// Its name.
    pub id: InviteId,
    /// How many newcomers may come in by it.
    pub uses: u32,
    /// How many have.
    pub used: u32,
    /// When it ends, by the server's wall clock.
    pub ends: Wall,
    /// The group that it leads to.
    pub room: Option<RoomId>,
    /// The number of that group, as long as it has one.
    pub number: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", InviteSecret([7; 16])), "InviteSecret(…)");
    }
}
