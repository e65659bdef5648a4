//! The client against a server that is a script: one behaviour each, in virtual time.

mod ciphers;
mod connection;
mod distrust;
mod passwords;
mod properties;
mod repeats;
mod requests;
mod rooms;
mod script;
