//! Members: known, ending, forgotten.

use super::{Ask, Log, Verdict, named, projected};
use crate::{
    id::RoomId,
    state::{
        directory::entry::{Change, Projected},
        room::Standing,
        testing::{ADA, BOB, CY},
    },
    time::Wall,
    wire::record,
};

const ROOM: RoomId = RoomId([9; 16]);

fn entered(log: &Log, members: &[crate::id::MemberId]) -> Ask {
    let from = log
        .directory
        .rooms
        .get(ROOM)
        .map_or(0, |listed| listed.from);
    let entered = members
        .iter()
        .map(|member| (*member, record::Standing::Member));
    Ask::Project(vec![Projected {
        entered: entered.collect(),
        ..projected(ROOM, from)
    }])
}

fn left(log: &Log, members: &[crate::id::MemberId]) -> Ask {
    let from = log
        .directory
        .rooms
        .get(ROOM)
        .map_or(0, |listed| listed.from);
    Ask::Project(vec![Projected {
        left: members.to_vec(),
        ..projected(ROOM, from)
    }])
}

#[test]
fn a_room_that_lists_a_stranger_makes_it_known_without_a_name() {
    let mut log = Log::new();
    log.done(&entered(&log, &[ADA]));
    assert!(log.directory.knows(ADA) && !log.directory.knows(BOB));
    assert_eq!(log.directory.names.called(ADA), None);
    assert_eq!(log.directory.names.nick(ADA), "");
    assert_eq!(
        log.directory.members.standing(ADA, ROOM),
        Some(Standing::Member)
    );
    let rooms: Vec<_> = log.directory.members.rooms_of(ADA).collect();
    assert_eq!(rooms, [(ROOM, Standing::Member)]);
    log.done(&named(ADA, "ada"));
    assert_eq!(log.directory.members.rooms_of(ADA).count(), 1);
}

#[test]
fn who_is_forgotten_ends_first_and_is_in_no_room() {
    let mut log = Log::new();
    log.done(&named(ADA, "ada"));
    log.done(&entered(&log, &[ADA]));
    assert_eq!(
        log.judge(&Ask::End(ADA)),
        Verdict::Already,
        "it holds a name"
    );
    log.done(&Ask::Free(vec![ADA]));
    log.here.insert(ADA);
    assert_eq!(log.judge(&Ask::End(ADA)), Verdict::Already, "it is here");
    log.here.clear();
    assert_eq!(
        log.judge(&Ask::Forget(ADA)),
        Verdict::Already,
        "it is not ending"
    );
    log.done(&Ask::End(ADA));
    assert!(log.directory.members.is_ending(ADA));
    assert_eq!(log.judge(&Ask::End(ADA)), Verdict::Already);
    assert_eq!(
        log.judge(&Ask::Forget(ADA)),
        Verdict::Already,
        "a room lists it"
    );
    log.done(&left(&log, &[ADA]));
    log.done(&Ask::Forget(ADA));
    assert!(!log.directory.knows(ADA));
    assert_eq!(log.directory.names.called(ADA), None);
    assert!(!log.directory.members.is_ending(ADA));
    assert_eq!(
        log.judge(&Ask::End(ADA)),
        Verdict::Already,
        "nobody knows it"
    );
}

#[test]
fn who_comes_back_ends_its_ending() {
    let mut log = Log::new();
    log.done(&named(ADA, "ada"));
    log.done(&Ask::Free(vec![ADA]));
    log.done(&Ask::End(ADA));
    log.done(&named(ADA, "ada"));
    assert!(!log.directory.members.is_ending(ADA));
    log.done(&Ask::Free(vec![ADA]));
    assert_eq!(log.judge(&Ask::Forget(ADA)), Verdict::Already);
}

#[test]
fn an_ending_that_was_written_beside_a_name_is_ended_by_the_same_name() {
    let mut log = Log::new();
    log.done(&named(ADA, "ada"));
    let of = crate::state::directory::entry::OfMember { member: ADA };
    log.append(&Change::Ending(of));
    log.done(&named(ADA, "ada"));
    assert!(!log.directory.members.is_ending(ADA));
}

#[test]
fn nobody_is_forgotten_in_the_batch_that_lists_it() {
    let mut log = Log::new();
    log.done(&named(ADA, "ada"));
    log.done(&Ask::Free(vec![ADA]));
    log.done(&Ask::End(ADA));
    let judged = log.judge_all(&[entered(&log, &[ADA]), Ask::Forget(ADA)]);
    assert_eq!(judged[1], Verdict::Wait);
    let judged = log.judge_all(&[Ask::Forget(ADA), named(ADA, "ada"), Ask::End(ADA)]);
    assert_eq!(judged[1..], [Verdict::Wait, Verdict::Wait]);
    let judged = log.judge_all(&[entered(&log, &[BOB]), Ask::Forget(ADA)]);
    assert!(matches!(judged[1], Verdict::Accept(_)));
}

#[test]
fn the_directory_says_when_it_heard_last_of_everybody() {
    let mut log = Log::new();
    log.done(&named(ADA, "ada"));
    log.wall = Wall(2_000);
    log.done(&entered(&log, &[ADA, BOB]));
    assert_eq!(log.directory.heard_of(ADA), Some((Wall(1_000), true)));
    assert_eq!(log.directory.heard_of(BOB), Some((Wall(2_000), false)));
    log.wall = Wall(3_000);
    log.done(&Ask::Free(vec![ADA]));
    assert_eq!(log.directory.heard_of(ADA), Some((Wall(3_000), true)));
    assert_eq!(log.directory.heard_of(CY), None);
    let after = |after| log.directory.members.after(after).collect::<Vec<_>>();
    assert_eq!(after(None), [(ADA, Wall(3_000)), (BOB, Wall(2_000))]);
    assert_eq!(after(Some(ADA)), [(BOB, Wall(2_000))]);
}
