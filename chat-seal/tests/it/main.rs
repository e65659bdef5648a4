//! The crate from outside.

mod chain;
mod examples;
mod fork;
mod harness;
mod key_record;
mod lost_tails;
mod mailbox;
mod message;
mod properties;
mod safety;
mod secrets;
mod signed;
mod vectors;
