//! The common things of a server's workers: the log, and how many connections each has.

mod inbox;
mod log;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chat_core::hub::{Order as OperatorOrder, OrderOutcome};
use tokio::sync::{
    mpsc::{self, error::SendError},
    oneshot,
};

pub(crate) use self::{
    inbox::News,
    log::{SharedLog, Turn},
};
use crate::Connection;

/// The server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server has ended")]
pub struct ServerEnded;

/// An order to the driver from outside.
pub(crate) enum Order {
    /// Take over a connection.
    Add(Box<dyn Connection>),
    /// Have the hub do what the operator orders, and say what came of it.
    Operate {
        order: OperatorOrder,
        outcome: oneshot::Sender<OrderOutcome>,
    },
    /// Close everything and end.
    Shutdown { restarting: bool },
}

/// The workers of a server, as a source of connections sees them.
#[derive(Debug)]
pub(crate) struct Workers(Vec<WorkerHandle>);

/// Where a worker takes orders.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    orders: mpsc::Sender<Order>,
    load: Arc<Load>,
}

/// How many connections a worker has, those on their way to it included.
#[derive(Debug, Default)]
pub(crate) struct Load(AtomicUsize);

impl Load {
    /// A connection is gone.
    pub(crate) fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WorkerHandle {
    /// So many connections and orders may be on their way to the worker, which takes them at the
    /// other end.
    pub(crate) fn new(bound: usize) -> (Self, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(bound);
        let load = Arc::default();
        (Self { orders, load }, received)
    }
}

impl Workers {
    pub(crate) fn new(workers: Vec<WorkerHandle>) -> Self {
        Self(workers)
    }

    /// Where a worker counts its connections.
    pub(crate) fn load(&self, worker: usize) -> Arc<Load> {
        Arc::clone(&self.0[worker].load)
    }

    /// Gives a connection to the worker that has the fewest, of those that live, and waits while
    /// too many are on their way to it.
    pub(crate) async fn add(&self, connection: Box<dyn Connection>) -> Result<(), ServerEnded> {
        let mut order = Order::Add(connection);
        loop {
            let live = self.0.iter().filter(|worker| !worker.orders.is_closed());
            let least = live
                .min_by_key(|worker| worker.load.0.load(Ordering::Relaxed))
                .ok_or(ServerEnded)?;
            least.load.0.fetch_add(1, Ordering::Relaxed);
            match least.orders.send(order).await {
                Ok(()) => return Ok(()),
                // The worker has ended meanwhile; there may be another one.
                Err(SendError(back)) => order = back,
            }
        }
    }

    /// Has a worker do what the operator orders: any will do, for all write to one log.
    pub(crate) async fn operate(&self, order: OperatorOrder) -> Result<OrderOutcome, ServerEnded> {
        for worker in &self.0 {
            let (outcome, came) = oneshot::channel();
            let order = order.clone();
            // One that has died, or dies over it, leaves it to the next.
            if (worker.orders.send(Order::Operate { order, outcome }).await).is_ok()
                && let Ok(outcome) = came.await
            {
                return Ok(outcome);
            }
        }
        Err(ServerEnded)
    }

    /// Closes everything.
    pub(crate) async fn shutdown(&self, restarting: bool) {
        for worker in &self.0 {
            // A worker may have ended already.
            let _ = worker.orders.send(Order::Shutdown { restarting }).await;
        }
    }
}
