//! The examples do what they say.

#[allow(dead_code, reason = "its types are an example's")]
#[path = "../../examples/own_transport.rs"]
mod own_transport;

#[test]
fn a_transport_of_ones_own_carries_a_conversation() {
    own_transport::main().unwrap();
}
