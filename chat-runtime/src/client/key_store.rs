//! Where keys outlive a client.

use chat_core::id::RoomId;

/// Keeps what opens rooms from one life of a client to the next, and with it which key of a room
/// was in force last, so that no server has the client speak under an older one, or in the clear:
/// see [`chat_core::client::Client::keys`]. What is kept belongs where the member's secret is, and
/// to one server.
pub trait KeyStore: Send + 'static {
    /// All that is kept. Asked once, before the client connects.
    fn load(&mut self) -> Vec<(RoomId, Vec<u8>)>;

    /// Keeps this of a room, in the place of what was kept of it. Called by the client's task, so
    /// it should not take long: whenever the room is entered and after each change of its password,
    /// also if these are the same as before.
    fn keep(&mut self, room: RoomId, keys: &[u8]);
}
