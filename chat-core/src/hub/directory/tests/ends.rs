//! A hub ends, and says so.

use super::*;

#[test]
fn the_names_of_a_hub_that_says_that_it_ends_are_freed_without_another_word() {
    let mut world = World::new(2);
    world.hello(1, 1, "Ada");
    let head = world.head();
    world.does(1, |registry, turn, _| registry.end(turn));
    // Nothing says that the hub is lost.
    world.sites.truncate(1);
    world.pass(Duration::from_secs(29));
    assert!(world.is_here(0, 1));
    world.pass(Duration::from_secs(5));
    assert!(!world.is_here(0, 1));
    assert_eq!(world.head(), head + 1);
}

#[test]
fn a_directory_is_settled_when_all_of_it_is_in_the_log() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    let settled = |world: &World| world.sites[0].registry.is_settled();
    assert!(settled(&world));
    // A name that is to be freed.
    world.slow = Some(Vec::new());
    world.departs(0, 1, Departure::Bye);
    assert!(!settled(&world));
    let late = world.slow.take().expect("it was asked");
    for (at, output) in late {
        world.sites[at].bench.out.push(output);
        world.drive(at);
    }
    assert!(settled(&world));
    // A room that is to be listed.
    world.has_room(0, 10, &[1]);
    world.marked(0, 10, true);
    assert!(!settled(&world));
    world.pass(Duration::from_secs(2));
    assert!(settled(&world));
}
