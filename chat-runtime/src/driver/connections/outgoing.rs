//! Frames on their way out: into outboxes, and from there into connections.

use std::mem;

use chat_core::{
    hub::{Recipients, RoomPlace},
    id::{ConnId, RoomId},
    wire::Frame,
};

use super::{
    Connections,
    deferred::Added,
    slot::{Answers, ConnectionSlot, Fanouts, PATIENCE, Reading},
};
use crate::outbox::Spare;

/// Frames that one connection may keep waiting so.
const PATIENT_FRAMES: usize = 128;

/// Connections whose patience ends in one turn.
const IMPATIENT: usize = 256;

/// An outbox is given up when it holds so many times its limit. Pages wait until there is room for
/// them, so only a great many other answers get it there.
const SLOW: usize = 4;

impl Connections {
    /// Puts a frame into a connection's outbox, however full that is.
    pub(in crate::driver) fn send(&mut self, to: ConnId, frame: &Frame) {
        let Some(slot) = self.table.find(to) else {
            return;
        };
        if slot.is_closing() || slot.answers == Answers::OverfullUntold {
            return;
        }
        self.frames += slot.push(frame, &mut self.spare);
        // A connection that has just come in needs not be told at once of the next one that does.
        slot.deferral.written = self.now;
        slot.fanouts.answered();
        let limit = self.outbox_bytes * SLOW;
        if slot.link.outbox.bytes() > limit {
            self.write(to);
        }
        self.touch(to);
        if let Some(slot) = self.table.find(to)
            && slot.link.outbox.bytes() > limit
            && slot.answers != Answers::OverfullTold
        {
            // The words that close it shall come before its end, so they come before what the peer
            // has not read.
            slot.link.outbox.keep_begun();
            slot.answers = Answers::OverfullUntold;
            self.notices.overfull.push_back(to);
        }
    }

    /// Puts a frame into the outboxes of those that have room for it and are not flagged.
    pub(in crate::driver) fn fan_out(
        &mut self,
        to: &Recipients,
        place: Option<RoomPlace>,
        patient: bool,
        frame: &Frame,
    ) {
        let bytes = frame.prefixed().len();
        let added = place
            .filter(|_| patient)
            .and_then(|place| self.defer(to, place.room, frame));
        for conn in to.iter() {
            let Some(mut slot) = self.table.find(conn).filter(|slot| !slot.is_closing()) else {
                continue;
            };
            if slot.fanouts.are_delivered() && slot.waiting() + bytes > self.outbox_bytes {
                // Perhaps only this turn has filled it.
                self.write(conn);
                match self.table.find(conn) {
                    Some(still) => slot = still,
                    None => continue,
                }
            }
            if !slot.fanouts.are_delivered() || slot.waiting() + bytes > self.outbox_bytes {
                if slot.fanouts.skip() {
                    self.notices.blocked.push_back((conn, place));
                }
                continue;
            }
            if patient && slot.may_wait(self.now) {
                self.frames += keep_back(slot, frame, added.as_ref(), &mut self.spare);
                if !mem::replace(&mut slot.deferral.listed, true) {
                    self.deferred.wait(self.now + PATIENCE, conn);
                }
                if slot.deferral.cursor.frames() + slot.link.outbox.frames() < PATIENT_FRAMES {
                    continue;
                }
            } else {
                self.frames += slot.push(frame, &mut self.spare);
            }
            if patient {
                slot.deferral.written = self.now;
            }
            if !mem::replace(&mut slot.touched, true) {
                self.touched.push(conn);
            }
        }
    }

    /// Puts a frame that may wait where its recipients find it.
    fn defer(&mut self, to: &Recipients, room: RoomId, frame: &Frame) -> Option<Added> {
        // They all read the same form.
        let form = to
            .iter()
            .find_map(|conn| Some(self.table.find(conn)?.link.form()))?;
        Some(self.deferred.add(room, form, frame.clone()))
    }

    /// Writes to the connections for which frames were kept back for long enough.
    pub(in crate::driver) fn end_patience(&mut self) {
        for _ in 0..IMPATIENT {
            let Some(conn) = self.deferred.take_due(self.now) else {
                return;
            };
            let Some(slot) = self.table.find(conn) else {
                continue;
            };
            slot.deferral.listed = false;
            if !slot.deferral.cursor.is_empty() || !slot.link.outbox.is_empty() {
                slot.deferral.written = self.now;
                self.touch(conn);
            }
        }
    }

    /// Flags a connection, as if a fan-out had not fitted.
    pub(in crate::driver) fn block(&mut self, conn: ConnId) {
        if let Some(slot) = self.table.find(conn) {
            slot.fanouts.block();
            self.touch(conn);
        }
    }

    /// Takes the flag away.
    pub(in crate::driver) fn resume(&mut self, conn: ConnId) {
        if let Some(slot) = self.table.find(conn) {
            slot.fanouts.resume();
        }
    }

    /// The hub is to hear when there is room for one more answer.
    pub(in crate::driver) fn owe_credit(&mut self, conn: ConnId) {
        if let Some(slot) = self.table.find(conn) {
            if matches!(slot.answers, Answers::Flowing | Answers::RoomNoticed) {
                slot.answers = Answers::AwaitingRoom;
            }
            self.touch(conn);
        }
    }

    /// Will write to the connection before the turn ends.
    pub(super) fn touch(&mut self, conn: ConnId) {
        if let Some(slot) = self.table.find(conn)
            && !mem::replace(&mut slot.touched, true)
        {
            self.touched.push(conn);
        }
    }

    pub(in crate::driver) fn write_to_touched(&mut self) {
        let mut touched = mem::take(&mut self.touched);
        for conn in touched.drain(..) {
            let Some(slot) = self.table.find(conn) else {
                continue;
            };
            slot.touched = false;
            self.write(conn);
        }
        debug_assert!(self.touched.is_empty(), "writing touches no connection");
        self.touched = touched;
    }

    /// Writes what a connection takes, and takes note of the room that there is then.
    pub(super) fn write(&mut self, conn: ConnId) {
        let Some(slot) = self.table.find(conn) else {
            return;
        };
        self.frames += slot.release(&mut self.spare);
        if let Err(error) = slot.link.write(&mut self.spare) {
            tracing::debug!(?conn, %error, "a connection broke");
            self.lose(conn);
            return;
        }
        if slot.link.outbox.bytes() >= self.outbox_bytes / 2 {
            return;
        }
        if slot.answers == Answers::AwaitingRoom {
            slot.answers = Answers::RoomNoticed;
            self.notices.credits.push_back(conn);
        }
        if slot.fanouts == Fanouts::AwaitingRoom {
            slot.fanouts = Fanouts::RoomNoticed;
            self.notices.drained.push_back(conn);
        }
        if slot.reading == Reading::AwaitingPeer {
            slot.reading = Reading::Open;
            self.again(conn);
        }
    }
}

/// Keeps a frame back. Says how many frames that puts into the outbox: the ones that it does not
/// follow, or itself where it is not kept anywhere.
fn keep_back(
    slot: &mut ConnectionSlot,
    frame: &Frame,
    added: Option<&Added>,
    spare: &mut Spare,
) -> usize {
    let Some(added) = added else {
        return slot.push(frame, spare);
    };
    let bytes = frame.prefixed().len();
    if slot.deferral.cursor.add(added, bytes) {
        return 0;
    }
    let released = slot.release(spare);
    slot.deferral.cursor.add(added, bytes);
    released
}
