//! What follows from the records of a room: who is told, and what else is to be done.

use super::{
    Hub,
    answers::Origin,
    directory,
    event::Event,
    io::{Output, Outputs},
    pipeline::Taken,
    rooms::{Proposal, Then},
};
use crate::{
    bugs::Bug,
    id::{ConnId, MemberId, Place, RoomId, Seq},
    state::{self, Verdict, room::Ask},
    time::Now,
    wire::{
        Record, ServerMessage,
        client::Ping,
        record::{LeftReason, Person, RecordBody, RoomKind},
        server::Committed,
    },
};

impl Hub {
    /// What follows from committed records.
    pub(super) fn settle_room(
        &mut self,
        now: Now,
        id: RoomId,
        taken: Vec<Taken<Record, Proposal>>,
        out: &mut Outputs,
    ) {
        if taken.is_empty() {
            return;
        }
        if let Some(room) = self.rooms.get_mut(&id) {
            room.count_mutes(now, &taken);
        }
        // Who hears the records changes with some of them, so everything up to such a record is told first.
        let mut told = 0;
        for i in 0..taken.len() {
            if changes_audience(&taken[i].entry.body) {
                self.tell_records(id, &taken[told..=i], out);
                told = i + 1;
                self.room_changed(now, id, &taken[i], out);
            }
        }
        self.tell_records(id, &taken[told..], out);
        for taken in taken {
            if !changes_audience(&taken.entry.body) {
                self.room_changed(now, id, &taken, out);
            }
            if let Some(proposal) = taken.proposal {
                self.room_then(now, id, &taken.entry, proposal, out);
            }
            if taken.mine {
                self.tell_operator(id, taken.entry, out);
            }
        }
        // The first record of a room: what waited for it can be done.
        self.run_waiting(now, id, out);
    }

    fn tell_records(&self, id: RoomId, taken: &[Taken<Record, Proposal>], out: &mut Outputs) {
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        if room.audience.is_empty() {
            return;
        }
        if self.has(Bug::LeakAnOutbox) {
            // Who cannot be told is told that there is something.
            let lags = |conn: &ConnId| {
                self.sessions
                    .guest(*conn)
                    .is_some_and(|guest| guest.lagging.is_some())
            };
            for conn in room.audience.connections().into_iter().filter(lags) {
                self.send(conn, &ServerMessage::Ping(Ping { nonce: 0 }), out);
            }
        }
        let epoch = room.pipe.place.epoch;
        room.audience.tell_records(out, id, epoch, taken);
    }

    /// What follows from a record for the room, whoever asked for it.
    fn room_changed(
        &mut self,
        now: Now,
        id: RoomId,
        taken: &Taken<Record, Proposal>,
        out: &mut Outputs,
    ) {
        let (record, proposal) = (&taken.entry, taken.proposal.as_ref());
        match &record.body {
            RecordBody::Created(created) if created.kind == RoomKind::Private => {
                self.count_here(id);
                for person in &created.members {
                    self.arrived(id, person.member, record.seq, proposal, out);
                    self.keep_in(now, id, person.member, proposal.is_some(), out);
                }
            }
            // Its owner is shown the group when it has a number.
            RecordBody::Created(_) => self.count_here(id),
            RecordBody::Joined(_) => {
                let person = Person {
                    member: record.member,
                    nick: record.nick.clone(),
                    label: record.label.clone(),
                };
                // `joined` says that they are here. They may be gone already, or have another name.
                self.told_by_record(now, id, record.member, Some(person));
                self.arrived(id, record.member, record.seq, proposal, out);
                self.keep_in(now, id, record.member, proposal.is_some(), out);
            }
            RecordBody::Message(_) | RecordBody::Action(_) if proposal.is_some() => {
                self.reach(now, id, record, out);
            }
            RecordBody::Left(_) => self.departed(now, id, record, record.member, proposal, out),
            RecordBody::Kicked(removal) | RecordBody::Banned(removal) => {
                self.departed(now, id, record, removal.target, proposal, out)
            }
            RecordBody::Redacted(redacted) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.erasing.insert(redacted.seq, record.seq);
                }
                self.erase_next(id, out);
            }
            // Whoever asked for it: the hub that did may have given it up, or be gone. The directory takes it in once.
            RecordBody::Topic(topic) if self.directory.state.group(id).is_some() => {
                let epoch = self.rooms.get(&id).map_or(0, |room| room.pipe.place.epoch);
                let seq = record.seq;
                let ask = state::directory::Ask::Retitle {
                    room: id,
                    topic: topic.topic.clone(),
                    place: Place { epoch, seq },
                };
                self.note_in_directory(now, record.member, ask, out);
            }
            _ => {}
        }
    }

    /// Something was said in a private conversation: opens it again for the other, if that one is back and was forgotten
    /// meanwhile.
    fn reach(&mut self, now: Now, id: RoomId, record: &Record, out: &mut Outputs) {
        let Some(room) = self
            .rooms
            .get(&id)
            .filter(|room| room.kind() == Some(RoomKind::Private))
        else {
            return;
        };
        let directory = &self.directory.state;
        let other = room.pipe.state.members.keys().copied().find(|member| {
            *member != record.member
                && directory
                    .member(*member)
                    .is_some_and(|person| person.lease.is_some() && !person.rooms.contains(&id))
        });
        if let Some(with) = other {
            let ask = state::directory::Ask::Open {
                room: id,
                with,
                after: record.seq - 1,
            };
            self.note_in_directory(now, record.member, ask, out);
        }
    }

    /// Somebody is a member from this record on.
    fn arrived(
        &mut self,
        id: RoomId,
        member: MemberId,
        seq: Seq,
        proposal: Option<&Proposal>,
        out: &mut Outputs,
    ) {
        let Some(conn) = self.online.get(&member).copied() else {
            self.entered(id, member);
            return;
        };
        let origin = proposal
            .and_then(|proposal| proposal.then.origin())
            .filter(|origin| origin.conn == conn);
        match origin {
            Some(origin) => return self.show(id, origin, member, Some(seq), out),
            None if self.comes_back(id, conn) => {}
            None => self.enter(id, conn, member, Some(seq), out),
        }
        self.entered(id, member);
    }

    /// A room begins: nobody has been told of anybody.
    fn count_here(&mut self, id: RoomId) {
        let most = self.config.limits.presence_names;
        if let Some(room) = self.rooms.get_mut(&id) {
            room.count_here(&self.directory.state, most);
        }
    }

    /// All who hear a room are told of somebody by a record; the directory may be ahead of it. Where they are counted, the
    /// record does not tell how many are here.
    fn told_by_record(&mut self, now: Now, id: RoomId, member: MemberId, told: Option<Person>) {
        let most = self.config.limits.presence_names;
        if let Some(room) = self.rooms.get_mut(&id)
            && (room.told_by_record(&self.directory.state, member, told, most)
                || room.is_counted(most))
        {
            self.arm_presence(now, id);
        }
    }

    /// Somebody is not a member from this record on.
    fn departed(
        &mut self,
        now: Now,
        id: RoomId,
        record: &Record,
        member: MemberId,
        proposal: Option<&Proposal>,
        out: &mut Outputs,
    ) {
        self.told_by_record(now, id, member, None);
        self.forget_stranger(id, member);
        let place = Place {
            epoch: self.rooms.get(&id).map_or(0, |room| room.pipe.place.epoch),
            seq: record.seq,
        };
        let deaf = self.has(Bug::DeliverToSomebodyJustKicked)
            && matches!(record.body, RecordBody::Kicked(_));
        if let Some(conn) = self.online.get(&member).copied().filter(|_| !deaf) {
            let origin = proposal
                .filter(|_| member == record.member)
                .and_then(|proposal| proposal.then.origin());
            let answer = origin.map(|origin| (origin, Committed { place }));
            self.detach(now, id, conn, place, answer, out);
        }
        if proposal.is_some() {
            let ask = state::directory::Ask::Exit(id);
            self.note_in_directory(now, member, ask, out);
        }
    }

    /// What follows for whoever asked.
    fn room_then(
        &mut self,
        now: Now,
        id: RoomId,
        record: &Record,
        proposal: Proposal,
        out: &mut Outputs,
    ) {
        let place = Place {
            epoch: self.rooms.get(&id).map_or(0, |room| room.pipe.place.epoch),
            seq: record.seq,
        };
        match proposal.then {
            Then::Nothing => {}
            Then::List { origin, txn, list } => {
                self.list_group(now, id, origin, proposal.author, txn, *list, out)
            }
            Then::Answer { origin } => match proposal.ask {
                // Answered where the audience changed.
                Ask::Leave => {}
                Ask::Join { .. } => self.unpark(now, origin.conn, id, out),
                _ => self.answer_committed(origin, Committed { place }, out),
            },
            // Answered where the audience changed.
            Then::Show { .. } if record.member == proposal.author => {}
            // The other one has come in again.
            Then::Show { origin } => self.show(id, origin, proposal.author, None, out),
        }
    }

    /// Gives a new group its number.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    fn list_group(
        &mut self,
        now: Now,
        id: RoomId,
        origin: Origin,
        member: MemberId,
        txn: u64,
        ask: state::directory::Ask,
        out: &mut Outputs,
    ) {
        let then = directory::Then::Group { origin, room: id };
        self.directory.propose(directory::Proposal {
            member,
            txn,
            ask,
            then,
        });
        self.pump_directory(now, out);
    }

    pub(super) fn room_settled_without_record(
        &mut self,
        now: Now,
        id: RoomId,
        proposal: Proposal,
        verdict: Verdict<(MemberId, RecordBody), Seq>,
        out: &mut Outputs,
    ) {
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        let place = match verdict {
            Verdict::Accept(_) | Verdict::Wait => unreachable!("these are not settled"),
            Verdict::Repeat(seq) => Place {
                seq,
                ..room.pipe.place
            },
            Verdict::Already => room.pipe.place,
            Verdict::Refuse(refusal) => {
                let Some(origin) = proposal.then.origin() else {
                    return;
                };
                if let Then::List { txn, .. } = proposal.then {
                    self.group_done(now, proposal.author, txn, Err(&refusal), out);
                }
                self.refuse(origin, refusal, out);
                match proposal.ask {
                    Ask::Join { .. } => {
                        self.entering_over(now, id, proposal.author, out);
                        self.unlist(now, id, proposal.author, out);
                        self.unpark(now, origin.conn, id, out);
                    }
                    Ask::Open(created) => {
                        for person in created.members {
                            self.unlist(now, id, person.member, out);
                        }
                    }
                    _ => {}
                }
                return;
            }
        };
        match (proposal.then, &proposal.ask) {
            (Then::Nothing, Ask::Expire) => {
                // Not a member (any more): the directory need not know it any longer, unless it came back.
                let member = proposal.author;
                if self.directory.state.holds_nick(member) {
                    // It is back, and perhaps the directory had forgotten it.
                    self.keep_listed(id, member);
                    self.pump_directory(now, out);
                } else {
                    let ask = state::directory::Ask::Exit(id);
                    self.note_in_directory(now, member, ask, out);
                }
            }
            (Then::Nothing, _) => {}
            (Then::Answer { origin }, Ask::Join { .. }) => {
                self.show(id, origin, proposal.author, None, out);
                // A repeat by somebody who is out again.
                self.unlist(now, id, proposal.author, out);
                self.unpark(now, origin.conn, id, out);
            }
            (Then::Answer { origin }, Ask::Leave) => {
                self.answer_leave_again(id, origin, Committed { place }, out)
            }
            (Then::Answer { origin }, _) => self.answer_committed(origin, Committed { place }, out),
            (Then::Show { origin }, _) => self.show(id, origin, proposal.author, None, out),
            // The log said it did not know, but it is there: nobody else knows this id.
            (Then::List { origin, txn, list }, _) => {
                self.list_group(now, id, origin, proposal.author, txn, *list, out)
            }
        }
    }

    /// Each operator is told by the hub that did it: others on the same log, or in the same process, are silent.
    fn tell_operator(&self, id: RoomId, record: Record, out: &mut Outputs) {
        let Some(room) = self.label(id) else { return };
        let Record {
            nick, label, body, ..
        } = record;
        let left = |target: &str, how| Event::Left {
            room: room.clone(),
            nick: target.to_owned(),
            how,
        };
        let changed = |kind, detail: String| Event::Changed {
            room: room.clone(),
            nick: nick.clone(),
            kind,
            detail,
        };
        let event = match body {
            // A group is told of when it has a number.
            RecordBody::Created(_) => return,
            RecordBody::Joined(_) => Event::Joined { room, nick, label },
            RecordBody::Left(gone) => left(
                &nick,
                if gone.reason == LeftReason::Asked {
                    "left"
                } else {
                    "expired"
                },
            ),
            RecordBody::Message(message) | RecordBody::Action(message) => Event::Message {
                room,
                nick,
                label,
                content: message.content,
            },
            RecordBody::Topic(topic) => changed("topic", topic.topic.clone()),
            RecordBody::Role(change) => changed(
                "role",
                format!("{} is {:?}", change.nick, change.role).to_lowercase(),
            ),
            RecordBody::Kicked(removal) => left(&removal.nick, "kicked"),
            RecordBody::Banned(removal) => left(&removal.nick, "banned"),
            RecordBody::Unbanned(target) => changed("unbanned", target.nick.clone()),
            RecordBody::Muted(muted) => changed("muted", muted.nick.clone()),
            RecordBody::Unmuted(target) => changed("unmuted", target.nick.clone()),
            RecordBody::Password(_) => changed("password", String::new()),
            RecordBody::Redacted(redacted) => {
                changed("redacted", format!("record {}", redacted.seq))
            }
            RecordBody::Blocked(_) | RecordBody::Blank(_) | RecordBody::Unknown(_) => return,
        };
        out.push(Output::Event(event));
    }
}

/// Whether a record changes who hears the room.
fn changes_audience(body: &RecordBody) -> bool {
    matches!(
        body,
        RecordBody::Created(_)
            | RecordBody::Joined(_)
            | RecordBody::Left(_)
            | RecordBody::Kicked(_)
            | RecordBody::Banned(_)
    )
}
