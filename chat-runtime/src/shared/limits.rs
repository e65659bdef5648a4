//! The limits of connections that hold for all workers of a server together.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chat_core::{
    limits::{Limits, network},
    wire::CloseReason,
};

/// Counts the connections that are in.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    connections: usize,
    connections_per_address: u32,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by_network: HashMap<IpAddr, u32>,
}

impl ConnectionLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            connections: limits.connections as usize,
            connections_per_address: limits.connections_per_address,
            inside: Mutex::default(),
        }
    }

    /// Lets a connection in, to be counted until it [leaves](Self::leave), or says why not.
    pub(crate) fn enter(&self, address: Option<IpAddr>) -> Result<(), CloseReason> {
        let mut inside = self.lock();
        if inside.all >= self.connections {
            return Err(CloseReason::Full);
        }
        if let Some(address) = address {
            let count = inside.by_network.entry(network(address)).or_default();
            if *count >= self.connections_per_address {
                return Err(CloseReason::TooManyConnections);
            }
            *count += 1;
        }
        inside.all += 1;
        Ok(())
    }

    /// A connection that was let in has ended.
    pub(crate) fn leave(&self, address: Option<IpAddr>) {
        let mut inside = self.lock();
        inside.all -= 1;
        if let Some(network) = address.map(network)
            && let Some(count) = inside.by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                inside.by_network.remove(&network);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_all_and_each_network() {
        let mut limits = Limits::default();
        (limits.connections, limits.connections_per_address) = (3, 2);
        let all = ConnectionLimits::new(&limits);
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(all.enter(address("192.0.2.1")), Ok(()));
        assert_eq!(all.enter(address("::ffff:192.0.2.1")), Ok(()));
        let refused = all.enter(address("192.0.2.1"));
        assert_eq!(refused, Err(CloseReason::TooManyConnections));
        assert_eq!(all.enter(None), Ok(()));
        assert_eq!(all.enter(None), Err(CloseReason::Full));
        all.leave(address("192.0.2.1"));
        assert_eq!(all.enter(address("192.0.2.1")), Ok(()));
        all.leave(None);
        all.leave(address("192.0.2.1"));
        all.leave(address("192.0.2.1"));
        assert!(all.lock().by_network.is_empty());
    }
}
