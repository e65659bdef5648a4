//! What the workers of one server have in common: the log, the door, and who is where.

mod door;
mod log;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

pub(crate) use self::{
    door::Door,
    log::{News, SharedLog, Turn},
};
use crate::{Connection, ServerEnded, driver::Order};

/// The workers of a server, as whoever has a connection for them sees them.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Desk>);

/// Where a worker takes orders.
#[derive(Debug)]
pub(crate) struct Desk {
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

impl Desk {
    pub(crate) fn new(orders: mpsc::Sender<Order>, load: Arc<Load>) -> Self {
        Self { orders, load }
    }
}

impl Workers {
    pub(crate) fn new(desks: Vec<Desk>) -> Self {
        Self(desks)
    }

    /// Gives a connection to the worker that has the fewest, and waits while too many are on their way to it.
    pub(crate) async fn add(&self, connection: Box<dyn Connection>) -> Result<(), ServerEnded> {
        let least = self
            .0
            .iter()
            .min_by_key(|desk| desk.load.0.load(Ordering::Relaxed))
            .ok_or(ServerEnded)?;
        least.load.0.fetch_add(1, Ordering::Relaxed);
        least
            .orders
            .send(Order::Add(connection))
            .await
            .map_err(|_| ServerEnded)
    }

    /// Closes everything.
    pub(crate) async fn shutdown(&self, restarting: bool) {
        for desk in &self.0 {
            // It may have ended already.
            let _ = desk.orders.send(Order::Shutdown { restarting }).await;
        }
    }
}
