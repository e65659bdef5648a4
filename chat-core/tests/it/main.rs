//! The protocol's machines: hub and client alone, as a pair, against a model, and against the vectors.

mod client;
mod harness;
mod hub_bad_input;
mod hub_clock;
mod hub_conversation;
mod hub_entering;
mod hub_framing;
mod hub_identity;
mod hub_limits;
mod hub_log;
mod hub_model;
mod hub_names;
mod hub_passwords;
mod hub_private;
mod hub_redaction;
mod hub_roles;
mod hub_snapshots;
mod hub_strangers;
mod names;
// mod pair;
mod secrets;
mod specification;
mod vectors;
mod vectors_messages;
mod vectors_secrets;
mod vectors_transcripts;
mod wire;
