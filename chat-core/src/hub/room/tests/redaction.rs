//! What is taken back.

use super::*;

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
    let page = scene.log.read(
        Partition::Room(ROOM),
        crate::log::Query {
            from: crate::log::ReadFrom::After(seq - 1),
            records: 1,
            bytes: 1,
        },
    );
    let mut turn = scene.bench.turn();
    let asked = Box::new(Asked {
        origin: Origin {
            conn: conn(1),
            id: 50,
            kind: 21,
            bytes: 1,
            paced: false,
        },
        member: member(1),
        session: SessionId(1),
        address: None,
        request: Request {
            id: 50,
            txn: 3,
            op: redact,
        },
        checked: Ok(()),
        login: None,
    });
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
    assert_eq!(scene.story(), ["unavailable 50"]);
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
    let query = crate::log::Query {
        from: crate::log::ReadFrom::After(0),
        records: 10,
        bytes: 1 << 20,
    };
    let page = scene.log.read(Partition::Room(ROOM), query);
    let kinds = page.records.iter().map(|bytes| {
        let record = Record::from_bytes(bytes).expect("a record");
        kind(&record.body)
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, ["created", "blank", "redacted"]);
}
