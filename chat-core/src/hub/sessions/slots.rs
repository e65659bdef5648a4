//! All connections, by the driver's slots.

use std::net::IpAddr;

use super::connection::{Connection, MemberSession};
use crate::{id::ConnId, limits::Network};

/// Connections in the driver's slots. A name of an earlier use of a slot finds nothing.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Option<Box<Connection>>>,
    admitted: usize,
    len: usize,
}

impl Slots {
    pub(super) fn get(&self, conn: ConnId) -> Option<&Connection> {
        self.slots
            .get(conn.slot as usize)?
            .as_deref()
            .filter(|connection| connection.conn == conn)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.slots
            .get_mut(conn.slot as usize)?
            .as_deref_mut()
            .filter(|connection| connection.conn == conn)
    }

    pub(super) fn member(&self, conn: ConnId) -> Option<&MemberSession> {
        self.get(conn)?.member()
    }

    pub(super) fn member_mut(&mut self, conn: ConnId) -> Option<&mut MemberSession> {
        self.get_mut(conn)?.member_mut()
    }

    pub(super) fn insert(&mut self, connection: Connection) {
        let slot = connection.conn.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        debug_assert!(self.slots[slot].is_none(), "a slot has one connection");
        self.admitted += usize::from(connection.admitted);
        self.len += 1;
        self.slots[slot] = Some(Box::new(connection));
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Box<Connection>> {
        self.get(conn)?;
        let connection = self.slots[conn.slot as usize].take()?;
        self.admitted -= usize::from(connection.admitted);
        self.len -= 1;
        Some(connection)
    }

    /// A connection counts no longer; it is about to be closed.
    pub(super) fn give_up_place(&mut self, conn: ConnId) {
        if let Some(connection) = self.get_mut(conn) {
            let admitted = std::mem::replace(&mut connection.admitted, false);
            self.admitted -= usize::from(admitted);
        }
    }

    /// The connection from this network that gives its place up first, and its address.
    pub(super) fn first_of(&self, network: Network) -> Option<(ConnId, Option<IpAddr>)> {
        let of_it = |address: IpAddr| Network::all_of(address).any(|own| own == network);
        self.iter()
            .filter(|connection| connection.admitted && connection.address.is_some_and(of_it))
            .max_by_key(|connection| connection.gives_way())
            .map(|connection| (connection.conn, connection.address))
    }

    pub(super) fn admitted(&self) -> usize {
        self.admitted
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn all(&self) -> Vec<ConnId> {
        self.iter().map(|connection| connection.conn).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().flatten().map(|connection| &**connection)
    }
}
