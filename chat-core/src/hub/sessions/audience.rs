//! The connections that hear a room, by the form they read, and frames encoded once for each form
//! in use.

use super::super::{
    effects::Told,
    frame_budget::records_fitting,
    io::{Output, Outputs, RoomPlace},
    recipients::Recipients,
};
use crate::{
    id::{ConnId, Place, RoomId},
    wire::{
        Form, Frame, Record, ServerMessage,
        record::RecordBody,
        records_frame,
        server::{Presence, PresenceUpdate},
    },
};

/// Bytes of records in one frame of a fan-out, in the form it is written in; one record may exceed
/// it.
const FANOUT_BYTES: usize = 256 * 1024;

/// The connections that hear a room.
#[derive(Debug, Default)]
pub(super) struct Audience {
    postcard: Recipients,
    json: Recipients,
}

impl Audience {
    pub(super) fn len(&self) -> usize {
        self.postcard.len() + self.json.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the slot, for [`remove`](Self::remove).
    pub(super) fn insert(&mut self, form: Form, conn: ConnId) -> usize {
        self.of(form).insert(conn)
    }

    /// Returns the connection that moved to that slot, if any did.
    pub(super) fn remove(&mut self, form: Form, slot: usize) -> Option<ConnId> {
        self.of(form).remove(slot)
    }

    /// All of them, for what cannot be one frame for all.
    pub(super) fn connections(&self) -> Vec<ConnId> {
        self.postcard.iter().chain(self.json.iter()).collect()
    }

    /// Gives one word of presence to everybody. Names of those who come and go were gathered for
    /// long enough; a count is told to more, and may wait.
    pub(super) fn tell(&self, out: &mut Outputs, presence: Presence) {
        let patient = matches!(presence.update, PresenceUpdate::Count(_));
        let message = &ServerMessage::Presence(presence);
        for (form, to) in self.in_use() {
            out.push(Output::Fanout {
                to: to.clone(),
                place: None,
                patient,
                frame: form.encode(message),
            });
        }
    }

    /// Gives records to everybody, in as many frames as they need in each form.
    pub(super) fn tell_records(&self, out: &mut Outputs, room: RoomId, epoch: u64, told: &[Told]) {
        for (form, to) in self.in_use() {
            let mut rest = told;
            while let Some(first) = rest.first() {
                let records = rest.iter().map(|told| (&*told.record, &told.bytes));
                let (now, later) = rest.split_at(records_fitting(form, FANOUT_BYTES, records));
                let seq = first.record.seq;
                out.push(Output::Fanout {
                    to: to.clone(),
                    place: Some(RoomPlace {
                        room,
                        place: Place { epoch, seq },
                    }),
                    patient: now.iter().all(|told| is_patient(&told.record.body)),
                    frame: frame(form, room, epoch, now),
                });
                rest = later;
            }
        }
    }

    fn in_use(&self) -> impl Iterator<Item = (Form, &Recipients)> {
        let all = [
            (Form::Postcard, &self.postcard),
            #[cfg(feature = "json")]
            (Form::Json, &self.json),
        ];
        all.into_iter().filter(|(_, to)| !to.is_empty())
    }

    fn of(&mut self, form: Form) -> &mut Recipients {
        match form {
            Form::Postcard => &mut self.postcard,
            #[cfg(feature = "json")]
            Form::Json => &mut self.json,
        }
    }
}

/// Whether a record may be kept back for a moment.
fn is_patient(body: &RecordBody) -> bool {
    matches!(body, RecordBody::Joined(_) | RecordBody::Left(_))
}

fn frame(form: Form, room: RoomId, epoch: u64, told: &[Told]) -> Frame {
    match form {
        Form::Postcard => records_frame(room, epoch, told.iter().map(|told| &told.bytes)),
        #[cfg(feature = "json")]
        Form::Json => {
            let records = told
                .iter()
                .map(|told| Record::clone(&told.record))
                .collect();
            json_frame(room, epoch, records)
        }
    }
}

/// A `records` frame out of decoded records, in JSON.
#[cfg(feature = "json")]
pub(super) fn json_frame(room: RoomId, epoch: u64, records: Vec<Record>) -> Frame {
    Form::Json.encode(&ServerMessage::Records(crate::wire::server::Records {
        room,
        epoch,
        records,
    }))
}
