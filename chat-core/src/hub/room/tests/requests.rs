//! Requests to a room: their order, their repeats, and when they may be refused.

use super::*;

#[test]
fn a_join_is_one_append_and_its_answer_comes_between_its_record_and_the_next() {
    let mut scene = Scene::new(false);
    let before = scene.head();
    scene.hold = true;
    scene.ask(2, 1, join());
    scene.ask(1, 2, send("hi"));
    scene.release();
    let story = scene.story();
    assert_eq!(story, ["tell joined", "in 1", "tell message", "ok 2"]);
    assert_eq!(scene.head(), before + 2);
}

#[test]
fn what_is_asked_behind_a_join_waits_for_it_also_if_it_is_refused() {
    let mut scene = Scene::new(false);
    scene.hold = true;
    let join = scene.ask(2, 1, join());
    let said = scene.ask(2, 2, send("hi"));
    let left = scene.ask(2, 3, leave());
    assert!(scene.story().is_empty());
    scene.release();
    let story = scene.story();
    let expected = [
        "tell joined".to_owned(),
        format!("in {join}"),
        "tell message".to_owned(),
        format!("ok {said}"),
        "tell left".to_owned(),
        format!("out {left}"),
    ];
    assert_eq!(story, expected);
    scene.bench.config.limits.members_per_room = 1;
    let refused = [scene.ask(2, 4, self::join()), scene.ask(2, 5, send("x"))];
    let story = scene.story();
    let expected = [
        format!("room_full {}", refused[0]),
        format!("not_member {}", refused[1]),
    ];
    assert_eq!(story, expected);
}

#[test]
fn a_hub_that_is_behind_reads_before_it_refuses() {
    let mut scene = Scene::new(true);
    scene.elsewhere(2, joined());
    let [sent, asked] = [scene.ask(2, 2, send("hi")), scene.ask(2, 0, history())];
    let story = scene.story();
    let expected = [
        "tell joined".to_owned(),
        "in".to_owned(),
        "tell message".to_owned(),
        format!("ok {sent}"),
        format!("history {asked} 3"),
    ];
    assert_eq!(story, expected);
    // A join is answered as done that was done elsewhere.
    scene.elsewhere(3, joined());
    let joined = scene.ask(3, 1, join());
    let story = scene.story();
    assert!(story.contains(&format!("show {joined}")), "{story:?}");
    // A true refusal comes after one read.
    let refused = scene.ask(4, 1, send("x"));
    assert_eq!(scene.story(), [format!("not_member {refused}")]);
}

#[test]
fn removed_is_not_told_while_a_join_is_under_way() {
    for refused in [false, true] {
        let mut scene = Scene::new(false);
        scene.hold = true;
        scene.ask_on(2, 20, 1, join());
        let owed = attach(2, None);
        scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
        assert!(scene.story().is_empty());
        if refused {
            scene.held.clear();
            let why = AppendRefused::Unavailable;
            scene.does(|rooms, turn, people| rooms.refused(turn, people, ROOM, why));
            let story = scene.story();
            assert_eq!(story, ["unavailable 1", "removed not_member"]);
        } else {
            scene.release();
            assert_eq!(scene.story(), ["tell joined", "in 1", "afresh"]);
        }
    }
}

#[test]
fn a_join_is_answered_also_if_its_member_is_out_before_this_hub_hears_of_it() {
    let mut scene = Scene::new(true);
    scene.hold = true;
    let asked = scene.ask(2, 1, join());
    // The log takes the join, and its answer is on its way while another hub goes on.
    let output = scene.held.pop_front().expect("the join is appended");
    scene.log.serve(output).expect("the log serves it");
    scene.elsewhere(
        1,
        RecordBody::Kicked(crate::wire::record::Removal {
            target: member(2),
            nick: "ada".to_owned(),
            reason: String::new(),
        }),
    );
    scene.does(|rooms, turn, people| rooms.unknown(turn, people, ROOM));
    let story = scene.story();
    let expected = [
        "tell joined".to_owned(),
        "tell kicked".to_owned(),
        "out".to_owned(),
        format!("not_member {asked}"),
    ];
    assert_eq!(story, expected);
}

#[test]
fn a_request_sent_again_while_the_first_is_under_way_is_answered_each() {
    let mut scene = Scene::new(false);
    scene.hold = true;
    let first = scene.ask_on(1, 1, 5, send("once"));
    let again = scene.ask_on(1, 2, 5, send("once"));
    scene.release();
    let story = scene.story();
    let expected = [
        "tell message".to_owned(),
        format!("ok {first}"),
        format!("ok {again}"),
    ];
    assert_eq!(story, expected);
    let other = scene.ask(1, 5, send("another"));
    assert_eq!(scene.story(), [format!("txn_reused {other}")]);
}

#[test]
fn an_answer_of_the_log_is_for_the_room_that_asked() {
    let mut scene = Scene::new(false);
    let before = scene.bench.common.questions.len();
    let token = scene.bench.common.questions.token(Reader::Room(ROOM));
    let questions = &mut scene.bench.common.questions;
    assert_eq!(questions.answered(token), Some(Reader::Room(ROOM)));
    assert_eq!(questions.answered(token), None);
    assert_eq!(scene.bench.common.questions.len(), before);
    assert_eq!(ErrorCode::RoomFull.name(), Some("room_full"));
}

#[test]
fn history_is_refused_only_after_a_look() {
    let mut scene = Scene::new(true);
    scene.elsewhere(2, joined());
    let id = scene.ask(2, 0, history());
    let story = scene.story();
    let shown = format!("history {id} ");
    assert!(
        story.iter().any(|line| line.starts_with(&shown)),
        "{story:?}"
    );
}

#[test]
fn a_history_of_another_life_of_the_log_has_the_room_read_anew() {
    let mut scene = Scene::new(false);
    scene.ask(1, 2, send("x"));
    scene.story();
    scene.log.lose_tail(Partition::Room(ROOM), 1, 2);
    scene.ask(1, 0, history());
    let story = scene.story();
    assert!(story.contains(&"suspend".to_owned()), "{story:?}");
    assert!(story.contains(&"reset 1".to_owned()), "{story:?}");
}

#[test]
fn a_history_shows_nothing_that_the_room_has_not_told() {
    let mut scene = Scene::new(true);
    scene.elsewhere(2, joined());
    let from_the_first = Op::History(History {
        room: ROOM,
        from: HistoryFrom::After(0),
        limit: 0,
    });
    let id = scene.ask(1, 0, from_the_first);
    assert!(scene.story().contains(&format!("history {id} 1")));
}
