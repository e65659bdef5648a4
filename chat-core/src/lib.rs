//! Chat as a state machine.

pub mod id;
pub mod limits;
pub mod roles;
pub mod time;
pub mod wire;
