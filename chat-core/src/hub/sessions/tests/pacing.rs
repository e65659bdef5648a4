//! Requests: their order, their room in the outbox, and how many are done in one call.

use super::{
    super::{connection::Answers, disconnect::RATES_EVERY},
    *,
};

#[test]
fn pages_are_made_one_by_one_and_nothing_overtakes_a_full_outbox() {
    let mut scene = Scene::new();
    let asked = scene.ask(&[list(), leave(), history(), leave()]);
    let ids = |asked: &[Origin]| asked.iter().map(|origin| origin.id).collect::<Vec<_>>();
    assert_eq!(
        ids(&asked),
        [1, 2],
        "one page, and what stands before the next"
    );
    scene.bench.outputs();
    let empty = RoomsPage {
        rooms: Vec::new(),
        more: false,
    };
    let mut turn = scene.bench.turn();
    let answer = Answer::List(empty);
    scene.sessions.answer(&mut turn, asked[0], answer);
    let outputs = scene.bench.outputs();
    assert!(matches!(
        &outputs[..],
        [Output::Send { .. }, Output::Credit { conn: CONN }]
    ));
    assert_eq!(ids(&scene.asked()), [0; 0]);
    let mut turn = scene.bench.turn();
    scene.sessions.credit(&mut turn, CONN);
    assert_eq!(ids(&scene.asked()), [3, 4]);
}

#[test]
fn answers_wait_for_room_when_many_were_given() {
    let mut scene = Scene::new();
    scene.bench.config.limits.outbox_bytes = 100;
    let asked = scene.ask(&[leave(), leave(), leave()]);
    scene.bench.outputs();
    let place = at(1);
    for origin in asked {
        let mut turn = scene.bench.turn();
        scene.sessions.answer_placed(&mut turn, origin, place);
    }
    let credits = |outputs: &[Output]| {
        let credit = |output: &&Output| matches!(output, Output::Credit { .. });
        outputs.iter().filter(credit).count()
    };
    assert_eq!(credits(&scene.bench.outputs()), 1, "asked for once");
    assert!(scene.ask(&[leave()]).is_empty());
    let mut turn = scene.bench.turn();
    scene.sessions.credit(&mut turn, CONN);
    assert_eq!(scene.asked().len(), 1);
}

#[test]
fn costly_requests_go_one_in_each_call() {
    let mut scene = Scene::new();
    let login = Op::Login(client::Login {
        room: client::RoomRef::Lobby,
        ke1: Bytes::new(),
    });
    let asked = scene.ask(&[login.clone(), login, leave()]);
    assert_eq!(asked.len(), 1);
    let now = scene.bench.now.monotonic;
    assert_eq!(scene.bench.common.timers.next(), Some(now));
    while let Some(timer) = scene.bench.common.timers.pop(now) {
        assert_eq!(timer, Timer::Turn(CONN));
    }
    scene.bench.common.round += 1;
    let mut turn = scene.bench.turn();
    scene.sessions.turn_due(&mut turn, CONN);
    assert_eq!(scene.asked().len(), 2);
}

#[test]
fn nicks_go_one_in_each_call() {
    let mut scene = Scene::new();
    let nick = Op::Nick(client::Nick {
        nick: "Maya".to_owned(),
        label: String::new(),
    });
    assert_eq!(scene.ask(&[nick.clone(), nick, leave()]).len(), 1);
    scene.bench.common.round += 1;
    let mut turn = scene.bench.turn();
    scene.sessions.turn_due(&mut turn, CONN);
    assert_eq!(scene.asked().len(), 2);
}

#[test]
fn a_call_goes_on_with_few_connections() {
    let mut timers = crate::hub::timers::Timers::default();
    let now = Monotonic(7);
    let conn = |slot| ConnId {
        slot,
        generation: 0,
    };
    for slot in 0..5 {
        timers.arm(now, Timer::Turn(conn(slot)));
    }
    timers.arm(
        now + core::time::Duration::from_nanos(1),
        Timer::Turn(conn(5)),
    );
    assert_eq!(timers.take_turns(now, 3), [0, 1, 2].map(conn));
    assert_eq!(timers.next(), Some(now));
    assert_eq!(timers.take_turns(now, 3), [3, 4].map(conn));
    assert_eq!(timers.len(), 1);
}

#[test]
fn a_costly_refusal_gives_back_the_token_of_the_request() {
    let now = Monotonic(0);
    let mut limits = Limits::default();
    (limits.costly_rate.burst, limits.request_rate.burst) = (1, 3);
    let mut rates = Rates::full(now);
    let costly = |rates: &mut Rates| rates.take(&limits, &list(), true, now);
    assert!(costly(&mut rates).is_ok());
    for _ in 0..10 {
        assert!(costly(&mut rates).is_err(), "one at once");
    }
    let cheap = (0..10).filter(|_| rates.take(&limits, &list(), false, now).is_ok());
    assert_eq!(cheap.count(), 2, "refusals have cost no requests");
}

#[test]
fn what_a_member_may_do_is_no_more_on_another_connection() {
    let mut scene = Scene::new();
    scene.bench.config.limits.request_rate.burst = 2;
    assert_eq!(scene.ask(&[leave(), leave(), leave()]).len(), 2);
    let mut turn = scene.bench.turn();
    scene.sessions.disconnected(&mut turn, CONN);
    scene.bench.effects();
    scene.come(&[]);
    assert!(scene.ask(&[leave()]).is_empty());
}

#[test]
fn a_history_is_answered_in_the_form_that_is_read() {
    let mut scene = Scene::new();
    let asked = scene.ask(&[history()]);
    scene.bench.outputs();
    let page = crate::hub::effects::HistoryRead {
        epoch: 1,
        oldest: 1,
        newest: 2,
        first: 1,
        records: (1..=2).map(|seq| said(seq).bytes).collect(),
        wanted: crate::hub::effects::Wanted::Newest,
    };
    let mut turn = scene.bench.turn();
    scene.sessions.answer_history(&mut turn, asked[0], page);
    let told = scene.told();
    let [ServerMessage::Ok(done)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(matches!(
        &done.answer,
        Answer::History(HistoryPage { records, .. }) if records.len() == 2
    ));
}

#[test]
fn a_call_goes_on_with_64_requests_of_a_connection() {
    let mut scene = Scene::new();
    scene.bench.config.limits.request_rate.burst = 1_000;
    let leaves: Vec<Op> = (0..70).map(|_| leave()).collect();
    assert_eq!(scene.ask(&leaves).len(), 64);
    scene.bench.common.round += 1;
    let mut turn = scene.bench.turn();
    scene.sessions.turn_due(&mut turn, CONN);
    assert_eq!(scene.asked().len(), 6);
}

#[test]
fn what_a_member_did_is_forgotten_when_it_makes_no_difference() {
    let mut scene = Scene::new();
    scene.ask(&[leave()]);
    let looks = |scene: &mut Scene| {
        let later = scene.bench.now.monotonic + RATES_EVERY;
        while scene.bench.common.timers.pop(later).is_some() {}
        let before = scene.bench.common.timers.len();
        let mut turn = scene.bench.turn();
        scene.sessions.rates_due(&mut turn);
        scene.bench.common.timers.len() - before
    };
    // Its buckets are not full yet: there is another look.
    assert_eq!((looks(&mut scene), scene.sessions.rates.len()), (1, 1));
    scene.bench.now.monotonic = scene.bench.now.monotonic + core::time::Duration::from_secs(3_600);
    assert_eq!((looks(&mut scene), scene.sessions.rates.len()), (0, 0));
}

#[test]
fn answers_count_until_half_of_an_outbox_is_given() {
    let limits = Limits {
        outbox_bytes: 100,
        ..Limits::default()
    };
    let mut answers = Answers::Free { spent: 0 };
    assert!(!answers.spend(30, &limits) && !answers.spend(20, &limits));
    assert!(answers.spend(1, &limits), "room is asked for");
    assert!(!answers.spend(1_000, &limits), "once");
    // Pages count when they are answered.
    let mut answers = Answers::Page { spent: 10 };
    assert!(!answers.spend(1_000, &limits));
    assert!(matches!(answers, Answers::Page { spent: 1_010 }));
}

#[test]
fn one_request_behind_the_last_of_a_call_has_its_turn() {
    let mut scene = Scene::new();
    scene.bench.config.limits.request_rate.burst = 1_000;
    let now = scene.bench.now.monotonic;
    let leaves: Vec<Op> = (0..65).map(|_| leave()).collect();
    assert_eq!(scene.ask(&leaves).len(), 64);
    let timers = &mut scene.bench.common.timers;
    assert_eq!(timers.take_turns(now, 9), [CONN]);
    assert_eq!(timers.take_turns(now, 9), []);
}

#[test]
fn what_a_member_did_is_not_forgotten_before_its_bucket_is_full() {
    let mut scene = Scene::new();
    scene.bench.config.limits.request_rate.burst = 2;
    assert_eq!(scene.ask(&[leave(), leave()]).len(), 2);
    let mut turn = scene.bench.turn();
    scene.sessions.rates_due(&mut turn);
    assert!(scene.ask(&[leave()]).is_empty());
}
