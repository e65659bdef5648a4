//! Rooms as their directory meets them.

use super::*;

impl World {
    /// A room that a hub has loaded, of a founder and others.
    pub(super) fn has_room(&mut self, at: usize, n: u8, members: &[u8]) {
        self.has_room_of(at, n, RoomKind::Group, members);
    }

    pub(super) fn has_room_of(&mut self, at: usize, n: u8, kind: RoomKind, members: &[u8]) {
        let mut room = room::Room::default();
        let created = RecordBody::Created(Created {
            kind,
            origin: RoomOrigin([0; 16]),
            cipher: CipherKind::None,
            history: HistoryPolicy::All,
            presence: PresenceMode::Full,
            topic: String::new(),
            number: Some(n.into()),
            name: None,
            key: None,
            password: None,
            members: Vec::new(),
        });
        let joined = || RecordBody::Joined(Joined {});
        let bodies = std::iter::once(created).chain(members.iter().skip(1).map(|_| joined()));
        for ((seq, body), who) in (1..).zip(bodies).zip(members) {
            take(&mut room, seq, *who, body);
        }
        let place = Place {
            epoch: 1,
            seq: members.len() as u64,
        };
        self.sites[at]
            .around
            .rooms
            .insert(room_id(n), (room, place));
    }

    /// The log has a room as the first hub has it: a record, and the note of its state.
    pub(super) fn logs_room(&mut self, n: u8) {
        let (room, _) = &self.sites[0].around.rooms[&room_id(n)];
        let (note, at) = (room.note(), Place { epoch: 1, seq: 0 });
        let entries = [Bytes::from_static(b"record")];
        let partition = Partition::Room(room_id(n));
        self.log.append(partition, at, &entries, &note);
    }

    /// The log has a room of which nothing is listed, and that no hub has loaded.
    pub(super) fn logs_unknown_room(&mut self, n: u8) {
        self.has_room(0, n, &[1]);
        self.logs_room(n);
        self.sites[0].around.rooms.remove(&room_id(n));
    }

    pub(super) fn marked(&mut self, at: usize, n: u8, mine: bool) {
        let marked = Marked {
            before: Mark::EMPTY,
            changed: None,
            mine,
            urgent: false,
        };
        self.does(at, |registry, turn, with| {
            registry.marked(turn, with, room_id(n), marked);
        });
    }
}

pub(super) fn take(room: &mut room::Room, seq: Seq, who: u8, body: RecordBody) {
    let record = Record {
        member: member(who),
        session: SessionId(1),
        txn: seq,
        hash: RequestHash(1),
        nick: format!("m{who}"),
        ..Record::by_server(seq, Wall(1_700_000_000_000), body)
    };
    room.apply(&record, &record.to_bytes());
}
