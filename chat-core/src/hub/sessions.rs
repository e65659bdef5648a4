//! All connections, by the driver's slots.

use super::session::{Guest, Session};
use crate::id::ConnId;

/// Sessions in the driver's slots. A name of an earlier use of a slot finds nothing.
#[derive(Default)]
pub(super) struct Sessions {
    /// How often one was looked at.
    #[cfg(feature = "deliberate-bugs")]
    visits: core::cell::Cell<u64>,
    slots: Vec<Option<Box<Session>>>,
    admitted: usize,
    len: usize,
}

impl Sessions {
    pub(super) fn get(&self, conn: ConnId) -> Option<&Session> {
        #[cfg(feature = "deliberate-bugs")]
        self.visits.set(self.visits.get() + 1);
        self.slots
            .get(conn.slot as usize)?
            .as_deref()
            .filter(|session| session.conn == conn)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Session> {
        #[cfg(feature = "deliberate-bugs")]
        self.visits.set(self.visits.get() + 1);
        self.slots
            .get_mut(conn.slot as usize)?
            .as_deref_mut()
            .filter(|session| session.conn == conn)
    }

    pub(super) fn guest(&self, conn: ConnId) -> Option<&Guest> {
        self.get(conn)?.guest.as_ref()
    }

    pub(super) fn guest_mut(&mut self, conn: ConnId) -> Option<&mut Guest> {
        self.get_mut(conn)?.guest.as_mut()
    }

    pub(super) fn insert(&mut self, session: Session) {
        let slot = session.conn.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.admitted += usize::from(session.admitted);
        self.len += 1;
        self.slots[slot] = Some(Box::new(session));
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Box<Session>> {
        self.get(conn)?;
        let session = self.slots[conn.slot as usize].take()?;
        self.admitted -= usize::from(session.admitted);
        self.len -= 1;
        Some(session)
    }

    pub(super) fn admitted(&self) -> usize {
        self.admitted
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().flatten().map(|session| &**session)
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn visits(&self) -> u64 {
        self.visits.get()
    }

    pub(super) fn all(&self) -> Vec<ConnId> {
        self.slots
            .iter()
            .flatten()
            .map(|session| session.conn)
            .collect()
    }
}
