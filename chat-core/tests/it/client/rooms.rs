//! Records in order and once; coming, going, and what is known of a room.

use chat_core::{
    client::{ClientEvent, ClientInput, Command, EnteredHow, Outcome},
    id::{Place, RoomId},
    wire::{
        Record, ServerMessage,
        client::{HistoryFrom, Op, Peer, RoomRef},
        record::{Left, LeftReason, RecordBody, Removal, Topic},
        server::{
            Answer, Count, HistoryPage, Presence, PresenceUpdate, Records, Removed, RemovedReason,
            RoomView,
        },
    },
};

use super::script::*;

/// The numbers of the records that the application was told of.
fn told(script: &mut Script) -> Vec<u64> {
    let seqs = script.events.iter().filter_map(|event| match event {
        ClientEvent::Record { record, .. } => Some(record.seq),
        _ => None,
    });
    let seqs = seqs.collect();
    script.events.clear();
    seqs
}

#[test]
fn records_come_with_their_texts() {
    let mut script = Script::in_room();
    let topic = record(
        12,
        OTHER,
        RecordBody::Topic(Topic {
            topic: "t".to_owned(),
        }),
    );
    script.records(vec![said(11, "a"), topic.clone()]);
    let text = Some(Ok("a".to_owned()));
    assert_eq!(
        script.event(),
        ClientEvent::Record {
            room: ROOM,
            record: said(11, "a"),
            text
        }
    );
    assert_eq!(
        script.event(),
        ClientEvent::Record {
            room: ROOM,
            record: topic,
            text: None
        }
    );
}

#[test]
fn records_that_are_known_already_are_dropped() {
    let mut script = Script::in_room();
    script.records(vec![said(9, "-"), said(10, "-"), said(11, "a")]);
    script.records(vec![said(11, "a"), said(12, "b")]);
    assert_eq!(told(&mut script), [11, 12]);
    assert_eq!(script.disconnects, 0);
}

#[test]
fn a_hole_is_never_shown_but_asked_for_again() {
    let mut script = Script::in_room();
    script.records(vec![said(11, "a"), said(13, "c")]);
    assert_eq!(told(&mut script), [11]);
    assert_eq!(script.disconnects, 1);
    script.records(vec![said(12, "b")]);
    assert!(script.events.is_empty(), "the connection is given up");
    script.input(ClientInput::Disconnected);
    let resume = script.come_back();
    assert_eq!(
        resume[0].place,
        Place {
            epoch: EPOCH,
            seq: 11
        }
    );
    script.resume(&[view(ROOM, 13)]);
    script.records(vec![said(12, "b"), said(13, "c")]);
    assert_eq!(told(&mut script), [12, 13]);
}

#[test]
fn records_of_another_epoch_are_never_shown() {
    let mut script = Script::in_room();
    script.say(ServerMessage::Records(Records {
        room: ROOM,
        epoch: EPOCH + 1,
        records: vec![said(11, "a")],
    }));
    assert!(script.events.is_empty());
    assert_eq!(script.disconnects, 1);
}

#[test]
fn an_answer_is_no_cursor() {
    let mut script = Script::in_room();
    script.command(send("mine"));
    let id = script.request().id;
    script.ok(id, Answer::Send(committed(12)));
    let resume = script.reconnect();
    assert_eq!(resume[0].place.seq, 10);
    script.resume(&[view(ROOM, 12)]);
    script.records(vec![said(11, "theirs"), said(12, "mine")]);
    assert_eq!(told(&mut script), [11, 12]);
}

#[test]
fn a_room_begins_where_its_view_stands() {
    let mut script = Script::in_rooms(&[]);
    let ticket = script.command(Command::Join {
        room: RoomRef::Number(0),
        password: None,
        key: None,
        unsealed_too: false,
    });
    let request = script.request();
    assert!(matches!(&request.op, Op::Join(join) if join.room == RoomRef::Number(0)));
    assert!(request.txn > 0);
    script.ok(request.id, Answer::Join(view(ROOM, 20)));
    assert_eq!(
        script.event(),
        ClientEvent::Entered {
            view: view(ROOM, 20),
            how: EnteredHow::Command
        }
    );
    assert_eq!(
        script.finished(),
        (ticket, Ok(Outcome::Room(view(ROOM, 20))))
    );
    script.records(vec![said(21, "a")]);
    assert_eq!(told(&mut script), [21]);
}

#[test]
fn joining_a_room_again_changes_nothing_and_misses_nothing() {
    let mut script = Script::in_room();
    script.command(Command::Join {
        room: RoomRef::Number(0),
        password: None,
        key: None,
        unsealed_too: false,
    });
    let id = script.request().id;
    script.ok(id, Answer::Join(view(ROOM, 12)));
    assert_eq!(script.finished().1, Ok(Outcome::Room(view(ROOM, 12))));
    script.records(vec![said(11, "a"), said(12, "b")]);
    assert_eq!(told(&mut script), [11, 12]);
}

#[test]
fn somebody_elses_private_conversation_is_new() {
    let mut script = Script::in_rooms(&[]);
    script.entered(false, view(ROOM, 1));
    assert_eq!(
        script.event(),
        ClientEvent::Entered {
            view: view(ROOM, 1),
            how: EnteredHow::New
        }
    );
    script.command(Command::Direct {
        to: Peer::Member(OTHER),
    });
    let id = script.request().id;
    script.ok(id, Answer::Direct(view(ROOM, 1)));
    assert_eq!(script.finished().1, Ok(Outcome::Room(view(ROOM, 1))));
}

#[test]
fn a_place_that_is_gone_is_entered_afresh() {
    let mut script = Script::in_room();
    script.reconnect();
    script.say(ServerMessage::Welcome(welcome(script.me(), vec![ROOM])));
    script.events.clear();
    let place = Place {
        epoch: EPOCH,
        seq: 100,
    };
    script.entered(
        false,
        RoomView {
            place,
            ..view(ROOM, 100)
        },
    );
    assert!(matches!(
        script.event(),
        ClientEvent::Entered {
            how: EnteredHow::Afresh,
            ..
        }
    ));
    script.records(vec![said(101, "a")]);
    assert_eq!(told(&mut script), [101]);
}

fn removal_of(script: &Script, kind: fn(Removal) -> RecordBody) -> Record {
    let removal = Removal {
        target: script.me(),
        nick: "Adina".to_owned(),
        reason: String::new(),
    };
    record(11, OTHER, kind(removal))
}

#[test]
fn a_record_that_puts_the_client_out_is_told_and_then_the_removal() {
    let script = Script::in_room();
    let left = record(
        11,
        script.me(),
        RecordBody::Left(Left {
            reason: LeftReason::Expired,
        }),
    );
    for (record, reason) in [
        (
            removal_of(&script, RecordBody::Kicked),
            RemovedReason::NotMember,
        ),
        (
            removal_of(&script, RecordBody::Banned),
            RemovedReason::Banned,
        ),
        (left, RemovedReason::NotMember),
    ] {
        let mut script = Script::in_room();
        script.records(vec![record.clone()]);
        assert_eq!(
            script.event(),
            ClientEvent::Record {
                room: ROOM,
                record,
                text: None
            }
        );
        assert_eq!(script.event(), ClientEvent::Removed { room: ROOM, reason });
        assert!(script.reconnect().is_empty());
    }
}

#[test]
fn others_who_are_put_out_do_not_take_the_client_along() {
    let mut script = Script::in_room();
    let removal = Removal {
        target: OTHER,
        nick: "x".to_owned(),
        reason: String::new(),
    };
    script.records(vec![record(11, OTHER, RecordBody::Kicked(removal))]);
    assert_eq!(script.events.len(), 1);
}

#[test]
fn leaving_removes_the_room_once() {
    for record_first in [true, false] {
        let mut script = Script::in_room();
        script.command(Command::Leave { room: ROOM });
        let id = script.request().id;
        if record_first {
            script.records(vec![record(
                11,
                script.me(),
                RecordBody::Left(Left {
                    reason: LeftReason::Asked,
                }),
            )]);
            script.event();
        }
        script.ok(id, Answer::Leave(committed(11)));
        let reason = RemovedReason::NotMember;
        assert_eq!(script.event(), ClientEvent::Removed { room: ROOM, reason });
        assert_eq!(script.finished().1, Ok(Outcome::Committed(committed(11))));
        assert!(script.events.is_empty());
    }
}

#[test]
fn a_room_that_is_not_known_says_nothing() {
    let mut script = Script::in_room();
    let room = RoomId([77; 16]);
    script.say(ServerMessage::Records(Records {
        room,
        epoch: EPOCH,
        records: vec![said(1, "a")],
    }));
    script.say(ServerMessage::Presence(Presence {
        room,
        update: PresenceUpdate::Count(Count { count: 3 }),
    }));
    script.say(ServerMessage::Removed(Removed {
        room,
        reason: RemovedReason::Unknown,
    }));
    assert!(script.events.is_empty());
    script.say(ServerMessage::Presence(Presence {
        room: ROOM,
        update: PresenceUpdate::Count(Count { count: 3 }),
    }));
    assert_eq!(
        script.event(),
        ClientEvent::Presence {
            room: ROOM,
            update: PresenceUpdate::Count(Count { count: 3 })
        }
    );
}

#[test]
fn history_comes_with_its_texts_and_moves_nothing() {
    let mut script = Script::in_room();
    script.command(Command::History {
        room: ROOM,
        from: HistoryFrom::Latest,
        limit: 2,
    });
    let id = script.request().id;
    let left = record(
        12,
        OTHER,
        RecordBody::Left(Left {
            reason: LeftReason::Asked,
        }),
    );
    let page = HistoryPage {
        epoch: EPOCH,
        records: vec![said(11, "a"), left],
        oldest: 1,
        newest: 12,
    };
    script.ok(id, Answer::History(page.clone()));
    let texts = vec![Some(Ok("a".to_owned())), None];
    assert_eq!(script.finished().1, Ok(Outcome::History { page, texts }));
    script.records(vec![said(11, "a")]);
    assert_eq!(told(&mut script), [11]);
}

#[test]
fn a_leave_that_had_been_done_before_one_came_in_again_takes_no_room_away() {
    let mut script = Script::in_room();
    let ticket = script.command(Command::Leave { room: ROOM });
    let leave = script.request();
    // A join of an earlier connection was done after the leave, and the leave is a repeat.
    script.entered(false, view(ROOM, 15));
    script.events.clear();
    script.ok(leave.id, Answer::Leave(committed(12)));
    assert!(matches!(script.finished(), (t, Ok(_)) if t == ticket));
    script.records(vec![said(16, "still here")]);
    assert!(matches!(script.event(), ClientEvent::Record { .. }));
}
