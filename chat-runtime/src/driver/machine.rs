//! The hub as its driver sees it: what goes in, what comes out, and when it is to be called again.

use chat_core::{
    hub::{Hub, Input, Output, Outputs},
    time::{Monotonic, Now},
};

/// A machine of the hub's port. The driver keeps the duties that [`Input`] and [`Output`] name,
/// whatever stands behind them.
pub(crate) trait Machine: Send + Unpin + 'static {
    fn handle_input(&mut self, now: Now, input: Input<'_>);
    /// Does what is due by now.
    fn handle_timeout(&mut self, now: Now);
    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing happens before.
    fn poll_timeout(&self) -> Option<Monotonic>;
    /// The next thing to do; to be asked until there is none.
    fn next_output(&mut self) -> Option<Output>;
}

/// A hub with the queue of what it says.
pub(crate) struct HubMachine {
    pub(crate) hub: Hub,
    pub(crate) out: Outputs,
}

impl Machine for HubMachine {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.hub.handle_input(now, input, &mut self.out);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.hub.handle_timeout(now, &mut self.out);
    }

    fn poll_timeout(&self) -> Option<Monotonic> {
        self.hub.poll_timeout()
    }

    fn next_output(&mut self) -> Option<Output> {
        self.out.pop()
    }
}
