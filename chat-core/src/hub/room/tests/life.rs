//! A room as it is loaded, told of, gone on with and put away.

use super::*;

#[test]
fn a_view_counts_what_was_said_up_to_its_place() {
    let mut scene = Scene::new(false);
    scene.hold = true;
    scene.ask(1, 2, send("one"));
    // These make one append.
    scene.ask(2, 1, join());
    scene.ask(1, 3, send("two"));
    scene.ask(3, 1, join());
    scene.release();
    let view = |effect: &Effect| match effect {
        Effect::Enter { view, .. } => Some((view.place.seq, view.said)),
        _ => None,
    };
    let views: Vec<_> = scene.effects.iter().filter_map(view).collect();
    assert_eq!(views, [(3, 1), (5, 2)]);
}

#[test]
fn a_place_that_is_ahead_of_this_hub_is_looked_for_before_it_is_given_up() {
    let mut scene = Scene::new(true);
    scene.elsewhere(2, joined());
    let place = Some(Place { epoch: 1, seq: 2 });
    let owed = attach(2, place);
    scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
    assert_eq!(scene.story(), ["tell joined", "in", "resumed"]);
    let owed = attach(2, Some(Place { epoch: 1, seq: 9 }));
    scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
    assert_eq!(scene.story(), ["afresh"]);
    let owed = attach(3, None);
    scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
    assert_eq!(scene.story(), ["removed not_member"]);
}

#[test]
fn a_member_is_told_why_a_room_is_not_its_own() {
    let mut scene = Scene::new(false);
    scene.ask(2, 1, join());
    let ban = Op::Ban(client::Remove {
        room: ROOM,
        target: client::Peer::Member(member(2)),
        reason: String::new(),
    });
    scene.ask(1, 2, ban);
    scene.story();
    for (who, told) in [(2, "removed banned"), (3, "removed not_member")] {
        let owed = attach(who, None);
        scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
        assert_eq!(scene.story(), [told]);
    }
}

#[test]
fn a_lost_tail_begins_anew_with_what_is_left() {
    let mut scene = Scene::new(false);
    scene.ask(2, 1, join());
    scene.story();
    scene.log.lose_tail(Partition::Room(ROOM), 1, 2);
    let asked = scene.ask(1, 2, send("x"));
    let story = scene.story();
    // The request was judged in a life of the log that is over: its client asks once more.
    let expected = [
        "suspend".to_owned(),
        "reset 1".to_owned(),
        "in".to_owned(),
        format!("unavailable {asked}"),
    ];
    assert_eq!(story, expected);
    let again = scene.ask(1, 2, send("x"));
    assert_eq!(
        scene.story(),
        ["tell message".to_owned(), format!("ok {again}")]
    );
}

#[test]
fn a_silent_group_ends_only_as_it_was_all_the_time() {
    let mut scene = Scene::new(false);
    let state = |scene: &Scene| {
        let pipe = &scene.rooms.loaded[&ROOM].pipe;
        (pipe.place().seq, pipe.state().mark())
    };
    let (_, seen) = state(&scene);
    // At another hub, of which no word has come yet.
    scene.ask(2, 1, join());
    let (head, now) = state(&scene);
    for (mark, ends) in [(seen, false), (now, true)] {
        scene.does(|rooms, turn, people| rooms.close_unspoken(turn, people, ROOM, mark));
        assert_eq!(state(&scene).0 > head, ends);
    }
}

#[test]
fn a_room_that_nobody_hears_is_put_away_with_a_snapshot() {
    let mut scene = Scene::new(false);
    let at = scene.bench.now.monotonic + core::time::Duration::from_secs(60);
    assert_eq!(scene.bench.common.timers.next(), Some(at));
    assert_eq!(scene.bench.common.timers.pop(at), Some(Timer::Unload(ROOM)));
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Unload));
    assert_eq!(scene.story(), ["unload"]);
    scene.does(|rooms, turn, _| rooms.forget(turn, ROOM));
    assert_eq!(scene.rooms.len(), 0);
    // The room comes back from its snapshot.
    let asked = scene.ask(1, 2, send("back"));
    assert!(scene.story().contains(&format!("ok {asked}")));
}

#[test]
fn changes_of_presence_are_told_together() {
    let mut scene = Scene::new(false);
    scene.folk.here.insert(member(2));
    scene.ask(2, 1, join());
    scene.does(|rooms, turn, _| rooms.heard(turn, ROOM, true));
    scene.effects.clear();
    scene.folk.here = BTreeSet::from([member(1)]);
    for who in [1, 2] {
        let who = member(who);
        scene.does(|rooms, turn, people| rooms.see(turn, people, who, &[ROOM]));
    }
    assert!(scene.effects.is_empty());
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Presence));
    let [Effect::Presence(PresenceUpdate::Changes(changes))] = &scene.effects[..] else {
        panic!("{:?}", scene.effects);
    };
    assert_eq!((changes.here.len(), changes.gone.len()), (1, 1));
}

#[test]
fn changes_of_presence_that_cancel_out_are_not_told() {
    let mut scene = Scene::new(false);
    scene.folk.here = BTreeSet::from([member(1), member(2)]);
    scene.ask(2, 1, join());
    scene.does(|rooms, turn, _| rooms.heard(turn, ROOM, true));
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Presence));
    scene.effects.clear();
    for here in [&[1][..], &[1, 2]] {
        scene.folk.here = here.iter().map(|n| member(*n)).collect();
        scene.does(|rooms, turn, people| rooms.see(turn, people, member(2), &[ROOM]));
    }
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Presence));
    assert!(scene.effects.is_empty(), "{:?}", scene.effects);
}

#[test]
fn a_member_is_put_out_only_while_it_is_being_forgotten() {
    let mut scene = Scene::new(false);
    scene.ask(2, 1, join());
    scene.story();
    let gone = member(2);
    scene.does(|rooms, turn, people| rooms.expire(turn, people, ROOM, gone));
    assert!(scene.story().is_empty(), "it is back");
    scene.folk.ending.insert(gone);
    scene.does(|rooms, turn, people| rooms.expire(turn, people, ROOM, gone));
    assert_eq!(scene.story(), ["tell left", "out"]);
}

#[test]
fn a_place_is_gone_on_from_if_it_is_of_this_log_and_of_this_membership() {
    let mut scene = Scene::new(false);
    scene.ask(2, 1, join());
    scene.ask(2, 2, leave());
    scene.ask(2, 3, join());
    scene.story();
    for (epoch, seq, goes_on) in [(1, 3, "afresh"), (1, 4, "resumed"), (9, 4, "afresh")] {
        let owed = attach(2, Some(Place { epoch, seq }));
        scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
        assert_eq!(scene.story(), [goes_on]);
    }
}

#[test]
fn a_room_stays_while_its_log_is_read_for_a_member() {
    let mut scene = Scene::new(false);
    let asked = scene.asked(1, 0, history());
    let mut turn = scene.bench.turn();
    scene.rooms.request(&mut turn, &scene.folk, ROOM, asked);
    let read = scene.bench.out.pop().expect("the log is asked");
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Unload));
    assert_eq!(scene.story(), [""; 0]);
    scene.serve(read);
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Unload));
    assert_eq!(scene.story(), ["history 1 1", "unload"]);
}
