//! The client as a state machine.

mod io;
mod work;

pub use self::{io::*, work::{Work, WorkDone}};
use crate::time::{Monotonic, Now};

/// The client.
#[derive(Debug)]
pub struct Client(());

#[allow(missing_docs, unused)]
impl Client {
    pub fn new(config: ClientConfig) -> Self { unreachable!() }
    /// Begins: asks for a connection.
    pub fn start(&mut self, now: Now, out: &mut ClientOutputs) { unreachable!() }
    pub fn handle_input(&mut self, now: Now, input: ClientInput<'_>, out: &mut ClientOutputs) { unreachable!() }
    pub fn handle_timeout(&mut self, now: Now, out: &mut ClientOutputs) { unreachable!() }
    pub fn poll_timeout(&self) -> Option<Monotonic> { unreachable!() }
    pub fn command(&mut self, now: Now, command: Command, out: &mut ClientOutputs) -> Ticket { unreachable!() }
    /// After `HelloRefused`: another name.
    pub fn rename(&mut self, now: Now, nick: String, label: String, out: &mut ClientOutputs) { unreachable!() }
    /// Says `bye`, waits for the server's word, and ends.
    pub fn close(&mut self, now: Now, out: &mut ClientOutputs) { unreachable!() }
}
