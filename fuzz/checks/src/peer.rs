//! The far end of a connection: it notes what it asks and checks what it is told.

use std::collections::BTreeMap;

use bytes::Bytes;
use chat_core::{
    id::{ConnId, CredentialId, KeyId, MemberId, Place, RoomId},
    wire::{
        Form, Frame, Framing, ServerMessage, Tagged,
        client::Open,
        record::RecordBody,
        server::{Answer, Challenged, Records, RoomView},
    },
};

/// One connection, seen from its far end.
pub(crate) struct Peer {
    pub(crate) conn: ConnId,
    pub(crate) form: Form,
    pub(crate) framing: Framing,
    /// The peer said anything at all; what it asked for by that, nobody knows.
    pub(crate) foul: bool,
    /// The first message of a peer with keys, and the answer.
    pub(crate) open: Option<Open>,
    pub(crate) challenged: Option<Challenged>,
    /// The member that the peer asked to be.
    pub(crate) claims: Option<MemberId>,
    /// The member that the peer is, once it is welcome.
    pub(crate) member: Option<MemberId>,
    /// The peer was told to go.
    pub(crate) closing: bool,
    /// The driver was told to end it.
    pub(crate) ended: bool,
    /// The connection is no more.
    pub(crate) over: bool,
    /// Kinds of the requests without an answer, by their ids.
    pub(crate) asked: BTreeMap<u64, u16>,
    /// The places it presented.
    pub(crate) presented: BTreeMap<RoomId, Place>,
    /// The rooms it is in, and the last record it has of each.
    pub(crate) rooms: BTreeMap<RoomId, Place>,
    /// The keys that it knows to be in force.
    pub(crate) keys: BTreeMap<RoomId, KeyId>,
    /// Registrations and logins that the server answered.
    pub(crate) registered: Vec<(CredentialId, Bytes)>,
    pub(crate) challenge: Option<(CredentialId, Bytes)>,
    /// Whether it reads what it is sent.
    pub(crate) reads: bool,
    /// Bytes in its outbox.
    pub(crate) waiting: usize,
    /// The driver skips its fan-outs, and the hub knows it.
    pub(crate) flagged: bool,
    pub(crate) told: bool,
    /// The hub must be told when the outbox has room.
    pub(crate) owed: bool,
    /// The hub waits to hear that there is room for one more page.
    pub(crate) owes_credit: bool,
}

impl Peer {
    pub(crate) fn new(conn: ConnId, form: Form, framing: Framing) -> Self {
        Self {
            conn,
            form,
            framing,
            foul: false,
            open: None,
            challenged: None,
            claims: None,
            member: None,
            closing: false,
            ended: false,
            over: false,
            asked: BTreeMap::new(),
            presented: BTreeMap::new(),
            rooms: BTreeMap::new(),
            keys: BTreeMap::new(),
            registered: Vec::new(),
            challenge: None,
            reads: true,
            waiting: 0,
            flagged: false,
            told: false,
            owed: false,
            owes_credit: false,
        }
    }

    /// Takes a frame into its outbox and checks what it says, in the order in which it will be
    /// read.
    pub(crate) fn hear(&mut self, frame: &Frame, rooms: &mut Vec<RoomId>) {
        assert!(!self.ended, "a frame after the end");
        if !self.reads {
            self.waiting += frame.len();
        }
        let message: ServerMessage = self
            .form
            .decode(&frame.body())
            .expect("the hub speaks its protocol");
        assert!(!self.closing, "a word after `closing`: {message:?}");
        self.closing = matches!(message, ServerMessage::Closing(_));
        if self.foul {
            return;
        }
        match message {
            ServerMessage::Challenge(challenged) => {
                assert!(self.open.is_some(), "an answer to what was not asked");
                let before = self.challenged.replace(challenged);
                assert_eq!(before, None, "two answers");
            }
            ServerMessage::Welcome(welcome) => {
                assert_eq!(self.member, None, "welcome twice");
                assert_eq!(self.claims, Some(welcome.member));
                self.member = self.claims;
            }
            ServerMessage::Ok(done) => {
                assert_eq!(
                    self.asked.remove(&done.id),
                    Some(done.answer.kind()),
                    "an answer to what was not asked"
                );
                match done.answer {
                    Answer::Create(view) | Answer::Join(view) | Answer::Direct(view) => {
                        self.see(&view, rooms);
                        self.rooms.entry(view.room).or_insert(view.place);
                    }
                    Answer::Register(registered) => self
                        .registered
                        .push((registered.credential, registered.response)),
                    Answer::Login(challenge) => {
                        self.challenge = Some((challenge.credential, challenge.ke2))
                    }
                    Answer::History(page) => {
                        assert!(
                            page.records
                                .windows(2)
                                .all(|two| two[0].seq + 1 == two[1].seq),
                            "a hole in the history"
                        );
                        assert!(
                            page.records
                                .iter()
                                .all(|record| (page.oldest..=page.newest).contains(&record.seq))
                        );
                    }
                    Answer::List(page) => rooms.extend(
                        page.rooms
                            .iter()
                            .map(|info| info.room)
                            .filter(|room| !rooms.contains(room))
                            .collect::<Vec<_>>(),
                    ),
                    _ => {}
                }
            }
            ServerMessage::Error(failure) if failure.id == 0 => {
                assert_eq!(self.member, None, "a refused hello of somebody welcome")
            }
            ServerMessage::Error(failure) => assert!(
                self.asked.remove(&failure.id).is_some(),
                "an answer to what was not asked"
            ),
            ServerMessage::Entered(entered) => {
                self.see(&entered.view, rooms);
                let room = entered.view.room;
                let place = if entered.resumed {
                    self.presented.remove(&room).expect("it said where it was")
                } else {
                    entered.view.place
                };
                self.rooms.insert(room, place);
            }
            ServerMessage::Records(records) => self.follow(&records),
            ServerMessage::Presence(presence) => {
                assert!(
                    self.rooms.contains_key(&presence.room),
                    "told who is in a room that it is not in"
                );
            }
            ServerMessage::Removed(removed) => {
                self.rooms.remove(&removed.room);
            }
            ServerMessage::Named(_)
            | ServerMessage::Closing(_)
            | ServerMessage::Ping(_)
            | ServerMessage::Pong(_) => {}
            other => panic!("{other:?} is unknown"),
        }
    }

    fn see(&mut self, view: &RoomView, rooms: &mut Vec<RoomId>) {
        if !rooms.contains(&view.room) {
            rooms.push(view.room);
        }
        if let Some(key) = view.keys.last() {
            self.keys.insert(view.room, key.id);
        }
    }

    /// Records come only of rooms it is in, in order, without holes and without repeats.
    fn follow(&mut self, records: &Records) {
        for record in &records.records {
            let cursor = self
                .rooms
                .get_mut(&records.room)
                .expect("records of a room that it is in");
            assert_eq!(cursor.epoch, records.epoch, "records of another epoch");
            assert_eq!(cursor.seq + 1, record.seq, "a hole or a repeat");
            cursor.seq = record.seq;
            let gone = match &record.body {
                RecordBody::Left(_) => Some(record.member),
                RecordBody::Kicked(removal) | RecordBody::Banned(removal) => Some(removal.target),
                _ => None,
            };
            let closed = matches!(record.body, RecordBody::Closed(_));
            if closed || (gone.is_some() && gone == self.member) {
                self.rooms.remove(&records.room);
            }
        }
    }
}
