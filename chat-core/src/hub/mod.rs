//! The server as a state machine.

mod event;
mod io;
mod recipients;

pub use self::{event::{Event, RoomLabel}, io::{Framing, Input, Output, Outputs, ReadToken, RoomPlace}, recipients::Recipients};
use crate::{limits::Limits, password::ServerSecret, time::{Monotonic, Now}, wire::{record::CipherKind, server::Durability}};

/// What a hub is given at its beginning.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Every limit.
    pub limits: Limits,
    /// The lobby's cipher, or no lobby.
    pub lobby: Option<CipherKind>,
    /// What an acknowledgement means: the log's durability.
    pub durability: Durability,
    /// This program's name and version, for clients.
    pub agent: String,
    /// Names this hub among those on one log, and this life of it. Both in one: random, below 2⁵³.
    pub node: u64,
    /// The server's OPAQUE secret.
    pub secret: ServerSecret,
    /// Seeds everything random. 32 bytes from the system's generator.
    pub seed: [u8; 32],
}

impl Config {
    /// Default limits, a plain lobby, durability `memory`.
    pub fn new(secret: ServerSecret, node: u64, seed: [u8; 32]) -> Self {
        Self {
            limits: Limits::default(),
            lobby: Some(CipherKind::None),
            durability: Durability::Memory,
            agent: concat!("chat-core/", env!("CARGO_PKG_VERSION")).to_owned(),
            node,
            secret,
            seed,
        }
    }
}

/// The hub.
pub struct Hub(());

#[allow(missing_docs, unused)]
impl Hub {
    /// Fails when a limit cannot be.
    pub fn new(config: Config, now: Now, out: &mut Outputs) -> Result<Self, crate::limits::LimitError> { unreachable!() }
    pub fn handle_input(&mut self, now: Now, input: Input<'_>, out: &mut Outputs) { unreachable!() }
    pub fn handle_timeout(&mut self, now: Now, out: &mut Outputs) { unreachable!() }
    pub fn poll_timeout(&self) -> Option<Monotonic> { unreachable!() }
}
