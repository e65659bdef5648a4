//! What the directory is to be told of a room: the difference between what is listed and what is.

use std::collections::BTreeSet;

use super::{
    Directory,
    entry::{ListedAbout, Projected},
};
use crate::{
    id::{MemberId, RoomId, Seq},
    state::room::{Room, Standing},
    wire::{
        Record,
        record::{self, RecordBody, RoomKind},
    },
};

/// Members that one entry enters and takes out at most.
pub(crate) const PIECE: usize = 4_096;

/// Members who may be listed otherwise than they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Candidates<'a> {
    /// Those whose membership was changed by the records since the mark as of which the room is listed.
    Changed(&'a BTreeSet<MemberId>),
    /// Anybody: these are all that the room lists (see [`by_room`](super::members::Members::by_room)).
    Listed(&'a [MemberId]),
}

/// What is to be listed of a room, as entries that follow each other; nothing if it is listed as it is.
/// An entry's `from` is right for the first only: the next ones follow that, and
/// [`judge`](Directory::judge) says what they are.
pub(crate) fn projection(
    directory: &Directory,
    id: RoomId,
    room: &Room,
    candidates: Candidates<'_>,
    piece: usize,
) -> Vec<Projected> {
    let listed = directory.rooms.get(id);
    let Some(mark) = room.mark() else {
        return Vec::new();
    };
    if listed.is_some_and(|listed| listed.mark == Some(mark)) {
        return Vec::new();
    }
    let from: Seq = listed.map_or(0, |listed| listed.from);
    let (entered, left) = differences(directory, id, room, candidates);
    let about = about_of(room).filter(|about| {
        let group = listed.and_then(|listed| listed.group());
        group.is_some_and(|group| group.about() != *about)
    });
    let piece = piece.max(1);
    let (mut entered, mut left) = (entered.chunks(piece), left.chunks(piece));
    let mut pieces = Vec::new();
    loop {
        let (entered, left) = (entered.next(), left.next());
        if (entered, left) == (None, None) && !pieces.is_empty() {
            break;
        }
        pieces.push(Projected {
            room: id,
            from,
            mark,
            entered: entered.unwrap_or_default().to_vec(),
            left: left.unwrap_or_default().to_vec(),
            about: None,
            closed: false,
            more: true,
        });
    }
    if let Some(last) = pieces.last_mut() {
        last.about = about;
        last.closed = room.is_closed();
        last.more = false;
    }
    pieces
}

type Differences = (Vec<(MemberId, record::Standing)>, Vec<MemberId>);

fn differences(
    directory: &Directory,
    id: RoomId,
    room: &Room,
    candidates: Candidates<'_>,
) -> Differences {
    let (mut entered, mut left) = (Vec::new(), Vec::new());
    let mut look = |member: MemberId, is: Option<Standing>| {
        let listed = directory.members.standing(member, id);
        match is {
            Some(standing) if listed != is => entered.push((member, standing.into())),
            None if listed.is_some() => left.push(member),
            _ => {}
        }
    };
    match candidates {
        Candidates::Changed(members) => {
            for member in members {
                look(*member, room.standing(*member));
            }
        }
        Candidates::Listed(members) => {
            for (member, membership) in room.members() {
                look(member, Some(membership.standing));
            }
            for member in members {
                if room.standing(*member).is_none() {
                    look(*member, None);
                }
            }
        }
    }
    (entered, left)
}

/// What a group is to be listed as.
fn about_of(room: &Room) -> Option<ListedAbout> {
    let about = room.about().filter(|about| about.kind == RoomKind::Group)?;
    Some(ListedAbout {
        topic: about.topic.clone(),
        cipher: about.cipher,
        protected: about.password.is_some(),
    })
}

/// What a record changes of what is listed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ListedChange {
    /// Nothing.
    None,
    /// What the room is called or what kind it is.
    About,
    /// The standing of these.
    Members(Vec<MemberId>),
    /// The standing of anybody.
    All,
}

/// What a record changes of what is listed of this room. `room`: before or after the record.
pub(crate) fn listed_change(room: &Room, record: &Record) -> ListedChange {
    let author = record.member;
    match &record.body {
        RecordBody::Joined(_) | RecordBody::Left(_) => ListedChange::Members(vec![author]),
        RecordBody::Kicked(removal) | RecordBody::Banned(removal) => {
            ListedChange::Members(vec![removal.target])
        }
        RecordBody::Reopened(_) => {
            let pair = room.about().map_or(&[][..], |about| &about.pair);
            ListedChange::Members(pair.iter().map(|person| person.member).collect())
        }
        RecordBody::Created(created) => {
            let pair = created.members.iter().map(|person| person.member);
            ListedChange::Members(pair.chain([author]).collect())
        }
        RecordBody::Closed(_) => ListedChange::All,
        RecordBody::Topic(_) | RecordBody::Password(_) => ListedChange::About,
        _ => ListedChange::None,
    }
}
