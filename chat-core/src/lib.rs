//! Chat as a state machine.

pub mod cipher;
pub mod client;
pub mod hub;
pub mod id;
pub mod limits;
pub mod log;
pub mod nick;
pub mod password;
pub mod roles;
pub mod time;
pub mod wire;
