//! The hub alone: no sockets, no driver; what it costs in instructions, allocations, bytes and
//! time.

pub mod cases;
pub mod counts;
pub mod world;
