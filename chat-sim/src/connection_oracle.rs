//! The frames of one connection as they left the hub, and whether they are the protocol.

mod answers;

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{InviteId, MemberId, Partition, Place, RoomId, Seq, SessionId},
    invite::InviteSecret,
    wire::{
        ClientMessage, CloseReason, ErrorCode, Record, ServerMessage, Tagged,
        client::{Op, Resume, RoomRef},
        record::RecordBody,
        server::{Entered, PresenceUpdate, RoomView},
    },
};

pub(crate) use self::answers::{Scene, proof_of, room_of};
use crate::{
    journal::Book,
    reference_model::{Truth, is_blank_of},
    time::{EPOCH, MS, SECOND},
};

/// Records read from the log are told within this time.
pub(crate) const READ_WITHIN: u64 = 8 * SECOND;

/// One connection as it should be.
#[derive(Debug)]
pub(crate) struct Line {
    member: MemberId,
    /// Of its requests.
    session: SessionId,
    /// The invitation that its last hello showed, and when it was said.
    shown: Option<InviteId>,
    said_hello: u64,
    pending: BTreeMap<u64, Asked>,
    /// Rooms whose records come, and the last one told.
    rooms: BTreeMap<RoomId, Place>,
    presented: BTreeMap<RoomId, Place>,
    awaited: BTreeSet<RoomId>,
    /// The records that its requests became, in each room and life of its log.
    became: BTreeMap<(RoomId, u64), BTreeMap<u64, Seq>>,
    welcomed: bool,
    /// A hello was refused for want of an invitation.
    shut_out: bool,
    closing: bool,
    /// The client said that it goes for good.
    bye: bool,
    /// Another one has taken its place.
    pub(crate) replaced: bool,
    /// The connection was turned away when it came.
    pub(crate) turned: bool,
}

/// A request without an answer.
#[derive(Debug)]
struct Asked {
    id: u64,
    txn: u64,
    op: Op,
    /// When.
    at: u64,
    /// The last place of the room that the connection had been told by then.
    told: Option<Place>,
    /// The request was asked before, here or on another connection: its outcome may be that of the
    /// first one.
    again: bool,
}

impl Line {
    pub(crate) fn new(member: MemberId) -> Self {
        Self {
            member,
            session: SessionId::NONE,
            shown: None,
            said_hello: 0,
            pending: BTreeMap::new(),
            rooms: BTreeMap::new(),
            presented: BTreeMap::new(),
            awaited: BTreeSet::new(),
            became: BTreeMap::new(),
            welcomed: false,
            shut_out: false,
            closing: false,
            bye: false,
            replaced: false,
            turned: false,
        }
    }

    pub(crate) fn member(&self) -> MemberId {
        self.member
    }

    pub(crate) fn is_welcomed(&self) -> bool {
        self.welcomed && !self.closing
    }

    /// Whether the person has no way in: nobody is to wait for that client.
    pub(crate) fn is_shut_out(&self) -> bool {
        self.shut_out && !self.welcomed
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// The rooms whose records it is told.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.keys().copied()
    }

    pub(crate) fn was_welcomed(&self) -> bool {
        self.welcomed
    }

    pub(crate) fn said_bye(&self) -> bool {
        self.bye
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// How many words may wait for this connection: some for itself, and of each room some for each
    /// time that it is told anew.
    pub(crate) fn words_allowed(&self, losses: usize) -> usize {
        let rooms = self.rooms.len() + self.awaited.len() + self.presented.len() + 1;
        16 + 6 * rooms * (1 + losses)
    }

    fn comes_in(&mut self, session: SessionId, resume: &[Resume]) {
        self.session = session;
        self.presented = resume
            .iter()
            .map(|resume| (resume.room, resume.place))
            .collect();
    }

    /// The client said something. `again`: the same as before.
    pub(crate) fn client_said(&mut self, message: &ClientMessage, again: bool, book: &mut Book) {
        match message {
            ClientMessage::Hello(hello) => match hello.entrance() {
                Ok(entrance) => {
                    self.comes_in(entrance.session, &entrance.resume);
                    self.shown = entrance.invite.as_ref().map(InviteSecret::id);
                    self.said_hello = book.now;
                }
                Err(e) => book.fail("the client speaks its protocol", || e.to_string()),
            },
            ClientMessage::GuestHello(guest) => self.comes_in(guest.session, &guest.resume),
            ClientMessage::Request(request) => {
                let room = room_of(&request.op);
                let asked = Asked {
                    told: room.and_then(|room| self.rooms.get(&room).copied()),
                    id: request.id,
                    txn: request.txn,
                    op: request.op.clone(),
                    at: book.now,
                    again,
                };
                let new = self.pending.insert(request.id, asked).is_none();
                book.check("a request's id is its own", new, || {
                    format!("{} of {}", request.id, self.member)
                });
            }
            ClientMessage::Bye(_) => self.bye = true,
            _ => {}
        }
    }

    /// The hub said something to this connection alone.
    pub(crate) fn hub_said(&mut self, message: &ServerMessage, scene: &Scene<'_>, book: &mut Book) {
        let truth = scene.truth;
        let me = self.member;
        book.check("nothing is said after `closing`", !self.closing, || {
            format!("to {me}: {message:?}")
        });
        match message {
            ServerMessage::Welcome(welcome) => {
                book.check(
                    "one welcome",
                    !self.welcomed && !self.turned && welcome.member == me,
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
                    .is_some_and(|asked| asked.op.kind() == done.answer.kind());
                book.check("a request has one answer", known, || {
                    format!("to {me}: {done:?}")
                });
                if let Some(asked) = asked {
                    self.waited_for_the_join(done.id, &asked, book);
                    self.answered(&asked, &done.answer, scene, book);
                }
            }
            ServerMessage::Error(failure) if failure.id == 0 => {
                book.check(
                    "a hello is refused before the welcome",
                    !self.welcomed,
                    || format!("to {me}: {failure:?}"),
                );
                self.stays_outside(failure.code, truth, book);
            }
            ServerMessage::Error(failure) => {
                let asked = self.pending.remove(&failure.id);
                book.check("a request has one answer", asked.is_some(), || {
                    format!("to {me}: {failure:?}")
                });
                if let Some(asked) = asked {
                    if failure.code == ErrorCode::NotMember {
                        self.waited_for_the_join(failure.id, &asked, book);
                    }
                    self.refused(&asked, failure.code, scene, book);
                }
            }
            ServerMessage::Entered(entered) => self.enters(entered, scene, book),
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
            ServerMessage::Closing(closing) => {
                self.closing = true;
                self.replaced = closing.reason == CloseReason::Replaced;
                let full = closing.reason == CloseReason::Full;
                let ending = closing.reason == CloseReason::Restarting;
                book.check(
                    "who is turned away is told why",
                    full == self.turned || ending,
                    || format!("to {me}: {closing:?}"),
                );
            }
            ServerMessage::Named(named) => {
                let mine = truth.called(&named.nick).any(|member| member == me);
                book.check("a name is given to who is told it", mine, || {
                    format!("{me}: {named:?}")
                });
            }
            ServerMessage::Challenge(_) | ServerMessage::Ping(_) | ServerMessage::Pong(_) => {}
            unknown => book.fail("the hub speaks its protocol", || format!("{unknown:?}")),
        }
    }

    /// A hello was refused: for want of an invitation only where that is so.
    fn stays_outside(&mut self, code: ErrorCode, truth: &Truth, book: &mut Book) {
        let needed = match code {
            ErrorCode::InvitationNeeded => true,
            ErrorCode::InvitationEnded => false,
            _ => return,
        };
        book.saw(if needed {
            "refused: invitation_needed"
        } else {
            "refused: invitation_ended"
        });
        let me = self.member;
        book.check(
            "an invitation is asked for where none was shown",
            book.closed && needed == self.shown.is_none(),
            || format!("{me}: {code:?} for {:?}", self.shown),
        );
        self.shut_out = true;
        // A lost end of the directory's log takes members and uses with it; a stale read shows a
        // hub less of them.
        if !truth.directory_is_whole() || book.read_stale {
            return;
        }
        let directory = &truth.directory;
        let named = directory.person(me).map_or(0, |person| person.named);
        let known = 0 < named && named < self.said_hello;
        book.check("members need no invitation", !known, || {
            format!("{me}: {code:?}")
        });
        if let Some(id) = self.shown.filter(|_| !book.clock_jumped) {
            let lets_in = directory.lets_in(id, EPOCH + book.now / MS);
            book.check("an invitation lets in until it is over", !lets_in, || {
                format!("{me}: {id:?}")
            });
        }
    }

    /// A request about a room after a `join` of it waits until that is answered.
    fn waited_for_the_join(&self, id: u64, asked: &Asked, book: &mut Book) {
        let Some(room) = room_of(&asked.op) else {
            return;
        };
        let earlier = self.pending.range(..id);
        let overtaken = earlier.clone().find(|(_, other)| match &other.op {
            Op::Join(join) if room == RoomId::LOBBY => join.room == RoomRef::Lobby,
            Op::Join(join) => join.room == RoomRef::Id(room),
            _ => false,
        });
        book.check("nothing overtakes a join", overtaken.is_none(), || {
            format!("{}: {asked:?} before {overtaken:?}", self.member)
        });
    }

    /// The hub says that one is in a room.
    fn enters(&mut self, entered: &Entered, scene: &Scene<'_>, book: &mut Book) {
        let (me, room, place) = (self.member, entered.view.room, entered.view.place);
        let first = self.awaited.remove(&room);
        let presented = self.presented.get(&room).copied();
        self.look(&entered.view, scene, book);
        if entered.resumed {
            let right = presented.is_some_and(|at| at.epoch == place.epoch && at.seq <= place.seq)
                && !self.rooms.contains_key(&room);
            book.check("resumed where it was", right, || {
                format!(
                    "{me} presented {presented:?}, in {:?}, resumed {place:?} of {room}",
                    self.rooms.get(&room)
                )
            });
            self.rooms.insert(room, presented.unwrap_or(place));
            book.saw("a room resumed");
            if presented.is_some_and(|at| at.seq < place.seq) {
                book.saw("a room resumed with something missed");
            }
            return;
        }
        let log = Partition::Room(room);
        let cannot_be_read = |at: &Place| {
            scene.log.oldest(log) > at.seq + 1 || scene.log.was_damaged(log, at.seq + 1..=u64::MAX)
        };
        if let Some(at) = self.rooms.insert(room, place) {
            // Or where it was out meanwhile: by an earlier connection's word, or when it did not
            // read.
            let out = entered.view.since > at.seq;
            let gone = out || at.epoch != place.epoch || cannot_be_read(&at);
            book.check("told anew only where something is gone", gone, || {
                format!("{me} was at {at:?} of {room}, told {place:?}")
            });
            book.saw("a room told anew to somebody in it");
        } else if let Some(at) = presented.filter(|_| first) {
            let head = scene.truth.room(room, at.epoch).map(|room| room.head());
            let out = entered.view.since > at.seq;
            let lost = at.epoch != place.epoch || head.is_none_or(|head| head < at.seq);
            book.check(
                "a room is begun afresh only where the place is gone",
                out || lost || cannot_be_read(&at),
                || format!("{me} presented {at:?} of {room}, told {:?}", entered.view),
            );
            book.saw(if lost {
                "a presented place that is gone"
            } else if out {
                "a presented place of before one was out"
            } else {
                "a presented place of which the rest cannot be read"
            });
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

    /// A frame that leaves a hub has no text that is out of the log, but for those read before it
    /// was.
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
                book.now <= book.late_until.max(since + READ_WITHIN),
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
                        // That of an earlier connection ends it as well, and then this one is
                        // refused.
                        matches!(asked.op, Op::Leave(_))
                            && room_of(&asked.op) == Some(room)
                            && (self.session, asked.txn) == (record.session, record.txn)
                    })
            }
            RecordBody::Kicked(removal) | RecordBody::Banned(removal) => removal.target == me,
            RecordBody::Closed(_) => true,
            _ => false,
        };
        if out {
            self.rooms.remove(&room);
        }
    }

    fn look(&self, view: &RoomView, scene: &Scene<'_>, book: &mut Book) {
        let (me, room, place) = (self.member, view.room, view.place);
        let there = scene.truth.room(room, place.epoch);
        let right = there
            .is_some_and(|there| place.seq <= there.head() && there.is_member_at(me, place.seq));
        book.check("a view is of a place where one is a member", right, || {
            format!(
                "{me}: {room} at {place:?}, where the head is {:?}",
                there.map(super::reference_model::Room::head)
            )
        });
        let since = there.and_then(|there| there.since_at(me, place.seq));
        // The member may have been out and in again since.
        let right = since.is_none_or(|since| since <= view.since);
        book.check("a view tells since when one is a member", right, || {
            format!(
                "{me}: {room} at {place:?}, since {since:?} and not {}",
                view.since
            )
        });
        // One of an earlier place, from which on one is told the rest, shows the room as it is now.
        if let Some((seq, there)) = scene.known(room)
            && seq == place.seq
        {
            let right = view.topic == there.topic_at(seq)
                && Some(view.role) == there.role_at(me, seq)
                && view.members as usize == there.members_at(seq).count()
                && Some(view.standing) == there.standing_at(me, seq)
                && view.said == there.said_at(seq)
                && view.credential == there.credential_before(seq + 1);
            book.check("a view shows the room as it is", right, || {
                format!(
                    "{me}: {view:?} where {:?}, {:?}, {:?}, {}, {}",
                    there.topic_at(seq),
                    there.role_at(me, seq),
                    there.standing_at(me, seq),
                    there.members_at(seq).count(),
                    there.said_at(seq)
                )
            });
        }
    }
}
