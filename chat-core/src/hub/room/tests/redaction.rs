//! Messages that are taken back.

use super::*;
use crate::log::{Page, Query, ReadFrom};

#[test]
fn a_log_that_loses_its_end_between_look_up_and_judgement_redacts_nothing() {
    let mut scene = Scene::new(false);
    scene.ask(1, 2, send("a secret"));
    let seq = scene.head();
    scene.story();
    let id = author(1, 2).id();
    let redact = Op::Redact(client::Redact {
        room: ROOM,
        target: id,
        seq,
    });
    // The message is found; what is judged after that is another life of the log.
    let page = second(&scene);
    let asked = scene.asked(1, 3, redact);
    let id = asked.origin.id;
    let mut turn = scene.bench.turn();
    scene.rooms.request(&mut turn, &scene.folk, ROOM, asked);
    let read = scene.bench.out.pop();
    let Some(Output::Read { token, .. }) = read else {
        panic!("the message is looked up: {read:?}");
    };
    scene.log.lose_tail(Partition::Room(ROOM), seq - 1, 2);
    scene.does(|rooms, turn, people| rooms.look_again(turn, people, ROOM));
    scene.story();
    let piece = Ok(Piece::Page(page));
    scene.does(|rooms, turn, people| rooms.page(turn, people, ROOM, (Some(token), piece)));
    assert_eq!(scene.story(), [format!("unavailable {id}")]);
    assert_eq!(scene.head(), seq - 1);
}

#[test]
fn what_is_redacted_is_taken_out_of_the_log() {
    let mut scene = Scene::new(false);
    scene.ask(1, 2, send("a secret"));
    let seq = scene.head();
    let redact = Op::Redact(client::Redact {
        room: ROOM,
        target: author(1, 2).id(),
        seq,
    });
    let asked = scene.ask(1, 3, redact);
    assert!(scene.story().contains(&format!("ok {asked}")));
    assert_eq!(kinds(&scene), ["created", "blank", "redacted"]);
}

#[test]
fn the_message_that_is_named_is_taken_back_wherever_it_stands() {
    let mut scene = Scene::new(false);
    scene.ask(1, 2, send("a secret"));
    scene.ask(1, 3, send("something else"));
    let redact = Op::Redact(client::Redact {
        room: ROOM,
        target: author(1, 2).id(),
        seq: scene.head(),
    });
    scene.ask(1, 4, redact);
    assert_eq!(kinds(&scene), ["created", "blank", "message", "redacted"]);
}

/// A text was taken back, and is looked for in the log: the read of it.
fn erasing(scene: &mut Scene) -> ReadToken {
    scene.ask(1, 2, send("a secret"));
    let redact = Op::Redact(client::Redact {
        room: ROOM,
        target: author(1, 2).id(),
        seq: scene.head(),
    });
    scene.hold = true;
    scene.ask(1, 3, redact);
    let append = scene.held.pop_front().expect("the redaction is appended");
    let Ok(Some(Input::Committed { head, .. })) = scene.log.serve(append) else {
        panic!("the log takes it");
    };
    let mut turn = scene.bench.turn();
    scene.rooms.committed(&mut turn, &scene.folk, ROOM, head);
    let read = std::iter::from_fn(|| scene.bench.out.pop()).find_map(|output| match output {
        Output::Read { token, .. } => Some(token),
        _ => None,
    });
    read.expect("the text is looked for")
}

fn second(scene: &Scene) -> Page {
    let query = Query {
        from: ReadFrom::After(1),
        records: 1,
        bytes: 1,
    };
    scene.log.read(Partition::Room(ROOM), query)
}

fn redacts(scene: &mut Scene, token: ReadToken, page: Page) -> bool {
    let mut turn = scene.bench.turn();
    let piece = Ok(Piece::Page(page));
    scene
        .rooms
        .page(&mut turn, &scene.folk, ROOM, (Some(token), piece));
    std::iter::from_fn(|| scene.bench.out.pop())
        .any(|output| matches!(output, Output::Redact { .. }))
}

#[test]
fn a_text_is_taken_out_of_the_life_of_the_log_in_which_it_was_taken_back() {
    let mut scene = Scene::new(false);
    let token = erasing(&mut scene);
    let page = second(&scene);
    assert!(redacts(&mut scene, token, page));
    // The room stays until the log has done so.
    scene.drive();
    scene.story();
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Unload));
    assert_eq!(scene.story(), [""; 0]);
    let mut scene = Scene::new(false);
    let token = erasing(&mut scene);
    let mut page = second(&scene);
    page.head.epoch += 1;
    assert!(!redacts(&mut scene, token, page));
}

#[test]
fn a_text_whose_redaction_the_log_has_lost_stays() {
    let mut scene = Scene::new(false);
    let token = erasing(&mut scene);
    scene.log.lose_tail(Partition::Room(ROOM), 2, 2);
    scene.does(|rooms, turn, people| rooms.look_again(turn, people, ROOM));
    let page = second(&scene);
    assert!(!redacts(&mut scene, token, page));
    assert_eq!(kinds(&scene), ["created", "message"]);
}

/// The kinds of the room's records in the log.
fn kinds(scene: &Scene) -> Vec<&'static str> {
    let query = Query {
        from: ReadFrom::After(0),
        records: 10,
        bytes: 1 << 20,
    };
    let page = scene.log.read(Partition::Room(ROOM), query);
    let kind_of = |bytes| kind(&Record::from_bytes(bytes).expect("a record").body);
    page.records
        .iter()
        .map(|bytes| kind_of(&bytes[..]))
        .collect()
}
