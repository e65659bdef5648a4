//! Whole conversations with the machine alone: no server, connection, terminal or timer.

mod conversation;
mod end;
mod harness;
