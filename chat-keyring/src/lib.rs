#![doc = include_str!("../README.md")]

mod error;
mod identities;
mod identity;
mod keys;
mod known_servers;
pub mod private_files;
mod secret_file;

pub use self::{
    error::KeyringError,
    identities::Identities,
    identity::Identity,
    keys::{Acquaintance, Keys},
    known_servers::KnownServers,
};
