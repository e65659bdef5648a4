//! The drivers of server and client with the real hub and client.

mod client;
mod conformance;
mod examples;
mod server;
mod time;
