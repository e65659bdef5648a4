//! What the fuzzers check, as functions of bytes. They panic when something is not as it must be.
//!
//! libFuzzer calls them from `fuzz/fuzz_targets`; the test of this crate calls them with every file of `fuzz/corpus`.

mod decoders;
mod driver;
mod hub;
mod names;
mod peer;
mod steps;

pub use self::{
    decoders::{frame_decoder, message_decoder},
    hub::hub,
    names::nick,
};

/// Every check, by the name of its corpus.
pub const ALL: &[(&str, fn(&[u8]))] = &[
    ("frame_decoder", frame_decoder),
    ("message_decoder", message_decoder),
    ("nick", nick),
    ("hub", hub),
];
