//! Connections within one process: for tests, and for a server and clients that share one.

use std::io;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{Connection, Connector, Transport};

/// Two ends of one connection; each direction holds at most `capacity` bytes that were written and not yet read.
pub fn pair(capacity: usize) -> (MemoryConnection, MemoryConnection) {
    let _ = capacity;
    unreachable!()
}

/// One end of a connection within the process.
#[derive(Debug)]
pub struct MemoryConnection(());

/// A transport within the process, and what connects to it.
pub fn listener() -> (MemoryTransport, MemoryConnector) {
    let (sender, receiver) = mpsc::channel(1_024);
    (MemoryTransport(receiver), MemoryConnector { sender, capacity: 65_536 })
}

/// Accepts what a [`MemoryConnector`] connects.
#[derive(Debug)]
pub struct MemoryTransport(mpsc::Receiver<MemoryConnection>);

/// Connects to a [`MemoryTransport`].
#[derive(Clone, Debug)]
pub struct MemoryConnector {
    sender: mpsc::Sender<MemoryConnection>,
    capacity: usize,
}

impl MemoryConnector {
    /// Connections made from here on hold so many bytes in each direction; 65,536 if nothing is said.
    #[must_use]
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }
}
