//! The client's driver: one task that runs the client machine, its connection and its work.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use chat_core::client::{ClientConfig, Command, Ended};
use tokio::sync::{mpsc, watch};

use super::{Reply, events::EventQueue};
use crate::Connector;

/// What the application asks for.
#[derive(Debug)]
pub(super) enum Order {
    /// Do this, and say how it ended.
    Command(Command, Reply),
    /// Say `hello` again under another name.
    RetryAs { nick: String, label: String },
    /// Say `bye` and end.
    Close,
}

pub(super) struct Driver(());

impl Driver {
    #[allow(unused)]
    pub(super) fn new(
        connector: Box<dyn Connector>,
        config: ClientConfig,
        orders: mpsc::UnboundedReceiver<Order>,
        events: EventQueue,
        ended: watch::Sender<Option<Ended>>,
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
