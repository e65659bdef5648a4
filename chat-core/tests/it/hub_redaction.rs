//! Taking back what was said: who may, what others see, and that the log forgets it, whatever goes
//! wrong in between.

use crate::harness::*;
use bytes::Bytes;
use chat_core::{
    hub::Framing,
    id::{ConnId, MessageId, Partition, RoomId, Seq, SessionId},
    log::{Manifest, MemoryLog, Query, ReadFrom, SnapshotId},
    roles::Role,
    time::Wall,
    wire::{
        ErrorCode, Form, Record,
        client::{self, HistoryFrom, InRoom, Op, Peer, RoomRef},
        record::{Blank, HistoryPolicy, RecordBody},
        server::{Answer, HistoryPage},
    },
};

const LOBBY: RoomId = RoomId::LOBBY;

/// Takes back what stands there; nothing that was ever said, if there is no such record.
fn redact(w: &World, room: RoomId, seq: Seq) -> Op {
    let nothing = MessageId {
        member: member("nobody"),
        session: SessionId(1),
        txn: 1,
    };
    let query = Query {
        from: ReadFrom::After(seq.saturating_sub(1)),
        records: 1,
        bytes: 1,
    };
    let page = w.log.read(Partition::Room(room), query);
    let stored = page.records.first().filter(|_| page.first == seq);
    let target = stored.map_or(nothing, |bytes| Record::from_bytes(bytes).unwrap().id());
    Op::Redact(client::Redact { room, target, seq })
}

fn history(w: &mut World, conn: ConnId, room: RoomId, from: HistoryFrom) -> HistoryPage {
    let limit = 10;
    match w.request(conn, 0, Op::History(client::History { room, from, limit })) {
        Ok(Answer::History(page)) => page,
        other => panic!("{other:?}"),
    }
}

/// The bytes that the log keeps of a room.
fn kept(w: &World, room: RoomId) -> Vec<Bytes> {
    let query = Query {
        from: ReadFrom::After(0),
        records: 1_000,
        bytes: 1 << 20,
    };
    w.log.read(Partition::Room(room), query).records
}

fn is_kept(w: &World, room: RoomId, text: &str) -> bool {
    kept(w, room).iter().any(|bytes| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}

#[test]
fn the_text_goes_and_its_place_stays() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    let seq = w.send(ada, LOBBY, 2, "a secret").unwrap();
    w.send(ada, LOBBY, 3, "no secret").unwrap();
    w.records(bob);
    let Ok(Answer::Redact(done)) = w.request(ada, 4, redact(&w, LOBBY, seq)) else {
        panic!()
    };
    let told = w.records(bob);
    assert!(
        matches!(&told[..], [(LOBBY, Record { seq: at, body: RecordBody::Redacted(what), .. })]
            if *at == done.place.seq && what.seq == seq),
        "{told:?}"
    );
    assert!(!is_kept(&w, LOBBY, "a secret"));
    assert!(is_kept(&w, LOBBY, "no secret"));
    let page = history(&mut w, bob, LOBBY, HistoryFrom::After(seq - 1));
    let blank = &page.records[0];
    assert_eq!(
        (blank.seq, blank.member, blank.txn),
        (seq, member("ada"), 2)
    );
    let redacted = done.place.seq;
    assert_eq!(blank.body, RecordBody::Blank(Blank { redacted }));

    // A repeat has the first one's result; another request finds nothing to do.
    let repeat = w.request(ada, 4, redact(&w, LOBBY, seq));
    assert_eq!(repeat, Ok(Answer::Redact(done)));
    w.send(bob, LOBBY, 2, "meanwhile").unwrap();
    let again = w.request(ada, 5, redact(&w, LOBBY, seq));
    assert_eq!(again, Ok(Answer::Redact(done)), "the first one's place");
    // Sending the redacted message again is still a repeat.
    assert_eq!(w.send(ada, LOBBY, 2, "a secret").unwrap(), seq);
    assert!(!is_kept(&w, LOBBY, "a secret"));
}

#[test]
fn the_author_may_and_those_who_keep_order() {
    let mut w = World::new();
    let [owner, moderator, ada, bob] = ["owner", "moderator", "ada", "bob"].map(|n| w.welcome(n));
    let room = w.create(owner, 1, None).unwrap().room;
    for conn in [moderator, ada, bob] {
        w.join(conn, RoomRef::Number(0)).unwrap();
    }
    let target = Peer::Nick("moderator".to_owned());
    let role = Role::Moderator;
    w.request(owner, 1, Op::Role(client::SetRole { room, target, role }))
        .unwrap();
    let said = |w: &mut World, conn, txn| w.send(conn, room, txn, "words").unwrap();
    let of_owner = said(&mut w, owner, 2);
    let of_moderator = said(&mut w, moderator, 2);
    let of_ada = [
        said(&mut w, ada, 2),
        said(&mut w, ada, 3),
        said(&mut w, ada, 4),
    ];
    let refused = |w: &mut World, conn, seq| w.refusal(conn, 90, redact(w, room, seq));
    for seq in [of_owner, of_moderator, of_ada[0]] {
        assert_eq!(refused(&mut w, bob, seq), ErrorCode::Forbidden);
    }
    assert_eq!(refused(&mut w, moderator, of_owner), ErrorCode::Forbidden);
    for nothing in [1, 2, 0, 1_000] {
        assert_eq!(refused(&mut w, owner, nothing), ErrorCode::UnknownMessage);
    }
    w.request(ada, 10, redact(&w, room, of_ada[0])).unwrap();
    w.request(moderator, 10, redact(&w, room, of_ada[1]))
        .unwrap();
    w.request(owner, 10, redact(&w, room, of_moderator))
        .unwrap();
    // Of somebody who is gone.
    w.request(ada, 11, Op::Leave(InRoom { room })).unwrap();
    assert_eq!(refused(&mut w, ada, of_ada[2]), ErrorCode::NotMember);
    w.request(moderator, 11, redact(&w, room, of_ada[2]))
        .unwrap();
    assert_eq!(
        kept(&w, room)
            .iter()
            .filter(|b| b.windows(5).any(|p| p == b"words"))
            .count(),
        1
    );
}

#[test]
fn who_came_back_may_take_back_what_they_said_before_but_not_what_they_may_not_read() {
    let mut w = World::new();
    let [owner, bob] = ["owner", "bob"].map(|nick| w.welcome(nick));
    let create = client::Create {
        name: None,
        topic: String::new(),
        cipher: Default::default(),
        key: None,
        history: HistoryPolicy::SinceJoined,
        presence: Default::default(),
        password: None,
    };
    let Ok(Answer::Create(view)) = w.request(owner, 1, Op::Create(create)) else {
        panic!()
    };
    let room = view.room;
    w.join(bob, RoomRef::Id(room)).unwrap();
    let of_owner = w.send(owner, room, 1, "mine").unwrap();
    let of_bob = w.send(bob, room, 2, "a secret").unwrap();
    w.request(bob, 3, Op::Leave(InRoom { room })).unwrap();
    let back = Op::Join(client::Join {
        room: RoomRef::Id(room),
        proof: None,
    });
    w.request(bob, 4, back).unwrap();
    w.request(bob, 5, redact(&w, room, of_bob)).unwrap();
    assert!(!is_kept(&w, room, "a secret"));
    // Not even whether anything was said there.
    for seq in [of_owner, of_owner - 1] {
        let refused = w.refusal(bob, 6, redact(&w, room, seq));
        assert_eq!(refused, ErrorCode::UnknownMessage);
    }
}

#[test]
fn nobody_redacts_the_other_of_a_private_conversation() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let to = Peer::Nick("bob".to_owned());
    let Ok(Answer::Direct(view)) = w.request(ada, 2, Op::Direct(client::Direct { to })) else {
        panic!()
    };
    let seq = w.send(ada, view.room, 1, "mine").unwrap();
    assert_eq!(
        w.refusal(bob, 1, redact(&w, view.room, seq)),
        ErrorCode::Forbidden
    );
    w.request(ada, 2, redact(&w, view.room, seq)).unwrap();
    assert!(!is_kept(&w, view.room, "mine"));
}

#[test]
fn a_log_that_cannot_forget_now_is_asked_again() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let seq = w.send(ada, LOBBY, 2, "a secret").unwrap();
    w.unforgetting = true;
    w.request(ada, 3, redact(&w, LOBBY, seq)).unwrap();
    assert!(is_kept(&w, LOBBY, "a secret"));
    w.pass_with(&[ada], 10 * SECOND);
    w.unforgetting = false;
    w.pass_with(&[ada], 9 * SECOND);
    assert!(!is_kept(&w, LOBBY, "a secret"));

    w.unreadable = true;
    let again = redact(&w, LOBBY, seq);
    w.request(ada, 3, again).expect("it is done");
    let refusal = w.refusal(ada, 4, redact(&w, LOBBY, seq));
    assert_eq!(refusal, ErrorCode::Unavailable);
}

#[test]
fn a_server_that_is_behind_does_not_keep_what_was_taken_back() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let seq = w.send(ada, LOBBY, 2, "a secret").unwrap();
    // Neither the author nor the record is there, as the first reads show the log.
    w.behind.extend([1, 0, 2, 2]);
    w.request(ada, 3, redact(&w, LOBBY, seq)).unwrap();
    assert!(w.behind.is_empty());
    assert!(!is_kept(&w, LOBBY, "a secret"));
    // One that never catches up is a log that cannot be read at present.
    let seq = w.send(ada, LOBBY, 4, "another secret").unwrap();
    w.behind.extend([1; 4]);
    let refusal = w.refusal(ada, 5, redact(&w, LOBBY, seq));
    assert_eq!(refusal, ErrorCode::Unavailable);
    w.request(ada, 6, redact(&w, LOBBY, seq)).unwrap();
}

#[test]
fn a_redaction_that_the_log_has_lost_takes_nothing() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let seq = w.send(ada, LOBBY, 2, "a secret").unwrap();
    w.hold = true;
    w.ask(ada, 901, 3, redact(&w, LOBBY, seq));
    // The record is looked up to be taken out; until that is done, the log loses the redaction, and
    // is read anew.
    w.hold_reads = true;
    w.release_one();
    w.lose(Partition::Room(LOBBY), 1);
    (w.hold, w.hold_reads) = (false, false);
    w.news(Partition::Room(LOBBY), 0);
    w.release();
    w.pass(60 * SECOND);
    assert!(is_kept(&w, LOBBY, "a secret"));
    let ada = w.welcome("ada");
    w.request(ada, 4, redact(&w, LOBBY, seq))
        .expect("it is hers");
    assert!(!is_kept(&w, LOBBY, "a secret"));
}

#[test]
fn what_a_killed_server_did_not_come_to_is_done_by_the_next() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let seq = w.send(ada, LOBBY, 2, "a secret").unwrap();
    w.unforgetting = true;
    w.request(ada, 3, redact(&w, LOBBY, seq)).unwrap();
    let log = std::mem::replace(&mut w.log, MemoryLog::new(1, 1));
    let mut config = config();
    config.node = 8;
    let w = World::on(log, config);
    assert!(!is_kept(&w, LOBBY, "a secret"));
}

#[test]
fn history_is_found_by_its_time() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let mut times = Vec::new();
    for txn in 2..200 {
        let seq = w.send(ada, LOBBY, txn, &format!("{txn}")).unwrap();
        times.push((seq, w.now.wall));
        w.pass_with(&[ada], 10 * SECOND);
    }
    for (seq, time) in [times[0], times[50], times[197]] {
        let page = history(&mut w, ada, LOBBY, HistoryFrom::Around(time));
        let at = page.records.iter().position(|record| record.seq == seq);
        assert!(at.is_some_and(|at| at <= 5), "{seq}: {at:?}");
        assert!(page.records.len() <= 10);
    }
    let early = history(&mut w, ada, LOBBY, HistoryFrom::Around(Wall(0)));
    assert_eq!(early.records[0].seq, early.oldest);
    let late = history(&mut w, ada, LOBBY, HistoryFrom::Around(Wall(1 << 52)));
    assert_eq!(late.records.last().unwrap().seq, late.newest);
}

#[test]
fn the_record_of_that_time_is_there_however_long_those_before_it_are() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let json = w.connect_as(Form::Json, Framing::Message, None);
    w.greet(json, hello("json")).unwrap();
    w.join(json, RoomRef::Lobby).unwrap();
    let mut times = Vec::new();
    let texts = ["x".repeat(16_000), "\u{1}".repeat(16_000)];
    for txn in 2..60 {
        w.pass_with(&[ada, json], SECOND);
        let text = &texts[txn as usize % 2];
        let seq = w.send(ada, LOBBY, txn, text).unwrap();
        times.push((seq, w.now.wall));
    }
    for conn in [ada, json] {
        for (seq, time) in [times[0], times[30], times[57]] {
            for limit in [0, 1, 2, 9, 100] {
                let room = LOBBY;
                let from = HistoryFrom::Around(time);
                let history = Op::History(client::History { room, from, limit });
                let Ok(Answer::History(page)) = w.request(conn, 0, history) else {
                    panic!()
                };
                let seqs: Vec<Seq> = page.records.iter().map(|record| record.seq).collect();
                assert!(seqs.contains(&seq), "{seq}: {seqs:?}");
                assert!(seqs.windows(2).all(|two| two[0] + 1 == two[1]));
                let most = if limit == 0 { 100 } else { usize::from(limit) };
                assert!(seqs.len() <= most, "{seqs:?}");
                // Something before it as well, where there is room and something to tell.
                assert!(
                    limit == 1 || seqs[0] < seq || conn == json,
                    "{seq}: {seqs:?}"
                );
            }
        }
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_is_no_loss_while_all_records_are_kept() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    w.send(ada, LOBBY, 2, "still here").unwrap();
    let head = w.log.read(Partition::Room(LOBBY), only_head()).head;
    let later = Bytes::from_static(&[200, 1, 2, 3]);
    let id = SnapshotId {
        base: head,
        writer: 1,
    };
    w.log.part(Partition::Room(LOBBY), id, 0, later).unwrap();
    let manifest = Manifest { id, parts: 1 };
    assert!(w.log.manifest(Partition::Room(LOBBY), manifest));
    let log = std::mem::replace(&mut w.log, MemoryLog::new(1, 1));
    let mut config = config();
    config.node = 8;
    let mut w = World::on(log, config);
    let bob = w.in_lobby("bob");
    let page = history(&mut w, bob, LOBBY, HistoryFrom::Latest);
    assert!(
        page.records
            .iter()
            .any(|record| text(record).as_deref() == Some("still here"))
    );
}

fn only_head() -> Query {
    Query {
        from: ReadFrom::Latest,
        records: 1,
        bytes: 1,
    }
}
