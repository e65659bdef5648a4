//! Snapshots of the directory, and how large it is.

use core::time::Duration;

use proptest::prelude::*;

use super::{Ask, Directory, Door, Log, claim, labelled, nick, projected, room_of};
use crate::{
    id::{InviteId, RoomId},
    invite::InviteRoom,
    state::{
        Fold,
        directory::{
            entry::{ListedAbout, Projected},
            judge::AskInvite,
            members::Known,
            names::MemberName,
            rooms::Listed,
        },
        parts::{SnapshotReader, SnapshotWriter, from_whole, whole},
        testing::{asked, member},
    },
    wire::record::Standing,
};

#[derive(Clone, Debug)]
enum Step {
    Name(u8, u8, bool),
    Free(u8),
    Claim(u8, Option<u8>),
    Project(u8, Vec<u8>, Vec<u8>, bool),
    End(u8),
    Forget(u8),
    Invite(u8, bool),
    Revoke(u8),
    /// By an invitation.
    Come(u8, u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1..8_u8;
    let members = proptest::collection::vec(who.clone(), 0..3);
    prop_oneof![
        3 => (who.clone(), 0..8_u8, any::<bool>()).prop_map(|(w, n, l)| Step::Name(w, n, l)),
        2 => who.clone().prop_map(Step::Free),
        2 => (who.clone(), proptest::option::of(0..4_u8)).prop_map(|(w, n)| Step::Claim(w, n)),
        3 => (0..6_u8, members.clone(), members, proptest::bool::weighted(0.1))
            .prop_map(|(r, e, l, c)| Step::Project(r, e, l, c)),
        2 => who.clone().prop_map(Step::End),
        2 => who.clone().prop_map(Step::Forget),
        1 => (0..3_u8, any::<bool>()).prop_map(|(i, r)| Step::Invite(i, r)),
        1 => (0..3_u8).prop_map(Step::Revoke),
        2 => (who, 0..8_u8, 0..3_u8).prop_map(|(w, n, i)| Step::Come(w, n, i)),
    ]
}

const NICKS: [&str; 8] = ["ada", "Ada", "Mayạ", "maya", "paypaI", "paypal", "Zoë", "x"];
const GROUPS: [&str; 4] = ["Tea", "tea", "C++", "Téa"];

fn play(log: &mut Log, rooms: &mut Vec<RoomId>, txn: u64, step: Step) {
    log.wall.0 += 1;
    let ask = match step {
        Step::Name(who, nick, label) => labelled(
            member(who),
            NICKS[usize::from(nick)],
            if label { "g1" } else { "" },
        ),
        Step::Free(who) => Ask::Free(vec![member(who), member(who + 1)]),
        Step::Claim(who, name) => {
            rooms.push(room_of(&asked(member(who), txn)));
            claim(member(who), txn, name.map(|name| GROUPS[usize::from(name)]))
        }
        Step::Project(room, entered, left, closed) => {
            let room = rooms[usize::from(room) % rooms.len()];
            let from = log
                .directory
                .rooms
                .get(room)
                .map_or(0, |listed| listed.from);
            let entered = entered.iter().map(|who| (member(*who), Standing::Member));
            let about = ListedAbout {
                topic: format!("topic {txn}"),
                cipher: Default::default(),
                protected: txn.is_multiple_of(2),
            };
            Ask::Project(vec![Projected {
                entered: entered.collect(),
                left: left.into_iter().map(member).collect(),
                about: Some(about),
                closed,
                ..projected(room, from)
            }])
        }
        Step::End(who) => Ask::End(member(who)),
        Step::Forget(who) => Ask::Forget(member(who)),
        Step::Invite(id, to_a_room) => Ask::Invite(Box::new(AskInvite {
            id: InviteId([id; 16]),
            uses: 2,
            ends: log.wall + Duration::from_millis(20),
            room: to_a_room.then_some(InviteRoom::Number(0)),
        })),
        Step::Revoke(id) => Ask::Revoke(InviteId([id; 16])),
        Step::Come(who, name, id) => Ask::Name {
            member: member(who),
            name: nick(NICKS[usize::from(name)]),
            label: String::new(),
            keep: true,
            anew: false,
            door: Door {
                closed: true,
                shown: Some(InviteId([id; 16])),
            },
        },
    };
    log.ask(&ask);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A hub that was there, one that reads the log, and one that begins with a snapshot in parts
    /// of a moment in between, hold the same, byte for byte.
    #[test]
    fn hubs_hold_the_same_however_they_come_to_it(
        steps in proptest::collection::vec(step(), 0..80),
        (from, part) in (0..80_usize, 1..60_usize),
    ) {
        let (mut log, mut rooms) = (Log::new(), vec![RoomId::LOBBY, RoomId([9; 16])]);
        let (mut writer, mut parts, mut moment) = (None, Vec::new(), None);
        for (n, step) in steps.into_iter().enumerate() {
            if n == from {
                moment = Some((log.directory.clone(), log.entries.len()));
                writer = Some(SnapshotWriter::begin(&mut log.directory, part));
            }
            play(&mut log, &mut rooms, n as u64, step);
            if let Some(writer) = &mut writer {
                parts.extend(writer.next_part(&mut log.directory));
            }
        }
        let reread = log.reread();
        prop_assert_eq!(&reread, &log.directory);
        prop_assert_eq!(whole(&reread), whole(&log.directory));
        let back = from_whole::<Directory>(&whole(&log.directory)).unwrap();
        prop_assert_eq!(&back, &log.directory);
        prop_assert_eq!(whole(&back), whole(&log.directory));
        let (Some(mut writer), Some((moment, head))) = (writer, moment) else {
            return Ok(());
        };
        while let Some(part) = writer.next_part(&mut log.directory) {
            parts.push(part);
        }
        prop_assert!(parts.iter().all(|bytes| bytes.len() <= part));
        let mut reader = SnapshotReader::<Directory>::default();
        for part in &parts {
            reader.add(part).unwrap();
        }
        let mut read = reader.finish().unwrap();
        prop_assert_eq!(&read, &moment);
        for bytes in &log.entries[head..] {
            read.apply(&Directory::decode(bytes).unwrap(), bytes);
        }
        prop_assert_eq!(whole(&read), whole(&log.directory));
    }
}

/// The memory of each member and each room does not grow by accident.
#[test]
fn what_is_kept_of_each_is_small() {
    assert_eq!(size_of::<MemberName>(), 24);
    assert!(size_of::<Known>() <= 48, "{}", size_of::<Known>());
    assert!(size_of::<Listed>() <= 96, "{}", size_of::<Listed>());
}

/// The larger the directory is, the more happens before it is written anew.
#[test]
fn the_directory_weighs_what_is_kept_of_it() {
    let mut log = Log::new();
    let weight = |log: &Log| log.directory.weight();
    assert_eq!(weight(&log), 0);
    let ada = member(1);
    log.done(&labelled(ada, "ada", ""));
    assert_eq!(weight(&log), 2);
    log.done(&claim(ada, 1, None));
    assert_eq!(weight(&log), 3);
    for n in 1..=2 {
        log.done(&Ask::Invite(Box::new(AskInvite {
            id: InviteId([n; 16]),
            uses: 2,
            ends: log.wall + Duration::from_secs(60),
            room: Some(InviteRoom::Number(0)),
        })));
        assert_eq!(weight(&log), 3 + u64::from(n));
    }
    // A newcomer, and the room that it is to be in.
    for (n, name) in [(1, "bob"), (2, "cy")] {
        log.done(&Ask::Name {
            member: member(1 + n),
            name: nick(name),
            label: String::new(),
            keep: true,
            anew: false,
            door: Door {
                closed: true,
                shown: Some(InviteId([1; 16])),
            },
        });
        assert_eq!(weight(&log), 5 + 3 * u64::from(n));
    }
}
