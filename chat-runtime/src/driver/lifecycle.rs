//! A worker's part in its server: where its orders come from, when it ends, and what its operator
//! is told.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use chat_core::{
    hub::{Event, OrderOutcome, OrderToken},
    time::Wall,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use crate::{events::Publisher, shared::Order};

/// The ties between a worker and its server.
pub(crate) struct Lifecycle {
    orders: mpsc::Receiver<Order>,
    events: Arc<Publisher>,
    /// Workers that are not closed yet.
    open: Arc<AtomicUsize>,
    /// The tasks that accept, and the one that brings news of the log, which end when the server
    /// closes.
    accepting: Vec<AbortHandle>,
    closed: bool,
    /// Orders of the operator without an outcome, each with the place where it is waited for.
    operated: BTreeMap<OrderToken, oneshot::Sender<OrderOutcome>>,
    last_token: u64,
}

impl Lifecycle {
    /// `open`: workers that are not closed, this one included. `accepting`: tasks that end when the
    /// server closes.
    pub(crate) fn new(
        orders: mpsc::Receiver<Order>,
        events: Arc<Publisher>,
        open: Arc<AtomicUsize>,
        accepting: Vec<AbortHandle>,
    ) -> Self {
        Self {
            orders,
            events,
            open,
            accepting,
            closed: false,
            operated: BTreeMap::new(),
            last_token: 0,
        }
    }

    pub(super) fn poll_order(&mut self, cx: &mut Context<'_>) -> Poll<Option<Order>> {
        self.orders.poll_recv(cx)
    }

    /// Names an order of the operator.
    pub(super) fn operate(&mut self, outcome: oneshot::Sender<OrderOutcome>) -> OrderToken {
        self.last_token += 1;
        let token = OrderToken(self.last_token);
        self.operated.insert(token, outcome);
        token
    }

    /// Something came of an order.
    pub(super) fn ordered(&mut self, token: OrderToken, outcome: OrderOutcome) {
        if let Some(waits) = self.operated.remove(&token) {
            // The operator may not wait any more.
            let _ = waits.send(outcome);
        }
    }

    /// The server closes: nothing new is accepted.
    pub(super) fn close(&mut self) {
        mem::take(&mut self.accepting)
            .iter()
            .for_each(AbortHandle::abort);
        self.orders.close();
    }

    /// The hub has said that all of its connections are gone.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Tells the operator. That the server is closed, the last of its workers says.
    pub(super) fn tell(&mut self, at: Wall, event: Event) {
        if event == Event::Closed {
            self.closed = true;
            if self.open.fetch_sub(1, Ordering::AcqRel) > 1 {
                return;
            }
        }
        self.events.publish(at, event);
    }
}

/// A worker that dies is not waited for when the others close.
impl Drop for Lifecycle {
    fn drop(&mut self) {
        if !self.closed {
            self.open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
