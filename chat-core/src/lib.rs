//! Chat as a state machine.

pub mod cipher;
pub mod client;
pub mod hub;
pub mod id;
pub mod limits;
pub mod log;
pub mod nick;
pub mod password;
mod rate;
pub mod roles;
mod state;
pub mod time;
pub mod wire;
