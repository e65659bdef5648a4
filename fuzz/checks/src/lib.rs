//! The checks of the fuzzers, as functions of bytes. They panic when something is not as it must
//! be.
//!
//! libFuzzer calls them from `fuzz/fuzz_targets`; the test of this crate calls them with every file
//! of `fuzz/corpus`.

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

/// One of the checks.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The name of its target and of its corpus.
    pub name: &'static str,
    /// Panics if the library does not do with these bytes what it must.
    pub run: fn(&[u8]),
}

/// Every check.
pub const ALL: &[Check] = &[
    Check {
        name: "frame_decoder",
        run: frame_decoder,
    },
    Check {
        name: "message_decoder",
        run: message_decoder,
    },
    Check {
        name: "nick",
        run: nick,
    },
    Check {
        name: "hub",
        run: hub,
    },
];
