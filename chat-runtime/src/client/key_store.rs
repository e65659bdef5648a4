//! Where keys outlive a client.

use chat_core::{client::Credentials, id::RoomId, keys::PublicKey};

/// Keeps the credentials of a client, and what opens rooms, from one life of it to the next; and
/// with that which key of a room was in force last, so that no server has the client speak under an
/// older one, or in the clear: see [`chat_core::client::Client::keys`]. What is kept belongs to one
/// server.
pub trait KeyStore: Send + 'static {
    /// The credentials with which the client is to enter at the server that has shown this key;
    /// none if it is not to: that ends the client
    /// ([`Ended::Distrusted`](chat_core::client::Ended::Distrusted)). Asked once, of a client whose
    /// configuration has no credentials.
    fn credentials(&mut self, server: PublicKey) -> Option<Credentials> {
        let _ = server;
        None
    }

    /// All that is kept. Asked once: before the client connects or, of a client whose configuration
    /// has no credentials, when [`credentials`](Self::credentials) has given them, so that each
    /// server and each person can have keys of their own.
    fn load(&mut self) -> Vec<(RoomId, Vec<u8>)>;

    /// Keeps this of a room, in the place of what was kept of it. Called by the client's task, so
    /// it should not take long: whenever the room is entered and after each change of its password,
    /// also if these are the same as before.
    fn keep(&mut self, room: RoomId, keys: &[u8]);
}
