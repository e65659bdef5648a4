//! The specification's schemas and tables are what the code has, and what a program built from them
//! alone understands.

mod codec;
mod growth;
mod schema;
mod tables;
mod values;

pub(crate) use self::{
    schema::Schema,
    values::{Entropy, message, record},
};

pub(crate) fn text() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md")).unwrap()
}
