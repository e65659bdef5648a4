//! Projections: the difference between the listing of a room and the room.

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

/// The most members that one entry enters, and the most that it takes out.
pub(crate) const PIECE: usize = 4_096;

/// Members whose listing may differ from their standing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Candidates<'a> {
    /// Members touched by records behind the mark of the listing, see [`listed_change`].
    Changed(&'a BTreeSet<MemberId>),
    /// All members of the room, and these, which are all that the room lists: see
    /// [`by_room`](super::members::Members::by_room).
    Listed(&'a [MemberId]),
}

/// The entries that make the listing of a room exact, in order; none if it is. Only the first has
/// its `from`: [`judge`](Directory::judge) fills in the others, each of which follows the one
/// before.
pub(crate) fn projection(
    directory: &Directory,
    id: RoomId,
    room: &Room,
    candidates: Candidates<'_>,
    piece: usize,
) -> Vec<Projected> {
    let listed = directory.rooms.get(id);
    let mark = room.mark();
    if directory.rooms.is_exact(id, mark) {
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

/// Topic, cipher and protection of a group.
fn about_of(room: &Room) -> Option<ListedAbout> {
    let about = room.about().filter(|about| about.kind == RoomKind::Group)?;
    Some(ListedAbout {
        topic: about.topic.clone(),
        cipher: about.cipher,
        protected: about.password.is_some(),
    })
}

/// The part of the listing that a record changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ListedChange {
    /// Nothing.
    None,
    /// Topic or protection.
    About,
    /// The standing of these members.
    Members(Vec<MemberId>),
    /// The standing of all members.
    All,
}

/// The part of the listing of this room that a record changes. `room`: before or after the record.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        state::testing::{ADA, BOB, World},
        time::Wall,
        wire::record::{Closed, Joined, Removal, Topic},
    };

    #[test]
    fn each_record_changes_its_part_of_the_listing() {
        let world = World::group(&[ADA, BOB]);
        let of = |body| {
            let record = Record {
                member: ADA,
                ..Record::by_server(9, Wall(0), body)
            };
            listed_change(&world.room, &record)
        };
        let removal = || Removal {
            target: BOB,
            nick: String::new(),
            reason: String::new(),
        };
        let topic = String::new();
        let reason = String::new();
        for (body, changed) in [
            (
                RecordBody::Joined(Joined {}),
                ListedChange::Members(vec![ADA]),
            ),
            (
                RecordBody::Kicked(removal()),
                ListedChange::Members(vec![BOB]),
            ),
            (
                RecordBody::Banned(removal()),
                ListedChange::Members(vec![BOB]),
            ),
            (RecordBody::Topic(Topic { topic }), ListedChange::About),
            (RecordBody::Closed(Closed { reason }), ListedChange::All),
        ] {
            assert_eq!(of(body), changed);
        }
    }
}
