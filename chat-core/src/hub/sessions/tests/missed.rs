//! Records that a connection missed, and is sent later.

use super::*;

#[test]
fn a_connection_that_comes_back_is_told_what_it_missed_and_goes_on_in_the_same_call() {
    let mut scene = Scene::resuming(&[at(2)]);
    assert!(matches!(
        &scene.bench.effects()[..],
        [Effect::Attach { place: Some(place), .. }] if *place == at(2)
    ));
    scene.bench.outputs();
    scene.place = at(4);
    let mut turn = scene.bench.turn();
    let here = view(ROOM, at(4));
    scene.sessions.attach(&mut turn, CONN, Some(at(2)), here);
    scene.go_on();
    assert!(matches!(
        &scene.bench.outputs()[..],
        [Output::Block { conn: CONN }]
    ));
    scene.drained();
    let outputs = scene.bench.outputs();
    scene.page(&outputs, 3..=4);
    let outputs = scene.bench.outputs();
    assert!(matches!(
        &outputs[..],
        [
            Output::Send { .. },
            Output::Send { .. },
            Output::Resume { conn: CONN }
        ]
    ));
    let present = |effect: &Effect| matches!(effect, Effect::Present { .. });
    assert!(scene.bench.effects().iter().any(present));
    scene.tell(5);
    assert_eq!(scene.told().len(), 1, "the next comes by fan-out");
}

#[test]
fn the_answer_to_a_leave_comes_after_all_that_was_said_until_then() {
    let mut scene = Scene::new();
    scene.enter();
    let asked = scene.ask(&[leave(), leave()]);
    for seq in 1..=3 {
        scene.tell(seq);
    }
    scene.bench.outputs();
    // The outbox was full since the first of them.
    let place = Some(crate::hub::io::RoomPlace {
        room: ROOM,
        place: at(1),
    });
    scene.sessions.blocked(CONN, place);
    let mut turn = scene.bench.turn();
    let answer = Some(asked[0]);
    scene
        .sessions
        .detach_member(&mut turn, ADA, ROOM, at(3), answer);
    // Asked for again meanwhile, it is answered with the first.
    let mut turn = scene.bench.turn();
    scene
        .sessions
        .answer_leave_again(&mut turn, ROOM, asked[1], at(3));
    scene.go_on();
    assert!(scene.told().is_empty());
    scene.drained();
    let outputs = scene.bench.outputs();
    scene.page(&outputs, 1..=3);
    let told = scene.told();
    let [
        ServerMessage::Records(records),
        ServerMessage::Ok(first),
        rest @ ..,
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(records.records.len(), 3);
    assert_eq!(first.id, asked[0].id);
    assert!(matches!(rest, [ServerMessage::Ok(again)] if again.id == asked[1].id));
}

#[test]
fn who_lagged_in_a_room_that_is_read_anew_misses_nothing_of_before() {
    let mut scene = Scene::new();
    scene.enter();
    (1..=3).for_each(|seq| scene.tell(seq));
    let skipped = Some(crate::hub::io::RoomPlace {
        room: ROOM,
        place: at(1),
    });
    scene.sessions.blocked(CONN, skipped);
    scene.bench.outputs();
    scene.sessions.suspend(ROOM);
    let place = Place { epoch: 2, seq: 2 };
    scene.place = place;
    let rooms = Everywhere(place);
    let mut turn = scene.bench.turn();
    scene.sessions.reset(&mut turn, &rooms, ROOM, place);
    scene.go_on();
    scene.drained();
    let outputs = scene.bench.outputs();
    let reads = |output: &Output| matches!(output, Output::Read { .. });
    let resumes = |output: &Output| matches!(output, Output::Resume { .. });
    assert!(!outputs.iter().any(reads) && outputs.iter().any(resumes));
}

#[test]
fn who_misses_one_record_that_is_not_kept_begins_anew() {
    let mut scene = Scene::behind(2, at(5));
    scene.answer_read(page_of(at(5), 4, 4..=5));
    assert!(matches!(
        &scene.told()[..],
        [ServerMessage::Entered(entered)] if !entered.resumed
    ));
}

#[test]
fn what_was_told_to_nobody_yet_is_no_part_of_what_was_missed() {
    let mut scene = Scene::behind(2, at(4));
    scene.answer_read(page_of(at(6), 1, 3..=6));
    let told = scene.told();
    let [ServerMessage::Entered(_), ServerMessage::Records(records)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(records.records.len(), 2);
}

#[test]
fn what_is_read_in_another_life_of_the_log_is_not_what_was_missed() {
    let mut scene = Scene::behind(2, at(4));
    scene.answer_read(page_of(Place { epoch: 2, seq: 4 }, 1, 3..=4));
    assert!(scene.told().is_empty());
}

#[test]
fn who_left_is_answered_and_not_told_that_it_is_out_although_its_record_is_not_kept() {
    let mut scene = Scene::new();
    scene.enter();
    let asked = scene.ask(&[leave()]);
    (1..=3).for_each(|seq| scene.tell(seq));
    scene.bench.outputs();
    let skipped = Some(crate::hub::io::RoomPlace {
        room: ROOM,
        place: at(1),
    });
    scene.sessions.blocked(CONN, skipped);
    let mut turn = scene.bench.turn();
    let answer = Some(asked[0]);
    scene
        .sessions
        .detach_member(&mut turn, ADA, ROOM, at(3), answer);
    scene.go_on();
    scene.drained();
    let mut page = page_of(at(3), 4, 1..=3);
    page.first = 4;
    page.records.clear();
    scene.answer_read(page);
    assert!(matches!(&scene.told()[..], [ServerMessage::Ok(_)]));
}
