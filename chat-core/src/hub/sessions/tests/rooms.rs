//! Rooms that a connection is told of: after its welcome, one by one, each once.

use super::*;

#[test]
fn a_room_that_finds_no_place_in_the_outbox_is_asked_for_again() {
    let mut scene = Scene::resuming(&[at(2)]);
    scene.bench.config.limits.outbox_bytes = 1;
    scene.ask(&[leave()]);
    let origin = Origin {
        conn: CONN,
        id: 1,
        kind: 7,
        bytes: 0,
        paced: false,
    };
    let mut turn = scene.bench.turn();
    scene.sessions.answer_placed(&mut turn, origin, at(1));
    scene.bench.outputs();
    let mut turn = scene.bench.turn();
    let here = view(ROOM, at(2));
    scene
        .sessions
        .attach(&mut turn, CONN, Some(at(2)), here.clone());
    assert!(scene.told().is_empty(), "there is no room");
    let mut turn = scene.bench.turn();
    scene.sessions.credit(&mut turn, CONN);
    let owed = |effect: &Effect| matches!(effect, Effect::Attach { .. });
    assert!(scene.bench.effects().iter().any(owed));
    let mut turn = scene.bench.turn();
    scene.sessions.attach(&mut turn, CONN, Some(at(2)), here);
    assert!(matches!(
        &scene.told()[..],
        [ServerMessage::Entered(entered)] if entered.resumed
    ));
}

#[test]
fn each_room_of_a_welcome_is_told_of_once() {
    let mut scene = Scene::resuming(&[at(2)]);
    scene.bench.outputs();
    for _ in 0..2 {
        let reason = RemovedReason::NotMember;
        let mut turn = scene.bench.turn();
        scene.sessions.removed(&mut turn, CONN, ROOM, reason);
    }
    assert!(matches!(&scene.told()[..], [ServerMessage::Removed(_)]));
}

#[test]
fn a_room_that_is_asked_for_before_its_word_is_told_of_first() {
    let mut scene = Scene::resuming(&[at(2)]);
    let join = Op::Join(client::Join {
        room: client::RoomRef::Id(ROOM),
        proof: None,
    });
    let asked = scene.ask(&[join]);
    scene.bench.outputs();
    let mut turn = scene.bench.turn();
    let here = view(ROOM, at(3));
    scene.sessions.answer_with_room(&mut turn, asked[0], here);
    assert!(matches!(
        &scene.told()[..],
        [ServerMessage::Entered(_), ServerMessage::Ok(_)]
    ));
    let effects = scene.bench.effects();
    let present = |effect: &&Effect| matches!(effect, Effect::Present { .. });
    assert_eq!(effects.iter().filter(present).count(), 1);
}

#[test]
fn a_room_that_was_told_of_is_not_told_of_again() {
    let mut scene = Scene::resuming(&[at(2)]);
    scene.bench.outputs();
    scene.place = at(2);
    for told in [1, 0] {
        let here = view(ROOM, at(2));
        let mut turn = scene.bench.turn();
        scene.sessions.attach(&mut turn, CONN, Some(at(2)), here);
        assert_eq!(scene.told().len(), told);
    }
}

#[test]
fn who_goes_on_in_a_room_hears_so_before_an_answer_about_it() {
    let mut scene = Scene::resuming(&[at(2)]);
    scene.place = at(4);
    let mut turn = scene.bench.turn();
    let here = view(ROOM, at(4));
    scene
        .sessions
        .attach(&mut turn, CONN, Some(at(2)), here.clone());
    let join = Op::Join(client::Join {
        room: client::RoomRef::Id(ROOM),
        proof: None,
    });
    let asked = scene.ask(&[join]);
    scene.bench.outputs();
    let mut turn = scene.bench.turn();
    scene.sessions.answer_with_room(&mut turn, asked[0], here);
    assert!(matches!(
        &scene.told()[..],
        [ServerMessage::Entered(entered), ServerMessage::Ok(_)] if entered.resumed
    ));
}
