//! A room and people around it, for the tests of the folds and judges.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    Fold, Verdict,
    room::{
        Room,
        judge::{Ask, Author, Draft, JudgeContext, People, Proposed},
        mutes::Mutes,
    },
};
use crate::{
    id::{MemberId, Place, RequestHash, RoomOrigin, Seq, SessionId},
    limits::Limits,
    log::Storage,
    time::{Monotonic, Wall},
    wire::{
        ErrorCode, Record,
        client::Peer,
        record::{Content, Created, Person, RecordBody, RoomKind},
    },
};

pub(super) const ADA: MemberId = member(1);
pub(super) const BOB: MemberId = member(2);
pub(super) const CY: MemberId = member(3);
pub(super) const DAN: MemberId = member(4);

pub(super) const fn member(n: u8) -> MemberId {
    MemberId([n; 16])
}

pub(super) fn peer(member: MemberId) -> Peer {
    Peer::Member(member)
}

/// The request `txn` of a member's first session. Its hash tells it from others of another number.
pub(super) fn asked(member: MemberId, txn: u64) -> Author {
    Author {
        member,
        session: SessionId(1),
        txn,
        hash: RequestHash(txn as u32),
    }
}

pub(super) fn said(text: &str) -> Ask {
    Ask::Send {
        action: false,
        content: Content::plain(text),
    }
}

pub(super) const JOIN: Ask = Ask::Join { proved: None };

/// People as a hub knows them.
#[derive(Default)]
pub(super) struct Crowd {
    pub(super) nicks: BTreeMap<MemberId, String>,
    pub(super) ending: BTreeSet<MemberId>,
    pub(super) rooms: BTreeMap<MemberId, usize>,
    pub(super) invitations: BTreeMap<MemberId, usize>,
}

impl People for Crowd {
    fn nick(&self, member: MemberId) -> &str {
        self.nicks.get(&member).map_or("", |nick| nick)
    }

    fn holder(&self, nick: &str) -> Option<MemberId> {
        let mut nicks = self.nicks.iter();
        nicks
            .find(|(_, called)| *called == nick)
            .map(|(member, _)| *member)
    }

    fn knows(&self, member: MemberId) -> bool {
        self.nicks.contains_key(&member)
    }

    fn is_ending(&self, member: MemberId) -> bool {
        self.ending.contains(&member)
    }

    fn rooms_of(&self, member: MemberId) -> usize {
        self.rooms.get(&member).copied().unwrap_or(0)
    }

    fn invitations_of(&self, member: MemberId) -> usize {
        self.invitations.get(&member).copied().unwrap_or(0)
    }
}

/// A room with its log.
pub(super) struct World {
    pub(super) room: Room,
    pub(super) log: Vec<Bytes>,
    pub(super) people: Crowd,
    pub(super) limits: Limits,
    pub(super) mutes: Mutes,
    pub(super) now: Monotonic,
    pub(super) wall: Wall,
    pub(super) epoch: u64,
    pub(super) erasing: usize,
    pub(super) fresh: bool,
    pub(super) storage: Storage,
}

impl World {
    /// An empty log, and people called `m1` and so on.
    pub(super) fn new() -> Self {
        let nicks = (1..=9).map(|n| (member(n), format!("m{n}")));
        Self {
            room: Room::default(),
            log: Vec::new(),
            people: Crowd {
                nicks: nicks.collect(),
                ..Crowd::default()
            },
            limits: Limits::default(),
            mutes: Mutes::default(),
            now: Monotonic(0),
            wall: Wall(1_000),
            epoch: 1,
            erasing: 0,
            fresh: true,
            storage: Storage::Free,
        }
    }

    /// A group of these; the first owns it.
    pub(super) fn group(members: &[MemberId]) -> Self {
        let mut world = Self::new();
        let (owner, others) = members.split_first().expect("a group has an owner");
        world.done(&asked(*owner, 1), &Ask::Create(Box::new(group())));
        for member in others {
            world.done(&Author::unasked(*member), &JOIN);
        }
        world
    }

    /// A private conversation that the first has opened.
    pub(super) fn private(author: MemberId, other: MemberId) -> Self {
        let mut world = Self::new();
        let created = private(author, other);
        world.done(&asked(author, 1), &Ask::Direct(Box::new(created)));
        world
    }

    pub(super) fn head(&self) -> Place {
        Place {
            epoch: self.epoch,
            seq: self.log.len() as Seq,
        }
    }

    pub(super) fn context(&self) -> JudgeContext<'_> {
        JudgeContext {
            people: &self.people,
            limits: &self.limits,
            now: self.now,
            mutes: &self.mutes,
            head: self.head(),
            erasing: self.erasing,
            fresh: self.fresh,
            storage: self.storage,
        }
    }

    pub(super) fn judge(&self, author: &Author, ask: &Ask) -> Verdict<Proposed, Seq> {
        let mut draft = Draft::default();
        self.room.judge(&mut draft, &self.context(), author, ask)
    }

    /// Judges a request, and takes in its records.
    pub(super) fn ask(&mut self, author: &Author, ask: &Ask) -> Verdict<Proposed, Seq> {
        let verdict = self.judge(author, ask);
        if let Verdict::Accept(proposed) = &verdict {
            for proposed in proposed.clone() {
                self.commit(author, proposed);
            }
        }
        verdict
    }

    /// The bodies that a request became.
    pub(super) fn done(&mut self, author: &Author, ask: &Ask) -> Vec<RecordBody> {
        match self.ask(author, ask) {
            Verdict::Accept(records) => records.into_iter().map(|record| record.body).collect(),
            other => panic!("{ask:?} of {author:?}: {other:?}"),
        }
    }

    /// The code of a refusal.
    pub(super) fn refused(&self, author: &Author, ask: &Ask) -> ErrorCode {
        match self.judge(author, ask) {
            Verdict::Refuse(refusal) => refusal.code,
            other => panic!("{ask:?} of {author:?}: {other:?}"),
        }
    }

    pub(super) fn commit(&mut self, author: &Author, proposed: Proposed) {
        let seq = self.log.len() as Seq + 1;
        let nick = self.people.nick(proposed.author).to_owned();
        let record = proposed.into_record(author, seq, self.wall, (&nick, ""));
        self.append(&record);
    }

    /// Takes in a record as its log has it.
    pub(super) fn append(&mut self, record: &Record) {
        let bytes = record.to_bytes();
        let record = Record::from_bytes(&bytes).expect("it was written so");
        self.room.apply(&record, &bytes);
        if let RecordBody::Muted(muted) = &record.body {
            let (_, mute) = self
                .room
                .mutes()
                .find(|(member, _)| *member == muted.target)
                .expect("it was muted");
            self.mutes.begin(muted.target, *mute, self.now);
        }
        self.log.push(bytes);
    }

    /// Takes in a record that no judge has seen.
    pub(super) fn append_body(&mut self, author: &Author, body: RecordBody) {
        let proposed = Proposed::request(author, body);
        self.commit(author, proposed);
    }

    pub(super) fn record(&self, seq: Seq) -> Record {
        Record::from_bytes(&self.log[seq as usize - 1]).expect("it was written so")
    }

    /// The room as a hub has it that reads the log now.
    pub(super) fn reread(&self) -> Room {
        let mut room = Room::default();
        for bytes in &self.log {
            let record = Record::from_bytes(bytes).expect("it was written so");
            room.apply(&record, bytes);
        }
        room
    }
}

pub(super) fn group() -> Created {
    Created {
        kind: RoomKind::Group,
        origin: RoomOrigin([5; 16]),
        cipher: Default::default(),
        history: Default::default(),
        presence: Default::default(),
        topic: "tea".to_owned(),
        number: Some(0),
        name: None,
        key: None,
        password: None,
        members: Vec::new(),
    }
}

pub(super) fn private(author: MemberId, other: MemberId) -> Created {
    let person = |member: MemberId| Person {
        member,
        nick: format!("m{}", member.0[0]),
        label: String::new(),
    };
    Created {
        kind: RoomKind::Private,
        number: None,
        topic: String::new(),
        members: vec![person(author), person(other)],
        ..group()
    }
}
