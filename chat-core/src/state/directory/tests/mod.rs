//! The directory's folds, its judge, and projections.

mod groups;
mod invites;
mod names;
mod people;
mod projections;
mod snapshots;

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    Directory,
    entry::{Change, Entry, Projected},
    invites::Door,
    judge::{Ask, Claim, ClaimOf, Draft, JudgeContext, Never, NewGroup},
};
use crate::{
    id::{MemberId, RoomId, Seq},
    limits::Limits,
    log::Storage,
    nick::Name,
    state::{
        Fold, Verdict,
        room::judge::Author,
        testing::{asked, group},
    },
    time::Wall,
    wire::ErrorCode,
};

pub(super) type Judged = Verdict<Change, Never>;

/// A directory with its log.
pub(super) struct Log {
    pub(super) directory: Directory,
    pub(super) entries: Vec<Bytes>,
    pub(super) limits: Limits,
    pub(super) fresh: bool,
    pub(super) storage: Storage,
    pub(super) here: BTreeSet<MemberId>,
    /// Owners of rooms that are loaded, of which these are all.
    pub(super) loaded: Option<(RoomId, BTreeSet<MemberId>)>,
    pub(super) rooms_of: usize,
    pub(super) wall: Wall,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            directory: Directory::default(),
            entries: Vec::new(),
            limits: Limits::default(),
            fresh: true,
            storage: Storage::Free,
            here: BTreeSet::new(),
            loaded: None,
            rooms_of: 0,
            wall: Wall(1_000),
        }
    }

    pub(super) fn head(&self) -> Seq {
        self.entries.len() as Seq
    }

    /// The verdicts on these requests, judged as one batch.
    pub(super) fn judge_all(&self, asks: &[Ask]) -> Vec<Judged> {
        let is_here = |member| self.here.contains(&member);
        let leads = |room, member| {
            let loaded = self.loaded.as_ref().filter(|(id, _)| *id == room);
            loaded.map(|(_, owners)| owners.contains(&member))
        };
        let rooms_of = |_| self.rooms_of;
        let context = JudgeContext {
            limits: &self.limits,
            head: self.head(),
            time: self.wall,
            fresh: self.fresh,
            storage: self.storage,
            is_here: &is_here,
            leads: &leads,
            rooms_of: &rooms_of,
        };
        let mut draft = Draft::default();
        let judged = asks
            .iter()
            .map(|ask| self.directory.judge(&mut draft, &context, ask));
        judged.collect()
    }

    pub(super) fn judge(&self, ask: &Ask) -> Judged {
        let mut judged = self.judge_all(core::slice::from_ref(ask));
        judged.remove(0)
    }

    /// Judges a batch, and takes in its changes.
    pub(super) fn ask_all(&mut self, asks: &[Ask]) -> Vec<Judged> {
        let judged = self.judge_all(asks);
        for verdict in &judged {
            if let Verdict::Accept(changes) = verdict {
                changes.iter().for_each(|change| self.append(change));
            }
        }
        judged
    }

    pub(super) fn ask(&mut self, ask: &Ask) -> Judged {
        let mut judged = self.ask_all(core::slice::from_ref(ask));
        judged.remove(0)
    }

    pub(super) fn done(&mut self, ask: &Ask) -> Change {
        match self.ask(ask) {
            Verdict::Accept(mut changes) => changes.remove(0),
            other => panic!("{ask:?}: {other:?}"),
        }
    }

    pub(super) fn refused(&self, ask: &Ask) -> ErrorCode {
        match self.judge(ask) {
            Verdict::Refuse(refusal) => refusal.code,
            other => panic!("{ask:?}: {other:?}"),
        }
    }

    /// Takes in an entry as the log has it.
    pub(super) fn append(&mut self, change: &Change) {
        let entry = Entry {
            seq: self.head() + 1,
            time: self.wall,
            change: change.clone(),
        };
        let bytes = Directory::encode(&entry);
        let read = Directory::decode(&bytes).expect("it was written so");
        assert_eq!(read, entry);
        self.directory.apply(&read, &bytes);
        self.entries.push(bytes);
    }

    /// The directory as a hub has it that reads the log now.
    pub(super) fn reread(&self) -> Directory {
        let mut directory = Directory::default();
        for bytes in &self.entries {
            let entry = Directory::decode(bytes).expect("it was written so");
            directory.apply(&entry, bytes);
        }
        directory
    }
}

pub(super) fn nick(text: &str) -> Name {
    Name::nick(text, 64).expect("it is a name")
}

pub(super) fn named(member: MemberId, text: &str) -> Ask {
    labelled(member, text, "")
}

pub(super) fn labelled(member: MemberId, text: &str, label: &str) -> Ask {
    Ask::Name {
        member,
        name: nick(text),
        label: label.to_owned(),
        keep: true,
        anew: false,
        door: Door::OPEN,
    }
}

/// The group that a member's request `txn` makes.
pub(super) fn claim(member: MemberId, txn: u64, name: Option<&str>) -> Ask {
    let author = asked(member, txn);
    Ask::Claim(Box::new(Claim {
        room: room_of(&author),
        name: name.map(|name| Name::group(name, 64).expect("it is a name")),
        of: ClaimOf::New(Box::new(NewGroup {
            author,
            nick: "ada".to_owned(),
            label: String::new(),
            created: group(),
        })),
    }))
}

pub(super) fn room_of(author: &Author) -> RoomId {
    RoomId::group(author.member, author.session, author.txn)
}

/// A projection that says nothing but that the room was there.
pub(super) fn projected(room: RoomId, from: Seq) -> Projected {
    Projected {
        room,
        from,
        mark: crate::state::room::mark::Mark::of(7, b"x"),
        entered: Vec::new(),
        left: Vec::new(),
        about: None,
        closed: false,
        more: false,
    }
}
