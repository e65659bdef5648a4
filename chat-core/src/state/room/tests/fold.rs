//! The fold of a room: mark, note, membership, snapshots.

use core::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    id::{MessageId, Seq},
    log::NOTE_BYTES,
    roles::Role,
    state::{
        Fold, Verdict,
        parts::{SnapshotReader, SnapshotWriter, from_whole, whole},
        room::{
            Room,
            judge::{Ask, Author, Found},
            mark::{Mark, Tail},
        },
        testing::{ADA, BOB, CY, JOIN, World, asked, member, peer, said},
    },
    time::Wall,
    wire::{
        APPLICATION_KINDS, ErrorCode, Record, Unknown,
        record::{Blocked, CipherKind, RecordBody},
    },
};

/// Whether the mark is the last record's.
fn moves(world: &mut World, author: &Author, ask: &Ask) -> bool {
    world.done(author, ask);
    let head = world.head().seq;
    let last = Mark::of(head, &world.log[head as usize - 1]);
    world.room.mark() == last
}

#[test]
fn the_mark_moves_on_what_is_listed_and_on_nothing_else() {
    let mut world = World::group(&[ADA, BOB]);
    let target = || peer(BOB);
    let reason = String::new;
    let role = Role::Moderator;
    let seconds = Some(1);
    let steps = [
        (ADA, said("a"), false),
        (CY, JOIN, true),
        (CY, said("a"), false),
        (CY, Ask::Leave, true),
        (ADA, Ask::Topic("b".to_owned()), true),
        (
            ADA,
            Ask::Role {
                target: target(),
                role,
            },
            false,
        ),
        (
            ADA,
            Ask::Mute {
                target: target(),
                seconds,
            },
            false,
        ),
        (ADA, Ask::Unmute { target: target() }, false),
        (
            ADA,
            Ask::Kick {
                target: target(),
                reason: reason(),
            },
            true,
        ),
        (
            ADA,
            Ask::Ban {
                target: target(),
                reason: reason(),
            },
            true,
        ),
        (ADA, Ask::Unban { target: target() }, false),
    ];
    assert_eq!(world.room.mark().seq(), 2);
    for (txn, (author, ask, expected)) in (10..).zip(steps) {
        let moved = moves(&mut world, &asked(author, txn), &ask);
        assert_eq!(moved, expected, "{ask:?}");
    }
    assert_eq!(world.room.said(), 2);
    assert!(moves(
        &mut world,
        &Author::SERVER,
        &Ask::Close { reason: reason() }
    ));
}

#[test]
fn the_note_is_a_version_the_mark_and_what_was_said() {
    let mut world = World::group(&[ADA]);
    assert_eq!(Room::default().mark(), Mark::EMPTY);
    world.done(&asked(ADA, 2), &said("a"));
    world.done(&asked(ADA, 3), &said("b"));
    let note = world.room.note();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&world.log[0]);
    let mut expected = vec![1, 1, 0, 0, 0, 0, 0, 0, 0];
    expected.extend(&digest[..8]);
    expected.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(note, expected);
    assert!(note.len() <= NOTE_BYTES);
    let tail = Tail::from_note(&note).unwrap();
    assert_eq!((tail.mark, tail.said), (world.room.mark(), 2));
    // Later notes may be longer, or of another version.
    expected.push(9);
    assert_eq!(Tail::from_note(&expected), Some(tail));
    expected[0] = 2;
    assert_eq!(Tail::from_note(&expected), None);
    assert_eq!(Tail::from_note(&note[..24]), None);
    assert_eq!(Tail::from_note(&[]), None);
    let empty = Tail::from_note(&Room::default().note()).unwrap();
    assert_eq!(empty, Tail::default());
}

#[test]
fn a_note_goes_with_the_append_that_makes_it_true() {
    let mut world = World::group(&[ADA]);
    let before = world.room.clone();
    let head = world.log.len();
    world.done(&asked(BOB, 1), &JOIN);
    world.done(&asked(BOB, 2), &said("a"));
    let appended: Vec<_> = world.log[head..]
        .iter()
        .map(|bytes| (Record::from_bytes(bytes).unwrap(), bytes.clone()))
        .collect();
    let ahead = appended.iter().map(|(record, bytes)| (record, &bytes[..]));
    assert_eq!(before.note_behind(ahead), world.room.note());
    assert_ne!(before.note(), world.room.note());
}

#[test]
fn the_mark_is_of_the_bytes_that_the_log_has() {
    let world = World::group(&[ADA, BOB]);
    let mut other = Room::default();
    for (seq, bytes) in (1..).zip(&world.log) {
        let record = Record::from_bytes(bytes).unwrap();
        // Another record of the same number: it was written a moment later.
        let record = Record {
            time: Wall(record.time.0 + u64::from(seq == 2)),
            ..record
        };
        other.apply(&record, &record.to_bytes());
    }
    let marks = [world.room.mark(), other.mark()];
    assert_eq!(marks.map(|mark| mark.seq()), [2, 2]);
    assert_ne!(marks[0], marks[1]);
}

#[test]
fn leaving_and_coming_back_is_a_new_membership_and_everything_else_stays() {
    let mut world = World::group(&[ADA, BOB]);
    let role = Role::Moderator;
    world.done(
        &asked(ADA, 2),
        &Ask::Role {
            target: peer(BOB),
            role,
        },
    );
    world.done(&asked(BOB, 1), &said("a"));
    assert_eq!(world.room.membership(BOB).unwrap().since, 2);
    world.done(&asked(BOB, 2), &Ask::Leave);
    assert_eq!(world.room.membership(BOB), None);
    assert_eq!(world.judge(&asked(BOB, 1), &said("a")), Verdict::Repeat(4));
    world.done(&asked(BOB, 3), &JOIN);
    let back = world.room.membership(BOB).unwrap();
    assert_eq!((back.role, back.since), (Role::Member, 6));
    assert_eq!(world.judge(&asked(BOB, 1), &said("a")), Verdict::Repeat(4));
}

#[test]
fn records_of_an_application_are_kept_as_they_are_and_change_nothing() {
    let mut world = World::group(&[ADA, BOB]);
    let before = world.room.clone();
    let body = RecordBody::Unknown(Unknown {
        kind: APPLICATION_KINDS + 5,
        body: Bytes::from_static(b"whatever"),
    });
    world.append_body(&asked(ADA, 2), body.clone());
    assert_eq!(world.record(3).body, body);
    assert_eq!((world.room.mark(), world.room.said()), (before.mark(), 0));
    assert!(world.room.members().eq(before.members()));
    // Its request has a result like that of a message.
    assert_eq!(world.judge(&asked(ADA, 2), &said("a")), Verdict::Repeat(3));
}

#[test]
fn a_room_that_was_closed_stays_closed() {
    let mut world = World::group(&[ADA, BOB]);
    let close = || Ask::Close {
        reason: "moved".to_owned(),
    };
    world.done(&Author::SERVER, &close());
    assert!(world.room.is_closed() && world.room.about().is_none());
    assert_eq!((world.room.len(), world.room.mark().seq()), (0, 3));
    for ask in [JOIN, said("a"), Ask::Leave, Ask::Topic(String::new())] {
        let refusal = world.refused(&asked(ADA, 2), &ask);
        assert_eq!(refusal, ErrorCode::UnknownRoom, "{ask:?}");
    }
    assert_eq!(world.judge(&Author::SERVER, &close()), Verdict::Already);
    assert_eq!(
        world.judge(&Author::unasked(ADA), &Ask::Expire),
        Verdict::Already
    );
    let created = RecordBody::Created(crate::state::testing::group());
    world.append_body(&asked(ADA, 1), created);
    assert!(world.room.is_closed());
    // A log that lost everything is closed as well, and not begun again.
    let mut lost = World::new();
    lost.done(&Author::SERVER, &close());
    assert!(lost.room.is_closed());
}

#[test]
fn what_no_hub_writes_does_no_harm() {
    let mut world = World::new();
    let blocked = || RecordBody::Blocked(Blocked { blocked: true });
    world.append_body(&asked(ADA, 1), blocked());
    assert!(world.room.is_empty());
    for ask in [JOIN, said("a"), Ask::Leave, Ask::Expire] {
        let refusal = world.refused(&asked(ADA, 2), &ask);
        assert_eq!(refusal, ErrorCode::UnknownRoom, "{ask:?}");
    }
    // A second `created` is none.
    let mut world = World::group(&[ADA]);
    let created = RecordBody::Created(crate::state::testing::group());
    world.append_body(&asked(BOB, 1), created);
    assert_eq!(world.room.about().unwrap().founder, ADA);
    assert_eq!(world.room.standing(BOB), None);
}

#[test]
fn a_snapshot_of_a_later_form_is_refused_in_words() {
    let mut later = whole(&World::group(&[ADA]).room).to_vec();
    later[0] = 200;
    let error = from_whole::<Room>(&later).unwrap_err().to_string();
    assert!(error.contains("form 200"), "{error}");
    assert!(from_whole::<Room>(&[]).is_err());
    let whole = whole(&World::group(&[ADA]).room);
    let cut = from_whole::<Room>(&whole[..whole.len() - 1]);
    assert!(cut.unwrap_err().to_string().contains("without its end"));
}

#[test]
fn a_snapshot_knows_which_session_is_examined_next() {
    let members: Vec<_> = (1..=6).map(member).collect();
    let mut world = World::group(&members);
    for author in &members {
        world.done(&asked(*author, 9), &said("a"));
    }
    let before = whole(&world.room);
    // Many records later, and not enough time.
    let author = asked(ADA, 10);
    let Verdict::Accept(mut records) = world.judge(&author, &said("b")) else {
        panic!("it may be said");
    };
    let record = records
        .remove(0)
        .into_record(&author, 5_000, world.wall, ("", ""));
    world.room.apply(&record, &record.to_bytes());
    assert_eq!(world.room.sessions(), members.len());
    let restored = from_whole::<Room>(&whole(&world.room)).unwrap();
    assert_eq!(restored, world.room);
    assert_ne!(whole(&restored), before);
}

#[test]
fn the_cipher_of_a_room_stands_in_its_first_part() {
    let mut world = World::new();
    let created = crate::wire::record::Created {
        cipher: CipherKind::Caesar,
        ..crate::state::testing::group()
    };
    world.done(&asked(ADA, 1), &Ask::Create(Box::new(created)));
    let whole = whole(&world.room);
    assert_eq!(
        crate::state::room::cipher_of(&whole),
        Some(CipherKind::Caesar)
    );
    let garbage = Bytes::from_static(b"garbage");
    assert_eq!(crate::state::room::cipher_of(&garbage), None);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u8, u8, AnyAsk),
    Wait(u32),
    Erase,
}

#[derive(Clone, Copy, Debug)]
enum AnyAsk {
    Join,
    Leave,
    Say,
    Topic,
    Kick(u8),
    Ban(u8),
    Unban(u8),
    Mute(u8, Option<u32>),
    Role(u8, u8),
    Redact(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1..6_u8;
    let any = prop_oneof![
        3 => Just(AnyAsk::Join),
        1 => Just(AnyAsk::Leave),
        4 => Just(AnyAsk::Say),
        1 => Just(AnyAsk::Topic),
        1 => who.clone().prop_map(AnyAsk::Kick),
        1 => who.clone().prop_map(AnyAsk::Ban),
        1 => who.clone().prop_map(AnyAsk::Unban),
        1 => (who.clone(), proptest::option::of(0..20_u32))
            .prop_map(|(who, seconds)| AnyAsk::Mute(who, seconds)),
        1 => (who.clone(), 0..3_u8).prop_map(|(who, role)| AnyAsk::Role(who, role)),
        2 => any::<u8>().prop_map(AnyAsk::Redact),
    ];
    prop_oneof![
        12 => (who, 1..4_u8, any).prop_map(|(who, session, ask)| Step::Ask(who, session, ask)),
        1 => (0..5_000_000_u32).prop_map(Step::Wait),
        1 => Just(Step::Erase),
    ]
}

fn ask(world: &World, ask: AnyAsk) -> Ask {
    let reason = String::new();
    let target = |n| peer(member(n));
    match ask {
        AnyAsk::Join => JOIN,
        AnyAsk::Leave => Ask::Leave,
        AnyAsk::Say => said("a"),
        AnyAsk::Topic => Ask::Topic("b".to_owned()),
        AnyAsk::Kick(n) => Ask::Kick {
            target: target(n),
            reason,
        },
        AnyAsk::Ban(n) => Ask::Ban {
            target: target(n),
            reason,
        },
        AnyAsk::Unban(n) => Ask::Unban { target: target(n) },
        AnyAsk::Mute(n, seconds) => Ask::Mute {
            target: target(n),
            seconds,
        },
        AnyAsk::Role(n, role) => Ask::Role {
            target: target(n),
            role: Role::ALL[usize::from(role)],
        },
        AnyAsk::Redact(at) => {
            let seq = 1 + Seq::from(at) % world.head().seq;
            let record = world.record(seq);
            let redacted = match &record.body {
                RecordBody::Blank(blank) => Some(blank.redacted),
                _ => None,
            };
            let is_said = redacted.is_some() || matches!(record.body, RecordBody::Message(_));
            let found = is_said.then_some(Found {
                seq,
                redacted,
                epoch: 1,
            });
            let target: MessageId = record.id();
            Ask::Redact { target, found }
        }
    }
}

/// Plays a step; whether the log was changed behind its head.
fn play(world: &mut World, txn: u64, step: Step) {
    match step {
        Step::Ask(who, session, any) => {
            let ask = ask(world, any);
            let mut author = asked(member(who), txn);
            author.session.0 = session.into();
            world.ask(&author, &ask);
        }
        Step::Wait(millis) => {
            world.wall.0 += u64::from(millis);
            world.now = world.now + Duration::from_millis(millis.into());
        }
        Step::Erase => {
            let redactions: Vec<_> = world.room.redactions().copied().collect();
            for redaction in redactions {
                let mut record = world.record(redaction.seq);
                let redacted = redaction.by;
                record.body = RecordBody::Blank(crate::wire::record::Blank { redacted });
                world.log[redaction.seq as usize - 1] = record.to_bytes();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A hub that was there, one that reads the log, and one that begins with a snapshot in parts
    /// of a moment in between, hold the same, byte for byte.
    #[test]
    fn hubs_hold_the_same_however_they_come_to_it(
        steps in proptest::collection::vec(step(), 0..120),
        (from, part) in (0..120_usize, 1..60_usize),
    ) {
        let mut world = World::group(&[member(1), member(2)]);
        let (mut writer, mut parts, mut moment) = (None, Vec::new(), None);
        for (n, step) in steps.into_iter().enumerate() {
            if n == from {
                moment = Some((world.room.clone(), world.log.len()));
                writer = Some(SnapshotWriter::begin(&mut world.room, part));
            }
            play(&mut world, n as u64 + 2, step);
            if let Some(writer) = &mut writer {
                parts.extend(writer.next_part(&mut world.room));
            }
        }
        let reread = world.reread();
        prop_assert_eq!(&reread, &world.room);
        prop_assert_eq!(reread.note(), world.room.note());
        prop_assert_eq!(whole(&reread), whole(&world.room));
        let back = from_whole::<Room>(&whole(&world.room)).unwrap();
        prop_assert_eq!(&back, &world.room);
        prop_assert_eq!(whole(&back), whole(&world.room));
        let (Some(mut writer), Some((moment, head))) = (writer, moment) else {
            return Ok(());
        };
        while let Some(part) = writer.next_part(&mut world.room) {
            parts.push(part);
        }
        prop_assert!(parts.iter().all(|bytes| bytes.len() <= part));
        let mut reader = SnapshotReader::<Room>::default();
        for part in &parts {
            reader.add(part).unwrap();
        }
        let mut read = reader.finish().unwrap();
        prop_assert_eq!(&read, &moment);
        for bytes in &world.log[head..] {
            read.apply(&Record::from_bytes(bytes).unwrap(), bytes);
        }
        prop_assert_eq!(whole(&read), whole(&world.room));
    }
}

/// The larger a room is, the more is said before it is written anew.
#[test]
fn a_room_weighs_what_is_kept_of_it() {
    let mut world = World::group(&[ADA, BOB]);
    world.done(&asked(ADA, 100), &said("a"));
    let mut weight = world.room.weight();
    assert!(weight >= 2 + 8);
    let mut more = |world: &World| {
        let before = core::mem::replace(&mut weight, world.room.weight());
        weight - before
    };
    let reason = String::new;
    for (n, target) in [(101, CY), (102, member(9))] {
        let ban = Ask::Ban {
            target: peer(target),
            reason: reason(),
        };
        world.done(&asked(ADA, n), &ban);
        assert_eq!(more(&world), 1);
    }
    let mute = Ask::Mute {
        target: peer(BOB),
        seconds: Some(60),
    };
    world.done(&asked(ADA, 103), &mute);
    assert_eq!(more(&world), 1);
    world.done(&asked(member(8), 1), &JOIN);
    assert_eq!(more(&world), 1);
    // The results of what it says are kept, too.
    world.done(&asked(member(8), 2), &said("a"));
    assert_eq!(more(&world), 8);
}

#[test]
fn of_too_many_mutes_the_first_to_end_goes() {
    let mut world = World::group(&[ADA]);
    let most = crate::state::room::MUTES;
    let whom = |n: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(n as u64 + 1).to_be_bytes());
        crate::id::MemberId(id)
    };
    let mut mute = |n: usize| {
        let muted = crate::wire::record::Muted {
            target: whom(n),
            nick: String::new(),
            seconds: Some(if n == 7 { 10 } else { 1_000 }),
        };
        let record = Record::by_server(100 + n as u64, Wall(0), RecordBody::Muted(muted));
        world.room.apply(&record, &record.to_bytes());
        let is_muted = world.room.mutes().any(|(member, _)| member == whom(7));
        (world.room.mutes().count(), is_muted)
    };
    for n in 0..most - 1 {
        mute(n);
    }
    assert_eq!(mute(most - 1), (most, true));
    assert_eq!(mute(most), (most, false));
}
