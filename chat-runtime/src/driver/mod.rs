//! The server's driver: one task that runs the hub and all of its connections.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use chat_core::{
    hub::{Event, Hub, Outputs},
    limits::Limits,
};
use tokio::{
    sync::{broadcast, mpsc},
    task::AbortHandle,
};

use crate::{Connection, Log, clock::Clock};

/// What the driver is told from outside.
pub(crate) enum Order {
    /// Take over a connection.
    Add(Box<dyn Connection>),
    /// Close everything and end.
    Shutdown { restarting: bool },
}

pub(crate) struct Driver(());

impl Driver {
    #[allow(clippy::too_many_arguments, unused)]
    pub(crate) fn new(
        hub: Hub,
        out: Outputs,
        clock: Clock,
        limits: Limits,
        log: Arc<dyn Log>,
        orders: mpsc::Receiver<Order>,
        events: broadcast::Sender<Event>,
        accepting: Vec<AbortHandle>,
    ) -> Self {
        unreachable!()
    }
}

impl Future for Driver {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        unreachable!()
    }
}
