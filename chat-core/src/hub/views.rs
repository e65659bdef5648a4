//! What one machine must know of another's state, to be looked at and not changed.

use crate::{
    id::{MemberId, Place, RoomId},
    state::{
        directory::names::DisplayName,
        room::{self, judge},
    },
};

/// What rooms must know of people.
pub(super) trait People: judge::People {
    /// The name held, or the last one held; none for a stranger.
    fn name(&self, member: MemberId) -> Option<&DisplayName>;
    /// Whether a member is connected, at whichever hub, or has time left to come back.
    fn is_here(&self, member: MemberId) -> bool;

    /// The label beside the name; empty for a stranger.
    fn label(&self, member: MemberId) -> &str {
        self.name(member).map_or("", DisplayName::label)
    }
}

/// What the directory must know of rooms.
pub(super) trait RoomStates {
    /// A room that is loaded here, as of its place.
    fn state(&self, room: RoomId) -> Option<(&room::Room, Place)>;
}
