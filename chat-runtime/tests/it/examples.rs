//! The examples do what they say.

#[allow(dead_code, reason = "its types are an example's")]
#[path = "../../examples/own_transport.rs"]
mod own_transport;

#[allow(dead_code, reason = "its types are an example's")]
#[path = "../../examples/own_log.rs"]
mod own_log;

#[test]
fn a_log_of_ones_own_does_what_every_log_must() {
    own_log::main();
}

#[test]
fn a_transport_of_ones_own_carries_a_conversation() {
    own_transport::main().unwrap();
}
