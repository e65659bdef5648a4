//! The room's fold and its judge.

mod batches;
mod fold;
mod private;
mod redaction;
mod repeats;
mod roles;
mod settings;
