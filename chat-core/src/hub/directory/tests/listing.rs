//! Rooms as they are listed: claims, projections, and what is known beyond them.

use super::*;

#[test]
fn a_group_that_another_hub_made_is_found_before_its_name_is_looked_at() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.quiet = true;
    world.ask(0, 1, create("Salon"));
    assert_eq!(world.story(0), ["in 1", "begin for 1"]);
    // This one takes no name as long as that, and has not heard of the group.
    world.sites[1].bench.config.limits.name_bytes = 3;
    world.ask(1, 1, create("Salon"));
    assert_eq!(world.story(1), ["begin for 1"]);
    world.ask(1, 2, create("Salon"));
    assert_eq!(world.story(1), ["name_invalid 2"]);
}

#[test]
fn rooms_that_changed_are_listed_in_one_append() {
    let mut world = World::new(2);
    for who in 1..=3 {
        world.hello(0, who, &format!("m{who}"));
    }
    let mut appends = world.head();
    for n in 10..30 {
        world.has_room(0, n, &[1, 2]);
        world.marked(0, n, true);
    }
    // Rooms that are not known of yet are claimed first.
    world.pass(Duration::from_millis(100));
    world.pass(Duration::from_millis(100));
    assert!((10..30).all(|n| world.members_of(0, n) == Some(2)));
    assert!((10..30).all(|n| world.members_of(1, n) == Some(2)));
    appends = world.head() - appends;
    assert_eq!(appends, 40, "of each room its number, and its listing once");
    // Many changes, one entry.
    let (room, place) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    take(room, 3, 3, RecordBody::Joined(Joined {}));
    place.seq = 3;
    let head = world.head();
    for _ in 0..5 {
        world.marked(0, 10, true);
        world.pass(Duration::from_millis(10));
    }
    world.pass(Duration::from_millis(100));
    assert_eq!(world.members_of(1, 10), Some(3));
    assert_eq!(world.head(), head + 1);
}

#[test]
fn what_a_hub_does_not_list_another_one_lists_later() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.has_room(1, 10, &[1]);
    world.marked(1, 10, false);
    world.pass(Duration::from_millis(1_900));
    let state = world.sites[0].registry.state();
    assert!(
        state.rooms.group(room_id(10)).is_some(),
        "it has its number"
    );
    assert_eq!(world.members_of(1, 10), None, "but is not listed");
    world.pass(Duration::from_millis(2_200));
    assert_eq!(world.members_of(1, 10), Some(1));
    assert_eq!(world.members_of(0, 10), Some(1));
    assert!(world.story(0).contains(&"find 10 1".to_owned()));
}

#[test]
fn a_listing_that_is_ahead_is_not_set_back() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    world.has_room(0, 10, &[1, 2]);
    world.marked(0, 10, true);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.members_of(1, 10), Some(2));
    // The other hub has not read so far.
    world.has_room(1, 10, &[1]);
    world.marked(1, 10, false);
    let head = world.head();
    let mut story = Vec::new();
    while story.is_empty() {
        world.pass(Duration::from_millis(500));
        story = world.story(1);
    }
    assert_eq!(story, ["look again 10"]);
    // As long as the room cannot be read, nothing is said of it.
    world.sites[1].around.reading.insert(room_id(10));
    world.pass(Duration::from_secs(20));
    assert_eq!((world.head(), world.story(1)), (head, Vec::new()));
    world.sites[1].around.reading.clear();
    // When it has been, three times, and there is no more, it is the log that lost its end.
    world.pass(Duration::from_secs(4));
    assert_eq!(world.story(1), ["look again 10", "look again 10"]);
    assert_eq!(world.members_of(0, 10), Some(1));
}

#[test]
fn a_page_is_taken_in_whole_before_anything_follows_from_it() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    let ends = (10..).find(|n| world.sites[1].registry.hubs.is_mine(&member(*n).0));
    let ends = ends.expect("one has it");
    world.hello(0, ends, "Eve");
    world.has_room(0, 9, &[1, 2, 3]);
    world.marked(0, 9, true);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.members_of(1, 9), Some(3));
    // The other hub has an older state of the room, looks, and is about to list that.
    world.has_room(1, 9, &[1, 2]);
    world.marked(1, 9, false);
    world.story(1);
    while world.sites[1].story.len() < 3 {
        world.pass(Duration::from_millis(500));
    }
    world.full = true;
    world.pass(Duration::from_secs(1));
    world.full = false;
    let queued = |world: &World| world.sites[1].registry.pipe.queued();
    assert_eq!(queued(&world), 1);
    // Meanwhile the first one forgets somebody, which the other one would finish, and lists more.
    world.quiet = true;
    world.does(0, |registry, turn, _| {
        registry.departed(turn, member(ends), false, Departure::Bye);
    });
    world.has_room(0, 9, &[1, 2, 3, 4]);
    world.marked(0, 9, true);
    world.pass(Duration::from_millis(100));
    assert_eq!(world.members_of(0, 9), Some(4));
    let head = world.head();
    world.story(1);
    world.quiet = false;
    world.news(1);
    assert_eq!((world.head(), world.members_of(1, 9)), (head, Some(4)));
    assert_eq!(queued(&world), 0);
    // The listing is ahead again: the room is looked at before anything is listed.
    while world.sites[1].story.is_empty() {
        world.pass(Duration::from_millis(500));
    }
    assert_eq!(world.story(1), ["look again 9"]);
    assert_eq!((world.head(), world.members_of(1, 9)), (head, Some(4)));
}

#[test]
fn a_listing_that_was_in_doubt_may_be_older_than_the_changes_that_are_known() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.has_room_of(0, 9, RoomKind::Private, &[1, 2]);
    world.marked(0, 9, true);
    world.pass(Duration::from_secs(1));
    world.sites[0].around.rooms.clear();
    // The other hub knows less, looks, and lists that.
    world.has_room_of(1, 9, RoomKind::Private, &[1]);
    world.marked(1, 9, false);
    world.slow = Some(Vec::new());
    while world.slow.as_ref().is_some_and(Vec::is_empty) {
        world.pass(Duration::from_millis(500));
    }
    // Before that is answered, it reads what is listed, and lets somebody in.
    let joins = |world: &mut World, who: u8, mine: bool| {
        let (room, place) = world.sites[1].around.rooms.get_mut(&room_id(9)).unwrap();
        let before = room.mark();
        place.seq += 1;
        take(room, place.seq, who, RecordBody::Joined(Joined {}));
        let changed = Some(vec![(member(who), room.standing(member(who)))]);
        let (urgent, id) = (false, room_id(9));
        let marked = Marked {
            before,
            changed,
            mine,
            urgent,
        };
        world.does(1, |registry, turn, with| {
            registry.marked(turn, with, id, marked)
        });
    };
    joins(&mut world, 2, false);
    joins(&mut world, 3, true);
    world.pass(Duration::from_millis(200));
    world.catch_up();
    world.pass(Duration::from_secs(10));
    for who in 1..=3 {
        let rooms = world.sites[0].registry.rooms_of(member(who));
        assert_eq!(rooms, [room_id(9)], "{who}");
    }
}

#[test]
fn a_claim_of_a_hub_that_is_lost_is_completed() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.ask(0, 1, create("Salon"));
    assert_eq!(world.story(0), ["in 1", "begin for 1"]);
    world.sites.remove(0);
    world.pass(Duration::from_secs(4));
    assert_eq!(world.story(0), ["begin true"]);
    // One that begins later sees it too.
    let new = world.begin(9, Vec::new());
    assert_eq!(world.story(new), ["begin true"]);
}

#[test]
fn what_was_known_beyond_the_listing_is_so_no_more_when_the_log_lost_its_end() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    world.has_room(0, 10, &[1, 2]);
    world.marked(0, 10, true);
    world.pass(Duration::from_secs(1));
    let before = world.sites[0].around.rooms[&room_id(10)].0.clone();
    let (room, place) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    let reason = crate::wire::record::LeftReason::Asked;
    take(room, 3, 2, RecordBody::Left(Left { reason }));
    place.seq = 3;
    let mark = before.mark();
    let left = Marked {
        before: mark,
        changed: Some(vec![(member(2), None)]),
        mine: true,
        urgent: false,
    };
    world.does(0, |registry, turn, with| {
        registry.marked(turn, with, room_id(10), left);
    });
    let rooms = |world: &World| world.sites[0].registry.rooms_of(member(2));
    assert_eq!(rooms(&world), []);
    // Its end is another one now, and the member is in.
    let (room, _) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    *room = before;
    take(room, 3, 3, RecordBody::Joined(Joined::default()));
    world.marked(0, 10, true);
    assert_eq!(rooms(&world), [room_id(10)]);
}

#[test]
fn of_a_room_whose_log_was_lost_nobody_is_listed_and_a_group_is_closed() {
    for hubs in [1, 2] {
        let mut world = World::new(hubs);
        world.hello(0, 1, "Ada");
        world.has_room(0, 10, &[1, 2]);
        world.has_room_of(0, 11, RoomKind::Private, &[1, 2]);
        for n in [10, 11] {
            world.marked(0, n, true);
        }
        world.pass(Duration::from_secs(1));
        let listed = |world: &World, who| {
            let members = &world.sites[0].registry.state().members;
            let rooms = members.rooms_of(member(who)).map(|(room, _)| room);
            rooms.collect::<Vec<_>>()
        };
        assert_eq!(listed(&world, 2), [room_id(10), room_id(11)]);
        world.story(0);
        for n in [10, 11] {
            let lost = (room::Room::default(), Place { epoch: 2, seq: 0 });
            world.sites[0].around.rooms.insert(room_id(n), lost);
            world.marked(0, n, false);
        }
        world.pass(Duration::from_secs(9));
        let story = world.story(0);
        assert!(story.contains(&"close room 10".to_owned()), "{story:?}");
        assert_eq!(listed(&world, 2), [room_id(10)]);
        let head = world.head();
        world.marked(0, 11, false);
        world.pass(Duration::from_secs(6));
        assert_eq!(world.head(), head, "it is listed as it is");
        // The group is closed in its log, and listed so: its number is not given again.
        let (room, _) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
        let reason = String::new();
        take(room, 1, 0, RecordBody::Closed(Closed { reason }));
        world.marked(0, 10, true);
        world.pass(Duration::from_secs(5));
        assert_eq!(listed(&world, 1), []);
        let rooms = &world.sites[0].registry.state().rooms;
        assert_eq!(rooms.numbered(10), Some(room_id(10)));
        assert!(rooms.get(room_id(10)).unwrap().is_closed());
    }
}

#[test]
fn a_hub_that_begins_loads_the_rooms_that_are_listed_otherwise() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    for n in [10, 11] {
        world.has_room(0, n, &[1]);
        world.marked(0, n, true);
    }
    world.pass(Duration::from_secs(1));
    // Of one the log has what is listed, of one more, and one that is listed it has lost.
    world.has_room(0, 12, &[1]);
    for n in [10, 12] {
        world.logs_room(n);
    }
    world.sites.clear();
    let new = world.begin(2, Vec::new());
    let mut story = world.story(new);
    story.sort_unstable();
    assert_eq!(story, ["load 11", "load 12"]);
}

#[test]
fn who_asks_for_a_room_of_which_the_log_does_not_say_anything_is_told_by_the_room() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    let attach = Attach {
        conn: conn(1),
        member: member(1),
        place: None,
    };
    world.does(0, |registry, turn, with| {
        registry.attach(turn, with, room_id(77), attach);
    });
    let Site {
        registry,
        bench,
        around,
        ..
    } = &mut world.sites[0];
    registry.ask_for_rooms(&mut bench.turn());
    let Some(Output::Notes { token, .. }) = bench.out.pop() else {
        panic!("the log is asked");
    };
    let unavailable = Err(crate::log::LogUnavailable);
    registry.heads(&mut bench.turn(), around, token, unavailable);
    assert!(matches!(&bench.effects()[..], [Effect::Attach { .. }]));
}

#[test]
fn after_a_listing_of_another_hub_all_of_a_room_is_compared() {
    let mut world = World::new(2);
    for who in 1..=4 {
        world.hello(0, who, &format!("m{who}"));
    }
    world.has_room(0, 10, &[1, 2]);
    world.marked(0, 10, true);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.members_of(0, 10), Some(2));
    let (room, place) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    let before = room.mark();
    take(room, 3, 3, RecordBody::Joined(Joined {}));
    place.seq = 3;
    let joined = Marked {
        before,
        changed: Some(vec![(member(3), Some(room::Standing::Member))]),
        mine: true,
        urgent: false,
    };
    world.does(0, |registry, turn, with| {
        registry.marked(turn, with, room_id(10), joined);
    });
    // The other hub lists what the log has lost since: another record of the same number.
    world.has_room(1, 10, &[1, 2, 4]);
    let lost = Marked {
        before: Mark::EMPTY,
        changed: None,
        mine: true,
        urgent: true,
    };
    world.does(1, |registry, turn, with| {
        registry.marked(turn, with, room_id(10), lost);
    });
    world.sites[1].around.rooms.clear();
    let rooms_of =
        |world: &World, who| judge::People::rooms_of(&world.sites[1].registry, member(who));
    assert_eq!((rooms_of(&world, 3), rooms_of(&world, 4)), (0, 1));
    world.pass(Duration::from_secs(10));
    assert_eq!((rooms_of(&world, 3), rooms_of(&world, 4)), (1, 0));
    assert_eq!(world.members_of(1, 10), Some(3));
}

#[test]
fn each_room_that_is_listed_otherwise_is_looked_after_by_one_hub() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    for n in 10..20 {
        world.has_room(0, n, &[1]);
        world.marked(0, n, true);
    }
    world.pass(Duration::from_secs(1));
    // Of these the log has nothing, and of others more than is listed.
    for n in 20..30 {
        world.logs_unknown_room(n);
    }
    world.sites[0].around.rooms.clear();
    world.story(0);
    world.pass(Duration::from_secs(20));
    let mut both = [world.story(0), world.story(1)];
    assert!(both.iter().all(|story| story.len() < 20));
    let [all, others] = &mut both;
    all.append(others);
    all.sort_unstable();
    let expected: Vec<String> = (10..30).map(|n| format!("load {n}")).collect();
    assert_eq!(all, &expected);
}

#[test]
fn an_address_makes_no_more_groups_only_after_a_look() {
    let mut world = World::new(2);
    world.sites[1].bench.config.limits.groups_per_address.burst = 1;
    for who in 1..=3 {
        world.hello(0, who, &format!("m{who}"));
    }
    world.ask(1, 1, create("Salon"));
    world.quiet = true;
    world.ask(0, 2, create("Parlour"));
    world.story(1);
    // Another hub has made the one, and nobody the other.
    world.ask(1, 2, create("Parlour"));
    world.ask(1, 3, create("Attic"));
    assert_eq!(world.story(1), ["begin for 2", "rate_limited 3"]);
}

#[test]
fn a_claim_that_stays_half_done_is_completed_by_one_hub() {
    let mut world = World::new(3);
    world.hello(0, 1, "Ada");
    world.ask(0, 1, create("Salon"));
    world.sites.remove(0);
    for at in 0..2 {
        world.does(at, |registry, turn, _| registry.lost(turn, 1));
    }
    world.pass(Duration::from_secs(8));
    let begun = [world.story(0), world.story(1)];
    assert!(
        begun.iter().all(|story| story == &["begin true"]),
        "{begun:?}"
    );
    // None of these could; the next look through all is one hub's.
    world.pass(Duration::from_secs(4));
    let again = [world.story(0), world.story(1)].concat();
    assert_eq!(again.iter().filter(|line| *line == "begin true").count(), 1);
}

#[test]
fn what_a_hub_that_is_gone_had_on_its_way_into_the_log_is_found() {
    // An earlier life of one of these, and then the other one.
    let mut world = World::new(2);
    world.logs_unknown_room(10);
    world.pass(Duration::from_secs(11));
    let both = [world.story(0), world.story(1)].concat();
    assert_eq!(both, ["load 10"]);
    world.pass(Duration::from_secs(100));
    world.sites.truncate(1);
    world.does(0, |registry, turn, _| registry.lost(turn, 2));
    world.logs_unknown_room(11);
    world.pass(Duration::from_secs(11));
    assert!(world.story(0).contains(&"load 11".to_owned()));
}
