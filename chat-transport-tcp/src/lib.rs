//! chat-transport-tcp
