//! Invitations: made, used, ended, forgotten; and the rooms that newcomers are to be in.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Ask, Door, Log, Verdict, claim, named, nick, projected, room_of};
use crate::{
    id::{InviteId, MemberId, RoomId},
    invite::InviteRoom,
    state::{
        directory::{
            entry::{Change, ListedAbout, Projected},
            judge::AskInvite,
        },
        testing::{ADA, BOB, CY, DAN, asked, member},
    },
    time::Wall,
    wire::{ErrorCode, record},
};

const ID: InviteId = InviteId([1; 16]);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn invite(id: InviteId, uses: u32, ends: Wall, room: Option<InviteRoom>) -> Ask {
    Ask::Invite(Box::new(AskInvite {
        id,
        uses,
        ends,
        room,
    }))
}

/// For so many newcomers, and a day.
fn for_a_day(log: &Log, uses: u32) -> Ask {
    invite(ID, uses, log.wall + DAY, None)
}

fn comes(member: MemberId, text: &str, shown: Option<InviteId>) -> Ask {
    comes_to(member, text, true, shown)
}

fn comes_to(member: MemberId, text: &str, closed: bool, shown: Option<InviteId>) -> Ask {
    Ask::Name {
        member,
        name: nick(text),
        label: String::new(),
        keep: true,
        anew: false,
        door: Door { closed, shown },
    }
}

fn used(log: &Log, id: InviteId) -> Option<u32> {
    let mut invites = log.directory.invites.iter();
    invites.find_map(|(other, invite)| (other == id).then_some(invite.used))
}

/// A projection of a room that was not projected before.
fn lists(room: RoomId, members: &[MemberId], about: Option<ListedAbout>, closed: bool) -> Ask {
    let entered = members.iter();
    Ask::Project(vec![Projected {
        entered: entered
            .map(|member| (*member, record::Standing::Member))
            .collect(),
        about,
        closed,
        ..projected(room, 0)
    }])
}

#[test]
fn nobody_new_comes_in_without_an_invitation() {
    let mut log = Log::new();
    log.done(&named(ADA, "ada"));
    let none = comes(BOB, "bob", None);
    assert_eq!(log.refused(&none), ErrorCode::InvitationNeeded);
    let unknown = comes(BOB, "bob", Some(ID));
    assert_eq!(log.refused(&unknown), ErrorCode::InvitationEnded);
    // Another hub may have made it.
    log.fresh = false;
    assert_eq!(log.judge(&unknown), Verdict::LookAgain);
    log.fresh = true;
    assert_eq!(log.judge(&comes(ADA, "ada", None)), Verdict::Already);
    log.done(&comes(ADA, "adina", None));
    log.done(&comes_to(BOB, "bob", false, None));
}

#[test]
fn one_entry_lets_a_newcomer_in_and_counts_the_use() {
    let mut log = Log::new();
    log.done(&for_a_day(&log, 2));
    let head = log.head();
    let change = log.done(&comes(ADA, "ada", Some(ID)));
    assert!(matches!(change, Change::Named(named) if named.invite == Some(ID)));
    assert_eq!((log.head(), used(&log, ID)), (head + 1, Some(1)));
    // A member that is in comes again, with the invitation or without, and spends nothing.
    assert_eq!(log.judge(&comes(ADA, "ada", Some(ID))), Verdict::Already);
    log.done(&comes(ADA, "adina", Some(ID)));
    assert_eq!(used(&log, ID), Some(1));
    // A name that cannot be had spends nothing either.
    let taken = comes(BOB, "Adina", Some(ID));
    assert_eq!(log.refused(&taken), ErrorCode::NickTaken);
    log.done(&comes(BOB, "bob", Some(ID)));
    let spent = comes(CY, "cy", Some(ID));
    assert_eq!(log.refused(&spent), ErrorCode::InvitationEnded);
}

#[test]
fn an_invitation_ends_with_its_time_or_when_it_is_revoked() {
    let mut log = Log::new();
    log.done(&for_a_day(&log, 5));
    let ask = comes(ADA, "ada", Some(ID));
    log.wall = log.wall + DAY;
    assert_eq!(log.refused(&ask), ErrorCode::InvitationEnded);
    log.wall.0 -= 1;
    assert!(matches!(log.judge(&ask), Verdict::Accept(_)));
    log.done(&Ask::Revoke(ID));
    assert_eq!(log.refused(&ask), ErrorCode::InvitationEnded);
    assert_eq!(log.judge(&Ask::Revoke(ID)), Verdict::Already);
}

#[test]
fn the_uses_of_one_batch_count_too() {
    let mut log = Log::new();
    log.done(&for_a_day(&log, 2));
    let asks = [
        comes(ADA, "ada", Some(ID)),
        comes(BOB, "bob", Some(ID)),
        comes(CY, "cy", Some(ID)),
        Ask::Revoke(ID),
    ];
    let [first, second, third, revoke] = &log.ask_all(&asks)[..] else {
        panic!("four verdicts");
    };
    assert!(matches!(
        (first, second),
        (Verdict::Accept(_), Verdict::Accept(_))
    ));
    // Those ahead may come to nothing.
    assert_eq!((third, revoke), (&Verdict::Wait, &Verdict::Wait));
    assert_eq!(log.refused(&asks[2]), ErrorCode::InvitationEnded);
    log.done(&Ask::Revoke(ID));
    let asks = [for_a_day(&log, 1), comes(DAN, "dan", Some(ID))];
    assert_eq!(log.ask_all(&asks)[1], Verdict::Wait);
}

#[test]
fn an_invitation_is_judged_when_those_before_it_are_there() {
    let mut log = Log::new();
    log.limits.invites = 1;
    let two = [1, 2].map(|n| invite(InviteId([n; 16]), 1, log.wall + DAY, None));
    let [first, second] = &log.ask_all(&two)[..] else {
        panic!("two verdicts");
    };
    assert!(matches!(first, Verdict::Accept(_)));
    assert_eq!(second, &Verdict::Wait);
    assert_eq!(log.refused(&two[1]), ErrorCode::TooManyInvitations);
    // The group may get its number in the same batch.
    let mut log = Log::new();
    log.done(&named(ADA, "ada"));
    let ends = log.wall + DAY;
    let to_it = invite(ID, 1, ends, Some(InviteRoom::Number(0)));
    assert_eq!(log.ask_all(&[claim(ADA, 1, None), to_it])[1], Verdict::Wait);
}

#[test]
fn in_an_open_house_an_invitation_that_is_over_is_none() {
    let mut log = Log::new();
    log.done(&for_a_day(&log, 1));
    log.done(&comes_to(ADA, "ada", false, Some(ID)));
    let change = log.done(&comes_to(BOB, "bob", false, Some(ID)));
    assert!(matches!(change, Change::Named(named) if named.invite.is_none()));
    assert_eq!(used(&log, ID), Some(1));
}

#[test]
fn as_many_are_kept_as_may_be_and_old_ones_make_place() {
    let mut log = Log::new();
    log.limits.invites = 2;
    let end = log.wall + DAY;
    let ask = |n| invite(InviteId([n; 16]), 1, end, None);
    log.done(&ask(1));
    log.done(&ask(2));
    assert_eq!(log.judge(&ask(2)), Verdict::Already, "made already");
    assert_eq!(log.refused(&ask(3)), ErrorCode::TooManyInvitations);
    log.done(&Ask::Revoke(InviteId([1; 16])));
    log.done(&ask(3));
    // A month after its end, nobody is told any more that it was one.
    log.wall = end + 30 * DAY;
    assert_eq!(log.refused(&ask(4)), ErrorCode::TooManyInvitations);
    log.wall.0 += 1;
    log.done(&ask(4));
    let ids: Vec<_> = log.directory.invites.iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [InviteId([4; 16])]);
    assert_eq!(log.reread(), log.directory);
}

#[test]
fn it_leads_to_groups_that_nothing_seals() {
    let mut log = Log::new();
    log.done(&claim(ADA, 1, Some("Tea")));
    let room = room_of(&asked(ADA, 1));
    let end = log.wall + DAY;
    let to = |room| invite(ID, 2, end, Some(room));
    for none in [InviteRoom::Number(7), InviteRoom::Name("coffee".to_owned())] {
        assert_eq!(log.refused(&to(none)), ErrorCode::UnknownRoom);
    }
    let leads = |log: &Log, room| match log.judge(&to(room)) {
        Verdict::Accept(changes) => match changes[0] {
            Change::Invited(invited) => invited.room,
            _ => None,
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(leads(&log, InviteRoom::Number(0)), Some(room));
    assert_eq!(leads(&log, InviteRoom::Name("TEA".to_owned())), Some(room));
    for (cipher, protected) in [
        (record::CipherKind::StaticKey, false),
        (record::CipherKind::None, true),
    ] {
        let from = log
            .directory
            .rooms
            .get(room)
            .map_or(0, |listed| listed.from);
        let about = Some(ListedAbout {
            topic: String::new(),
            cipher,
            protected,
        });
        log.done(&Ask::Project(vec![Projected {
            about,
            ..projected(room, from)
        }]));
        let refused = log.refused(&to(InviteRoom::Number(0)));
        assert_eq!(refused, ErrorCode::PasswordRequired);
    }
}

#[test]
fn a_newcomer_is_owed_the_room_until_it_is_listed_there() {
    let mut log = Log::new();
    log.done(&claim(ADA, 1, None));
    let room = room_of(&asked(ADA, 1));
    log.done(&invite(ID, 9, log.wall + DAY, Some(InviteRoom::Number(0))));
    for (who, text) in [(BOB, "bob"), (CY, "cy"), (DAN, "dan")] {
        log.done(&comes(who, text, Some(ID)));
        assert_eq!(log.directory.invites.owed(who), Some(room));
    }
    let back = crate::state::parts::from_whole(&crate::state::parts::whole(&log.directory));
    assert_eq!(back.as_ref(), Ok(&log.directory));
    log.done(&lists(RoomId::LOBBY, &[BOB], None, false));
    assert_eq!(log.directory.invites.owed(BOB), Some(room), "another room");
    log.done(&lists(room, &[BOB], None, false));
    assert_eq!(log.directory.invites.owed(BOB), None);
    log.done(&Ask::Free(vec![CY]));
    log.done(&Ask::End(CY));
    log.done(&Ask::Forget(CY));
    assert_eq!(log.directory.invites.owed(CY), None);
    let from = log
        .directory
        .rooms
        .get(room)
        .map_or(0, |listed| listed.from);
    log.done(&Ask::Project(vec![Projected {
        closed: true,
        ..projected(room, from)
    }]));
    assert_eq!(log.directory.invites.owed(DAN), None, "it is no more");
}

#[derive(Clone, Debug)]
enum Step {
    Invite(u8, u32, u64),
    Revoke(u8),
    /// All of them come at once, each with an invitation or none.
    Come(Vec<(u8, Option<u8>)>),
    Pass(u64),
    Forget(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (id, who) = (0..4_u8, 1..12_u8);
    let comers = (who.clone(), proptest::option::weighted(0.9, id.clone()));
    prop_oneof![
        2 => (id.clone(), 1..4_u32, 1..9_u64).prop_map(|(id, n, t)| Step::Invite(id, n, t)),
        1 => id.prop_map(Step::Revoke),
        5 => proptest::collection::vec(comers, 1..5).prop_map(Step::Come),
        1 => (1..6_u64).prop_map(Step::Pass),
        1 => who.prop_map(Step::Forget),
    ]
}

/// The invitations as one would keep them on paper: uses that are left, and the end.
#[derive(Default)]
struct Model {
    left: BTreeMap<u8, (u32, u64)>,
    known: BTreeSet<u8>,
}

proptest! {
    /// A member is let in exactly if it is known or has an invitation with a use left, and
    /// each newcomer spends one, whatever is judged together.
    #[test]
    fn each_use_lets_in_one_newcomer(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut log, mut model) = (Log::new(), Model::default());
        for step in steps {
            let now = log.wall.0;
            match step {
                Step::Invite(id, uses, lasts) => {
                    let ask = invite(InviteId([id; 16]), uses, Wall(now + lasts), None);
                    if let Verdict::Accept(_) = log.ask(&ask) {
                        let before = model.left.insert(id, (uses, now + lasts));
                        prop_assert_eq!(before, None);
                    }
                }
                Step::Revoke(id) => {
                    log.ask(&Ask::Revoke(InviteId([id; 16])));
                    model.left.remove(&id);
                }
                Step::Come(comers) => {
                    let ask = |(who, shown): &(u8, Option<u8>)| {
                        let shown = shown.map(|id| InviteId([id; 16]));
                        comes(member(*who), &format!("m{who}"), shown)
                    };
                    let mut waiting = comers;
                    while !waiting.is_empty() {
                        let asks: Vec<_> = waiting.iter().map(ask).collect();
                        let verdicts = log.ask_all(&asks);
                        let mut later = Vec::new();
                        for ((who, shown), verdict) in waiting.into_iter().zip(verdicts) {
                            let use_left = shown.and_then(|id| model.left.get_mut(&id));
                            let use_left = use_left.filter(|(left, end)| *left > 0 && now < *end);
                            match verdict {
                                Verdict::Wait => later.push((who, shown)),
                                Verdict::Already => prop_assert!(model.known.contains(&who)),
                                Verdict::Accept(_) if model.known.contains(&who) => {}
                                Verdict::Accept(_) => {
                                    prop_assert!(use_left.is_some());
                                    if let Some((left, _)) = use_left {
                                        *left -= 1;
                                    }
                                    model.known.insert(who);
                                }
                                Verdict::Refuse(refusal) => {
                                    prop_assert!(use_left.is_none());
                                    prop_assert!(!model.known.contains(&who));
                                    let none = shown.is_none();
                                    let needed = refusal.code == ErrorCode::InvitationNeeded;
                                    prop_assert_eq!(needed, none);
                                }
                                other => prop_assert!(false, "{other:?}"),
                            }
                        }
                        waiting = later;
                    }
                }
                Step::Pass(time) => log.wall.0 += time,
                Step::Forget(who) => {
                    for ask in [
                        Ask::Free(vec![member(who)]),
                        Ask::End(member(who)),
                        Ask::Forget(member(who)),
                    ] {
                        log.ask(&ask);
                    }
                    model.known.remove(&who);
                }
            }
            prop_assert_eq!(log.reread(), log.directory.clone());
        }
    }
}
