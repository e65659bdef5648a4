//! Views of one machine's state for another, to be looked at and not changed.

use crate::{
    id::{ConnId, MemberId, Place, RoomId},
    state::{
        directory::names::DisplayName,
        room::{self, judge},
    },
};

/// The people, as rooms must know of them.
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

/// The rooms and connections, as the directory must know of them.
pub(super) trait LocalView {
    /// A room that is loaded here, as of its place.
    fn room(&self, room: RoomId) -> Option<(&room::Room, Place)>;
    /// Whether a loaded room's log was read to its head since it was to be looked at.
    fn is_current(&self, room: RoomId) -> bool;
    /// All rooms that are loaded here.
    fn rooms(&self) -> Vec<RoomId>;
    /// Whether a hello on this connection still waits for its answer.
    fn awaits_welcome(&self, conn: ConnId) -> bool;
    /// Whether a member is in on this connection.
    fn is_in(&self, conn: ConnId) -> bool;
    /// The name that an application gives the member on a connection, and its label if it imposes
    /// one.
    fn imposed(&self, conn: ConnId) -> Option<(&str, Option<&str>)>;
}
