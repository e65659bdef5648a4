//! chat-runtime
