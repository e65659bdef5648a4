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
