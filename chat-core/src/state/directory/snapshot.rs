//! The form of the directory in snapshots: each fact once, and no index.

use core::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{
    Directory,
    invites::{Invite, Invites},
    members::{Known, Members},
    names::{DisplayName, MemberName, Names},
    rooms::{Claim, Group, Listed, ListedKind, Rooms},
};
use crate::{
    id::{InviteId, MemberId, RoomId, Seq},
    state::{
        room::mark::Mark,
        rows::{Rows, unknown_section},
    },
    wire::{BodyError, reader, record::CipherKind},
};

const CALLED: u8 = 0;
const KNOWN: u8 = 1;
const ENDING: u8 = 2;
const LISTED: u8 = 3;
const CLAIM: u8 = 4;
const INVITE: u8 = 5;
const OWED: u8 = 6;

/// A directory of which the rows are being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restored {
    called: Vec<(MemberId, MemberName)>,
    known: Vec<(MemberId, Known)>,
    ending: Vec<(MemberId, ())>,
    listed: Vec<(RoomId, Box<Listed>)>,
    claims: Vec<(RoomId, Claim)>,
    invites: Vec<(InviteId, Invite)>,
    owed: Vec<(MemberId, RoomId)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "frozen")]
struct ListedRow<'a> {
    from: Seq,
    mark: Option<Mark>,
    members: u32,
    #[serde(borrow)]
    kind: KindRow<'a>,
}

#[derive(Serialize, Deserialize)]
enum KindRow<'a> {
    Plain,
    Group(#[serde(borrow)] GroupRow<'a>),
    Closed(Option<u32>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "frozen")]
struct GroupRow<'a> {
    number: u32,
    name: Option<&'a str>,
    topic: &'a str,
    cipher: CipherKind,
    protected: bool,
    founder: MemberId,
}

pub(super) fn freeze(directory: &mut Directory, _rows: &mut Rows) {
    directory.names.people_mut().freeze();
    directory.members.known_mut().freeze();
    directory.members.ending_mut().freeze();
    directory.rooms.rooms_mut().freeze();
    directory.rooms.claims_mut().freeze();
    directory.invites.freeze();
}

pub(super) fn thaw(directory: &mut Directory) {
    directory.names.people_mut().thaw();
    directory.members.known_mut().thaw();
    directory.members.ending_mut().thaw();
    directory.rooms.rooms_mut().thaw();
    directory.rooms.claims_mut().thaw();
    directory.invites.thaw();
}

pub(super) fn write(directory: &mut Directory, rows: &mut Rows) -> ControlFlow<()> {
    let Directory {
        names,
        members,
        rooms,
        invites,
    } = directory;
    names.people_mut().write(|member, called| {
        let row = (called.name.text(), called.is_held, called.keep);
        rows.push_of(CALLED, &member.0, &row)
    })?;
    let mut row = Vec::new();
    members.known_mut().write(|member, known| {
        row.clear();
        row.extend_from_slice(&member.0);
        known.write(&mut row);
        rows.push_of(KNOWN, &row, &())
    })?;
    members
        .ending_mut()
        .write(|member, _| rows.push_of(ENDING, &member.0, &()))?;
    rooms
        .rooms_mut()
        .write(|room, listed| rows.push_of(LISTED, &room.0, &ListedRow::of(listed)))?;
    rooms
        .claims_mut()
        .write(|room, claim| rows.push_of(CLAIM, &room.0, claim))?;
    let (kept, owed) = invites.parts_mut();
    kept.write(|id, invite| rows.push_of(INVITE, &id.0, invite))?;
    owed.write(|member, room| rows.push_of(OWED, &member.0, room))
}

impl Restored {
    pub(super) fn take(&mut self, section: u8, row: &[u8]) -> Result<(), BodyError> {
        let Some((id, row)) = row.split_first_chunk() else {
            return Err(BodyError("a row without its key".to_owned()));
        };
        match section {
            CALLED => {
                let (name, is_held, keep) = reader::take(row)?;
                let name = DisplayName::from_text(name);
                let called = MemberName {
                    name,
                    is_held,
                    keep,
                };
                self.called.push((MemberId(*id), called));
            }
            KNOWN => {
                self.known.push((MemberId(*id), Known::read(row)?));
            }
            ENDING => self.ending.push((MemberId(*id), ())),
            LISTED => {
                let listed = reader::take::<ListedRow<'_>>(row)?.into_listed();
                self.listed.push((RoomId(*id), Box::new(listed)));
            }
            CLAIM => self.claims.push((RoomId(*id), reader::take(row)?)),
            INVITE => self.invites.push((InviteId(*id), reader::take(row)?)),
            OWED => self.owed.push((MemberId(*id), reader::take(row)?)),
            other => return unknown_section(other),
        }
        Ok(())
    }

    pub(super) fn into_directory(self) -> Directory {
        Directory {
            names: Names::restored(self.called),
            members: Members::restored(self.known, self.ending),
            rooms: Rooms::restored(self.listed, self.claims),
            invites: Invites::restored(self.invites, self.owed),
        }
    }
}

impl<'a> ListedRow<'a> {
    fn of(listed: &'a Listed) -> Self {
        let kind = match &listed.kind {
            ListedKind::Plain => KindRow::Plain,
            ListedKind::Closed { number } => KindRow::Closed(*number),
            ListedKind::Group(group) => KindRow::Group(GroupRow {
                number: group.number,
                name: group.name.as_ref().map(DisplayName::text),
                topic: &group.topic,
                cipher: group.cipher,
                protected: group.protected,
                founder: group.founder,
            }),
        };
        Self {
            from: listed.from,
            mark: listed.mark,
            members: listed.members,
            kind,
        }
    }

    fn into_listed(self) -> Listed {
        let kind = match self.kind {
            KindRow::Plain => ListedKind::Plain,
            KindRow::Closed(number) => ListedKind::Closed { number },
            KindRow::Group(group) => ListedKind::Group(Group {
                number: group.number,
                name: group.name.map(DisplayName::from_text),
                topic: group.topic.into(),
                cipher: group.cipher,
                protected: group.protected,
                founder: group.founder,
            }),
        };
        Listed {
            from: self.from,
            mark: self.mark,
            members: self.members,
            kind,
        }
    }
}
