//! The form of a room in snapshots.

use core::ops::ControlFlow;
use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    Life, Membership, Mute, Redaction, Room,
    mark::Tail,
    results::{Results, Session},
};
use crate::{
    id::{MemberId, Seq, SessionId},
    state::{
        parts::first_row,
        rows::{Rows, unknown_section},
    },
    wire::{BodyError, reader, record::CipherKind},
};

const HEAD: u8 = 0;
const MEMBER: u8 = 1;
const BANNED: u8 = 2;
const MUTED: u8 = 3;
const SESSION: u8 = 4;

/// The small fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Head {
    life: Life,
    blocking: BTreeSet<MemberId>,
    redactions: VecDeque<Redaction>,
    tail: Tail,
    hand: Seq,
}

/// A room of which the rows are being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restored {
    head: Option<Head>,
    members: Vec<(MemberId, Membership)>,
    banned: Vec<(MemberId, Box<str>)>,
    muted: Vec<(MemberId, Mute)>,
    sessions: Vec<((MemberId, SessionId), Session)>,
}

pub(super) fn freeze(room: &mut Room, rows: &mut Rows) {
    let head = Head {
        life: room.life.clone(),
        blocking: room.blocking.clone(),
        redactions: room.redactions.clone(),
        tail: room.tail,
        hand: room.results.hand(),
    };
    // The writer looks for itself whether a part is full.
    let _ = rows.push(HEAD, &head);
    room.members.freeze();
    room.banned.freeze();
    room.muted.freeze();
    room.results.freeze();
}

pub(super) fn thaw(room: &mut Room) {
    room.members.thaw();
    room.banned.thaw();
    room.muted.thaw();
    room.results.thaw();
}

pub(super) fn write(room: &mut Room, rows: &mut Rows) -> ControlFlow<()> {
    room.members
        .write(|member, row| rows.push(MEMBER, &(member, row)))?;
    room.banned
        .write(|member, row| rows.push(BANNED, &(member, row)))?;
    room.muted
        .write(|member, row| rows.push(MUTED, &(member, row)))?;
    room.results.write(SESSION, rows)
}

impl Restored {
    pub(super) fn take(&mut self, section: u8, row: &[u8]) -> Result<(), BodyError> {
        match section {
            HEAD => self.head = Some(reader::take(row)?),
            MEMBER => self.members.push(reader::take(row)?),
            BANNED => self.banned.push(reader::take(row)?),
            MUTED => self.muted.push(reader::take(row)?),
            SESSION => self.sessions.push(reader::take(row)?),
            other => return unknown_section(other),
        }
        Ok(())
    }

    pub(super) fn into_room(self) -> Result<Room, BodyError> {
        let Some(head) = self.head else {
            return Err(BodyError("a snapshot without what the room is".to_owned()));
        };
        Ok(Room {
            life: head.life,
            members: self.members.into_iter().collect(),
            banned: self.banned.into_iter().collect(),
            muted: self.muted.into_iter().collect(),
            blocking: head.blocking,
            results: Results::restored(self.sessions, head.hand),
            redactions: head.redactions,
            tail: head.tail,
        })
    }
}

/// The cipher of the room whose snapshot begins with this part.
pub(super) fn cipher_of(part: &[u8]) -> Option<CipherKind> {
    let (HEAD, row) = first_row::<Room>(part)? else {
        return None;
    };
    match reader::take::<Head>(row).ok()?.life {
        Life::Open(about) => Some(about.cipher),
        Life::Empty | Life::Closed => None,
    }
}
