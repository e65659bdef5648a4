//! A room's connections at this hub, by the form they read, and frames encoded once for each form in use.

use bytes::Bytes;

use super::{
    fitting::records_fitting,
    io::{Output, Outputs, RoomPlace},
    pipeline::Taken,
    recipients::Recipients,
};
use crate::{
    id::{ConnId, Place, RoomId},
    wire::{
        Form, Frame, Record, ServerMessage,
        record::RecordBody,
        server::{Presence, PresenceUpdate},
        tagged,
    },
};

/// Bytes of records in one frame of a fan-out, in the form it is written in; one record may exceed it.
const FANOUT_BYTES: usize = 256 * 1024;

/// Who hears a room here.
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

    /// Returns who moved to that slot, if anybody did.
    pub(super) fn remove(&mut self, form: Form, slot: usize) -> Option<ConnId> {
        self.of(form).remove(slot)
    }

    /// All of them, for what cannot be one frame for all.
    pub(super) fn connections(&self) -> Vec<ConnId> {
        self.postcard.iter().chain(self.json.iter()).collect()
    }

    /// Gives one word of presence to everybody. Who comes and goes was gathered for long enough; a count is told to more, and
    /// may wait.
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
    pub(super) fn tell_records<P>(
        &self,
        out: &mut Outputs,
        room: RoomId,
        epoch: u64,
        taken: &[Taken<Record, P>],
    ) {
        for (form, to) in self.in_use() {
            let mut rest = taken;
            while let Some(first) = rest.first() {
                let records = rest.iter().map(|taken| (&taken.entry, &taken.bytes));
                let (now, later) = rest.split_at(records_fitting(form, FANOUT_BYTES, records));
                let seq = first.entry.seq;
                out.push(Output::Fanout {
                    to: to.clone(),
                    place: Some(RoomPlace {
                        room,
                        place: Place { epoch, seq },
                    }),
                    patient: now.iter().all(|taken| is_patient(&taken.entry.body)),
                    frame: frame_of_taken(form, room, epoch, now),
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

fn frame_of_taken<P>(form: Form, room: RoomId, epoch: u64, taken: &[Taken<Record, P>]) -> Frame {
    match form {
        Form::Postcard => records_frame(room, epoch, taken.iter().map(|taken| &taken.bytes)),
        #[cfg(feature = "json")]
        Form::Json => {
            let records = taken.iter().map(|taken| taken.entry.clone()).collect();
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

/// A `records` frame out of records as the log keeps them: they are not decoded to be sent.
pub(super) fn records_frame<'a>(
    room: RoomId,
    epoch: u64,
    encoded: impl ExactSizeIterator<Item = &'a Bytes>,
) -> Frame {
    Frame::build(|out| {
        tagged::extend(&ServerMessage::RECORDS, out);
        tagged::extend(&room, out);
        tagged::extend(&epoch, out);
        tagged::extend(&(encoded.len() as u64), out);
        encoded.for_each(|record| out.extend_from_slice(record));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::MemberId,
        time::Wall,
        wire::{
            record::{Joined, RecordBody},
            server::Records,
        },
    };

    #[test]
    fn records_put_together_are_the_message_encoded() {
        let record = |seq| Record {
            seq,
            time: Wall(1_700_000_000_000),
            member: MemberId([7; 16]),
            nick: "zoë".to_owned(),
            label: String::new(),
            txn: 300,
            body: RecordBody::Joined(Joined {}),
        };
        let records = vec![record(200), record(201)];
        let encoded: Vec<_> = records.iter().map(Record::to_bytes).collect();
        let room = RoomId([9; 16]);
        let message = ServerMessage::Records(Records {
            room,
            epoch: 1 << 40,
            records,
        });
        assert_eq!(
            records_frame(room, 1 << 40, encoded.iter()),
            Form::Postcard.encode(&message)
        );
    }
}
