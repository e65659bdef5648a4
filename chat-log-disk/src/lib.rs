//! The log of a chat server on disk.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod chain;
mod config;
mod error;
mod event;
mod folder;
mod log;
mod page;
mod reader;
mod retention;
mod schema;
mod secret;
mod store;
mod witness;
mod writer;

pub use self::{
    config::{Config, Retention},
    error::{OpenError, RedactError, SecretError, ToolError},
    event::{Damage, DiskEvent, EpochEnded, Events, Fault, Trouble},
    log::DiskLog,
};
