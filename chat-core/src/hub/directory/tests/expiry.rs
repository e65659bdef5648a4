//! Members whose time is up.

use super::*;

#[test]
fn who_is_forgotten_is_taken_out_of_each_room_first() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    world.has_room(0, 10, &[1, 2]);
    world.marked(0, 10, true);
    world.departs(0, 2, Departure::Bye);
    world.pass(Duration::from_secs(3_590));
    let state = world.sites[0].registry.state();
    assert!(state.knows(member(2)) && !state.members.is_ending(member(2)));
    // A member that was in already is looked up here; one that is gone is not.
    let story = ["in 1", "in 2", "leave lobby 2", "gone 2", "find 10 1"];
    assert_eq!(world.story(0), story);
    world.pass(Duration::from_secs(11));
    assert!(world.sites[0].registry.state().members.is_ending(member(2)));
    assert_eq!(world.story(0), ["expire 10 2"]);
    // The expiry is tried again until it is done.
    world.pass(Duration::from_secs(60));
    assert_eq!(world.story(0), ["expire 10 2"]);
    let (room, place) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    let left = Left {
        reason: crate::wire::record::LeftReason::Expired,
    };
    take(room, 3, 2, RecordBody::Left(left));
    place.seq = 3;
    world.marked(0, 10, true);
    world.pass(Duration::from_secs(1));
    assert!(!world.sites[0].registry.state().knows(member(2)));
    assert!(world.sites[0].registry.state().knows(member(1)));
}

#[test]
fn a_member_whose_time_is_up_while_the_log_cannot_write_waits_once() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Bye);
    world.pass(Duration::from_secs(3_500));
    world.full = true;
    world.pass(Duration::from_secs(3_600));
    let queued = world.sites[0].registry.pipe().queued();
    assert_eq!(queued, 1, "it is tried again, and not asked for again");
    world.full = false;
    world.pass(Duration::from_secs(120));
    assert!(!world.sites[0].registry.state().knows(member(1)));
}

#[test]
fn who_comes_back_is_not_forgotten() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Bye);
    world.pass(Duration::from_secs(3_500));
    world.hello(0, 1, "Ada");
    world.pass(Duration::from_secs(10_000));
    assert!(world.sites[0].registry.state().knows(member(1)));
    let story = ["in 1", "leave lobby 1", "gone 1", "in 1"];
    assert_eq!(world.story(0), story);
}

#[test]
fn a_member_is_forgotten_by_the_hub_whose_duty_that_is() {
    let mut world = World::new(2);
    let who = world.duty_of(0, 1);
    world.hello(1, who, "Ada");
    world.departs(1, who, Departure::Bye);
    world.pass(Duration::from_secs(3_500));
    // Neither hears of the other's entries, so that each does what it takes for its own duty.
    world.quiet = true;
    let appends = world.sites[1].appends;
    world.pass(Duration::from_secs(50 * 60));
    assert!(!world.sites[0].registry.state().knows(member(who)));
    assert_eq!(world.sites[1].appends, appends);
}

#[test]
fn the_memberships_of_one_that_is_forgotten_are_ended_by_one_hub() {
    let mut world = World::new(2);
    let who = world.duty_of(0, 2);
    world.hello(1, 1, "Ada");
    world.hello(1, who, "Bob");
    world.has_room(1, 10, &[1, who]);
    world.marked(1, 10, true);
    world.departs(1, who, Departure::Bye);
    world.pass(Duration::from_secs(3_700));
    let expires = |story: Vec<String>| story.iter().any(|line| line.starts_with("expire"));
    assert!(expires(world.story(0)) && !expires(world.story(1)));
}
