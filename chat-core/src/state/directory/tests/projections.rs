//! Projections: the listing comes to be exact.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Ask, Directory, Log, Verdict, claim, projected, room_of};
use crate::{
    id::{MemberId, RoomId, Seq},
    state::{
        directory::{
            entry::{Change, Projected},
            projection::{Candidates, ListedChange, listed_change, projection},
        },
        room::{
            Room, Standing,
            judge::{Ask as RoomAsk, Author},
        },
        testing::{ADA, BOB, CY, JOIN, World, asked, member, peer, said},
    },
    wire::Record,
};

const PRIVATE: RoomId = RoomId([9; 16]);

/// The listing of a room.
fn listed(directory: &Directory, room: RoomId) -> BTreeMap<MemberId, Standing> {
    let standing = |(member, _)| Some((member, directory.members.standing(member, room)?));
    directory.members.after(None).filter_map(standing).collect()
}

fn is(room: &Room) -> BTreeMap<MemberId, Standing> {
    let members = room.members();
    members
        .map(|(member, membership)| (member, membership.standing))
        .collect()
}

/// The projection of a hub that has just loaded the room.
fn anew(directory: &Directory, id: RoomId, room: &Room, piece: usize) -> Vec<Projected> {
    let all = directory.members.by_room(&[id].into());
    let candidates = Candidates::Listed(all.get(&id).map_or(&[], |members| members));
    projection(directory, id, room, candidates, piece)
}

/// Whether the listing is exact, and knows it.
fn is_exact(directory: &Directory, id: RoomId, room: &Room) -> bool {
    directory.rooms.is_exact(id, room.mark()) && listed(directory, id) == is(room)
}

#[test]
fn a_room_is_listed_as_it_is_and_then_nothing_more_is_said() {
    let mut log = Log::new();
    log.done(&claim(ADA, 1, None));
    let id = room_of(&asked(ADA, 1));
    let mut world = World::group(&[ADA, BOB]);
    let pieces = anew(&log.directory, id, &world.room, 10);
    log.done(&Ask::Project(pieces));
    assert!(is_exact(&log.directory, id, &world.room));
    let group = log.directory.rooms.group(id).unwrap();
    assert_eq!(&*group.topic, "tea");
    assert_eq!(log.directory.rooms.get(id).unwrap().members, 2);
    assert!(anew(&log.directory, id, &world.room, 10).is_empty());
    // Messages are nothing that is listed.
    world.done(&asked(ADA, 2), &said("a"));
    assert!(anew(&log.directory, id, &world.room, 10).is_empty());
    world.done(&asked(BOB, 1), &RoomAsk::Leave);
    let pieces = anew(&log.directory, id, &world.room, 10);
    let [piece] = &pieces[..] else {
        panic!("one is enough");
    };
    assert_eq!(
        (&piece.entered[..], &piece.left[..], &piece.about),
        (&[][..], &[BOB][..], &None)
    );
    log.done(&Ask::Project(pieces));
    assert_eq!(log.directory.rooms.get(id).unwrap().members, 1);
}

#[test]
fn what_is_the_same_again_still_moves_the_mark() {
    let mut log = Log::new();
    let mut world = World::group(&[ADA]);
    log.done(&Ask::Project(anew(
        &log.directory,
        PRIVATE,
        &world.room,
        10,
    )));
    world.done(&asked(BOB, 1), &JOIN);
    world.done(&asked(BOB, 2), &RoomAsk::Leave);
    let pieces = anew(&log.directory, PRIVATE, &world.room, 10);
    assert_eq!(
        (pieces.len(), pieces[0].entered.len(), pieces[0].left.len()),
        (1, 0, 0)
    );
    log.done(&Ask::Project(pieces));
    assert!(is_exact(&log.directory, PRIVATE, &world.room));
}

#[test]
fn an_invitation_is_listed_and_so_is_that_it_was_accepted() {
    let mut log = Log::new();
    let mut world = World::private(ADA, BOB);
    log.done(&Ask::Project(anew(
        &log.directory,
        PRIVATE,
        &world.room,
        10,
    )));
    assert_eq!(
        log.directory.members.standing(BOB, PRIVATE),
        Some(Standing::Invited)
    );
    world.done(&asked(BOB, 2), &said("a"));
    log.done(&Ask::Project(anew(
        &log.directory,
        PRIVATE,
        &world.room,
        10,
    )));
    assert_eq!(
        log.directory.members.standing(BOB, PRIVATE),
        Some(Standing::Member)
    );
}

#[test]
fn a_room_that_was_closed_lists_nobody() {
    let mut log = Log::new();
    log.done(&claim(ADA, 1, Some("Tea")));
    let id = room_of(&asked(ADA, 1));
    let mut world = World::group(&[ADA, BOB, CY]);
    log.done(&Ask::Project(anew(&log.directory, id, &world.room, 10)));
    let reason = String::new();
    world.done(&Author::SERVER, &RoomAsk::Close { reason });
    let pieces = anew(&log.directory, id, &world.room, 2);
    let closed: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.closed, piece.more))
        .collect();
    assert_eq!(closed, [(false, true), (true, false)]);
    log.done(&Ask::Project(pieces));
    assert!(is_exact(&log.directory, id, &world.room));
    assert!(log.directory.rooms.get(id).unwrap().is_closed());
    // A room of which the log is empty says nothing at all.
    assert!(anew(&log.directory, id, &Room::default(), 10).is_empty());
}

#[test]
fn a_large_room_is_told_in_pieces_that_follow_each_other() {
    let members: Vec<_> = (1..=9).map(member).collect();
    let world = World::group(&members);
    let mut log = Log::new();
    log.done(&super::named(ADA, "ada"));
    let pieces = anew(&log.directory, PRIVATE, &world.room, 4);
    let sizes: Vec<_> = pieces.iter().map(|piece| piece.entered.len()).collect();
    assert_eq!(sizes, [4, 4, 1]);
    let Verdict::Accept(changes) = log.judge(&Ask::Project(pieces.clone())) else {
        panic!("they follow");
    };
    let from = changes.iter().map(|change| match change {
        Change::Projected(piece) => (piece.from, piece.more),
        other => panic!("{other:?}"),
    });
    assert_eq!(from.collect::<Vec<_>>(), [(0, true), (2, true), (3, false)]);
    // Behind something else of the same batch as well.
    let other = Ask::Project(vec![projected(RoomId([8; 16]), 0)]);
    let judged = log.ask_all(&[super::named(BOB, "bob"), other, Ask::Project(pieces)]);
    assert!(
        judged
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Accept(_)))
    );
    assert!(is_exact(&log.directory, PRIVATE, &world.room));
    assert_eq!(log.directory.rooms.get(PRIVATE).unwrap().from, 6);
}

#[test]
fn pieces_that_broke_off_are_gone_on_with_by_anybody() {
    let members: Vec<_> = (1..=9).map(member).collect();
    let world = World::group(&members);
    let mut log = Log::new();
    let mut pieces = anew(&log.directory, PRIVATE, &world.room, 4);
    pieces.truncate(1);
    log.done(&Ask::Project(pieces));
    assert_eq!(log.directory.rooms.get(PRIVATE).unwrap().mark, None);
    assert!(!is_exact(&log.directory, PRIVATE, &world.room));
    let rest = anew(&log.directory, PRIVATE, &world.room, 4);
    assert_eq!(
        rest.iter().map(|piece| piece.entered.len()).sum::<usize>(),
        5
    );
    log.done(&Ask::Project(rest));
    assert!(is_exact(&log.directory, PRIVATE, &world.room));
}

#[test]
fn a_projection_is_judged_by_from_and_computed_again() {
    let mut log = Log::new();
    let mut world = World::group(&[ADA]);
    let old = anew(&log.directory, PRIVATE, &world.room, 10);
    world.done(&asked(BOB, 1), &JOIN);
    // Another hub is faster.
    log.done(&Ask::Project(anew(
        &log.directory,
        PRIVATE,
        &world.room,
        10,
    )));
    let late = Ask::Project(old);
    assert_eq!(log.judge(&late), Verdict::Outdated);
    log.fresh = false;
    assert_eq!(log.judge(&late), Verdict::Outdated);
    // Two of one batch, of one room.
    let next = || Ask::Project(vec![projected(PRIVATE, 1)]);
    let judged = log.judge_all(&[next(), next()]);
    assert!(matches!(
        judged[..],
        [Verdict::Accept(_), Verdict::Outdated]
    ));
    // This hub is behind, and says what it knows as of its place: that is told again from there.
    let behind = {
        let mut world = World::group(&[ADA]);
        world.done(&asked(CY, 1), &JOIN);
        world
    };
    log.done(&Ask::Project(anew(
        &log.directory,
        PRIVATE,
        &behind.room,
        10,
    )));
    assert!(is_exact(&log.directory, PRIVATE, &behind.room));
    log.done(&Ask::Project(anew(
        &log.directory,
        PRIVATE,
        &world.room,
        10,
    )));
    assert!(is_exact(&log.directory, PRIVATE, &world.room));
}

#[test]
fn the_members_of_all_rooms_that_are_behind_are_found_at_once() {
    let mut log = Log::new();
    let (one, other) = (RoomId([8; 16]), PRIVATE);
    let rooms = [
        (one, &[ADA, BOB][..]),
        (other, &[BOB, CY]),
        (RoomId([7; 16]), &[ADA]),
    ];
    for (room, members) in rooms {
        let world = World::group(members);
        log.done(&Ask::Project(anew(&log.directory, room, &world.room, 10)));
    }
    let found = log
        .directory
        .members
        .by_room(&[one, other, RoomId([6; 16])].into());
    let expected = BTreeMap::from([(one, vec![ADA, BOB]), (other, vec![BOB, CY])]);
    assert_eq!(found, expected);
}

/// A step in a world of a room, a directory, and hubs that project.
#[derive(Clone, Debug)]
enum Step {
    /// A member asks the room for something.
    Ask(u8, u8),
    /// The room's log loses so many records.
    LoseRoom(u8),
    /// The directory's log does.
    LoseDirectory(u8),
    /// A hub computes a projection, of all members or of those that changed.
    Compute(bool, u8),
    /// The computed projection is judged.
    Tell,
    /// The computed projection is lost.
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..6_u8, 0..7_u8).prop_map(|(who, what)| Step::Ask(who, what)),
        1 => (1..4_u8).prop_map(Step::LoseRoom),
        1 => (1..4_u8).prop_map(Step::LoseDirectory),
        3 => (any::<bool>(), 1..4_u8).prop_map(|(all, piece)| Step::Compute(all, piece)),
        3 => Just(Step::Tell),
        1 => Just(Step::Forget),
    ]
}

struct Worlds {
    log: Log,
    world: World,
    id: RoomId,
    /// Members that changed since the mark as of which the room is listed, if that is known.
    changed: Option<BTreeSet<MemberId>>,
    /// A projection on its way to the directory.
    told: Option<Vec<Projected>>,
}

impl Worlds {
    fn new(private: bool) -> Self {
        let mut log = Log::new();
        log.done(&claim(ADA, 1, Some("Tea")));
        let world = match private {
            true => World::private(member(1), member(2)),
            false => World::group(&[member(1), member(2)]),
        };
        let id = if private {
            PRIVATE
        } else {
            room_of(&asked(ADA, 1))
        };
        Self {
            log,
            world,
            id,
            changed: None,
            told: None,
        }
    }

    fn play(&mut self, txn: u64, step: &Step) {
        match *step {
            Step::Ask(who, what) => self.ask(txn, who, what),
            Step::LoseRoom(records) => {
                // Of a group whose log is lost nothing is projected before it is closed.
                let least = usize::from(self.id != PRIVATE);
                let keep = self.world.log.len().saturating_sub(records.into());
                self.world.log.truncate(keep.max(least));
                self.world.room = self.world.reread();
                self.changed = None;
            }
            Step::LoseDirectory(entries) => {
                let keep = self.log.entries.len().saturating_sub(entries.into()).max(1);
                self.log.entries.truncate(keep);
                self.log.directory = self.log.reread();
                self.changed = None;
            }
            Step::Compute(all, piece) => self.told = Some(self.compute(all, piece.into())),
            Step::Tell => self.tell(),
            Step::Forget => self.told = None,
        }
        let mark = self.world.room.mark();
        if self.log.directory.rooms.is_exact(self.id, mark) {
            self.changed = Some(BTreeSet::new());
        }
    }

    fn ask(&mut self, txn: u64, who: u8, what: u8) {
        let (author, other) = (member(who), peer(member(1 + who % 5)));
        let reason = String::new();
        let ask = match what {
            0 | 1 => JOIN,
            2 => RoomAsk::Leave,
            3 => said("a"),
            4 => RoomAsk::Topic(format!("topic {txn}")),
            5 => RoomAsk::Kick {
                target: other,
                reason,
            },
            _ => RoomAsk::Ban {
                target: other,
                reason,
            },
        };
        let head = self.world.log.len();
        self.world.ask(&asked(author, txn), &ask);
        for bytes in &self.world.log[head..] {
            let record = Record::from_bytes(bytes).expect("it was written so");
            match (listed_change(&self.world.room, &record), &mut self.changed) {
                (ListedChange::Members(members), Some(changed)) => changed.extend(members),
                (ListedChange::All, changed) => *changed = None,
                _ => {}
            }
        }
    }

    fn compute(&self, all: bool, piece: usize) -> Vec<Projected> {
        let (directory, room) = (&self.log.directory, &self.world.room);
        match &self.changed {
            Some(changed) if !all => {
                let candidates = Candidates::Changed(changed);
                projection(directory, self.id, room, candidates, piece)
            }
            _ => anew(directory, self.id, room, piece),
        }
    }

    fn tell(&mut self) {
        let Some(told) = self.told.take() else { return };
        let is_new = self.changed.is_some();
        let verdict = self.log.ask(&Ask::Project(told));
        // The projection may be older than some of the changes.
        if matches!(verdict, Verdict::Accept(_)) && is_new {
            self.changed = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// After any sequence of records and any point of falling behind, listing and projection make
    /// the room; both ways to compute a projection give the same.
    #[test]
    fn the_listing_and_what_is_told_are_the_room(
        private in any::<bool>(),
        steps in proptest::collection::vec(step(), 0..60),
        piece in 1..5_usize,
    ) {
        let mut worlds = Worlds::new(private);
        for (txn, step) in (2..).zip(&steps) {
            worlds.play(txn, step);
            if worlds.changed.is_some() {
                prop_assert_eq!(worlds.compute(false, piece), worlds.compute(true, piece));
            }
        }
        worlds.play(9_999, &Step::Tell);
        // A refused projection is computed again, and then accepted.
        let told = worlds.compute(true, piece);
        if !told.is_empty() {
            let verdict = worlds.log.ask(&Ask::Project(told));
            prop_assert!(matches!(verdict, Verdict::Accept(_)), "{:?}", verdict);
        }
        prop_assert!(is_exact(&worlds.log.directory, worlds.id, &worlds.world.room));
        prop_assert!(worlds.compute(true, piece).is_empty());
        if let Some(group) = worlds.log.directory.rooms.group(worlds.id) {
            let about = worlds.world.room.about().expect("it is open");
            prop_assert_eq!(&*group.topic, &about.topic);
            let count = listed(&worlds.log.directory, worlds.id).len();
            let members = worlds.log.directory.rooms.get(worlds.id).map(|listed| listed.members);
            prop_assert_eq!(members, Some(count as u32));
        }
        prop_assert_eq!(worlds.log.reread(), worlds.log.directory);
    }
}

#[test]
fn an_entry_is_as_small_as_what_changed() {
    let mut log = Log::new();
    let mut world = World::group(&(1..=200).map(member).collect::<Vec<_>>());
    log.done(&Ask::Project(anew(
        &log.directory,
        PRIVATE,
        &world.room,
        1_000,
    )));
    world.done(&asked(member(201), 1), &JOIN);
    let changed = BTreeSet::from([member(201)]);
    let candidates = Candidates::Changed(&changed);
    let told = projection(&log.directory, PRIVATE, &world.room, candidates, 1_000);
    log.done(&Ask::Project(told));
    assert!(is_exact(&log.directory, PRIVATE, &world.room));
    let bytes = log.entries.last().map_or(0, bytes::Bytes::len);
    assert!(bytes < 80, "{bytes} bytes");
    let head: Seq = log.head();
    assert_eq!(head, 2);
}
