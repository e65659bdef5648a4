//! What one connection was told, frame by frame, as it left the hub, and whether that is the protocol.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{CredentialId, MemberId, Partition, Place, RoomId},
    wire::{
        ClientMessage, Record, ServerMessage, Tagged,
        client::Op,
        record::{Content, RecordBody},
        server::{Answer, HistoryPage, PresenceUpdate, RoomView},
    },
};

use crate::{
    book::Book,
    log::Log,
    truth::{Truth, is_blank_of},
    world::SECOND,
};

/// What was read from the log is told within this time.
const READ_WITHIN: u64 = 8 * SECOND;

/// One connection as it should be.
#[derive(Debug)]
pub(crate) struct Line {
    member: MemberId,
    pending: BTreeMap<u64, Asked>,
    /// Rooms whose records come, and the last one told.
    rooms: BTreeMap<RoomId, Place>,
    presented: BTreeMap<RoomId, Place>,
    awaited: BTreeSet<RoomId>,
    welcomed: bool,
    closing: bool,
}

/// A request without an answer.
#[derive(Debug)]
struct Asked {
    kind: u16,
    txn: u64,
    room: Option<RoomId>,
    content: Option<Content>,
    /// Of a join, the registration whose password was proved.
    proof: Option<CredentialId>,
}

impl Line {
    pub(crate) fn new(member: MemberId) -> Self {
        Self {
            member,
            pending: BTreeMap::new(),
            rooms: BTreeMap::new(),
            presented: BTreeMap::new(),
            awaited: BTreeSet::new(),
            welcomed: false,
            closing: false,
        }
    }

    pub(crate) fn is_welcomed(&self) -> bool {
        self.welcomed && !self.closing
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// How many words may wait for this connection: some for itself, and of each room some for each time that it is told
    /// anew.
    pub(crate) fn words_allowed(&self, losses: usize) -> usize {
        let rooms = self.rooms.len() + self.awaited.len() + self.presented.len() + 1;
        16 + 6 * rooms * (1 + losses)
    }

    /// The client said something.
    pub(crate) fn client_said(&mut self, message: &ClientMessage, book: &mut Book) {
        match message {
            ClientMessage::Hello(hello) => {
                self.presented = hello
                    .resume
                    .iter()
                    .map(|resume| (resume.room, resume.place))
                    .collect();
            }
            ClientMessage::Request(request) => {
                let (room, content) = match &request.op {
                    Op::Send(send) => (Some(send.room), Some(send.content.clone())),
                    Op::Leave(on) => (Some(on.room), None),
                    Op::Topic(on) => (Some(on.room), None),
                    Op::Kick(on) | Op::Ban(on) => (Some(on.room), None),
                    Op::Role(on) => (Some(on.room), None),
                    Op::Mute(on) => (Some(on.room), None),
                    Op::Unmute(on) | Op::Unban(on) => (Some(on.room), None),
                    Op::Password(on) => (Some(on.room), None),
                    Op::Block(on) => (Some(on.room), None),
                    Op::Redact(on) => (Some(on.room), None),
                    Op::History(on) => (Some(on.room), None),
                    _ => (None, None),
                };
                let proof = match &request.op {
                    Op::Join(join) => join.proof.as_ref().map(|proof| proof.credential),
                    _ => None,
                };
                let asked = Asked {
                    kind: request.op.kind(),
                    txn: request.txn,
                    room,
                    content,
                    proof,
                };
                let new = self.pending.insert(request.id, asked).is_none();
                book.check("a request's id is its own", new, || {
                    format!("{} of {}", request.id, self.member)
                });
            }
            _ => {}
        }
    }

    /// The hub said something to this connection alone.
    pub(crate) fn hub_said(
        &mut self,
        message: &ServerMessage,
        truth: &Truth,
        log: &Log,
        book: &mut Book,
    ) {
        let me = self.member;
        book.check("nothing is said after `closing`", !self.closing, || {
            format!("to {me}: {message:?}")
        });
        match message {
            ServerMessage::Welcome(welcome) => {
                book.check(
                    "one welcome",
                    !self.welcomed && welcome.member == me,
                    || format!("to {me}: {welcome:?}"),
                );
                self.welcomed = true;
                self.awaited = welcome
                    .rooms
                    .iter()
                    .chain(self.presented.keys())
                    .copied()
                    .collect();
            }
            ServerMessage::Ok(done) => {
                let asked = self.pending.remove(&done.id);
                let known = asked
                    .as_ref()
                    .is_some_and(|asked| asked.kind == done.answer.kind());
                book.check("a request has one answer", known, || {
                    format!("to {me}: {done:?}")
                });
                if let Some(asked) = asked {
                    self.answered(&asked, &done.answer, truth, log, book);
                }
            }
            ServerMessage::Error(failure) if failure.id == 0 => {
                book.check(
                    "a hello is refused before the welcome",
                    !self.welcomed,
                    || format!("to {me}: {failure:?}"),
                );
            }
            ServerMessage::Error(failure) => {
                let known = self.pending.remove(&failure.id).is_some();
                book.check("a request has one answer", known, || {
                    format!("to {me}: {failure:?}")
                });
            }
            ServerMessage::Entered(entered) => {
                let room = entered.view.room;
                let place = entered.view.place;
                self.awaited.remove(&room);
                self.look(&entered.view, truth, book);
                if entered.resumed {
                    let at = self.presented.get(&room).copied();
                    let right = at.is_some_and(|at| at.epoch == place.epoch && at.seq <= place.seq)
                        && !self.rooms.contains_key(&room);
                    book.check("resumed where it was", right, || {
                        format!(
                            "{me} presented {at:?}, in {:?}, resumed {place:?} of {room}",
                            self.rooms.get(&room)
                        )
                    });
                    self.rooms.insert(room, at.unwrap_or(place));
                    book.saw("a room resumed");
                    if at.is_some_and(|at| at.seq < place.seq) {
                        book.saw("a room resumed with something missed");
                    }
                } else if let Some(at) = self.rooms.insert(room, place) {
                    let gone = at.epoch != place.epoch
                        || truth.lives(room) > 1
                        || log.oldest(Partition::Room(room)) > at.seq + 1;
                    book.check("told anew only where something is gone", gone, || {
                        format!("{me} was at {at:?} of {room}, told {place:?}")
                    });
                    book.saw("a room told anew to somebody in it");
                } else if let Some(at) = self.presented.get(&room) {
                    let trimmed = log.oldest(Partition::Room(room)) > at.seq + 1;
                    book.saw(if trimmed {
                        "a presented place that is trimmed"
                    } else {
                        "a presented place that is gone"
                    });
                }
            }
            ServerMessage::Records(records) => {
                for record in &records.records {
                    self.hears(records.room, records.epoch, record, truth, book);
                    Self::is_true(records.room, records.epoch, record, truth, book);
                    Self::is_gone(records.room, records.epoch, record, truth, book);
                }
            }
            ServerMessage::Presence(presence) => {
                let (room, update) = (presence.room, &presence.update);
                self.sees(room, update, book);
            }
            ServerMessage::Removed(removed) => {
                self.awaited.remove(&removed.room);
                self.rooms.remove(&removed.room);
                book.saw("a room taken away");
            }
            ServerMessage::Closing(_) => self.closing = true,
            ServerMessage::Ping(_) | ServerMessage::Pong(_) => {}
            unknown => book.fail("the hub speaks its protocol", || format!("{unknown:?}")),
        }
    }

    /// The hub said something to everybody in a room, this connection among them.
    pub(crate) fn fanned_out(&mut self, message: &ServerMessage, truth: &Truth, book: &mut Book) {
        let me = self.member;
        book.check("nothing is said after `closing`", !self.closing, || {
            format!("to {me}: {message:?}")
        });
        match message {
            ServerMessage::Records(records) => {
                for record in &records.records {
                    self.hears(records.room, records.epoch, record, truth, book);
                }
            }
            ServerMessage::Presence(presence) => self.sees(presence.room, &presence.update, book),
            other => book.fail("the hub speaks its protocol", || {
                format!("a fan-out of {other:?}")
            }),
        }
    }

    /// A record is the one that stands in the log.
    pub(crate) fn is_true(
        room: RoomId,
        epoch: u64,
        record: &Record,
        truth: &Truth,
        book: &mut Book,
    ) {
        let there = truth.room(room, epoch);
        let stands = there.and_then(|there| there.record(record.seq));
        let same = stands == Some(record);
        let blank = !same
            && there.is_some_and(|there| there.is_redacted(record.seq))
            && stands.is_some_and(|said| is_blank_of(record, said));
        if blank {
            book.saw("a record told without the text that was taken back");
        }
        book.check("what is told stands in the log", same || blank, || {
            format!(
                "{room} {epoch}/{}: {record:?}, where {stands:?}",
                record.seq
            )
        });
    }

    /// What leaves a hub has no text that is out of the log, but for what was read before it was.
    pub(crate) fn is_gone(
        room: RoomId,
        epoch: u64,
        record: &Record,
        truth: &Truth,
        book: &mut Book,
    ) {
        if !matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_)) {
            return;
        }
        let since = truth
            .room(room, epoch)
            .and_then(|there| there.gone_since(record.seq));
        if let Some(since) = since {
            book.check(
                "a text that was taken back is not told",
                book.now <= since + READ_WITHIN,
                || {
                    format!(
                        "{room} {epoch}/{}: {record:?}, gone since {since}",
                        record.seq
                    )
                },
            );
        }
    }

    fn sees(&self, room: RoomId, update: &PresenceUpdate, book: &mut Book) {
        let inside = self.rooms.contains_key(&room);
        book.check("presence is told to those inside", inside, || {
            format!("to {} of {room}: {update:?}", self.member)
        });
    }

    /// A record comes: is it the next, and may this member have it?
    fn hears(&mut self, room: RoomId, epoch: u64, record: &Record, truth: &Truth, book: &mut Book) {
        let (me, seq) = (self.member, record.seq);
        let at = self.rooms.get_mut(&room);
        let next = at
            .as_ref()
            .is_some_and(|at| at.epoch == epoch && at.seq + 1 == seq);
        book.check("records come in order, once, to those inside", next, || {
            format!("{me} is at {at:?} of {room} and is told {epoch}/{seq}")
        });
        if let Some(at) = at {
            at.seq = seq;
        }
        let may = truth
            .room(room, epoch)
            .is_some_and(|room| room.may_hear(me, seq));
        book.check("only members hear", may, || {
            format!("{me} is told {epoch}/{seq} of {room}")
        });
        let out = match &record.body {
            RecordBody::Left(_) => {
                record.member == me
                    && !self.pending.values().any(|asked| {
                        // That of an earlier connection ends it as well, and then this one is refused.
                        asked.kind == 7 && asked.room == Some(room) && asked.txn == record.txn
                    })
            }
            RecordBody::Kicked(removal) | RecordBody::Banned(removal) => removal.target == me,
            _ => false,
        };
        if out {
            self.rooms.remove(&room);
        }
    }

    fn look(&self, view: &RoomView, truth: &Truth, book: &mut Book) {
        let (me, room, place) = (self.member, view.room, view.place);
        let there = truth.room(room, place.epoch);
        let right = there
            .is_some_and(|there| place.seq <= there.head() && there.is_member_at(me, place.seq));
        book.check("a view is of a place where one is a member", right, || {
            format!(
                "{me}: {room} at {place:?}, where the head is {:?}",
                there.map(super::truth::Room::head)
            )
        });
    }

    fn answered(
        &mut self,
        asked: &Asked,
        answer: &Answer,
        truth: &Truth,
        log: &Log,
        book: &mut Book,
    ) {
        let me = self.member;
        match answer {
            Answer::Join(view) | Answer::Create(view) | Answer::Direct(view) => {
                self.look(view, truth, book);
                if asked.kind == 6 && view.place.seq == view.since {
                    let in_force = truth
                        .room(view.room, view.place.epoch)
                        .and_then(|room| room.credential_before(view.since));
                    // Who was in already needs none.
                    let proved =
                        asked.proof.is_none() || in_force.is_none() || asked.proof == in_force;
                    book.check("who joins has proved the password in force", proved, || {
                        format!(
                            "{me} joined {} by {:?} where {in_force:?}",
                            view.room, asked.proof
                        )
                    });
                }
                self.rooms.entry(view.room).or_insert(view.place);
            }
            Answer::History(page) => {
                if let Some(room) = asked.room {
                    self.reads(room, page, truth, book);
                }
            }
            Answer::Send(done)
            | Answer::Topic(done)
            | Answer::Kick(done)
            | Answer::Leave(done)
            | Answer::Mute(done)
            | Answer::Password(done) => {
                let (Some(room), place) = (asked.room, done.place) else {
                    return;
                };
                let stands = truth
                    .room(room, place.epoch)
                    .and_then(|room| room.record(place.seq));
                let same = stands.is_some_and(|record| {
                    record.member == me
                        && record.txn == asked.txn
                        && match &record.body {
                            RecordBody::Message(said) | RecordBody::Action(said) => {
                                asked.kind == 9 && Some(&said.content) == asked.content.as_ref()
                            }
                            RecordBody::Topic(_) => asked.kind == 12,
                            RecordBody::Kicked(_) => asked.kind == 14,
                            RecordBody::Left(_) => asked.kind == 7,
                            RecordBody::Muted(_) => asked.kind == 17,
                            RecordBody::Password(_) => asked.kind == 19,
                            _ => false,
                        }
                });
                book.check("what is acknowledged stands in the log", same, || {
                    format!(
                        "{me}: {asked:?} is acknowledged at {place:?} of {room}, where {stands:?}"
                    )
                });
                if asked.kind == 7
                    && let Some(at) = self.rooms.remove(&room)
                {
                    let log_now = Partition::Room(room);
                    let trimmed = log.oldest(log_now) > at.seq + 1;
                    let lost = log.head(log_now).epoch != place.epoch;
                    book.check(
                        "the answer to a leave comes after the records",
                        at == place || trimmed || lost,
                        || format!("{me} is at {at:?} of {room} and left at {place:?}"),
                    );
                }
            }
            Answer::Role(done)
            | Answer::Ban(done)
            | Answer::Unban(done)
            | Answer::Unmute(done)
            | Answer::Redact(done)
            | Answer::Block(done) => {
                let (Some(room), place) = (asked.room, done.place) else {
                    return;
                };
                let there = truth
                    .room(room, place.epoch)
                    .is_some_and(|room| place.seq <= room.head());
                book.check("what is acknowledged stands in the log", there, || {
                    format!("{me}: {asked:?} is acknowledged at {place:?} of {room}")
                });
            }
            _ => {}
        }
    }

    fn reads(&self, room: RoomId, page: &HistoryPage, truth: &Truth, book: &mut Book) {
        let me = self.member;
        for two in page.records.windows(2) {
            book.check("history has no holes", two[0].seq + 1 == two[1].seq, || {
                format!("{room}: {} then {}", two[0].seq, two[1].seq)
            });
        }
        for record in &page.records {
            Self::is_true(room, page.epoch, record, truth, book);
            Self::is_gone(room, page.epoch, record, truth, book);
            let may = truth
                .room(room, page.epoch)
                .is_some_and(|room| room.may_hear(me, record.seq));
            book.check("only members read", may, || {
                format!("{me} reads {} of {room}", record.seq)
            });
        }
    }
}
