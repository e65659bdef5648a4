//! The log of a chat server on disk.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backup;
mod chain;
mod clock;
mod command;
mod config;
mod error;
mod event;
mod export;
mod folder;
mod log;
mod page;
mod reader;
mod retention;
mod schema;
mod secret;
mod store;
#[cfg(test)]
mod tests;
mod verify;
mod witness;
mod writer;

pub use self::{
    backup::backup,
    config::{Config, Keep, KeepOfAll, Retention},
    error::{OpenError, RedactError, SecretError, ToolError},
    event::{Damage, DiskEvent, EpochEnded, Events, Fault, Trouble},
    export::{Exported, export},
    log::DiskLog,
    page::read_page,
    secret::server_secret_in,
    verify::{Verified, verify},
};
